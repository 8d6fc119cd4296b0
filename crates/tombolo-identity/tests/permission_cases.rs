//! The cases under `conformance/permissions`: rules against ids, and answers of
//! a provider that are refused by the name of a field.
#![allow(clippy::panic, reason = "a broken fixture stops the run")]

use std::collections::BTreeMap;

use tombolo_document::{DocumentId, Object, Value, json};
use tombolo_identity::{ProviderAnswer, RuleSyntax, Rules};

const SEED: &str = include_str!("../../../conformance/permissions/seed.json");
const RULES: &str = include_str!("../../../conformance/permissions/rules.jsonl");
const ANSWERS: &str = include_str!("../../../conformance/permissions/answers.jsonl");

fn object(text: &str) -> Object {
    match json::parse(text.as_bytes()) {
        Ok(Value::Object(object)) => object,
        other => panic!("a case is an object: {other:?}"),
    }
}

fn text<'c>(case: &'c Object, name: &str) -> &'c str {
    case.get(name).and_then(Value::as_str).expect("a text")
}

fn items<'c>(case: &'c Object, name: &str) -> &'c [Value] {
    match case.get(name) {
        Some(Value::Array(items)) => items,
        _ => panic!("{name} is no list"),
    }
}

fn parse(case: &Object) -> Option<Rules> {
    let syntax = match text(case, "syntax") {
        "dql" => RuleSyntax::Dql,
        "legacy" => RuleSyntax::Legacy,
        "either" => RuleSyntax::Either,
        other => panic!("no syntax {other}"),
    };
    let rules = vec![text(case, "rule").to_owned()];
    Rules::parse_as(&BTreeMap::from([("c".to_owned(), rules)]), syntax).ok()
}

#[test]
fn each_id_matches_each_rule_exactly_one_way() {
    for line in RULES.lines() {
        let case = object(line);
        let name = text(&case, "name");
        let rules = parse(&case);
        if case.contains_key("malformed") {
            assert_eq!(rules, None, "{name}");
            continue;
        }
        let rules = rules.expect(name);
        let allows = |id: &Value| rules.allows("c", &DocumentId::from_value(id).expect("an id"));
        for id in items(&case, "allows") {
            assert!(allows(id), "{name}: {id:?} should be allowed");
        }
        for id in items(&case, "refuses") {
            assert!(!allows(id), "{name}: {id:?} should be refused");
        }
    }
}

#[test]
fn t20_each_malformed_answer_is_refused_by_its_field() {
    for line in ANSWERS.lines() {
        let case = object(line);
        let name = text(&case, "name");
        let mut answer = object(SEED);
        if let Some(unset) = case.get("unset").and_then(Value::as_str) {
            answer.remove(unset);
        }
        for (field, value) in case
            .get("set")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            answer.insert(field.clone(), value.clone());
        }
        let refused = ProviderAnswer::from_object(&answer, "p").expect_err(name);
        assert_eq!(
            refused.field(),
            Some(text(&case, "field")),
            "{name}: {refused}"
        );
    }
}

#[test]
fn the_permissions_of_the_seed_allow_what_they_say_and_nothing_else() {
    let ProviderAnswer::Granted(granted) = ProviderAnswer::parse(SEED.as_bytes(), "p").unwrap()
    else {
        panic!("the seed is granted");
    };
    let permissions = granted.identity().permissions();
    let id = |text: &str| DocumentId::from_value(&json::parse(text.as_bytes()).unwrap()).unwrap();
    let here = id("{\"locationId\":\"abcedef123456\",\"title\":\"x\"}");
    let there = id("{\"locationId\":\"other\"}");
    for (collection, id, read, write) in [
        ("books", &here, true, true),
        ("books", &there, false, false),
        ("newspapers", &here, false, true),
        ("newspapers", &there, false, true),
        ("films", &here, false, false),
        ("Books", &here, false, false),
        ("", &here, false, false),
    ] {
        assert_eq!(
            permissions.read.allows(collection, id),
            read,
            "{collection} {id:?}"
        );
        assert_eq!(
            permissions.write.allows(collection, id),
            write,
            "{collection} {id:?}"
        );
    }
}

/// The answer of a provider with these permissions to read.
fn answer(read: &str) -> String {
    let seed = "{\"authenticated\":true,\"userID\":\"ada\",\"expirationSeconds\":60,\"permissions\":{\"write\":{\"everything\":false,\"queriesByCollection\":{}},\"read\":";
    format!("{seed}{read}}}}}")
}

/// The permissions to read of whoever is let in with this answer.
fn granted(read: &str) -> Rules {
    match ProviderAnswer::parse(answer(read).as_bytes(), "p") {
        Ok(ProviderAnswer::Granted(granted)) => granted.identity().permissions().read.clone(),
        other => panic!("{read}: {other:?}"),
    }
}

/// The field that is to blame for a login that is refused whole.
fn blamed(read: &str) -> String {
    let refused = ProviderAnswer::parse(answer(read).as_bytes(), "p").expect_err(read);
    refused.field().expect(read).to_owned()
}

#[test]
fn t25_what_is_not_allowed_is_denied_and_one_rule_in_doubt_refuses_the_login() {
    let ids = ["\"a\"", "1", "{\"owner\":\"ada\"}"];
    let ids = ids.map(|text| DocumentId::from_value(&json::parse(text.as_bytes()).unwrap()));
    let ids = ids.map(|id| id.expect("an id"));
    let nothing = granted(r#"{"everything":false,"queriesByCollection":{}}"#);
    let empty = granted(r#"{"everything":false,"queriesByCollection":{"c":[]}}"#);
    for id in &ids {
        assert!(!nothing.allows("c", id) && !empty.allows("c", id), "{id:?}");
    }
    // A broad rule is for its own collection alone.
    let broad = granted(r#"{"everything":false,"queriesByCollection":{"c":["true"]}}"#);
    assert!(broad.allows("c", &ids[0]) && !broad.allows("d", &ids[0]));
    // Nobody can deny, so nothing can be denied in vain: what looks like it is refused.
    for (read, field) in [
        (
            r#"{"everything":true,"queriesByCollection":{},"deny":{"c":["true"]}}"#,
            "permissions.read.deny",
        ),
        (
            r#"{"everything":false,"queriesByCollection":{},"Everything":true}"#,
            "permissions.read.Everything",
        ),
        (
            r#"{"everything":false,"queriesByCollection":{"c":["true","_id =="]}}"#,
            "permissions.read.queriesByCollection",
        ),
        (
            r#"{"everything":true,"queriesByCollection":{"c":["_id =="]}}"#,
            "permissions.read.queriesByCollection",
        ),
    ] {
        let blamed = blamed(read);
        assert!(blamed.starts_with(field), "{read}: {blamed}");
    }
}

#[test]
fn t27_a_rule_on_what_can_change_is_refused_when_it_is_granted() {
    for rule in [
        "owner == 'x'",
        "_id == owner",
        "_id.owner == owner",
        "_id == 'a' && shared == true",
        "_id == 'a' || shared == true",
        "!(shared == true)",
        "startsWith(owner, 'a')",
        "contains(c, 'a')",
        "starts_with(_id, prefix)",
        "owner = 'x'",
        "_id IN members",
        "object_length(c) = 1",
        "EXISTS (SELECT * FROM c)",
        "$args.owner == _id",
    ] {
        let read = format!(
            r#"{{"everything":false,"queriesByCollection":{{"other":["_id == 'a'"],"c":["{rule}"]}}}}"#
        );
        let blamed = blamed(&read);
        assert!(
            blamed.starts_with("permissions.read.queriesByCollection"),
            "{rule}: {blamed}"
        );
    }
}
