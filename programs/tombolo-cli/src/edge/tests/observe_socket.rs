//! Several live queries over one WebSocket.

use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::{WebSocketStream, client_async};
use tombolo::{Database, Options};

use super::observe::start_database;
use super::records::Remembering;
use super::*;
use crate::config::{Cors, Strategy, Throttled};
use crate::edge::{Endpoint, JoinedDatabase};

struct Socket(WebSocketStream<TcpStream>);

fn request() -> Request {
    "ws://x/observe".into_client_request().unwrap()
}

impl Socket {
    async fn open(node: &Running) -> Self {
        Self::ask(node, request()).await
    }

    async fn ask(node: &Running, request: Request) -> Self {
        let stream = TcpStream::connect(node.address).await.unwrap();
        Self(client_async(request, stream).await.unwrap().0)
    }

    async fn say(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.unwrap();
    }

    /// Asks for a live query.
    async fn observe(&mut self, id: usize, statement: &str) {
        let text = format!(r#"{{"type":"observe","id":"{id}","statement":"{statement}"}}"#);
        self.say(&text).await;
    }

    async fn hear(&mut self) -> String {
        match self.0.next().await.unwrap().unwrap() {
            Message::Text(text) => text.as_str().to_owned(),
            other => panic!("{other:?}"),
        }
    }

    async fn ends_with(&mut self, code: CloseCode, reason: &str) {
        match self.0.next().await.unwrap().unwrap() {
            Message::Close(Some(frame)) => {
                assert_eq!((frame.code, frame.reason.as_str()), (code, reason));
            }
            other => panic!("{other:?}"),
        }
    }
}

/// A client that may do everything, with its key.
fn one_client() -> (Clients, String) {
    let made = GeneratedKey::from_randomness([1; 32], [5; 12]).unwrap();
    let identity = Identity {
        audit_id: "client".to_owned(),
        hash: KeyHash::parse(&made.public_hash).unwrap(),
        permissions: vec![Arc::new(PermissionSet::level("full").unwrap())],
    };
    (Clients::Known(vec![identity]), made.private_key)
}

async fn execute(node: &Running, statement: &str) {
    let text = format!(r#"{{"statement":"{statement}"}}"#);
    assert_answer(&node.post("/execute", &text).await, 200, "mutation");
}

fn database() -> JoinedDatabase {
    JoinedDatabase::new(Arc::new(Database::open(Options::memory("db-1")).unwrap()))
}

#[tokio::test]
async fn one_connection_carries_several_live_queries() {
    let node = start_database(Clients::Anyone).await;
    let mut socket = Socket::open(&node).await;
    for (id, collection) in ["a", "b", "c"].iter().enumerate() {
        socket
            .observe(id, &format!("SELECT * FROM {collection} ORDER BY n"))
            .await;
        let initial = format!(r#"{{"type":"initial","id":"{id}","sequence":1,"rows":[]}}"#);
        assert_eq!(socket.hear().await, initial);
    }
    execute(&node, "INSERT INTO b DOCUMENTS ({'_id': 1, 'n': 1})").await;
    let change = r#"{"type":"change","id":"1","sequence":2,"inserts":[{"index":0,"row":{"_id":1,"n":1}}],"updates":[],"deletes":[],"moves":[]}"#;
    assert_eq!(socket.hear().await, change);
    execute(&node, "INSERT INTO b DOCUMENTS ({'_id': 2, 'n': 2})").await;
    socket.hear().await;
    execute(&node, "UPDATE b SET n = 3 WHERE _id = 1").await;
    let moved = socket.hear().await;
    assert!(
        moved.contains(r#""updates":[{"index":1,"#) && moved.contains(r#""moves":[{"from":"#),
        "{moved}"
    );
    execute(&node, "DELETE FROM b WHERE _id = 2").await;
    assert!(socket.hear().await.contains(r#""deletes":[0]"#));

    socket.say(r#"{"type":"cancel","id":"0"}"#).await;
    assert_eq!(socket.hear().await, r#"{"type":"cancelled","id":"0"}"#);
    execute(&node, "INSERT INTO a DOCUMENTS ({'_id': 1})").await;
    execute(&node, "INSERT INTO c DOCUMENTS ({'_id': 1})").await;
    let next = socket.hear().await;
    assert!(next.starts_with(r#"{"type":"change","id":"2","#), "{next}");
    socket.observe(0, "SELECT * FROM a").await;
    let again = r#"{"type":"initial","id":"0","sequence":1,"rows":[{"_id":1}]}"#;
    assert_eq!(socket.hear().await, again);
}

#[tokio::test]
async fn what_is_wrong_is_told_and_the_connection_stays() {
    let node = start_database(Clients::Anyone).await;
    let mut socket = Socket::open(&node).await;
    // A page need not know whether keys are asked for.
    socket.say(r#"{"type":"authenticate","key":"any"}"#).await;
    assert!(socket.hear().await.contains("authenticated"));
    socket.say("{}").await;
    let refused = socket.hear().await;
    assert!(
        refused.starts_with(r#"{"type":"refused","error":"#)
            && refused.contains(r#""code":"bad_message"}"#),
        "{refused}"
    );
    socket.observe(1, "DELETE FROM a").await;
    let refused = socket.hear().await;
    assert!(
        refused.starts_with(r#"{"type":"refused","id":"1","#)
            && refused.contains(r#""code":"not_observable"}"#),
        "{refused}"
    );
    for id in 0..64 {
        socket.observe(id, "SELECT * FROM a").await;
        assert!(socket.hear().await.contains("initial"));
    }
    socket.observe(1, "SELECT * FROM a").await;
    assert!(socket.hear().await.contains("id_in_use"));
    socket.observe(64, "SELECT * FROM a").await;
    assert!(socket.hear().await.contains("too_many_observed"));
    for (told, _) in [("cancelled", 0), ("unknown_id", 1)] {
        socket.say(r#"{"type":"cancel","id":"7"}"#).await;
        assert!(socket.hear().await.contains(told));
    }
    socket.observe(64, "SELECT * FROM a").await;
    assert!(socket.hear().await.contains("initial"));
}

#[tokio::test]
async fn a_frame_that_is_not_taken_ends_the_connection_with_its_code() {
    let node = start_database(Clients::Anyone).await;
    let mut socket = Socket::open(&node).await;
    socket.say(&"x".repeat(64 * 1024)).await;
    assert!(socket.hear().await.contains("bad_message"));
    socket.say(&"x".repeat(64 * 1024 + 1)).await;
    socket.ends_with(CloseCode::Size, "message_too_large").await;
    let mut socket = Socket::open(&node).await;
    socket.0.send(Message::binary("x")).await.unwrap();
    socket.ends_with(CloseCode::Unsupported, "not_text").await;
    for (frame, code, reason) in [
        // Text without a mask.
        (&b"\x81\x02{}"[..], CloseCode::Protocol, "bad_frame"),
        // A piece of nothing.
        (b"\x80\x80abcd", CloseCode::Protocol, "bad_frame"),
        // An operation that there is not.
        (b"\x83\x80abcd", CloseCode::Protocol, "bad_frame"),
        // Text that is no UTF-8, under a mask of zeros.
        (b"\x81\x81\0\0\0\0\xff", CloseCode::Invalid, "not_utf8"),
    ] {
        let mut socket = Socket::open(&node).await;
        socket.0.get_mut().write_all(frame).await.unwrap();
        socket.ends_with(code, reason).await;
    }
}

#[tokio::test]
async fn a_client_that_says_farewell_is_answered() {
    let node = start_database(Clients::Anyone).await;
    let mut socket = Socket::open(&node).await;
    socket.0.send(Message::Close(None)).await.unwrap();
    let answer = socket.0.next().await.unwrap().unwrap();
    assert!(matches!(answer, Message::Close(_)), "{answer:?}");
    assert!(socket.0.next().await.is_none());
}

#[tokio::test]
async fn where_keys_are_needed_a_header_or_the_first_message_brings_one() {
    let (clients, key) = one_client();
    let node = start_database(clients).await;
    let authenticate = |key: &str| format!(r#"{{"type":"authenticate","key":"{key}"}}"#);
    let mut socket = Socket::open(&node).await;
    socket.say(&authenticate(&key)).await;
    assert_eq!(socket.hear().await, r#"{"type":"authenticated"}"#);
    socket.observe(1, "SELECT * FROM a").await;
    assert!(socket.hear().await.contains("initial"));
    socket.say(&authenticate(&key)).await;
    let policy = CloseCode::Policy;
    socket.ends_with(policy, "authenticated_already").await;

    let mut by_header = request();
    let bearer = format!("Bearer {key}").parse().unwrap();
    by_header.headers_mut().insert("authorization", bearer);
    let mut socket = Socket::ask(&node, by_header).await;
    socket.observe(1, "SELECT * FROM a").await;
    assert!(socket.hear().await.contains("initial"));

    let mut nobody = Socket::open(&node).await;
    nobody.observe(1, "SELECT * FROM a").await;
    nobody.ends_with(policy, "no_key").await;
    let mut stranger = Socket::open(&node).await;
    stranger.say(&authenticate("another")).await;
    assert!(stranger.hear().await.contains("unknown_key"));
    stranger.ends_with(policy, "unknown_key").await;
}

const UPGRADE: &str = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==";

#[tokio::test]
async fn a_wrong_key_in_a_header_and_any_in_the_url_are_refused_before_the_switch() {
    let (clients, key) = one_client();
    let node = start_database(clients).await;
    let by_header = format!("GET /observe HTTP/1.1\r\n{UPGRADE}\r\nauthorization: Bearer other");
    assert_answer(&node.send(&by_header, "").await, 401, "unknown_key");
    let in_url = format!("GET /observe?key={key} HTTP/1.1\r\n{UPGRADE}");
    assert_answer(&node.send(&in_url, "").await, 400, "bad_query");
    let other = "GET /observe HTTP/1.1\r\nupgrade: other";
    assert_answer(&node.send(other, "").await, 426, "no_websocket");
    let posted = node
        .send(&format!("POST /observe HTTP/1.1\r\n{UPGRADE}"), "")
        .await;
    assert_answer(&posted, 426, "no_websocket");
    let execute = format!("GET /presence HTTP/1.1\r\n{UPGRADE}");
    assert_answer(&node.send(&execute, "").await, 401, "no_key");
}

#[tokio::test]
async fn a_page_gets_a_socket_if_its_origin_is_named() {
    let cors = Cors {
        origins: vec!["https://app.example".to_owned()],
        max_age_secs: 600,
    };
    let settings = Settings {
        origins: Origins::new(Some(cors), false),
        ..settings()
    };
    let node = serve_with(settings, Limits::default(), database()).await;
    let foreign = format!("GET /observe HTTP/1.1\r\n{UPGRADE}\r\norigin: https://evil.example");
    assert_answer(&node.send(&foreign, "").await, 403, "foreign_origin");
    let mut named = request();
    let origin = "https://app.example".parse().unwrap();
    named.headers_mut().insert("origin", origin);
    let mut socket = Socket::ask(&node, named).await;
    socket.observe(1, "SELECT * FROM a").await;
    assert!(socket.hear().await.contains("initial"));
}

#[tokio::test]
async fn each_question_counts_as_a_request() {
    let strategy = Strategy {
        by: Throttled::Route(Endpoint::Observe),
        requests_max: 3,
        window: Duration::from_secs(3600),
    };
    let settings = Settings {
        throttle: Throttle::new(vec![strategy]),
        ..settings()
    };
    let node = serve_with(settings, Limits::default(), database()).await;
    let mut socket = Socket::open(&node).await;
    // The request itself was the first.
    for id in 0..2 {
        socket.observe(id, "SELECT * FROM a").await;
        assert!(socket.hear().await.contains("initial"));
    }
    socket.observe(2, "SELECT * FROM a").await;
    assert!(socket.hear().await.contains("too_many_requests"));
    socket.say("{}").await;
    assert!(socket.hear().await.contains("too_many_requests"));
    // To end one is always possible.
    socket.say(r#"{"type":"cancel","id":"0"}"#).await;
    assert!(socket.hear().await.contains("cancelled"));
}

#[tokio::test]
async fn each_question_is_recorded_with_who_asked_and_what() {
    let recorder = Arc::new(Remembering::default());
    let (clients, key) = one_client();
    let settings = Settings {
        guard: Arc::new(Guard::new(clients, [3; 32])),
        recorder: Arc::clone(&recorder) as Arc<dyn Recorder>,
        ..settings()
    };
    let node = serve_with(settings, Limits::default(), database()).await;
    let mut socket = Socket::open(&node).await;
    let opened = recorder.next().await;
    assert_eq!(opened.status.map(|status| status.as_u16()), Some(101));
    assert_eq!(
        (opened.endpoint, opened.identity),
        (Some(Endpoint::Observe), None)
    );
    socket
        .say(&format!(r#"{{"type":"authenticate","key":"{key}"}}"#))
        .await;
    socket.hear().await;
    let authenticated = recorder.next().await;
    assert_eq!(authenticated.identity.as_deref(), Some("client"));
    for (statement, status, collections) in [
        ("SELECT * FROM a", 200, vec!["a".to_owned()]),
        ("DELETE FROM b", 400, vec!["b".to_owned()]),
        ("SELEC", 400, Vec::new()),
    ] {
        socket.observe(status, statement).await;
        socket.hear().await;
        let told = recorder.next().await;
        assert_eq!(told.identity.as_deref(), Some("client"));
        assert_eq!(
            told.status.map(|status| status.as_u16() as usize),
            Some(status)
        );
        assert_eq!(
            (told.endpoint, told.collections()),
            (Some(Endpoint::Observe), collections)
        );
        assert_eq!(told.request_id, opened.request_id);
    }
}

#[tokio::test]
async fn a_node_that_stops_says_so() {
    let node = start_database(Clients::Anyone).await;
    let mut socket = Socket::open(&node).await;
    socket.observe(1, "SELECT * FROM a").await;
    socket.hear().await;
    drop(node);
    socket.ends_with(CloseCode::Away, "stopping").await;
}
