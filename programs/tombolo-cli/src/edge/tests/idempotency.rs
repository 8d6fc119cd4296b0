//! Requests that are sent again under their key, over sockets and on a real database.

use super::cbor::{CBOR, JSON, Told, member, send};
use super::observe::start_database;
use super::*;

const INSERT: &str = r#"{"statement":"INSERT INTO orders DOCUMENTS ({'n': 1})"}"#;

fn keyed(more: &str, key: &str) -> String {
    format!("{more}idempotency-key: {key}\r\n")
}

fn is_replayed(told: &Told) -> bool {
    told.head.contains("idempotency-replayed: true\r\n")
}

async fn post(node: &Running, headers: &str, body: &str) -> Told {
    send(node, headers, body.as_bytes()).await
}

async fn count(node: &Running, authorization: &str) -> Value {
    let asked = r#"{"statement":"SELECT COUNT(*) AS c FROM orders"}"#;
    let told = post(node, &format!("{JSON}{authorization}"), asked).await;
    let told = told.json(200);
    let Value::Array(items) = member(&told, "items") else {
        panic!("{told:?}");
    };
    member(&items[0], "c").clone()
}

fn refused(told: &Told, status: u16, code: &str) {
    let told = told.json(status);
    assert_eq!(member(member(&told, "error"), "code"), &Value::from(code));
}

#[tokio::test]
async fn what_is_sent_again_runs_once_and_is_answered_the_same() {
    let node = start_database(Clients::Anyone).await;
    let headers = keyed(JSON, "k1");
    let first = post(&node, &headers, INSERT).await;
    assert_eq!(member(&first.json(200), "transactionId"), &Value::Int(1));
    assert!(!is_replayed(&first));
    for _ in 0..2 {
        let again = post(&node, &headers, INSERT).await;
        assert_eq!(
            (again.body.as_slice(), is_replayed(&again)),
            (&*first.body, true)
        );
        again.json(200);
    }
    assert_eq!(count(&node, "").await, Value::Int(1));
    let other = post(&node, &keyed(JSON, "k2"), INSERT).await;
    assert_ne!(other.body, first.body);
    assert_eq!(count(&node, "").await, Value::Int(2));
}

#[tokio::test]
async fn every_path_of_execute_knows_the_same_keys() {
    let node = start_database(Clients::Anyone).await;
    let mut bodies = Vec::new();
    for path in ["/execute", "/db-1/execute", "/api/v4/store/execute"] {
        let head = format!("POST {path} HTTP/1.1\r\n{JSON}idempotency-key: k");
        let answer = node.send(&head, INSERT).await;
        bodies.push(answer.split_once("\r\n\r\n").unwrap().1.to_owned());
    }
    assert_eq!(bodies[0], bodies[1]);
    assert_eq!(bodies[0], bodies[2]);
    assert_eq!(count(&node, "").await, Value::Int(1));
}

#[tokio::test]
async fn several_statements_run_once_together() {
    let node = start_database(Clients::Anyone).await;
    let body = r#"{"statements":[{"statement":"INSERT INTO orders DOCUMENTS ({'n': 1})"},{"statement":"SELECT COUNT(*) AS c FROM orders"}]}"#;
    let headers = keyed(JSON, "k");
    let first = post(&node, &headers, body).await;
    member(&first.json(200), "results");
    let again = post(&node, &headers, body).await;
    assert_eq!((&again.body, is_replayed(&again)), (&first.body, true));
    assert_eq!(count(&node, "").await, Value::Int(1));
}

#[tokio::test]
async fn cbor_is_repeated_as_cbor() {
    let node = start_database(Clients::Anyone).await;
    let body = b"\xa1\x69statement\x78\x2aINSERT INTO orders DOCUMENTS ({'n': true})";
    assert_eq!(body[13..].len(), 0x2a);
    let headers = keyed(CBOR, "k");
    let first = send(&node, &headers, body).await;
    first.cbor(200);
    let again = send(&node, &headers, body).await;
    again.cbor(200);
    assert_eq!((&again.body, is_replayed(&again)), (&first.body, true));
    // The same statement in the other format is another request.
    let json = r#"{"statement":"INSERT INTO orders DOCUMENTS ({'n': true})"}"#;
    refused(
        &post(&node, &keyed(JSON, "k"), json).await,
        422,
        "idempotency_key_reused",
    );
    assert_eq!(count(&node, "").await, Value::Int(1));
}

#[tokio::test]
async fn a_key_that_comes_with_another_body_is_refused_and_nothing_runs() {
    let node = start_database(Clients::Anyone).await;
    let headers = keyed(JSON, "k");
    let first = post(&node, &headers, INSERT).await;
    let others = [
        INSERT.replace('1', "2"),
        INSERT.replace("{\"", "{ \""),
        format!(r#"{{"statements":[{INSERT}]}}"#),
    ];
    for other in others {
        let told = post(&node, &headers, &other).await;
        refused(&told, 422, "idempotency_key_reused");
        let text = String::from_utf8(told.body).unwrap();
        assert!(!text.contains("statements[0]"), "{text}");
    }
    assert_eq!(post(&node, &headers, INSERT).await.body, first.body);
    assert_eq!(count(&node, "").await, Value::Int(1));
}

#[tokio::test]
async fn the_same_key_of_two_identities_is_two_keys() {
    let identity = |number: u8| {
        let made = GeneratedKey::from_randomness([number; 32], [number; 12]).unwrap();
        let identity = Identity {
            // They need not even be called differently.
            audit_id: "till".to_owned(),
            hash: KeyHash::parse(&made.public_hash).unwrap(),
            permissions: vec![Arc::new(PermissionSet::level("full").unwrap())],
        };
        let authorization = format!("authorization: Bearer {}\r\n", made.private_key);
        (authorization, identity)
    };
    let ((one, first), (two, second)) = (identity(1), identity(2));
    let node = start_database(Clients::Known(vec![first, second])).await;
    let headers = |authorization: &str| keyed(&format!("{JSON}{authorization}"), "k");
    let of_one = post(&node, &headers(&one), INSERT).await;
    let of_two = post(&node, &headers(&two), INSERT).await;
    assert!(!is_replayed(&of_two));
    assert_ne!(of_one.body, of_two.body);
    assert_eq!(count(&node, &one).await, Value::Int(2));
    assert_eq!(post(&node, &headers(&one), INSERT).await.body, of_one.body);
    let other_body = post(&node, &headers(&two), &INSERT.replace('1', "2")).await;
    refused(&other_body, 422, "idempotency_key_reused");
}

#[tokio::test]
async fn of_many_at_once_one_runs_and_all_are_answered_the_same() {
    let node = start_database(Clients::Anyone).await;
    let headers = keyed(JSON, "k");
    let all = (0..16).map(|_| post(&node, &headers, INSERT));
    let told = futures_util::future::join_all(all).await;
    assert_eq!(told.iter().filter(|told| !is_replayed(told)).count(), 1);
    for one in &told {
        one.json(200);
        assert_eq!(one.body, told[0].body);
    }
    assert_eq!(count(&node, "").await, Value::Int(1));
}

#[tokio::test]
async fn what_failed_is_not_remembered() {
    let node = start_database(Clients::Anyone).await;
    let headers = keyed(JSON, "k");
    let conflict = r#"{"statement":"INSERT INTO orders DOCUMENTS ({'_id': 'a'})"}"#;
    let evict = r#"{"statement":"EVICT FROM orders"}"#;
    post(&node, JSON, conflict).await.json(200);
    refused(&post(&node, &headers, conflict).await, 400, "conflict");
    post(&node, JSON, evict).await.json(200);
    let done = post(&node, &headers, conflict).await;
    done.json(200);
    assert!(!is_replayed(&done));
}

#[tokio::test]
async fn a_system_parameter_is_set_each_time() {
    let node = start_database(Clients::Anyone).await;
    let headers = keyed(JSON, "k");
    for value in ["true", "false", "true"] {
        let set = format!(r#"{{"statement":"ALTER SYSTEM SET DQL_STRICT_MODE = {value}"}}"#);
        let told = post(&node, &headers, &set).await;
        told.json(200);
        assert!(!is_replayed(&told));
    }
}

#[tokio::test]
async fn reads_just_run() {
    let node = start_database(Clients::Anyone).await;
    let select = r#"{"statement":"SELECT COUNT(*) AS c FROM orders"}"#;
    let headers = keyed(JSON, "k");
    let empty = post(&node, &headers, select).await;
    post(&node, &headers, INSERT).await.json(200);
    let one = post(&node, &headers, select).await;
    assert!(empty.body != one.body && !is_replayed(&one));
}

#[tokio::test]
async fn an_answer_that_is_too_long_to_keep_is_refused_and_nothing_is_written() {
    let node = start_database(Clients::Anyone).await;
    let text = "x".repeat(800);
    for id in 0..30 {
        let fill = format!(
            r#"{{"statement":"INSERT INTO orders DOCUMENTS ({{'_id': {id}, 't': '{text}'}})"}}"#
        );
        post(&node, JSON, &fill).await.json(200);
    }
    let step = r#"{"statement":"UPDATE orders SET n = 1 RETURNING *"}"#;
    let long = format!(r#"{{"statements":[{}]}}"#, [step; 11].join(","));
    let told = post(&node, &keyed(JSON, "k"), &long).await;
    refused(&told, 422, "answer_too_large");
    let asked = r#"{"statement":"SELECT n FROM orders WHERE n = 1"}"#;
    let found = post(&node, JSON, asked).await.json(200);
    assert_eq!(member(&found, "items"), &Value::Array(Vec::new()));
    // The key is still free, and without one the answer may be longer.
    post(&node, JSON, &long).await.json(200);
    post(&node, &keyed(JSON, "k"), INSERT).await.json(200);
}

#[tokio::test]
async fn a_wrong_key_is_refused_by_name() {
    let node = start_database(Clients::Anyone).await;
    for key in ["", "a b", &"x".repeat(256), "a\r\nidempotency-key: b"] {
        let told = post(&node, &keyed(JSON, key), INSERT).await;
        refused(&told, 400, "bad_idempotency_key");
    }
    post(&node, &keyed(JSON, &"x".repeat(255)), INSERT)
        .await
        .json(200);
    assert_eq!(count(&node, "").await, Value::Int(1));
}
