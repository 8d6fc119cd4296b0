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
