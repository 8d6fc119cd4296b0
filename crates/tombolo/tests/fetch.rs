//! Databases of one process that fetch attachments from each other over
//! loopback TLS, with cuts, crashes and rules in between.

#![expect(
    clippy::unwrap_used,
    reason = "a test whose world cannot be set up has failed"
)]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tombolo::{
    AttachmentFetch, Database, DocumentId, FetchError, FetchState, Object, Options, SharedKey,
    Subscription, SyncOptions, Value,
};
use tombolo_document::attachment::{AttachmentToken, CHUNK_BYTES};

const DATABASE: &str = "3f1f1f5e-0000-4000-8000-000000000000";
const MIB: usize = CHUNK_BYTES;
/// Far more than anything here takes; a test that needs it has failed.
const LONG: Option<Duration> = Some(Duration::from_secs(60));

struct Node {
    database: Database,
    _subscription: Subscription,
}

fn node(key: &SharedKey, options: Options, servers: &[SocketAddr]) -> Node {
    let database = Database::open(options).unwrap();
    let subscription = database.register_subscription("SELECT * FROM cars", Object::new());
    let mut options = SyncOptions::new(SharedKey::parse(&key.to_base64()).unwrap());
    options.listen = vec!["127.0.0.1:0".parse().unwrap()];
    options.known_tcp_servers = servers.iter().map(ToString::to_string).collect();
    options.retry_interval = Duration::from_millis(100);
    database.start_sync(options).unwrap();
    Node {
        database,
        _subscription: subscription.unwrap(),
    }
}

fn in_memory() -> Options {
    Options::memory(DATABASE)
}

fn on_disk(directory: &Path) -> Options {
    Options::directory(DATABASE, directory)
}

/// Bytes in which no two chunks are equal.
fn content(length: usize, kind: &str) -> Vec<u8> {
    let mut bytes = vec![0; length];
    let mut hasher = blake3::Hasher::new();
    hasher.update(kind.as_bytes());
    hasher.finalize_xof().fill(&mut bytes);
    bytes
}

impl Node {
    fn address(&self) -> SocketAddr {
        self.database.sync_addresses()[0]
    }

    /// Keeps content and a document that refers to it.
    fn attach(&self, name: &str, content: &[u8]) -> AttachmentToken {
        let mut writer = self.database.attachments().begin_write().unwrap();
        writer.write(content).unwrap();
        let (id, length) = writer.finish().unwrap();
        let token = AttachmentToken::new(id, length, BTreeMap::new()).unwrap();
        self.refer(name, &token);
        token
    }

    fn refer(&self, name: &str, token: &AttachmentToken) {
        let car = Object::from([
            ("_id".to_owned(), Value::from(name)),
            ("photo".to_owned(), token.to_value()),
        ]);
        let arguments = Object::from([("car".to_owned(), Value::Object(car))]);
        let statement = "INSERT INTO COLLECTION cars (photo ATTACHMENT) DOCUMENTS (:car)";
        self.database.execute(statement, arguments).unwrap();
    }

    /// Waits until a document is here.
    fn wait_for(&self, name: &str) {
        let (told, results) = std::sync::mpsc::sync_channel(64);
        let tell = move |result: Result<tombolo::Response, _>| {
            told.send(result.unwrap().items.len()).unwrap();
        };
        let statement = format!("SELECT _id FROM cars WHERE _id = '{name}'");
        let observed = self
            .database
            .register_observer(&statement, Object::new(), tell);
        let _observer = observed.unwrap();
        assert!(results.iter().any(|rows| rows == 1));
    }

    fn fetch(&self, name: &str) -> AttachmentFetch {
        let id = DocumentId::from_value(&Value::from(name)).unwrap();
        self.database
            .fetch_attachment("cars", &id, &["photo"])
            .unwrap()
    }

    fn holds(&self, token: &AttachmentToken) -> bool {
        self.database.attachments().holds(token.id).unwrap()
    }

    /// Waits until content is here that nobody asks for.
    fn awaits(&self, token: &AttachmentToken) {
        while !self.holds(token) {
            // Nothing tells of it: who wants to be told fetches it.
            std::thread::park_timeout(Duration::from_millis(1));
        }
    }

    /// Waits until a fetch is over and sees that exactly these bytes came.
    fn gets(&self, name: &str, content: &[u8]) {
        let reader = self.fetch(name).wait(LONG).unwrap().unwrap();
        let mut bytes = vec![0; content.len()];
        assert_eq!(reader.length(), content.len() as u64);
        reader.read_at(0, &mut bytes).unwrap();
        assert!(bytes == content, "other bytes came");
    }
}

/// A wire that counts what goes to who dials through it, and can be cut.
struct Wire {
    address: SocketAddr,
    /// Bytes that came from the server's side over all connections.
    bytes: Arc<AtomicU64>,
    /// Bytes after which the next cut comes.
    cut_at: Arc<AtomicU64>,
}

fn wire_to(server: SocketAddr) -> Wire {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (bytes, cut_at) = (
        Arc::new(AtomicU64::new(0)),
        Arc::new(AtomicU64::new(u64::MAX)),
    );
    let (counted, limit) = (Arc::clone(&bytes), Arc::clone(&cut_at));
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let Ok(client) = client else { return };
            let Ok(upstream) = TcpStream::connect(server) else {
                continue;
            };
            let (mut from, mut to) = (client.try_clone().unwrap(), upstream.try_clone().unwrap());
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut from, &mut to);
                let _ = to.shutdown(std::net::Shutdown::Both);
            });
            let (counted, limit) = (Arc::clone(&counted), Arc::clone(&limit));
            std::thread::spawn(move || pass(upstream, client, &counted, &limit));
        }
    });
    Wire {
        address,
        bytes,
        cut_at,
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, counted: &AtomicU64, limit: &AtomicU64) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        let before = counted.fetch_add(read as u64, Ordering::SeqCst);
        if before + read as u64 >= limit.load(Ordering::SeqCst) {
            limit.store(u64::MAX, Ordering::SeqCst);
            break;
        }
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Both);
    let _ = from.shutdown(std::net::Shutdown::Both);
}

#[test]
fn content_of_any_length_comes_when_it_is_asked_for() {
    let key = SharedKey::generate().unwrap();
    let holder = node(&key, in_memory(), &[]);
    let asker = node(&key, in_memory(), &[holder.address()]);
    for (number, length) in [0, 1, 65_536, MIB, MIB + 1, 5 * MIB + 70_000]
        .into_iter()
        .enumerate()
    {
        let name = number.to_string();
        let bytes = content(length, "any");
        let token = holder.attach(&name, &bytes);
        asker.wait_for(&name);
        assert!(!asker.holds(&token), "nobody asked for it");
        asker.gets(&name, &bytes);
    }
}

#[test]
fn progress_is_told_and_ends_with_the_whole() {
    let key = SharedKey::generate().unwrap();
    let holder = node(&key, in_memory(), &[]);
    let asker = node(&key, in_memory(), &[holder.address()]);
    let bytes = content(6 * MIB, "progress");
    holder.attach("1", &bytes);
    asker.wait_for("1");
    let mut fetch = asker.fetch("1");
    fetch.wait(LONG).unwrap().unwrap();
    assert_eq!(fetch.state(), FetchState::Complete);
    let again = asker.fetch("1");
    assert_eq!(again.state(), FetchState::Complete);
}

#[test]
fn what_nobody_has_is_waited_for_and_comes_through_the_neighbour_that_fetches_it() {
    let key = SharedKey::generate().unwrap();
    let first = node(&key, in_memory(), &[]);
    let relay = node(&key, in_memory(), &[first.address()]);
    let last = node(&key, in_memory(), &[relay.address()]);
    let bytes = content(2 * MIB, "line");
    let token = first.attach("1", &bytes);
    last.wait_for("1");
    let mut fetch = last.fetch("1");
    assert!(
        fetch
            .wait(Some(Duration::from_millis(300)))
            .unwrap()
            .is_none()
    );
    assert!(!relay.holds(&token), "a relay asks on for nobody");
    assert!(matches!(fetch.state(), FetchState::Waiting(_)));
    relay.gets("1", &bytes);
    assert!(fetch.wait(LONG).unwrap().is_some());
}

#[test]
fn a_node_that_fetches_by_itself_gets_what_is_there_and_what_comes() {
    let key = SharedKey::generate().unwrap();
    let holder = node(&key, in_memory(), &[]);
    let contents: Vec<_> = (0..300)
        .map(|number| content(1_000 + number, &number.to_string()))
        .collect();
    let attach = |number: usize| holder.attach(&number.to_string(), &contents[number]);
    let early: Vec<_> = (0..290).map(attach).collect();
    let mut options = in_memory();
    options.auto_fetch_attachments = true;
    let asker = node(&key, options, &[holder.address()]);
    asker.wait_for("289");
    let late: Vec<_> = (290..300).map(attach).collect();
    for token in early.iter().chain(&late) {
        asker.awaits(token);
    }
}

#[test]
fn what_was_checked_before_a_cut_is_not_sent_again() {
    let key = SharedKey::generate().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let holder = node(&key, in_memory(), &[]);
    let wire = wire_to(holder.address());
    let asker = node(&key, on_disk(directory.path()), &[wire.address]);
    let bytes = content(40 * MIB, "cut");
    holder.attach("1", &bytes);
    asker.wait_for("1");
    for _ in 0..3 {
        let now = wire.bytes.load(Ordering::SeqCst);
        wire.cut_at.store(now + 10 * MIB as u64, Ordering::SeqCst);
        let mut fetch = asker.fetch("1");
        while wire.cut_at.load(Ordering::SeqCst) != u64::MAX {
            fetch.wait(Some(Duration::from_millis(20))).unwrap();
        }
        drop(fetch);
    }
    asker.gets("1", &bytes);
    let sent = wire.bytes.load(Ordering::SeqCst);
    // At each cut at most the window and the chunk that grows are lost: 5 of 10 MiB.
    let lost = 3 * 6 * MIB;
    assert!(sent < (bytes.len() + lost) as u64, "{sent} bytes were sent");
}

#[test]
fn a_fetch_goes_on_after_the_asker_was_closed_and_opened() {
    let key = SharedKey::generate().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let holder = node(&key, in_memory(), &[]);
    let wire = wire_to(holder.address());
    let bytes = content(16 * MIB, "closed");
    holder.attach("1", &bytes);
    let asker = node(&key, on_disk(directory.path()), &[wire.address]);
    asker.wait_for("1");
    let now = wire.bytes.load(Ordering::SeqCst);
    wire.cut_at.store(now + 8 * MIB as u64, Ordering::SeqCst);
    let mut fetch = asker.fetch("1");
    while wire.cut_at.load(Ordering::SeqCst) != u64::MAX {
        fetch.wait(Some(Duration::from_millis(20))).unwrap();
    }
    drop(fetch);
    drop(asker);
    let before = wire.bytes.load(Ordering::SeqCst);
    let asker = node(&key, on_disk(directory.path()), &[wire.address]);
    asker.gets("1", &bytes);
    let sent = wire.bytes.load(Ordering::SeqCst) - before;
    assert!(sent < 14 * MIB as u64, "{sent} bytes were sent again");
}

#[test]
fn what_is_not_attached_or_not_referred_to_is_refused_at_once() {
    let key = SharedKey::generate().unwrap();
    let alone = node(&key, in_memory(), &[]);
    let token = alone.attach("1", b"bytes");
    let id = DocumentId::from_value(&Value::from("1")).unwrap();
    for (collection, path) in [("cars", "colour"), ("bikes", "photo")] {
        let fetch = alone.database.fetch_attachment(collection, &id, &[path]);
        assert!(matches!(fetch, Err(FetchError::NoAttachment)));
    }
    let other = AttachmentToken::new(
        tombolo_document::attachment::AttachmentId::of(b"other"),
        5,
        BTreeMap::new(),
    );
    let fetch = alone.database.fetch_attachment_by_token(&other.unwrap());
    assert!(matches!(fetch, Err(FetchError::NotReferred { .. })));
    let held = alone.database.fetch_attachment_by_token(&token).unwrap();
    assert_eq!(held.state(), FetchState::Complete);
}

#[test]
fn a_token_that_lies_about_its_length_brings_nothing_and_harms_nobody() {
    let key = SharedKey::generate().unwrap();
    let holder = node(&key, in_memory(), &[]);
    let asker = node(&key, in_memory(), &[holder.address()]);
    let bytes = content(MIB + 5, "length");
    let token = holder.attach("1", &bytes);
    for (number, length) in [0, 1, MIB, MIB + 4, MIB + 6, 2 * MIB + 1]
        .into_iter()
        .enumerate()
    {
        let name = format!("lie {number}");
        let lie = AttachmentToken::new(token.id, length as u64, BTreeMap::new()).unwrap();
        holder.refer(&name, &lie);
        asker.wait_for(&name);
        let mut fetch = asker.fetch(&name);
        assert!(
            fetch
                .wait(Some(Duration::from_millis(100)))
                .unwrap()
                .is_none()
        );
    }
    asker.wait_for("1");
    asker.gets("1", &bytes);
}
