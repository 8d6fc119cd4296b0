//! Live queries on a real database whose commits are told when the test says so. A client reads
//! when the test takes a piece of its answer, so nothing here depends on time.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http_body_util::BodyExt;
use tombolo::engine::MemoryEngine;
use tombolo::{Database, Object, ObserverDriver, Options, SiteId, Surroundings, Timekeeper, json};
use tombolo_http::{Body, RequestId};

use super::*;
use crate::config::Clients;
use crate::edge::{JoinedDatabase, RecordPlace, SystemClock};
use crate::recorder::NodeRecorder;

struct StoppedClock;

impl Timekeeper for StoppedClock {
    fn unix_ms(&self) -> u64 {
        1_000_000
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

pub(super) struct Bench {
    pub(super) database: Arc<Database>,
    pub(super) observing: Arc<Observing<JoinedDatabase>>,
}

impl Bench {
    pub(super) fn new() -> Self {
        Self::with(Clients::Anyone, Arc::new(SystemClock::start()))
    }

    pub(super) fn with(clients: Clients, clock: Arc<dyn Clock>) -> Self {
        let drawn = AtomicU64::new(0);
        let entropy = move || u128::from(drawn.fetch_add(1, Ordering::Relaxed)).to_be_bytes();
        let site = SiteId::derive("test", b"A");
        let engine = Arc::new(MemoryEngine::new());
        let mut surroundings = Surroundings::new(engine, Arc::new(StoppedClock), entropy, site);
        surroundings.observers = ObserverDriver::Caller;
        let database = Database::open_with(Options::memory("test"), surroundings);
        let database = Arc::new(database.unwrap());
        let node = Arc::new(JoinedDatabase::new(Arc::clone(&database)));
        let door = Door {
            guard: Arc::new(Guard::new(clients, [0; 32])),
            throttle: Arc::new(Throttle::new(Vec::new())),
            clock,
            recorder: Arc::new(NodeRecorder::new(None, None)),
        };
        let observing = Arc::new(Observing::new(node, None, door));
        Self {
            database,
            observing,
        }
    }

    /// Runs a statement that writes, and tells who watches; gives how many they were.
    pub(super) fn commit(&self, statement: &str) -> usize {
        self.database.execute(statement, Object::new()).unwrap();
        self.database.poll_observers()
    }

    async fn observe(&self, statement: &str) -> Client {
        self.try_observe(statement).await.unwrap()
    }

    async fn try_observe(&self, statement: &str) -> Result<Client, Refused> {
        self.observe_as(Caller::Anyone, statement).await
    }

    pub(super) async fn observe_as(
        &self,
        caller: Caller,
        statement: &str,
    ) -> Result<Client, Refused> {
        let whose = (Arc::clone(&self.observing), caller, RequestId::new(1, 1));
        let question = Question {
            statement: statement.to_owned(),
            arguments: Object::new(),
        };
        let told = (Framing::ServerSent, Arc::default());
        let begun = LiveQuery::begin(whose, question, told, &mut record()).await;
        let (query, initial) = begun?;
        let body = stream::answer(query, initial).into_body();
        Ok(Client(body))
    }
}

pub(super) fn record() -> Record {
    Record {
        request_id: RequestId::new(1, 1),
        at: SystemTime::UNIX_EPOCH,
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        endpoint: None,
        identity: None,
        statements: Vec::new(),
        documents: 0,
        rows: 0,
        status: None,
        error: None,
        duration: Duration::ZERO,
        login: None,
        place: RecordPlace::NotNeeded,
    }
}

pub(super) struct Client(Body);

impl Client {
    /// The next piece of the answer; waits for it. Empty at the end.
    pub(super) async fn read(&mut self) -> String {
        match self.0.frame().await {
            None => String::new(),
            Some(frame) => text(frame.unwrap().into_data().unwrap()),
        }
    }

    /// Whether there is nothing to read, after everybody did what they could.
    async fn finds_nothing(&mut self) -> bool {
        settle().await;
        let mut context = Context::from_waker(Waker::noop());
        let frame = std::pin::pin!(self.0.frame());
        matches!(frame.poll(&mut context), Poll::Pending)
    }
}

fn text(bytes: Bytes) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Lets every task of this thread go on until none can.
pub(super) async fn settle() {
    // The runtime comes back to the test after 61 tasks, and a thousand may have to go on.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn rows_come_at_once_and_then_what_each_commit_changed() {
    let bench = Bench::new();
    bench.commit("INSERT INTO a DOCUMENTS ({'_id': 1, 'n': 1})");
    let mut client = bench.observe("SELECT * FROM a ORDER BY n").await;
    assert_eq!(
        client.read().await,
        "id: 1\nevent: initial\ndata: {\"rows\":[{\"_id\":1,\"n\":1}]}\n\n"
    );
    bench.commit("INSERT INTO a DOCUMENTS ({'_id': 2, 'n': 2})");
    assert_eq!(
        client.read().await,
        "id: 2\nevent: change\ndata: {\"inserts\":[{\"index\":1,\"row\":{\"_id\":2,\"n\":2}}],\"updates\":[],\"deletes\":[],\"moves\":[]}\n\n"
    );
    bench.commit("UPDATE a SET n = 3 WHERE _id = 1");
    let moved = client.read().await;
    assert!(
        moved.contains(r#""updates":[{"index":1,"row":{"_id":1,"n":3}}]"#),
        "{moved}"
    );
    assert!(moved.contains(r#""moves":[{"from":"#), "{moved}");
    bench.commit("DELETE FROM a WHERE _id = 2");
    assert!(client.read().await.contains(r#""deletes":[0]"#));
}

#[tokio::test]
async fn a_commit_that_leaves_the_rows_as_they_are_is_not_told() {
    let bench = Bench::new();
    let mut client = bench.observe("SELECT * FROM a WHERE n = 1").await;
    client.read().await;
    assert_eq!(
        bench.commit("INSERT INTO a DOCUMENTS ({'_id': 2, 'n': 2})"),
        1
    );
    assert_eq!(
        bench.commit("INSERT INTO b DOCUMENTS ({'_id': 2, 'n': 1})"),
        0
    );
    assert!(client.finds_nothing().await);
}

#[tokio::test]
async fn who_did_not_read_is_told_so_and_gets_one_change_for_all() {
    let bench = Bench::new();
    let mut client = bench.observe("SELECT * FROM a ORDER BY _id").await;
    settle().await;
    for id in 0..5 {
        bench.commit(&format!("INSERT INTO a DOCUMENTS ({{'_id': {id}}})"));
        settle().await;
    }
    assert!(
        client
            .read()
            .await
            .contains("event: initial\ndata: {\"rows\":[]}")
    );
    let both = client.read().await;
    let (behind, change) = both.split_once("\n\n").unwrap();
    assert!(
        behind.starts_with("id: 2\nevent: behind\n") && behind.ends_with(r#""merged":5}"#),
        "{both}"
    );
    assert!(
        change.starts_with("id: 3\nevent: change\n")
            && change.contains(r#"{"index":4,"row":{"_id":4}}"#),
        "{both}"
    );
    assert!(client.finds_nothing().await);
    bench.commit("DELETE FROM a WHERE _id = 0");
    assert!(client.read().await.starts_with("id: 4\nevent: change\n"));
}

#[tokio::test]
async fn who_was_late_for_one_commit_missed_nothing() {
    let bench = Bench::new();
    let mut client = bench.observe("SELECT * FROM a").await;
    settle().await;
    bench.commit("INSERT INTO a DOCUMENTS ({'_id': 1})");
    settle().await;
    client.read().await;
    assert!(client.read().await.starts_with("id: 2\nevent: change\n"));
}

#[tokio::test]
async fn of_a_thousand_only_the_relevant_ones_wake_and_unread_bytes_do_not_grow() {
    let bench = Bench::new();
    let mut clients = Vec::new();
    for number in 0..1000 {
        let collection = if number % 100 == 0 {
            "hot".to_owned()
        } else {
            format!("c{number}")
        };
        clients.push(bench.observe(&format!("SELECT * FROM {collection}")).await);
    }
    settle().await;
    let unread = bench.observing.unread_bytes.used();
    for id in 0..50 {
        let statement = format!("INSERT INTO hot DOCUMENTS ({{'_id': {id}}})");
        assert_eq!(bench.commit(&statement), 10);
        settle().await;
        // Nobody reads: nothing is run and nothing is kept for them.
        assert_eq!(bench.observing.unread_bytes.used(), unread);
        assert_eq!(bench.observing.rows.used(), 0);
    }
    for (number, client) in clients.iter_mut().enumerate() {
        assert!(client.read().await.contains("event: initial"));
        if number % 100 == 0 {
            assert!(client.read().await.contains(r#""merged":50}"#));
        }
        assert!(client.finds_nothing().await);
    }
    assert_eq!(bench.observing.unread_bytes.used(), 0);
    assert_eq!(bench.observing.rows.used(), 10 * 50);
    drop(clients);
    settle().await;
    assert_eq!(bench.observing.places.count(), 0);
    assert_eq!(bench.observing.rows.used(), 0);
    assert_eq!(
        bench.commit("INSERT INTO hot DOCUMENTS ({'_id': 'last'})"),
        0
    );
}

#[tokio::test]
async fn more_rows_than_can_be_observed_are_refused_at_first_and_end_it_later() {
    let bench = Bench::new();
    let insert = |from: usize, count: usize| {
        let ids: Vec<String> = (from..from + count)
            .map(|id| format!("({{'_id': {id}}})"))
            .collect();
        for some in ids.chunks(1000) {
            bench.commit(&format!("INSERT INTO a DOCUMENTS {}", some.join(", ")));
        }
    };
    insert(0, limits::ROWS_MAX);
    let mut client = bench.observe("SELECT _id FROM a").await;
    assert!(client.read().await.starts_with("id: 1\nevent: initial\n"));
    insert(limits::ROWS_MAX, 1);
    let last = client.read().await;
    assert!(
        last.starts_with("id: 2\nevent: error\n") && last.contains("too_many_rows"),
        "{last}"
    );
    assert_eq!(client.read().await, "");
    let refused = bench.try_observe("SELECT _id FROM a").await.err().unwrap();
    assert_eq!(
        (refused.status.as_u16(), refused.code),
        (400, "too_many_rows")
    );
    assert_eq!(bench.observing.places.count(), 0);
}

#[tokio::test]
async fn the_place_of_one_that_is_refused_is_free_again() {
    let bench = Bench::new();
    for statement in [
        "INSERT INTO a DOCUMENTS ({})",
        "EXPLAIN SELECT * FROM a",
        "SELEC",
    ] {
        let refused = bench.try_observe(statement).await.err().unwrap();
        assert_eq!(refused.status.as_u16(), 400, "{statement}");
    }
    assert_eq!(bench.observing.places.count(), 0);
    let _held: Vec<_> = (0..limits::OBSERVED_NODE_MAX)
        .map(|_| bench.observing.places.take(None).unwrap())
        .collect();
    let refused = bench.try_observe("SELECT * FROM a").await.err().unwrap();
    assert_eq!(
        (refused.status.as_u16(), refused.code),
        (503, "busy_observed")
    );
}

#[tokio::test]
async fn a_server_that_stops_ends_every_stream_well() {
    let bench = Bench::new();
    let mut client = bench.observe("SELECT * FROM a").await;
    client.read().await;
    bench.observing.stop();
    assert_eq!(client.read().await, "");
    let mut late = bench.observe("SELECT * FROM a").await;
    assert_eq!(late.read().await, "");
}

#[tokio::test]
async fn a_client_that_is_not_known_any_more_is_told_so_without_a_commit() {
    let bench = Bench::new();
    let mut client = bench.observe("SELECT * FROM a").await;
    client.read().await;
    let guard = &bench.observing.door.guard;
    guard.replace(Clients::Anyone);
    assert_eq!(client.read().await, ": here\n\n");
    guard.replace(Clients::Known(Vec::new()));
    let last = client.read().await;
    assert!(
        last.starts_with("id: 2\nevent: error\n") && last.contains("no_key"),
        "{last}"
    );
    assert_eq!(client.read().await, "");
    settle().await;
    assert_eq!(bench.observing.places.count(), 0);
}

#[test]
fn rows_are_read_back_as_json() {
    let mut writer = events::Writer::new(&Framing::ServerSent);
    let row = json::parse(r#"{"_id":"é\n\u2028"}"#.as_bytes()).unwrap();
    writer.initial(1, std::slice::from_ref(&row)).unwrap();
    let text = String::from_utf8(writer.finish()).unwrap();
    let data = text.lines().nth(2).unwrap().strip_prefix("data: ").unwrap();
    let expected = format!(r#"{{"rows":[{}]}}"#, json::print(&row));
    assert_eq!(
        json::parse(data.as_bytes()),
        json::parse(expected.as_bytes())
    );
}
