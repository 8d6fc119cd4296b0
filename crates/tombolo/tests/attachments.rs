//! Attachments as a program that embeds the database uses them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tombolo::engine::MemoryEngine;
use tombolo::{
    AttachmentId, AttachmentToken, Database, NewAttachmentError, Object, ObserverDriver, Options,
    SiteId, Surroundings, Timekeeper, Value, json,
};

const INSERT: &str =
    "INSERT INTO COLLECTION pics (img ATTACHMENT) DOCUMENTS ({'_id': :id, 'img': :img})";

fn run(database: &Database, statement: &str, arguments: Object) -> Vec<String> {
    let response = database.execute(statement, arguments).unwrap();
    response.items.iter().map(json::print).collect()
}

fn insert(database: &Database, id: &str, token: Value) -> Result<(), tombolo::ExecuteError> {
    let arguments = Object::from([
        ("id".to_owned(), Value::from(id)),
        ("img".to_owned(), token),
    ]);
    database.execute(INSERT, arguments).map(|_| ())
}

fn keep(database: &Database, content: &[u8]) -> AttachmentToken {
    let metadata = BTreeMap::from([("name".to_owned(), "x.png".to_owned())]);
    database.new_attachment(content, metadata).unwrap()
}

fn read(database: &Database, id: AttachmentId) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    let reader = database.attachment(id).unwrap()?;
    reader.content().read_to_end(&mut content).unwrap();
    Some(content)
}

#[test]
fn content_and_document_are_there_after_reopening() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options::directory("test", directory.path());
    let database = Database::open(options.clone()).unwrap();
    let content = vec![7; 3_000_000];
    let token = keep(&database, &content);
    insert(&database, "1", token.to_value()).unwrap();
    database.close();

    let database = Database::open(options).unwrap();
    let found = run(
        &database,
        "SELECT img FROM COLLECTION pics (img ATTACHMENT)",
        Object::new(),
    );
    let wanted = format!(
        r#"{{"img":{{"id":"{}","len":3000000,"metadata":{{"name":"x.png"}}}}}}"#,
        token.id
    );
    assert_eq!(found, [wanted]);
    assert_eq!(read(&database, token.id), Some(content));
    assert_eq!(read(&database, AttachmentId::of(b"other")), None);
}

#[test]
fn t45_a_field_of_kind_attachment_takes_tokens_alone() {
    let database = Database::open(Options::memory("test")).unwrap();
    let id = AttachmentId::of(b"content");
    let refused = [
        r#"{"id":"x","len":1}"#.to_owned(),
        format!(r#"{{"id":"{id}","len":-1}}"#),
        format!(r#"{{"id":"{id}","len":18446744073709551615}}"#),
        format!(r#"{{"id":"{id}","len":1.5}}"#),
        format!(r#"{{"id":"{id}"}}"#),
        format!(r#"{{"len":1,"metadata":{{"a":1}},"id":"{id}"}}"#),
        format!(r#""{id}""#),
        "7".to_owned(),
    ];
    for token in refused {
        let value = json::parse(token.as_bytes()).unwrap();
        let error = insert(&database, "1", value).unwrap_err();
        assert!(
            error.to_string().contains("attachment token"),
            "{token}: {error}"
        );
    }
    assert_eq!(run(&database, "SELECT * FROM pics", Object::new()).len(), 0);
}

#[test]
fn a_source_that_fails_leaves_nothing() {
    struct Failing(usize);
    impl Read for Failing {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(1).ok_or(io::ErrorKind::BrokenPipe)?;
            Ok(buffer.len())
        }
    }
    let directory = tempfile::tempdir().unwrap();
    let database = Database::open(Options::directory("test", directory.path())).unwrap();
    let refused = database.new_attachment(Failing(3), BTreeMap::new());
    assert!(matches!(refused, Err(NewAttachmentError::Source(_))));
    let mut held = 0;
    database.attachments().list(&mut |_, _| held += 1).unwrap();
    let uploads = directory.path().join("attachments/uploads");
    assert_eq!((held, uploads.read_dir().unwrap().count()), (0, 0));
}

#[derive(Default)]
struct HandClock(AtomicU64);

impl Timekeeper for HandClock {
    fn unix_ms(&self) -> u64 {
        1_000
    }

    fn monotonic(&self) -> Duration {
        Duration::from_secs(self.0.load(Ordering::SeqCst))
    }
}

#[test]
fn content_goes_an_hour_after_its_last_document_and_not_before() {
    let clock = Arc::new(HandClock::default());
    let time: Arc<dyn Timekeeper> = Arc::<HandClock>::clone(&clock);
    let engine = Arc::new(MemoryEngine::new());
    let mut surroundings = Surroundings::new(engine, time, || [9; 16], SiteId([1; 16]));
    surroundings.observers = ObserverDriver::Caller;
    let database = Database::open_with(Options::memory("test"), surroundings).unwrap();
    let collect = |at: u64| {
        clock.0.store(at, Ordering::SeqCst);
        let collected = database.collect_attachments().unwrap();
        (collected.removed, collected.waiting)
    };
    let (used, unused) = (keep(&database, b"used"), keep(&database, b"unused"));
    insert(&database, "1", used.to_value()).unwrap();
    assert_eq!(collect(0), (0, 1));
    assert_eq!(collect(3_599), (0, 1));
    assert_eq!(collect(3_600), (1, 0));
    assert_eq!(read(&database, unused.id), None);
    run(&database, "DELETE FROM pics", Object::new());
    assert_eq!(collect(10_000), (0, 1));
    assert_eq!(read(&database, used.id), Some(b"used".to_vec()));
    assert_eq!(collect(13_600), (1, 0));
    assert_eq!(read(&database, used.id), None);
}
