//! Live queries over sockets.

use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tombolo::{Database, Options};

use super::*;
use crate::edge::JoinedDatabase;

pub(super) async fn start_database(clients: Clients) -> Running {
    let database = Arc::new(Database::open(Options::memory("db-1")).unwrap());
    let node = JoinedDatabase::new(database);
    let guard = Arc::new(Guard::new(clients, [3; 32]));
    let recorder = Arc::new(NodeRecorder::new(None, None));
    serve(ALL, guard, Limits::default(), recorder, node).await
}

struct Events(Lines<BufReader<TcpStream>>);

impl Events {
    async fn begin(node: &Running, head: &str, body: &str) -> Self {
        let length = body.len();
        let text = format!("{head}\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{body}");
        let mut stream = TcpStream::connect(node.address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        Self(BufReader::new(stream).lines())
    }

    /// The next line that begins so.
    async fn line(&mut self, start: &str) -> String {
        loop {
            let line = self.0.next_line().await.unwrap().unwrap();
            if line.starts_with(start) {
                return line;
            }
        }
    }

    async fn event(&mut self) -> (String, String) {
        (self.line("event: ").await, self.line("data: ").await)
    }

    /// Reads to the end of the answer.
    async fn ends(&mut self) {
        self.line("0").await;
    }
}

const GET: &str =
    "GET /observe?statement=SELECT+*+FROM+a+WHERE+n+%3D+:n&args=%7B%22n%22:1%7D HTTP/1.1";

#[tokio::test]
async fn rows_and_changes_come_over_get_and_post() {
    let node = start_database(Clients::Anyone).await;
    let last_seen = format!("{GET}\r\naccept: text/event-stream\r\nlast-event-id: 7");
    let post = "POST /observe HTTP/1.1\r\ncontent-type: application/json";
    let asked = r#"{"statement":"SELECT * FROM a WHERE n = :n","args":{"n":1}}"#;
    let mut got = Events::begin(&node, &last_seen, "").await;
    assert_eq!(got.line("HTTP").await, "HTTP/1.1 200 OK");
    got.line("content-type: text/event-stream").await;
    let mut posted = Events::begin(&node, post, asked).await;
    for events in [&mut got, &mut posted] {
        let (name, data) = events.event().await;
        assert_eq!((&*name, &*data), ("event: initial", r#"data: {"rows":[]}"#));
    }
    let insert = r#"{"statement":"INSERT INTO a DOCUMENTS ({'_id': 5, 'n': 1})"}"#;
    assert_answer(&node.post("/execute", insert).await, 200, "mutation");
    for events in [&mut got, &mut posted] {
        let (name, data) = events.event().await;
        let inserted = r#"data: {"inserts":[{"index":0,"row":{"_id":5,"n":1}}],"#;
        assert!(
            name == "event: change" && data.starts_with(inserted),
            "{data}"
        );
    }
}

#[tokio::test]
async fn what_cannot_be_observed_is_answered_like_execute_does() {
    let node = start_database(Clients::Anyone).await;
    let get = async |query: &str| {
        node.send(&format!("GET /observe{query} HTTP/1.1"), "")
            .await
    };
    assert_answer(&get("").await, 400, "statement is missing");
    assert_answer(&get("?statement=S&key=secret").await, 400, "unknown member");
    assert_answer(&get("?statement=SELEC").await, 400, r#""line":1,"column":"#);
    assert_answer(
        &get("?statement=DELETE+FROM+a").await,
        400,
        "not_observable",
    );
    let body = r#"{"statement":"SELECT * FROM a"}"#;
    assert_answer(
        &node.send("POST /observe HTTP/1.1", body).await,
        415,
        "not_json",
    );
    let long = "x".repeat(64 * 1024 + 1);
    assert_answer(&node.post("/observe", &long).await, 413, "body_too_large");
    let other = GET.to_owned() + "\r\naccept: application/json";
    assert_answer(&node.send(&other, "").await, 406, "not_acceptable");
    let put = node.send("PUT /observe HTTP/1.1", body).await;
    assert_answer(&put, 405, "allow: GET, POST");
}

#[tokio::test]
async fn without_a_key_nothing_is_observed_and_no_key_is_taken_from_the_url() {
    let node = start_database(Clients::Known(Vec::new())).await;
    assert_answer(&node.send(GET, "").await, 401, "no_key");
    let in_url = "GET /observe?statement=SELECT+1&authorization=Bearer+x HTTP/1.1";
    assert_answer(&node.send(in_url, "").await, 401, "no_key");
}

#[tokio::test]
async fn a_server_that_stops_ends_what_is_observed() {
    let node = start_database(Clients::Anyone).await;
    let mut events = Events::begin(&node, GET, "").await;
    events.event().await;
    drop(node);
    events.ends().await;
}
