//! Paths, methods, bodies and failures.

use super::*;

#[tokio::test]
async fn the_path_of_sync_takes_a_websocket_and_nothing_else() {
    let node = open().await;
    let plain = node.send("GET /_ditto/sync HTTP/1.1", "").await;
    assert_answer(&plain, 426, "sec-websocket-version: 13");
    let asking = "GET /_ditto/sync HTTP/1.1\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13";
    assert_answer(&node.send(asking, "").await, 400, "sec-websocket-key");
    let posting = asking.replace("GET", "POST");
    assert_answer(&node.send(&posting, "").await, 426, "no_websocket");
    let whole = format!("{asking}\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==");
    assert_answer(&node.send(&whole, "").await, 503, "no_sync");
}

#[tokio::test]
async fn t50_a_head_that_is_too_large_is_refused_before_it_is_switched() {
    let node = open().await;
    let padding = "a".repeat(Limits::HEADER_BYTES_MAX);
    let large = format!(
        "GET /_ditto/sync HTTP/1.1\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nx: {padding}"
    );
    assert_answer(&node.send(&large, "").await, 431, "head_too_large");
}

#[tokio::test]
async fn every_documented_path_runs_a_statement() {
    let node = open().await;
    for path in [
        "/execute",
        "/db-1/execute",
        "/api/v4/store/execute",
        "/api/v5/store/execute",
    ] {
        let answer = node
            .post(path, r#"{"statement":"ECHO","args":{"a":[1,"x"]}}"#)
            .await;
        assert_answer(&answer, 200, r#""items":[{"a":[1,"x"]}]"#);
    }
}

#[tokio::test]
async fn other_paths_and_databases_are_not_found() {
    let node = open().await;
    let body = r#"{"statement":"ECHO"}"#;
    assert_answer(
        &node.post("/db-2/execute", body).await,
        404,
        "unknown_database",
    );
    assert_answer(&node.post("/a/b/execute", body).await, 404, "unknown_path");
    assert_answer(&node.post("/execute/", body).await, 404, "unknown_path");
    assert_answer(
        &node.send("GET /attachment/x HTTP/1.1", "").await,
        404,
        "unknown_path",
    );
}

#[tokio::test]
async fn a_route_that_is_off_is_not_found() {
    let node = start(Api::NOTHING, Clients::Anyone, Limits::default()).await;
    assert_answer(&node.post("/execute", "{}").await, 404, "unknown_path");
    for path in ["/health", "/presence", "/observe", "/docs/"] {
        let answer = node.send(&format!("GET {path} HTTP/1.1"), "").await;
        assert_answer(&answer, 404, "unknown_path");
    }
}

#[tokio::test]
async fn health_answers_without_a_key_and_only_to_get_and_head() {
    let node = start(ALL, Clients::Known(Vec::new()), Limits::default()).await;
    assert_answer(
        &node.send("GET /health HTTP/1.1", "").await,
        200,
        r#"{"status":"ok"}"#,
    );
    assert_answer(
        &node.send("HEAD /health HTTP/1.1", "").await,
        200,
        "content-length: 15",
    );
    assert_answer(
        &node.send("DELETE /health HTTP/1.1", "").await,
        405,
        "allow: GET, HEAD",
    );
}

#[tokio::test]
async fn presence_answers_only_to_get_and_head() {
    let node = open().await;
    assert_answer(
        &node.send("GET /presence HTTP/1.1", "").await,
        200,
        r#"{"remotePeers":[]}"#,
    );
    assert_answer(
        &node.send("HEAD /presence HTTP/1.1", "").await,
        200,
        "content-length: 18",
    );
    assert_answer(
        &node.send("POST /presence HTTP/1.1", "").await,
        405,
        "allow: GET, HEAD",
    );
}

#[tokio::test]
async fn a_wrong_method_or_content_type_is_told() {
    let node = open().await;
    assert_answer(
        &node.send("GET /execute HTTP/1.1", "").await,
        405,
        "allow: POST",
    );
    let body = r#"{"statement":"ECHO"}"#;
    assert_answer(
        &node.send("POST /execute HTTP/1.1", body).await,
        415,
        "not_json",
    );
    assert_answer(
        &node
            .send("POST /execute HTTP/1.1\r\ncontent-type: text/plain", body)
            .await,
        415,
        "not_json",
    );
    let with_charset = "POST /execute HTTP/1.1\r\nContent-Type: Application/JSON; charset=utf-8";
    assert_answer(
        &node.send(with_charset, body).await,
        200,
        r#""queryType":"select""#,
    );
}

#[tokio::test]
async fn a_body_is_taken_at_the_limit_and_refused_above() {
    let node = open().await;
    let body_of = |size: usize| {
        let text = r#"{"statement":"ECHO","args":{"a":""}}"#;
        text.replace("\"\"", &format!("\"{}\"", "x".repeat(size - text.len())))
    };
    assert_answer(&node.post("/execute", &body_of(999)).await, 200, "select");
    assert_answer(&node.post("/execute", &body_of(1000)).await, 200, "select");
    assert_answer(
        &node.post("/execute", &body_of(1001)).await,
        413,
        "body_too_large",
    );
}

#[tokio::test]
async fn malformed_bodies_say_where() {
    let node = open().await;
    assert_answer(
        &node.post("/execute", "{\n  nope}").await,
        400,
        r#""code":"bad_body","line":2,"column":3"#,
    );
    let twice = "{\"statement\":\"ECHO\",\n\"statement\":\"ECHO\"}";
    assert_answer(&node.post("/execute", twice).await, 400, r#""line":2"#);
}

#[tokio::test]
async fn each_failure_of_a_statement_has_its_status() {
    let node = open().await;
    let run = |statement: &str| format!("{{\"statement\":\"{statement}\"}}");
    let wrong = node.post("/execute", &run("SELEKT 1")).await;
    assert_answer(&wrong, 400, r#""code":"syntax","line":1,"column":4"#);
    assert_answer(&wrong, 400, "no such statement");
    let busy = node.post("/execute", &run("BUSY")).await;
    assert_answer(&busy, 503, "retry-after: 1");
    assert_answer(&node.post("/execute", &run("LATE")).await, 408, "timed_out");
    let broken = node.post("/execute", &run("BREAK")).await;
    assert_answer(&broken, 500, "internal");
    assert!(!broken.contains("secret"), "{broken}");
    assert_answer(&node.post("/execute", &run("PANIC")).await, 500, "internal");
}

#[tokio::test]
async fn a_request_beyond_its_time_is_given_up() {
    let limits = Limits {
        request_timeout: Some(Duration::from_millis(1)),
        ..Limits::default()
    };
    let node = start(ALL, Clients::Anyone, limits).await;
    assert_answer(
        &node.post("/execute", r#"{"statement":"HANG"}"#).await,
        408,
        "timed_out",
    );
}
