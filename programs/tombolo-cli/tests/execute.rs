//! Statements over HTTP against the real program and its real store.

#![expect(
    clippy::unwrap_used,
    reason = "a test whose world cannot be set up has failed"
)]

mod support;

use support::{Node, assert_status, http_server, plain, text, tombolo};

fn post(path: &str, more: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n{more}\r\n{body}"
    )
}

fn run(node: &Node, body: &str) -> String {
    node.send(&post("/execute", "", body))
}

fn assert_answer(answer: &str, status: u16, expected: &str) {
    assert_status(answer, status);
    assert!(answer.contains(expected), "{answer}");
}

const INSERT: &str = r#"{"statement":"INSERT INTO tasks DOCUMENTS (:task)","args":{"task":{"_id":"a","done":false}}}"#;
const SELECT: &str = r#"{"statement":"SELECT * FROM tasks"}"#;

#[test]
fn a_document_is_written_read_and_still_there_after_a_restart() {
    let node = Node::start(&plain(""));
    assert_answer(
        &run(&node, INSERT),
        200,
        r#""queryType":"mutation","items":[],"mutatedDocumentIds":["a"]"#,
    );
    let found = r#""queryType":"select","items":[{"_id":"a","done":false}]"#;
    assert_answer(&run(&node, SELECT), 200, found);
    let node = Node::start_in(node.stop(), &plain(""));
    assert_answer(&run(&node, SELECT), 200, found);
}

#[test]
fn a_mutation_tells_its_commit_and_a_read_has_none() {
    let node = Node::start(&plain(""));
    let first = run(&node, INSERT);
    assert_answer(&first, 200, r#""commitId":"#);
    assert_answer(&first, 200, r#"{"transactionId":"#);
    assert!(!run(&node, SELECT).contains("commitId"));
}

#[test]
fn a_statement_that_does_not_parse_is_shown_with_a_caret() {
    let node = Node::start(&plain(""));
    let answer = run(&node, r#"{"statement":"SELECT *\nFORM tasks"}"#);
    assert_answer(&answer, 400, r#""code":"syntax","line":2,"column":1"#);
    assert_answer(&answer, 400, "^");
}

#[test]
fn a_conflicting_insert_is_the_clients_fault() {
    let node = Node::start(&plain(""));
    assert_status(&run(&node, INSERT), 200);
    assert_answer(&run(&node, INSERT), 400, r#""code":"conflict""#);
}

#[test]
fn a_read_that_takes_long_is_finished_on_another_thread() {
    let node = Node::start(&plain("  request_timeout_ms: 0\n"));
    let documents: Vec<String> = (0..2000).map(|id| format!("{{\"_id\":{id}}}")).collect();
    let names: Vec<String> = (0..2000).map(|id| format!("(:d{id})")).collect();
    let arguments: Vec<String> = documents
        .iter()
        .enumerate()
        .map(|(id, document)| format!("\"d{id}\":{document}"))
        .collect();
    let body = format!(
        "{{\"statement\":\"INSERT INTO many DOCUMENTS {}\",\"args\":{{{}}}}}",
        names.join(","),
        arguments.join(",")
    );
    assert_status(&run(&node, &body), 200);
    let counted = run(&node, r#"{"statement":"SELECT count(*) AS n FROM many"}"#);
    assert_answer(&counted, 200, r#""items":[{"n":2000}]"#);
}

#[test]
fn a_client_needs_the_key_whose_hash_is_configured() {
    let made = tombolo(&["api-key", "generate"]);
    let lines: Vec<&str> = text(&made.stdout).lines().collect();
    let key = lines[0].strip_prefix("Generated Private Key: ").unwrap();
    let hash = lines[1].strip_prefix("Secure Public Hash: ").unwrap();
    let config = http_server(&format!(
        "  tls_config: dev_mode\nauth:\n  identities:\n    app: {{ credential: {{ api_key: \"{hash}\" }}, \
         permissions: [all] }}\n  permission_sets: {{ all: {{ permissions: full }} }}\n"
    ));
    let node = Node::start(&config);
    assert_answer(&run(&node, SELECT), 401, "no_key");
    let with = |key: &str| {
        post(
            "/execute",
            &format!("authorization: Bearer {key}\r\n"),
            SELECT,
        )
    };
    assert_answer(&node.send(&with(&"A".repeat(44))), 401, "unknown_key");
    assert_answer(&node.send(&with(key)), 200, r#""items":[]"#);
}

#[test]
fn a_directory_belongs_to_one_process() {
    let node = Node::start(&plain(""));
    let file = node.directory().join("config.yaml");
    let output = tombolo(&["run", "-c", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let error = text(&output.stderr);
    assert!(
        error.contains("error: cannot open the database in"),
        "{error}"
    );
}
