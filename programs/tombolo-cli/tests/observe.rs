//! Live queries of a real node: they end when a reload takes the right to them away, and when the node stops.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test whose world cannot be set up has failed"
)]

mod support;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use support::{Node, http_server, text, tombolo};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{self, Message, WebSocket};

/// A key and its hash.
fn key_pair() -> (String, String) {
    let made = tombolo(&["api-key", "generate"]);
    let mut lines = text(&made.stdout).lines();
    let mut after = |start| {
        lines
            .next()
            .unwrap()
            .strip_prefix(start)
            .unwrap()
            .to_owned()
    };
    (
        after("Generated Private Key: "),
        after("Secure Public Hash: "),
    )
}

fn config(identities: &[(&str, &str, &str)]) -> String {
    let identities: String = identities
        .iter()
        .map(|(name, hash, sets)| {
            format!(
                "    {name}: {{ credential: {{ api_key: \"{hash}\" }}, permissions: [{sets}] }}\n"
            )
        })
        .collect();
    http_server(&format!(
        "  tls_config: dev_mode\nauth:\n  identities:\n{identities}  permission_sets:\n    all: {{ permissions: full }}\n    \
         no_observing: {{ permissions: {{ endpoints: [execute], collections: everything }} }}\n"
    ))
}

struct Stream(BufReader<TcpStream>);

impl Stream {
    /// Observes, and reads the rows.
    fn open(node: &Node, key: &str) -> Self {
        let mut stream = node.connect();
        let request = format!(
            "GET /observe?statement=SELECT+*+FROM+a HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut stream = Self(BufReader::new(stream));
        stream.line_with("event: initial");
        stream.line_with("data: ");
        stream
    }

    fn line_with(&mut self, part: &str) -> String {
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "no {part}");
            if line.contains(part) {
                return line;
            }
        }
    }

    /// Reads the last piece of the answer.
    fn ends(&mut self) {
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "it was cut");
            if line == "0\r\n" {
                return;
            }
        }
    }
}

struct Socket(WebSocket<TcpStream>);

impl Socket {
    /// Observes, and reads the rows.
    fn open(node: &Node, key: &str) -> Self {
        let mut request = format!("ws://{}/observe", node.address)
            .into_client_request()
            .unwrap();
        let bearer = format!("Bearer {key}").parse().unwrap();
        request.headers_mut().insert("authorization", bearer);
        let (socket, _) = tungstenite::client(request, node.connect()).unwrap();
        let mut socket = Self(socket);
        let ask = r#"{"type":"observe","id":"1","statement":"SELECT * FROM a"}"#;
        socket.0.send(Message::text(ask)).unwrap();
        assert!(socket.hear().contains(r#""type":"initial""#));
        socket
    }

    fn hear(&mut self) -> String {
        match self.0.read().unwrap() {
            Message::Text(text) => text.as_str().to_owned(),
            other => panic!("{other:?}"),
        }
    }

    fn is_sent_away(&mut self) -> CloseFrame {
        match self.0.read().unwrap() {
            Message::Close(Some(frame)) => frame,
            other => panic!("{other:?}"),
        }
    }
}

fn reload(node: &Node, config: &str) {
    std::fs::write(node.directory().join("config.yaml"), config).unwrap();
    node.signal("-HUP");
}

#[test]
fn a_reload_that_removes_an_identity_ends_what_it_observes_and_nothing_else() {
    let ((key, hash), (other_key, other_hash)) = (key_pair(), key_pair());
    let (one, other) = (("one", &*hash, "all"), ("other", &*other_hash, "all"));
    let node = Node::start(&config(&[one, other]));
    let mut streams = (Stream::open(&node, &key), Stream::open(&node, &other_key));
    let mut sockets = (Socket::open(&node, &key), Socket::open(&node, &other_key));
    reload(&node, &config(&[other]));
    let last = streams.0.line_with("data: ");
    assert!(last.contains(r#""code":"unknown_key""#), "{last}");
    streams.0.ends();
    let frame = sockets.0.is_sent_away();
    assert_eq!(
        (u16::from(frame.code), &*frame.reason),
        (1008, "unknown_key")
    );
    // The others are still told what happens.
    let insert = r#"{"statement":"INSERT INTO a DOCUMENTS ({'_id': 1})"}"#;
    let length = insert.len();
    let answer = node.send(&format!(
        "POST /execute HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: Bearer {other_key}\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n{insert}"
    ));
    support::assert_status(&answer, 200);
    assert!(streams.1.line_with("data: ").contains(r#"{"_id":1}"#));
    assert!(sockets.1.hear().contains(r#"{"_id":1}"#));
}

#[test]
fn a_reload_that_takes_the_right_to_observe_away_ends_it() {
    let (key, hash) = key_pair();
    let node = Node::start(&config(&[("one", &hash, "all")]));
    let (mut stream, mut socket) = (Stream::open(&node, &key), Socket::open(&node, &key));
    reload(&node, &config(&[("one", &hash, "no_observing")]));
    let last = stream.line_with("data: ");
    assert!(last.contains(r#""code":"not_permitted""#), "{last}");
    stream.ends();
    let frame = socket.is_sent_away();
    let told = (u16::from(frame.code), &*frame.reason);
    assert_eq!(told, (1008, "not_permitted"));
}

#[test]
fn a_node_that_stops_ends_streams_well_and_says_so_to_sockets() {
    let (key, hash) = key_pair();
    let node = Node::start(&config(&[("one", &hash, "all")]));
    let (mut stream, mut socket) = (Stream::open(&node, &key), Socket::open(&node, &key));
    node.signal("-TERM");
    stream.ends();
    let frame = socket.is_sent_away();
    assert_eq!((u16::from(frame.code), &*frame.reason), (1001, "stopping"));
    assert_eq!(node.exit_code(), Some(0));
}
