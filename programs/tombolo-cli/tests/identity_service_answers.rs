//! A webhook whose answers have more than a hundred wrong shapes: never a login, always a named reason in the
//! operator's log, one neutral text for the client, and nothing secret in either.
//! A name that a rule looks at is repeated to the operator, who could not find the rule without it; a value never is.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test whose world cannot be set up has failed"
)]

mod support;

use serde_json::{Value, json};

use support::identity::{Hook, Service, device};

/// Stands wherever a value could be repeated by mistake.
const SECRET: &str = "s3cr3t";

fn good() -> Value {
    json!({
        "authenticated": true,
        "userID": format!("{SECRET}-user"),
        "expirationSeconds": 3600,
        "clientInfo": {"note": format!("{SECRET}-info")},
        "identityServiceMetadata": {"role": format!("{SECRET}-role")},
        "permissions": {
            "remoteQuery": false,
            "qlVersion": 1,
            "read": {"everything": false, "queriesByCollection": {"cars": [format!("_id = '{SECRET}'")]}},
            "write": {"everything": false, "queriesByCollection": {"cars": ["true"]}}
        }
    })
}

/// One answer that is wrong, and what the log must name.
struct Case {
    body: String,
    named: String,
}

/// What kinds of JSON a field may hold, by the letter under which `FIELDS` allows it.
fn kinds() -> Vec<(char, Value)> {
    vec![
        ('0', Value::Null),
        ('b', json!(true)),
        ('n', json!(7)),
        ('f', json!(1.5)),
        ('t', json!(format!("{SECRET}-text"))),
        ('a', json!([])),
        ('l', json!([{ "note": SECRET }])),
        ('o', json!({})),
        ('p', json!({ "note": [{ "odd": SECRET }] })),
    ]
}

/// Each field, the kinds that are right for it, and values of the right kind that are wrong all the same.
fn fields() -> Vec<(&'static str, &'static str, Vec<Value>)> {
    let rules = |rule: &str| json!([rule]);
    let queries = vec![
        json!([true]),
        json!([7]),
        json!([null]),
        json!([["true"]]),
        rules("not a rule ("),
        rules("owner = 'x'"),
        rules("_id = owner"),
        rules(""),
        json!(["true", format!("_id = '{SECRET}' AND owner = '{SECRET}'")]),
    ];
    let times = [
        json!(-1),
        json!(0),
        json!(4_294_967_296_u64),
        json!(1e300),
        json!(60.0),
    ];
    vec![
        ("authenticated", "b", vec![]),
        ("authenticate", "0b", vec![json!(false)]),
        (
            "userID",
            "t",
            vec![json!(""), json!("a\u{0}b"), json!(SECRET.repeat(50))],
        ),
        ("expirationSeconds", "n", times.to_vec()),
        (
            "identityServiceMetadata",
            "0op",
            vec![json!({ "note": SECRET.repeat(1000) })],
        ),
        ("permissions", "", vec![]),
        ("permissions.remoteQuery", "0b", vec![]),
        ("permissions.qlVersion", "0", vec![json!(2), json!(-1)]),
        ("permissions.odd", "0", vec![]),
        ("permissions.read", "", vec![]),
        ("permissions.read.everything", "b", vec![]),
        ("permissions.read.odd", "0", vec![]),
        ("permissions.read.queriesByCollection", "o", vec![]),
        (
            "permissions.read.queriesByCollection.cars",
            "a",
            queries.clone(),
        ),
        ("permissions.write", "", vec![]),
        ("permissions.write.everything", "b", vec![]),
        ("permissions.write.queriesByCollection", "o", vec![]),
        ("permissions.write.queriesByCollection.cars", "a", queries),
    ]
}

fn set(answer: &mut Value, path: &str, value: Value) {
    let (parents, name) = path.rsplit_once('.').unwrap_or(("", path));
    let mut place = answer;
    for parent in parents.split('.').filter(|parent| !parent.is_empty()) {
        place = place.get_mut(parent).unwrap();
    }
    place
        .as_object_mut()
        .unwrap()
        .insert(name.to_owned(), value);
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (path, right, more) in fields() {
        let wrong = kinds()
            .into_iter()
            .filter(|(kind, _)| !right.contains(*kind));
        for value in wrong.map(|(_, value)| value).chain(more) {
            let mut answer = good();
            set(&mut answer, path, value);
            // The name of a collection is the operator's data, so the field that holds them all is named.
            let named = path.strip_suffix(".cars").unwrap_or(path);
            cases.push(Case {
                body: answer.to_string(),
                named: named.to_owned(),
            });
        }
    }
    let plain = good().to_string();
    let whole = [
        (String::new(), "is no JSON"),
        (SECRET.to_owned(), "is no JSON"),
        (format!("\"{SECRET}\""), "must be an object"),
        ("null".to_owned(), "must be an object"),
        (format!("[{plain}]"), "must be an object"),
        ("{}".to_owned(), "authenticated"),
        (plain[..plain.len() - 1].to_owned(), "is no JSON"),
        (format!("{plain}{plain}"), "is no JSON"),
        (
            plain.replacen('{', "{\"authenticated\":true,", 1),
            "authenticated",
        ),
        (
            plain.replacen("\"cars\"", "\"cars\":[],\"cars\"", 1),
            "is no JSON",
        ),
        (
            format!("{}1{}", "[".repeat(200), "]".repeat(200)),
            "is no JSON",
        ),
    ];
    cases.extend(whole.map(|(body, named)| Case {
        body,
        named: named.to_owned(),
    }));
    cases
}

/// The reason in the last line about a login that failed.
fn reasons(log: &str) -> Vec<&str> {
    let failed = log.lines().filter(|line| line.contains("a login failed"));
    failed
        .map(|line| line.split_once("reason=").unwrap().1)
        .collect()
}

#[test]
fn t20_a_hundred_wrong_answers_are_never_a_login_and_always_named() {
    let hook = Hook::start();
    let service = Service::start(&format!("{{ my-auth: {} }}", hook.provider("")));
    let device = device();
    hook.answer(good().to_string());
    assert_eq!(
        service.login(&device, "my-auth", SECRET).status,
        200,
        "the base is good"
    );
    let cases = cases();
    assert!(cases.len() >= 100, "{} cases", cases.len());
    let mut told = None;
    for case in &cases {
        hook.answer(&case.body);
        let reply = service.login(&device, "my-auth", SECRET);
        assert_eq!(reply.status, 502, "{}: {}", case.body, reply.text());
        let told = told.get_or_insert_with(|| reply.text().to_owned());
        assert_eq!(reply.text(), told.as_str(), "{}", case.body);
        assert!(!reply.text().contains(SECRET), "{}", reply.text());
    }
    let log = service.log();
    let reasons = reasons(&log);
    assert_eq!(reasons.len(), cases.len());
    for (case, reason) in cases.iter().zip(reasons) {
        assert!(
            reason.contains(&case.named),
            "{} for\n{}\ngave {reason}",
            case.named,
            case.body
        );
    }
    let line = log.lines().find(|line| line.contains(SECRET));
    // The one good login names its user, which is what the log is for.
    let line = line.filter(|line| !line.contains("logged in"));
    assert_eq!(line, None);
    assert_eq!(hook.calls().len(), cases.len() + 1);
}
