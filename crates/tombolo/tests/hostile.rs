//! A peer that lies to a session over a real store: its session ends or its
//! documents are refused, the store keeps what it had, and others go on.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::sync::Arc;
use std::time::Duration;

use tombolo::engine::MemoryEngine;
use tombolo::replication::{Host, Outward, Seat};
use tombolo::{Database, Object, ObserverDriver, Options, SiteId, Surroundings, Timekeeper, Value};
use tombolo_document::bytes::{put_blob, put_text, put_varint};
use tombolo_document::{Actor, DocumentId, Dot, Draft, Edit, Schema, Stamp, VersionVector, merge};
use tombolo_identity::{PeerPublicKey, Permissions, SharedKey, Trust, VerifiedPeer, verify_leaf};
use tombolo_sync::view::LogId;
use tombolo_sync::wire::{
    Assembler, Channel, Framer, Hello, Message, Packed, Refusal, Stated, WireError,
};
use tombolo_sync::{CloseReason, Event, Interests, Local, Now};

const DATABASE: &str = "3f1f1f5e-0000-4000-8000-000000000000";
const NOW_MS: u64 = 1_800_000_000_000;
const NOW: Now = Now {
    unix_ms: NOW_MS,
    monotonic: Duration::ZERO,
};
/// The first generation of interests that a session states.
const GENERATION: u64 = 1;

struct Clock;

impl Timekeeper for Clock {
    fn unix_ms(&self) -> u64 {
        NOW_MS
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

fn database() -> Database {
    let mut drawn = 0_u128;
    let entropy = move || {
        drawn += 1;
        drawn.to_be_bytes()
    };
    let (engine, clock) = (Arc::new(MemoryEngine::new()), Arc::new(Clock));
    let mut surroundings = Surroundings::new(engine, clock, entropy, SiteId([1; 16]));
    surroundings.observers = ObserverDriver::Caller;
    let database = Database::open_with(Options::memory(DATABASE), surroundings).unwrap();
    let kept = "INSERT INTO cars DOCUMENTS ({'_id': 'own', 'text': 'kept'})";
    database.execute(kept, Object::new()).unwrap();
    database
}

fn cars(database: &Database) -> Vec<String> {
    let all = "SELECT _id FROM cars ORDER BY _id";
    let response = database.execute(all, Object::new()).unwrap();
    let name = |row: &Value| row.as_object()?.get("_id")?.as_str().map(str::to_owned);
    response.items.iter().filter_map(name).collect()
}

/// A liar with a session of the honest side.
struct Liar {
    seat: Seat,
    framer: Framer,
    assembler: Assembler,
    actor: Actor,
    heard: Vec<Message>,
    closed: Option<CloseReason>,
}

fn proven() -> VerifiedPeer {
    let mesh = SharedKey::generate().unwrap();
    let own = SharedKey::generate().unwrap();
    let key = PeerPublicKey::parse(own.public().as_bytes()).unwrap();
    let leaf = mesh.issue(&key, DATABASE, NOW_MS).unwrap();
    let trust = Trust::new(mesh.public().clone(), DATABASE).unwrap();
    verify_leaf(&trust, &leaf.der, &[[0_u8; 0]; 0], NOW_MS).unwrap()
}

impl Liar {
    /// Meets a database that wants all cars.
    fn meet(database: &Database) -> Self {
        let host = Host::new(database);
        let local = Local {
            database_id: DATABASE.to_owned(),
            permissions: Permissions::everything(),
            device_name: String::new(),
            os: String::new(),
            version: String::new(),
            metadata: Vec::new(),
            is_server: false,
            secret: host.secret().unwrap(),
            skew_limit_ms: 60_000,
        };
        let peer = proven();
        let site = SiteId::derive(DATABASE, peer.peer_key().as_bytes());
        let wanted = Arc::new(Interests::new(all_cars()).0);
        let (seat, outward) = Seat::open(host, Arc::new(local), peer, wanted, NOW).unwrap();
        let mut liar = Self {
            seat,
            framer: Framer::default(),
            assembler: Assembler::default(),
            actor: Actor::new(site, 1),
            heard: Vec::new(),
            closed: None,
        };
        liar.hear(outward);
        let hello = Hello {
            versions: (1, 1),
            database_id: DATABASE.to_owned(),
            log: LogId([7; 16]),
            actor: liar.actor,
            now_ms: NOW_MS,
            is_server: false,
            device_name: String::new(),
            os: String::new(),
            version: String::new(),
            metadata: Vec::new(),
        };
        liar.say(Channel::Control, Message::Hello(Box::new(hello)).encode());
        liar
    }

    fn say(&mut self, channel: Channel, message: Vec<u8>) {
        let mut frames = Vec::new();
        let packed = Packed::plain(message);
        self.framer
            .frames(channel, &packed, |frame| frames.push(frame));
        for frame in frames {
            let outward = self.seat.handle(Event::Frame(frame), NOW).unwrap();
            self.hear(outward);
        }
    }

    fn hear(&mut self, outward: Vec<Outward>) {
        for out in outward {
            match out {
                Outward::Send(_, frame) => {
                    if let Some((_, bytes)) = self.assembler.take(&frame).unwrap() {
                        self.heard.push(Message::decode(&bytes).unwrap());
                    }
                }
                Outward::Close(reason) => self.closed = Some(reason),
                _ => {}
            }
        }
    }

    /// Sends one whole batch: documents by name, as deltas whose actors are
    /// numbers of a table with the liar alone.
    fn batch(&mut self, number: u64, documents: &[(&str, Vec<u8>)]) {
        let mut message = vec![4];
        put_varint(&mut message, GENERATION);
        put_varint(&mut message, number);
        // The end of its batch, with fresh tables: one name, one actor.
        message.push(1 | 8);
        message.push(1);
        put_text(&mut message, "cars");
        message.push(1);
        message.extend_from_slice(&self.actor.site.0);
        put_varint(&mut message, u64::from(self.actor.epoch));
        put_varint(&mut message, documents.len() as u64);
        for (name, delta) in documents {
            message.push(0);
            put_blob(&mut message, id(name).as_bytes());
            put_blob(&mut message, delta);
        }
        put_blob(&mut message, b"cursor");
        self.say(Channel::Documents, message);
    }

    fn document(&self, millis: u64) -> Vec<u8> {
        let fields = Object::from([("text".to_owned(), Value::from("lie"))]);
        let dot = Dot::new(self.actor, Stamp::new(millis, 0));
        Draft::new(&fields, &Schema::INFERRED).unwrap().under(dot)
    }

    fn refused(&self) -> Vec<Refusal> {
        let mut refusals = Vec::new();
        for message in &self.heard {
            if let Message::Ack { refused, .. } = message {
                refusals.extend(refused.iter().map(|one| one.2));
            }
        }
        refusals
    }
}

fn all_cars() -> Vec<Stated> {
    vec![Stated {
        statement: "SELECT * FROM cars".to_owned(),
        arguments: Object::new(),
    }]
}

fn id(name: &str) -> DocumentId {
    DocumentId::from_value(&Value::from(name)).unwrap()
}

/// A delta whose every actor is this number.
fn delta(document: &[u8], base: &VersionVector, number: u64) -> Vec<u8> {
    let delta = merge::delta_interned(document, base, &mut |_| number);
    delta.unwrap().unwrap()
}

fn whole(document: &[u8]) -> Vec<u8> {
    delta(document, &VersionVector::new(), 0)
}

#[test]
fn what_a_peer_sends_arrives_if_it_is_sound() {
    let database = database();
    let mut liar = Liar::meet(&database);
    let sound = whole(&liar.document(NOW_MS));
    liar.batch(0, &[("a", sound.clone()), ("b", sound)]);
    assert!(liar.closed.is_none());
    assert_eq!(cars(&database), ["a", "b", "own"]);
}

#[test]
fn one_damaged_document_undoes_its_batch_and_ends_the_session() {
    let database = database();
    let mut other = Liar::meet(&database);
    let sound = whole(&other.document(NOW_MS));
    let unknown_actor = delta(&other.document(NOW_MS), &VersionVector::new(), 1);
    let far_actor = delta(&other.document(NOW_MS), &VersionVector::new(), u64::MAX);
    let mut cut = sound.clone();
    cut.pop();
    for damaged in [unknown_actor, far_actor, cut, Vec::new(), vec![255; 40]] {
        let mut liar = Liar::meet(&database);
        let batch = [("a", sound.clone()), ("b", damaged)];
        liar.batch(0, &batch);
        assert!(
            matches!(
                liar.closed,
                Some(CloseReason::PeerMisbehaved(WireError::Decode(_)))
            ),
            "{:?}",
            liar.closed
        );
        assert_eq!(cars(&database), ["own"]);
    }
    // Another session of the same database goes on.
    other.batch(0, &[("a", whole(&other.document(NOW_MS)))]);
    assert!(other.closed.is_none());
    assert_eq!(cars(&database), ["a", "own"]);
}

#[test]
fn a_delta_on_a_state_that_is_not_here_is_asked_for_whole_and_never_applied() {
    let database = database();
    let mut liar = Liar::meet(&database);
    let first = liar.document(NOW_MS - 10);
    let dot = Dot::new(liar.actor, Stamp::new(NOW_MS, 0));
    let mut edit = Edit::open(Some(&first), dot).unwrap();
    edit.set(&["text"], &Value::from("more"), &Schema::INFERRED)
        .unwrap();
    let second = edit.finish().unwrap().unwrap();
    let base = merge::version_vector(&first).unwrap();
    liar.batch(0, &[("a", delta(&second, &base, 0))]);
    let asks =
        |message: &&Message| matches!(message, Message::Want { places, .. } if *places == [0]);
    assert_eq!(liar.heard.iter().filter(asks).count(), 1);
    assert!(liar.closed.is_none());
    assert_eq!(cars(&database), ["own"]);
}

#[test]
fn a_document_from_the_future_is_refused_and_the_rest_is_taken() {
    let database = database();
    let mut liar = Liar::meet(&database);
    let far = Duration::from_secs(10 * 365 * 86_400).as_millis() as u64;
    let (sound, ahead) = (liar.document(NOW_MS), liar.document(NOW_MS + far));
    liar.batch(0, &[("a", whole(&sound)), ("b", whole(&ahead))]);
    assert!(liar.closed.is_none());
    assert_eq!(liar.refused(), [Refusal::Skew]);
    assert_eq!(cars(&database), ["a", "own"]);
    // The own clock did not follow.
    let later = "INSERT INTO cars DOCUMENTS ({'_id': 'later'})";
    database.execute(later, Object::new()).unwrap();
    let stored = database.snapshot().stored("cars", id("later").as_bytes());
    let vector = merge::version_vector(&stored.unwrap().unwrap().document).unwrap();
    assert!(vector.newest().unwrap().millis() < NOW_MS + 1_000);
}

#[test]
fn forged_cursors_never_change_who_the_store_is() {
    let database = database();
    let before = Host::new(&database).standing();
    let mut liar = Liar::meet(&database);
    for generation in 1..200 {
        let mut cursor = vec![1, generation as u8];
        cursor.resize(34, generation as u8);
        let message = Message::Interests {
            generation,
            holds_documents: false,
            may_continue: true,
            cursor: cursor.into(),
            stated: all_cars(),
        };
        liar.say(Channel::Control, message.encode());
        assert!(liar.closed.is_none());
    }
    let after = Host::new(&database).standing();
    assert_eq!((after.log, after.actor), (before.log, before.actor));
}
