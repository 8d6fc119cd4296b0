//! The description against the routes, what is parsed and what is answered.

use http::Method;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tombolo::{OutcomeKind, Value as Stored};

use super::super::endpoint::Endpoint;
use super::super::media::Media;
use super::super::question::Asked;
use super::super::reply::{self, Refused, Shape};
use super::super::routes::{PATHS, Routes};
use super::{Keys, document};
use crate::config::Api;

const METHODS: [Method; 5] = [
    Method::GET,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
];

fn everything() -> Routes {
    Routes::new(Api::EVERYTHING, "an-id".to_owned(), true)
}

fn described() -> Value {
    document(&everything(), Keys::Needed)
}

/// The schema of a body, with all that it refers to.
fn validator(name: &str) -> jsonschema::Validator {
    let document = described();
    let text = document["components"]["schemas"].to_string();
    let definitions: Value =
        serde_json::from_str(&text.replace("#/components/schemas/", "#/$defs/")).unwrap();
    let schema = json!({ "$ref": format!("#/$defs/{name}"), "$defs": definitions });
    jsonschema::draft202012::new(&schema).unwrap()
}

/// The path with names where the description has braces.
fn real(path: &str) -> String {
    path.replace("{db_id}", "an-id").replace("{id}", "x")
}

#[test]
fn every_path_that_is_served_is_described_and_the_other_way_round() {
    let routes = everything();
    let document = described();
    let paths = document["paths"].as_object().unwrap();
    for (path, endpoint) in PATHS {
        assert!(routes.is_on(endpoint), "{path} cannot be turned on");
        assert!(paths.contains_key(path), "{path} is not described");
    }
    for (path, operations) in paths {
        let operations = operations.as_object().unwrap();
        assert!(!operations.is_empty(), "{path}");
        let mut served = Vec::new();
        for method in METHODS {
            match routes.find(&real(path), &method) {
                // These look at the method themselves.
                Ok(Endpoint::Sync | Endpoint::Login | Endpoint::Observe) => {}
                Ok(endpoint) => {
                    served.push(method.as_str().to_lowercase());
                    let tag = &operations[served.last().unwrap()]["tags"][0];
                    assert_eq!(tag, endpoint.name(), "{path}");
                }
                Err(refused) => assert_eq!(refused.code, "wrong_method", "{path}"),
            }
        }
        if !served.is_empty() {
            let described: Vec<&String> = operations.keys().collect();
            assert_eq!(served.iter().collect::<Vec<_>>(), described, "{path}");
        }
    }
}

#[test]
fn every_endpoint_that_is_on_has_a_path() {
    let routes = everything();
    for endpoint in Endpoint::ALL {
        let has_path = PATHS.iter().any(|(_, other)| *other == endpoint);
        assert_eq!(routes.is_on(endpoint), has_path, "{endpoint}");
    }
}

#[test]
fn what_is_off_is_not_described() {
    let routes = Routes::new(Api::NOTHING, "an-id".to_owned(), false);
    let document = document(&routes, Keys::Needed);
    let paths: Vec<&String> = document["paths"].as_object().unwrap().keys().collect();
    assert_eq!(paths, ["/_ditto/sync"]);
}

#[test]
fn keys_are_asked_for_where_they_are_needed() {
    let open = document(&everything(), Keys::NotNeeded);
    for (path, endpoint) in PATHS {
        for operation in described()["paths"][path].as_object().unwrap().values() {
            let is_keyed = operation["security"] == json!([{ "api_key": [] }]);
            assert_eq!(is_keyed, endpoint.needs_key(), "{path}");
        }
        for operation in open["paths"][path].as_object().unwrap().values() {
            assert_eq!(operation.get("security"), None, "{path}");
        }
    }
}

/// Every reference leads somewhere, and no name stands for two operations.
#[test]
fn references_and_names_are_sound() {
    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                if let Some(Value::String(reference)) = members.get("$ref") {
                    found.push(reference.clone());
                }
                members.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let document = described();
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(!found.is_empty());
    for reference in found {
        let target = reference
            .strip_prefix('#')
            .and_then(|path| document.pointer(path));
        assert!(target.is_some(), "{reference}");
    }
    let mut names: Vec<&Value> = Vec::new();
    for operations in document["paths"].as_object().unwrap().values() {
        names.extend(
            operations
                .as_object()
                .unwrap()
                .values()
                .map(|one| &one["operationId"]),
        );
    }
    let count = names.len();
    names.sort_by_key(|name| name.as_str());
    names.dedup();
    assert_eq!(names.len(), count);
}

#[test]
fn a_body_that_is_described_is_parsed_and_no_other() {
    let schema = validator("ExecuteRequest");
    for (body, fits) in [
        (json!({ "statement": "S" }), true),
        (json!({ "statement": "S", "args": {} }), true),
        (json!({ "statement": "S", "args": null }), true),
        (
            json!({ "statement": "S", "args": { "a": [1, { "b": null }] } }),
            true,
        ),
        (json!({}), false),
        (json!({ "statement": 1 }), false),
        (json!({ "statement": null }), false),
        (json!({ "statement": "S", "args": [] }), false),
        (json!({ "statement": "S", "more": 1 }), false),
        (json!([]), false),
        (
            json!({ "statements": [{ "statement": "S" }, { "statement": "T", "args": {} }] }),
            true,
        ),
        (json!({ "statements": [] }), false),
        (json!({ "statements": [{ "args": {} }] }), false),
        (
            json!({ "statements": [{ "statement": "S" }], "statement": "S" }),
            false,
        ),
    ] {
        assert_eq!(schema.is_valid(&body), fits, "{body}");
        let parsed = Asked::parse(body.to_string().as_bytes());
        assert_eq!(parsed.is_ok(), fits, "{body}");
    }
}

/// Questions and answers of statements are in each format, and nothing else is.
#[test]
fn statements_are_described_in_each_format() {
    let formats = |part: &Value| {
        let content = part["content"].as_object().unwrap();
        assert_eq!(content[Media::Json.name()], content[Media::Cbor.name()]);
        content.len()
    };
    let document = described();
    let operation = &document["paths"]["/execute"]["post"];
    assert_eq!(formats(&operation["requestBody"]), 2);
    for response in operation["responses"].as_object().unwrap().values() {
        assert_eq!(formats(response), 2);
    }
    let others = document["paths"].as_object().unwrap();
    for (path, operations) in others
        .iter()
        .filter(|(path, _)| !path.ends_with("/execute"))
    {
        let names_cbor = operations.to_string().contains(Media::Cbor.name());
        assert!(!names_cbor, "{path}");
    }
}

async fn body_of(response: tombolo_http::Response) -> Value {
    let body = response.into_body().collect().await.unwrap();
    serde_json::from_slice(&body.to_bytes()).unwrap()
}

#[tokio::test]
async fn answers_are_as_described() {
    let done = tombolo::Response {
        kind: OutcomeKind::Mutation,
        items: vec![Stored::from("row")],
        mutated_document_ids: vec![Stored::from("a"), Stored::Int(1)],
        commit_id: Some(7),
        warnings: vec!["one".to_owned()],
        warnings_total: 11,
    };
    let select = tombolo::Response {
        kind: OutcomeKind::Select,
        ..tombolo::Response::default()
    };
    let schema = validator("ExecuteResponse");
    for done in [&done, &select] {
        let body = body_of(reply::executed(
            Shape::One,
            std::slice::from_ref(done),
            Media::Json,
        ))
        .await;
        assert!(schema.is_valid(&body), "{body}");
    }
    let body = body_of(reply::executed(Shape::All, &[done, select], Media::Json)).await;
    assert!(schema.is_valid(&body), "{body}");
    let mut refused = Refused::new(http::StatusCode::BAD_REQUEST, "syntax", "no");
    let schema = validator("Failure");
    for place in [None, Some((1, 2))] {
        refused.place = place;
        let body = body_of(refused.response()).await;
        assert!(schema.is_valid(&body), "{body}");
        assert!(!validator("ExecuteResponse").is_valid(&json!({})));
    }
}

#[test]
fn the_graph_of_the_mesh_is_as_described() {
    let peer = json!({
        "peerKey": "pk", "peerKeyString": "pk", "deviceName": "d", "isConnectedToDittoServer": false,
        "isCompatible": true, "direct": true, "connections": [], "peerMetadata": {}, "identityServiceMetadata": {},
    });
    let graph = json!({ "localPeer": peer, "remotePeers": [peer] });
    let schema = validator("PresenceGraph");
    assert!(schema.is_valid(&graph));
    assert!(!schema.is_valid(&json!({ "remotePeers": [] })));
}
