//! T56: what a browser can do here for a page of another origin.

use super::*;
use crate::config::Cors;

const NAMED: &str = "https://app.example";

async fn node(cors: bool, is_local_and_open: bool) -> Running {
    let cors = cors.then(|| Cors {
        origins: vec![NAMED.to_owned()],
        max_age_secs: 600,
    });
    let settings = Settings {
        origins: Origins::new(cors, is_local_and_open),
        ..settings()
    };
    serve_with(settings, Limits::default(), Scripted).await
}

impl Running {
    /// With a host header of its own.
    async fn ask(&self, head: &str, body: &str) -> String {
        let length = body.len();
        let text = format!(
            "{head}\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    async fn run_from(&self, origin: &str) -> String {
        let head = format!("POST /execute HTTP/1.1\r\nhost: x:80\r\norigin: {origin}");
        self.ask(&head, r#"{"statement":"ECHO"}"#).await
    }

    async fn preflight(&self, origin: &str) -> String {
        let head = format!(
            "OPTIONS /execute HTTP/1.1\r\nhost: x\r\norigin: {origin}\r\naccess-control-request-method: POST"
        );
        self.ask(&head, "").await
    }
}

#[tokio::test]
async fn t56_a_page_of_another_origin_changes_nothing() {
    let node = node(false, false).await;
    for origin in [
        "https://evil.example",
        "null",
        "http://x:81",
        "http://x:80.evil.example",
    ] {
        let refused = node.run_from(origin).await;
        assert_answer(&refused, 403, "foreign_origin");
        assert!(!refused.contains("access-control"), "{refused}");
    }
    assert_answer(&node.run_from("http://x:80").await, 200, "select");
    let blind = "POST /execute HTTP/1.1\r\nhost: x\r\nsec-fetch-site: cross-site";
    assert_answer(&node.ask(blind, "{}").await, 403, "foreign_origin");
    let socket = "GET /_ditto/sync HTTP/1.1\r\nhost: x\r\norigin: https://evil.example\r\nupgrade: websocket";
    assert_answer(&node.ask(socket, "").await, 403, "foreign_origin");
    let asked = node.preflight("https://evil.example").await;
    assert_answer(&asked, 403, "foreign_origin");
}

#[tokio::test]
async fn t56_a_named_origin_may_ask_and_read_and_no_other() {
    let node = node(true, false).await;
    let allowed = node.preflight(NAMED).await;
    let named = "access-control-allow-origin: https://app.example\r\n";
    assert_answer(&allowed, 204, named);
    assert_answer(&allowed, 204, "access-control-allow-headers: authorization");
    assert_answer(&allowed, 204, "access-control-max-age: 600");
    assert_answer(&allowed, 204, "vary: origin");
    let done = node.run_from(NAMED).await;
    assert_answer(&done, 200, named);
    // A refusal is for the page to read, too.
    let head = format!("GET /nowhere HTTP/1.1\r\nhost: x\r\norigin: {NAMED}");
    let lost = node.ask(&head, "").await;
    assert_answer(&lost, 404, named);
    for answer in [&allowed, &done, &lost] {
        assert!(!answer.contains("allow-credentials"), "{answer}");
    }
    for origin in [
        "https://app.example.evil",
        "http://app.example",
        "https://APP.example",
    ] {
        assert_answer(&node.preflight(origin).await, 403, "foreign_origin");
        assert_answer(&node.run_from(origin).await, 403, "foreign_origin");
    }
    let head = "GET /health HTTP/1.1\r\nhost: x\r\norigin: https://evil.example";
    let read = node.ask(head, "").await;
    assert_answer(&read, 200, "vary: origin");
    assert!(!read.contains("access-control"), "{read}");
}

#[tokio::test]
async fn t56_a_name_that_was_bent_to_this_machine_is_not_answered() {
    let node = node(false, true).await;
    let ask = async |host: &str| {
        let head = format!("GET /health HTTP/1.1\r\nhost: {host}");
        node.ask(&head, "").await
    };
    for host in [
        "localhost",
        "localhost:8080",
        "127.0.0.1:8080",
        "[::1]:8080",
    ] {
        assert_answer(&ask(host).await, 200, "ok");
    }
    for host in [
        "evil.example",
        "evil.example:8080",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "",
    ] {
        assert_answer(&ask(host).await, 403, "unknown_host");
    }
}
