//! The operations of each endpoint: what is sent, and what may come back.

use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};
use tombolo_identity::{CA_PATH, CHALLENGE_PATH, LOGIN_PATH, REVOCATIONS_PATH};

use super::super::endpoint::Endpoint;
use super::super::media::Media;
use super::shapes::{
    ExecuteRequest, ExecuteResponse, Failure, Health, LoginFailure, PresenceGraph, Uploaded,
};

const TEXT: &str = "text/plain";
const OPEN_METRICS: &str = "application/openmetrics-text";
const JSON: &str = Media::Json.name();
const CBOR: &str = Media::Cbor.name();

/// What every endpoint may answer instead of success: the status and what it means.
const FAILURES: [(&str, &str); 11] = [
    ("400", "The request is wrong; the answer says where."),
    (
        "404",
        "Nothing is served at this path, or what it names does not exist.",
    ),
    (
        "405",
        "The path does not take this method; Allow tells which it takes.",
    ),
    (
        "408",
        "The request took longer than the node allows, and was stopped.",
    ),
    ("413", "The body is longer than this endpoint takes."),
    (
        "415",
        "The body is of a type that this endpoint does not take.",
    ),
    (
        "422",
        "The request is understood and cannot be carried out.",
    ),
    (
        "429",
        "Too many requests; Retry-After tells when to come back.",
    ),
    ("431", "The headers are too long or too many."),
    (
        "500",
        "The node failed; its log names the request by its x-request-id.",
    ),
    (
        "503",
        "The node is too busy; Retry-After tells when to come back.",
    ),
];
/// The same where a key is needed.
const KEY_FAILURES: [(&str, &str); 2] = [
    ("401", "There is no API key, or it is nobody's."),
    ("403", "The identity may not do this."),
];

/// The methods of a path with their operations.
pub(super) fn of(
    (path, endpoint): (&str, Endpoint),
    database_id: &str,
    shapes: &mut SchemaGenerator,
) -> Vec<(&'static str, Value)> {
    let (method, summary) = summary(path, endpoint);
    let mut responses = failures::<Failure>(endpoint.needs_key(), shapes);
    match endpoint {
        Endpoint::Login => responses = failures::<LoginFailure>(true, shapes),
        Endpoint::Ready => {
            let told = of_type("It cannot; the lines tell why.", TEXT);
            responses.insert("503".to_owned(), told);
        }
        Endpoint::Sync => {
            responses.insert(
                "101".to_owned(),
                plain("The connection speaks WebSocket from now on."),
            );
            responses.insert(
                "426".to_owned(),
                answer::<Failure>("The request asks for no WebSocket.", shapes),
            );
        }
        _ => {}
    }
    let (status, success) = success(path, endpoint, shapes);
    responses.insert(status.to_owned(), success);
    let mut operation = json!({
        "operationId": operation_id(method, path),
        "summary": summary,
        "tags": [endpoint.name()],
        "responses": responses,
    });
    let mut parameters = parameters(path, database_id);
    if endpoint == Endpoint::Execute {
        parameters.push(idempotency_key());
        parameters.push(least_transaction());
        operation["responses"]["200"]["headers"] = json!({ "Idempotency-Replayed": {
            "description": "The answer is that of an earlier request with the same Idempotency-Key; nothing ran again.",
            "schema": { "type": "string", "enum": ["true"] },
        } });
    }
    if !parameters.is_empty() {
        operation["parameters"] = Value::Array(parameters);
    }
    if let Some(body) = request_body(path, endpoint, shapes) {
        operation["requestBody"] = body;
    }
    if endpoint == Endpoint::Execute {
        also_in_cbor(&mut operation["responses"]);
    }
    match endpoint {
        Endpoint::Observe => observe(operation, shapes),
        _ => vec![(method, operation)],
    }
}

/// Each answer as CBOR too: the same shape, with byte strings for binary values.
fn also_in_cbor(responses: &mut Value) {
    let answers = responses.as_object_mut().into_iter().flatten();
    for (_, answer) in answers {
        answer["content"][CBOR] = answer["content"][JSON].clone();
    }
}

/// The same question in the query of a GET or in the body of a POST.
fn observe(mut get: Value, shapes: &mut SchemaGenerator) -> Vec<(&'static str, Value)> {
    get["responses"]["406"] = answer::<Failure>("The client takes no text/event-stream.", shapes);
    let mut post = get.clone();
    post["operationId"] = json!("post_observe");
    let asked = shapes.subschema_for::<ExecuteRequest>();
    post["requestBody"] = json!({ "required": true, "content": { JSON: { "schema": asked } } });
    get["description"] = json!(
        "Events with the names initial, change, behind and error. With an Upgrade to WebSocket, and without a query, the connection carries several live queries: {\"type\":\"observe\",\"id\":...,\"statement\":...,\"args\":...} and {\"type\":\"cancel\",\"id\":...} from the client, and the same events as messages."
    );
    get["responses"]["101"] = plain("The connection speaks WebSocket from now on.");
    get["responses"]["426"] = answer::<Failure>("The Upgrade is to no WebSocket.", shapes);
    get["parameters"] = json!([
        { "name": "statement", "in": "query", "required": true, "description": "A SELECT.", "schema": { "type": "string" } },
        { "name": "args", "in": "query", "description": "Its arguments, as a JSON object.", "content": { JSON: { "schema": { "type": "object" } } } },
    ]);
    vec![("get", get), ("post", post)]
}

fn summary(path: &str, endpoint: Endpoint) -> (&'static str, &'static str) {
    match (endpoint, path) {
        (Endpoint::Execute, _) => ("post", "Run a statement"),
        (Endpoint::AttachmentsUpload, _) => ("post", "Store an attachment"),
        (Endpoint::AttachmentsDownload, _) => ("get", "Read an attachment, or a range of it"),
        (Endpoint::Presence, _) => ("get", "Tell who is in the mesh"),
        (Endpoint::Logs, _) => ("get", "Read the logs of the node as an archive"),
        (Endpoint::Metrics, _) => (
            "get",
            "Read the metrics of the node in the text format of Prometheus",
        ),
        (Endpoint::Docs, "/docs/edge_server_api.json") => ("get", "Read this description"),
        (Endpoint::Docs, _) => ("get", "A file of the page that shows this description"),
        (Endpoint::Observe, _) => ("get", "Follow the rows of a SELECT"),
        (Endpoint::Health, _) => ("get", "Tell whether the process answers"),
        (Endpoint::Ready, _) => ("get", "Tell whether the node can do its work"),
        (Endpoint::Sync, _) => ("get", "Sync with a peer over WebSocket"),
        (Endpoint::Login, LOGIN_PATH) => ("post", "Log a device in"),
        (Endpoint::Login, CHALLENGE_PATH) => ("get", "Ask for a challenge, which a login answers"),
        (Endpoint::Login, _) => (
            "get",
            "Read whom the identity service signs for and whom it cut off",
        ),
    }
}

fn operation_id(method: &str, path: &str) -> String {
    let word = |letter: char| {
        if letter.is_ascii_alphanumeric() {
            letter
        } else {
            '_'
        }
    };
    let name: String = path.chars().map(word).collect();
    let page = if path.ends_with('/') { "index" } else { "" };
    format!("{method}{name}{page}")
}

fn success(path: &str, endpoint: Endpoint, shapes: &mut SchemaGenerator) -> (&'static str, Value) {
    match (endpoint, path) {
        (Endpoint::Execute, _) => (
            "200",
            answer::<ExecuteResponse>("What the statement gave.", shapes),
        ),
        (Endpoint::AttachmentsUpload, _) => {
            ("200", answer::<Uploaded>("It is on the disk.", shapes))
        }
        (Endpoint::Presence, _) => ("200", answer::<PresenceGraph>("The graph.", shapes)),
        (Endpoint::Health, _) => ("200", answer::<Health>("It answers.", shapes)),
        (Endpoint::Ready, _) => (
            "200",
            of_type("It can; a line for each thing that was looked at.", TEXT),
        ),
        (Endpoint::Metrics, _) => ("200", of_type("The metrics.", OPEN_METRICS)),
        (Endpoint::Logs, _) => ("200", of_type("A .tar.gz archive.", "application/gzip")),
        (Endpoint::AttachmentsDownload, _) => {
            ("200", of_type("The content.", "application/octet-stream"))
        }
        (Endpoint::Observe, _) => (
            "200",
            of_type("Events, until the client leaves.", "text/event-stream"),
        ),
        (Endpoint::Docs, "/docs") => ("308", plain("The page is at /docs/.")),
        (Endpoint::Docs, "/docs/") => ("200", of_type("The page.", "text/html")),
        (Endpoint::Docs, "/docs/swagger-ui.css") => ("200", of_type("A style.", "text/css")),
        (Endpoint::Docs, path) if path.ends_with(".js") => {
            ("200", of_type("A script.", "text/javascript"))
        }
        (Endpoint::Login, CA_PATH) => (
            "200",
            of_type(
                "PEM certificates of the authorities.",
                "application/x-pem-file",
            ),
        ),
        (Endpoint::Login, REVOCATIONS_PATH) => (
            "200",
            of_type("The signed list.", "application/octet-stream"),
        ),
        (Endpoint::Sync, _) => ("101", plain("The connection speaks WebSocket from now on.")),
        (Endpoint::Docs | Endpoint::Login, _) => ("200", of_type("The answer.", JSON)),
    }
}

fn request_body(path: &str, endpoint: Endpoint, shapes: &mut SchemaGenerator) -> Option<Value> {
    let content = match endpoint {
        Endpoint::Execute => {
            let schema = shapes.subschema_for::<ExecuteRequest>();
            json!({ JSON: { "schema": schema }, CBOR: { "schema": schema } })
        }
        Endpoint::AttachmentsUpload => json!({
            "multipart/form-data": { "schema": {
                "type": "object",
                "properties": { "file": { "contentMediaType": "application/octet-stream" } },
                "required": ["file"],
            } },
            "application/octet-stream": {},
        }),
        Endpoint::Login if path == LOGIN_PATH => {
            json!({ JSON: { "schema": { "type": "object" } } })
        }
        _ => return None,
    };
    // No body at all is content too: that of no bytes.
    let is_required = endpoint != Endpoint::AttachmentsUpload;
    Some(json!({ "required": is_required, "content": content }))
}

fn parameters(path: &str, database_id: &str) -> Vec<Value> {
    let steps = path.split('/');
    let names = steps.filter_map(|step| step.strip_prefix('{')?.strip_suffix('}'));
    names
        .map(|name| {
            let (told, schema) = match name {
                "db_id" if !database_id.is_empty() => (
                    "The id of the database of this node.",
                    json!({ "type": "string", "enum": [database_id] }),
                ),
                "db_id" => (
                    "The id of the database of the node.",
                    json!({ "type": "string", "minLength": 1 }),
                ),
                _ => (
                    "The hash that names the attachment.",
                    json!({ "type": "string", "minLength": 1 }),
                ),
            };
            json!({ "name": name, "in": "path", "required": true, "description": told, "schema": schema })
        })
        .collect()
}

fn idempotency_key() -> Value {
    json!({
        "name": "Idempotency-Key",
        "in": "header",
        "description": "Statements that write run once for a key within 24 hours, and are answered the same each time. A new key for each request; 422 if it came with another body.",
        "schema": { "type": "string", "pattern": "^[!-~]{1,255}$", "minLength": 1, "maxLength": 255 },
    })
}

fn least_transaction() -> Value {
    json!({
        "name": "X-DITTO-TXN-ID",
        "in": "header",
        "description": "The transactionId of an answer of this node that must be seen; 404 if the node has no such transaction.",
        "schema": { "type": "integer", "format": "int64", "minimum": 0 },
    })
}

fn failures<T: JsonSchema>(needs_key: bool, shapes: &mut SchemaGenerator) -> Map<String, Value> {
    let with_key = KEY_FAILURES.iter().filter(|_| needs_key);
    FAILURES
        .iter()
        .chain(with_key)
        .map(|(status, told)| ((*status).to_owned(), answer::<T>(told, shapes)))
        .collect()
}

fn answer<T: JsonSchema>(told: &str, shapes: &mut SchemaGenerator) -> Value {
    json!({ "description": told, "content": { JSON: { "schema": shapes.subschema_for::<T>() } } })
}

fn of_type(told: &str, kind: &str) -> Value {
    json!({ "description": told, "content": { kind: {} } })
}

fn plain(told: &str) -> Value {
    json!({ "description": told })
}
