//! Two databases that exchange documents through sessions driven by hand.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test whose world cannot be set up has failed"
)]

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tombolo::engine::MemoryEngine;
use tombolo::replication::{Host, Outward, Seat};
use tombolo::{Database, Object, ObserverDriver, Options, SiteId, Surroundings, Timekeeper};
use tombolo_identity::{PeerPublicKey, Permissions, SharedKey, Trust, VerifiedPeer, verify_leaf};
use tombolo_sync::wire::Stated;
use tombolo_sync::{Event, Interests, Local, Now};

const DATABASE: &str = "3f1f1f5e-0000-4000-8000-000000000000";
const NOW_MS: u64 = 1_800_000_000_000;

struct Clock;

impl Timekeeper for Clock {
    fn unix_ms(&self) -> u64 {
        NOW_MS
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

const NOW: Now = Now {
    unix_ms: NOW_MS,
    monotonic: Duration::ZERO,
};

struct Peer {
    database: Database,
    proven: VerifiedPeer,
    local: Arc<Local>,
}

fn peer(shared: &SharedKey, number: u8) -> Peer {
    let own = SharedKey::generate().unwrap();
    let key = PeerPublicKey::parse(own.public().as_bytes()).unwrap();
    let leaf = shared.issue(&key, DATABASE, NOW_MS).unwrap();
    let trust = Trust::new(shared.public().clone(), DATABASE).unwrap();
    let proven = verify_leaf(&trust, &leaf.der, &[[0u8; 0]; 0], NOW_MS).unwrap();
    let mut drawn = 0u128;
    let mut surroundings = Surroundings::new(
        Arc::new(MemoryEngine::new()),
        Arc::new(Clock),
        move || {
            drawn += 1;
            (drawn * 256 + u128::from(number)).to_be_bytes()
        },
        SiteId::derive(DATABASE, key.as_bytes()),
    );
    surroundings.observers = ObserverDriver::Caller;
    let database = Database::open_with(Options::memory(DATABASE), surroundings).unwrap();
    let secret = Host::new(&database).secret().unwrap();
    let local = Arc::new(Local {
        database_id: DATABASE.to_owned(),
        permissions: Permissions::everything(),
        device_name: format!("peer {number}"),
        os: "Linux".to_owned(),
        version: "0".to_owned(),
        metadata: Vec::new(),
        is_server: false,
        secret,
        skew_limit_ms: 60_000,
    });
    Peer {
        database,
        proven,
        local,
    }
}

fn wants(statements: &[&str]) -> Arc<Interests> {
    let stated = statements.iter().map(|statement| Stated {
        statement: (*statement).to_owned(),
        arguments: Object::new(),
    });
    Arc::new(Interests::new(stated.collect()).0)
}

/// Two seats with a line between them that loses nothing.
struct Line {
    seats: [Seat; 2],
    queue: VecDeque<(usize, bytes::Bytes)>,
    sent: usize,
}

impl Line {
    fn open(left: &Peer, right: &Peer, interests: [Arc<Interests>; 2]) -> Self {
        let [wanted_left, wanted_right] = interests;
        let open = |own: &Peer, other: &Peer, wanted| {
            let host = Host::new(&own.database);
            Seat::open(
                host,
                Arc::clone(&own.local),
                other.proven.clone(),
                wanted,
                NOW,
            )
            .unwrap()
        };
        let (left_seat, left_out) = open(left, right, wanted_left);
        let (right_seat, right_out) = open(right, left, wanted_right);
        let mut line = Self {
            seats: [left_seat, right_seat],
            queue: VecDeque::new(),
            sent: 0,
        };
        line.carry(0, left_out);
        line.carry(1, right_out);
        line.settle();
        line
    }

    fn carry(&mut self, from: usize, outward: Vec<Outward>) {
        for out in outward {
            match out {
                Outward::Send(_, frame) => {
                    self.sent += frame.len();
                    self.queue.push_back((1 - from, frame));
                }
                Outward::Close(reason) => panic!("{from} closed: {reason}"),
                _ => {}
            }
        }
    }

    fn settle(&mut self) {
        for at in 0..2 {
            let out = self.seats[at].committed(NOW).unwrap();
            self.carry(at, out);
        }
        while let Some((to, frame)) = self.queue.pop_front() {
            let out = self.seats[to].handle(Event::Frame(frame), NOW).unwrap();
            self.carry(to, out);
        }
    }
}

fn run(peer: &Peer, statement: &str) -> Vec<String> {
    let response = peer.database.execute(statement, Object::new()).unwrap();
    response.items.iter().map(tombolo::json::print).collect()
}

#[test]
fn a_document_arrives_and_so_do_its_changes() {
    let shared = SharedKey::generate().unwrap();
    let (a, b) = (peer(&shared, 1), peer(&shared, 2));
    run(
        &a,
        "INSERT INTO cars DOCUMENTS ({'_id': '1', 'colour': 'red'})",
    );
    let everything = || wants(&["SELECT * FROM cars"]);
    let mut line = Line::open(&a, &b, [everything(), everything()]);
    assert_eq!(
        run(&b, "SELECT * FROM cars"),
        [r#"{"_id":"1","colour":"red"}"#]
    );
    run(&a, "UPDATE cars SET colour = 'blue' WHERE _id = '1'");
    run(&b, "UPDATE cars SET doors = 5 WHERE _id = '1'");
    line.settle();
    for one in [&a, &b] {
        let merged = r#"{"_id":"1","colour":"blue","doors":5}"#;
        assert_eq!(run(one, "SELECT * FROM cars"), [merged]);
    }
    run(&b, "DELETE FROM cars");
    line.settle();
    assert!(run(&a, "SELECT * FROM cars").is_empty());
}

#[test]
fn the_change_that_leaves_a_predicate_arrives_and_later_ones_do_not() {
    let shared = SharedKey::generate().unwrap();
    let (a, b) = (peer(&shared, 1), peer(&shared, 2));
    let mut line = Line::open(
        &a,
        &b,
        [wants(&[]), wants(&["SELECT * FROM cars WHERE k = 'x'"])],
    );
    run(
        &a,
        "INSERT INTO cars DOCUMENTS ({'_id': '1', 'k': 'x'}), ({'_id': '2', 'k': 'y'})",
    );
    line.settle();
    assert_eq!(run(&b, "SELECT k FROM cars"), [r#"{"k":"x"}"#]);
    for k in ["z", "w"] {
        run(&a, &format!("UPDATE cars SET k = '{k}' WHERE _id = '1'"));
        line.settle();
        assert_eq!(run(&b, "SELECT k FROM cars"), [r#"{"k":"z"}"#]);
    }
    run(&a, "UPDATE cars SET k = 'x' WHERE true");
    line.settle();
    assert_eq!(run(&b, "SELECT k FROM cars"), [r#"{"k":"x"}"#; 2]);
}

#[test]
fn a_session_goes_on_where_the_last_one_ended() {
    let shared = SharedKey::generate().unwrap();
    let (a, b) = (peer(&shared, 1), peer(&shared, 2));
    let documents = |from: u32| {
        let one = |n| format!("({{'_id': '{n}', 'text': 'some words that take room {n}'}})");
        let list: Vec<String> = (from..from + 500).map(one).collect();
        format!("INSERT INTO cars DOCUMENTS {}", list.join(", "))
    };
    run(&a, &documents(0));
    let interests = || [wants(&[]), wants(&["SELECT * FROM cars"])];
    let first = Line::open(&a, &b, interests());
    let whole = first.sent;
    drop(first);
    assert_eq!(run(&b, "SELECT COUNT(*) AS n FROM cars"), [r#"{"n":500}"#]);
    let second = Line::open(&a, &b, interests());
    assert!(second.sent * 4 < whole, "{} then {}", whole, second.sent);
    drop(second);
    run(&a, "UPDATE cars SET text = 'x' WHERE _id = '7'");
    Line::open(&a, &b, interests());
    assert_eq!(
        run(&b, "SELECT text FROM cars WHERE _id = '7'"),
        [r#"{"text":"x"}"#]
    );
}

#[test]
fn an_evicted_document_that_is_still_wanted_comes_back() {
    let shared = SharedKey::generate().unwrap();
    let (a, b) = (peer(&shared, 1), peer(&shared, 2));
    run(
        &a,
        "INSERT INTO cars DOCUMENTS ({'_id': '1'}), ({'_id': '2'})",
    );
    let mut line = Line::open(&a, &b, [wants(&[]), wants(&["SELECT * FROM cars"])]);
    run(&b, "EVICT FROM cars WHERE _id = '1'");
    assert_eq!(run(&b, "SELECT COUNT(*) AS n FROM cars"), [r#"{"n":1}"#]);
    line.settle();
    assert_eq!(run(&b, "SELECT COUNT(*) AS n FROM cars"), [r#"{"n":2}"#]);
}
