//! One WebSocket over a pipe, in a time that passes only while everybody waits.

use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, DuplexStream, duplex};
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::limits::{HEARTBEAT, KEY_LIMIT, SEND_LIMIT};
use super::socket::Socket;
use super::tests::{Bench, record, settle};
use super::*;
use crate::api_key::{GeneratedKey, KeyHash};
use crate::config::{Clients, Identity, PermissionSet};
use crate::edge::authorize::Asking;
use crate::edge::clock::Moment;

/// Bytes between the two ends of the pipe.
const PIPE_BYTES: usize = 1024;

/// Clocks that stand where the test put them.
#[derive(Debug, Default)]
struct SetClock(Mutex<Duration>);

impl SetClock {
    fn set_ms(&self, unix_ms: u64) {
        *self.0.lock().unwrap() = Duration::from_millis(unix_ms);
    }
}

impl Clock for SetClock {
    fn now(&self) -> Moment {
        let now = *self.0.lock().unwrap();
        Moment {
            wall: SystemTime::UNIX_EPOCH + now,
            monotonic: now,
        }
    }
}

/// A client whose only permission set ends after a second, with its key.
fn client_of_a_second() -> (Clients, String) {
    let made = GeneratedKey::from_randomness([1; 32], [5; 12]).unwrap();
    let mut permissions = PermissionSet::level("full").unwrap();
    permissions.expires_ms = Some(1000);
    let identity = Identity {
        audit_id: "client".to_owned(),
        hash: KeyHash::parse(&made.public_hash).unwrap(),
        permissions: vec![Arc::new(permissions)],
    };
    (Clients::Known(vec![identity]), made.private_key)
}

/// The server's side of the pipe, running.
fn serve(bench: &Bench, caller: Caller) -> DuplexStream {
    let (near, far) = duplex(PIPE_BYTES);
    let observing = Arc::clone(&bench.observing);
    tokio::spawn(async move {
        let socket = Socket::accepted(far, observing, caller, record()).await;
        socket.run(()).await;
    });
    near
}

struct Client(WebSocketStream<DuplexStream>);

impl Client {
    async fn of(bench: &Bench, caller: Caller) -> Self {
        let pipe = serve(bench, caller);
        Self(WebSocketStream::from_raw_socket(pipe, Role::Client, None).await)
    }

    async fn say(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.unwrap();
    }

    async fn observe(&mut self, id: &str, statement: &str) {
        let text = format!(r#"{{"type":"observe","id":"{id}","statement":"{statement}"}}"#);
        self.say(&text).await;
    }

    /// The next event; pings are answered by the library.
    async fn hear(&mut self) -> String {
        loop {
            match self.0.next().await.unwrap().unwrap() {
                Message::Text(text) => return text.as_str().to_owned(),
                Message::Ping(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    async fn is_sent_away(&mut self, code: CloseCode, reason: &str) {
        loop {
            match self.0.next().await.unwrap().unwrap() {
                Message::Ping(_) => {}
                Message::Close(Some(frame)) => {
                    assert_eq!((frame.code, frame.reason.as_str()), (code, reason));
                    return;
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_ping_comes_when_nothing_else_does_and_who_answers_it_stays() {
    let bench = Bench::new();
    let mut client = Client::of(&bench, Caller::Anyone).await;
    let begun = Instant::now();
    for beat in 1..=10 {
        let heard = client.0.next().await.unwrap().unwrap();
        assert_eq!(heard, Message::Ping(Default::default()));
        assert_eq!(begun.elapsed(), HEARTBEAT * beat);
        client.0.flush().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn who_answers_no_ping_is_cut_off() {
    let bench = Bench::new();
    let mut pipe = serve(&bench, Caller::Anyone);
    let begun = Instant::now();
    let mut heard = Vec::new();
    pipe.read_to_end(&mut heard).await.unwrap();
    assert_eq!(heard, [0x89, 0, 0x89, 0]);
    assert_eq!(begun.elapsed(), HEARTBEAT * 3);
}

#[tokio::test(start_paused = true)]
async fn a_comment_comes_in_a_stream_when_nothing_else_does() {
    let bench = Bench::new();
    let mut client = bench
        .observe_as(Caller::Anyone, "SELECT * FROM a")
        .await
        .unwrap();
    client.read().await;
    let begun = Instant::now();
    for beat in 1..=3 {
        assert_eq!(client.read().await, ": here\n\n");
        assert_eq!(begun.elapsed(), HEARTBEAT * beat);
    }
}

/// The caller that has this key now.
async fn caller_of(bench: &Bench, key: &str) -> Caller {
    let headers = HeaderMap::from_iter([(
        header::AUTHORIZATION,
        format!("Bearer {key}").parse().unwrap(),
    )]);
    let asking = Asking {
        address: record().address,
        now: Duration::ZERO,
        now_ms: 0,
    };
    bench
        .observing
        .door
        .guard
        .identify(&headers, asking)
        .await
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_when_the_last_permission_of_its_client_does() {
    let clock = Arc::new(SetClock::default());
    let (clients, key) = client_of_a_second();
    let bench = Bench::with(clients, Arc::clone(&clock) as Arc<dyn Clock>);
    let caller = caller_of(&bench, &key).await;
    let mut client = bench.observe_as(caller, "SELECT * FROM a").await.unwrap();
    client.read().await;
    clock.set_ms(999);
    assert_eq!(client.read().await, ": here\n\n");
    clock.set_ms(1000);
    let last = client.read().await;
    assert!(
        last.contains("event: error\n") && last.contains("not_permitted"),
        "{last}"
    );
    assert_eq!(client.read().await, "");
}

#[tokio::test(start_paused = true)]
async fn a_socket_ends_when_the_last_permission_of_its_client_does() {
    let clock = Arc::new(SetClock::default());
    let (clients, key) = client_of_a_second();
    let bench = Bench::with(clients, Arc::clone(&clock) as Arc<dyn Clock>);
    let mut client = Client::of(&bench, Caller::Nobody).await;
    client
        .say(&format!(r#"{{"type":"authenticate","key":"{key}"}}"#))
        .await;
    assert_eq!(client.hear().await, r#"{"type":"authenticated"}"#);
    client.observe("1", "SELECT * FROM a").await;
    assert!(client.hear().await.contains("initial"));
    clock.set_ms(999);
    let heard = client.0.next().await.unwrap().unwrap();
    assert_eq!(heard, Message::Ping(Default::default()));
    clock.set_ms(1000);
    client
        .is_sent_away(CloseCode::Policy, "not_permitted")
        .await;
    settle().await;
    assert_eq!(bench.observing.places.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_taken_away_ends_its_sockets_at_once() {
    let (clients, key) = client_of_a_second();
    let bench = Bench::with(clients, Arc::new(SetClock::default()));
    let mut client = Client::of(&bench, caller_of(&bench, &key).await).await;
    client.observe("1", "SELECT * FROM a").await;
    client.hear().await;
    let begun = Instant::now();
    bench
        .observing
        .door
        .guard
        .replace(Clients::Known(Vec::new()));
    client.is_sent_away(CloseCode::Policy, "unknown_key").await;
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn who_sends_no_key_in_time_is_sent_away() {
    let bench = Bench::with(Clients::Known(Vec::new()), Arc::new(SetClock::default()));
    let mut client = Client::of(&bench, Caller::Nobody).await;
    let begun = Instant::now();
    // What is no message does not give more time.
    client
        .0
        .send(Message::Ping(Default::default()))
        .await
        .unwrap();
    loop {
        match client.0.next().await.unwrap().unwrap() {
            Message::Pong(_) => {}
            Message::Close(Some(frame)) => {
                assert_eq!((frame.code, &*frame.reason), (CloseCode::Policy, "no_key"));
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(begun.elapsed(), KEY_LIMIT);
}

#[tokio::test(start_paused = true)]
async fn who_did_not_read_is_told_so_and_gets_one_change_for_all() {
    let bench = Bench::new();
    let mut client = Client::of(&bench, Caller::Anyone).await;
    client.observe("1", "SELECT * FROM a ORDER BY _id").await;
    client.hear().await;
    // Larger than the pipe: it stays half sent until the client reads.
    let long = "x".repeat(2 * PIPE_BYTES);
    bench.commit(&format!(
        "INSERT INTO a DOCUMENTS ({{'_id': 0, 't': '{long}'}})"
    ));
    settle().await;
    for id in 1..5 {
        bench.commit(&format!("INSERT INTO a DOCUMENTS ({{'_id': {id}}})"));
        settle().await;
    }
    let unread = bench.observing.unread_bytes.used();
    assert!(client.hear().await.contains(&long));
    let behind = client.hear().await;
    assert!(
        behind.starts_with(r#"{"type":"behind","id":"1","sequence":3,"#)
            && behind.ends_with(r#""merged":4}"#),
        "{behind}"
    );
    let change = client.hear().await;
    assert!(
        change.starts_with(r#"{"type":"change","id":"1","sequence":4,"#)
            && change.contains(r#"{"index":4,"row":{"_id":4}}"#),
        "{change}"
    );
    settle().await;
    assert!(unread > PIPE_BYTES && bench.observing.unread_bytes.used() == 0);
}

#[tokio::test(start_paused = true)]
async fn who_takes_nothing_for_too_long_is_cut_off() {
    let bench = Bench::new();
    let mut client = Client::of(&bench, Caller::Anyone).await;
    client.observe("1", "SELECT * FROM a").await;
    client.hear().await;
    let long = "x".repeat(2 * PIPE_BYTES);
    bench.commit(&format!("INSERT INTO a DOCUMENTS ({{'t': '{long}'}})"));
    settle().await;
    assert_eq!(bench.observing.places.count(), 1);
    tokio::time::advance(SEND_LIMIT + Duration::from_secs(1)).await;
    settle().await;
    assert_eq!(bench.observing.places.count(), 0);
    assert_eq!(bench.observing.unread_bytes.used(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_stops_says_so_and_waits_until_it_is_heard() {
    let bench = Bench::new();
    let mut client = Client::of(&bench, Caller::Anyone).await;
    client.observe("1", "SELECT * FROM a").await;
    client.hear().await;
    bench.observing.stop();
    client.is_sent_away(CloseCode::Away, "stopping").await;
    assert_eq!(bench.observing.places.count(), 0);
}
