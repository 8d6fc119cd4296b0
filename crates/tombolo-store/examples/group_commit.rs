//! Measures how many durable commits a second 64 writers reach, beside the raw rate at which
//! this disk syncs, and how long the writer works on one commit when no disk is in its way.
//!
//! Run with `cargo run --release -p tombolo-store --example group_commit`.
#![expect(clippy::unwrap_used, reason = "a measurement that cannot go on ends")]
#![expect(clippy::print_stdout, reason = "the figures are its result")]
#![expect(
    clippy::disallowed_methods,
    reason = "this program is the outermost door: it owns the clock"
)]

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;
use tombolo_document::{DocumentId, Edit, Object, Schema, SiteId, Value};
use tombolo_query::source::{SourceError, Target};
use tombolo_store::{
    Store, StoreError, StoreSettings, Timekeeper, Transaction, WriteError,
    engine::{Engine, FjallEngine, FjallSettings, MemoryEngine},
};

const WRITERS: u64 = 64;
const SATURATING_COMMITS: u64 = 200_000;
const MEASURED: Duration = Duration::from_secs(5);

struct Clocks(Instant);

impl Timekeeper for Clocks {
    fn unix_ms(&self) -> u64 {
        1_700_000_000_000 + u64::try_from(self.0.elapsed().as_millis()).unwrap()
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

fn main() {
    let directory = TempDir::new_in(".").unwrap();
    let raw = raw_syncs(&directory);
    println!("raw fdatasync of 512 bytes: {raw:.0} a second");
    let engine = FjallEngine::open(&directory.path().join("store"), &FjallSettings::default());
    let (single, _) = measure(&Arc::new(open(engine.unwrap())), 1);
    println!(
        "1 writer on fjall: {single:.0} commits a second, {:.2} times raw",
        single / raw
    );
    let engine = FjallEngine::open(&directory.path().join("many"), &FjallSettings::default());
    let (many, rounds) = measure(&Arc::new(open(engine.unwrap())), WRITERS);
    println!(
        "{WRITERS} writers on fjall: {many:.0} commits a second, {:.2} times raw, {rounds:.1} commits a flush",
        many / raw
    );
    saturate(&directory.path().join("saturated"));
}

/// Syncs of a small append to a file that has its size already, as a journal has.
fn raw_syncs(directory: &TempDir) -> f64 {
    let mut file = File::create(directory.path().join("raw")).unwrap();
    file.set_len(64 * 1024 * 1024).unwrap();
    file.sync_all().unwrap();
    let (start, mut count) = (Instant::now(), 0.0);
    while start.elapsed() < MEASURED {
        file.write_all(&[7; 512]).unwrap();
        file.sync_data().unwrap();
        count += 1.0;
    }
    count / start.elapsed().as_secs_f64()
}

fn open(engine: impl Engine + 'static) -> Store {
    let settings = StoreSettings::new(
        "bench",
        SiteId([1; 16]),
        Arc::new(Clocks(Instant::now())),
        || [5; 16],
    );
    Store::open(Arc::new(engine), settings).unwrap()
}

/// Commits a second, and commits for each change of the published view.
fn measure(store: &Arc<Store>, writers: u64) -> (f64, f64) {
    let (start, total, next) = (Instant::now(), AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        for _ in 0..writers {
            scope.spawn(|| {
                while start.elapsed() < MEASURED {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    store
                        .write_and_wait(move |transaction| insert(transaction, number))
                        .unwrap();
                    total.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    let commits = f64::from(u32::try_from(total.into_inner()).unwrap());
    let flushes = store.engine_stats().flushes;
    let rate = commits / start.elapsed().as_secs_f64();
    (rate, commits / f64::from(u32::try_from(flushes).unwrap()))
}

/// The writer's own work for a commit, syncs and all: its processor time for many inserts while
/// its queue is full, beside that for making the same documents and storing none.
fn saturate(directory: &Path) {
    let engine = FjallEngine::open(directory, &FjallSettings::default()).unwrap();
    let made = writer_micros(MemoryEngine::new(), |transaction, number| {
        prepare(transaction, number).map(drop)
    });
    let stored = writer_micros(engine, insert);
    println!(
        "writer's processor time: {stored:.1} us a commit, of which {made:.1} us make the document"
    );
}

type Work = fn(&mut Transaction<'_>, u64) -> Result<(), SourceError>;

fn writer_micros(engine: impl Engine + 'static, work: Work) -> f64 {
    let store = open(engine);
    let before = writer_seconds(&store);
    let mut number = 0;
    while number < SATURATING_COMMITS {
        let queued = store.write(
            move |transaction| work(transaction, number),
            |result| assert!(result.is_ok()),
        );
        match queued {
            Ok(()) => number += 1,
            Err(_) => thread::yield_now(),
        }
    }
    (writer_seconds(&store) - before) * 1e6 / f64::from(u32::try_from(number).unwrap())
}

/// Processor time of the writer's thread so far, as Linux tells it to the thread itself.
fn writer_seconds(store: &Store) -> f64 {
    let read = |_: &mut Transaction<'_>| fs::read_to_string("/proc/thread-self/schedstat");
    let text = loop {
        match store.write_and_wait(read) {
            Err(WriteError::Store(StoreError::Busy)) => thread::yield_now(),
            answered => break answered.unwrap().1,
        }
    };
    text.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e9
}

fn insert(transaction: &mut Transaction<'_>, number: u64) -> Result<(), SourceError> {
    let (id, document) = prepare(transaction, number)?;
    transaction.put("orders", &id, document)
}

/// Makes a document of about 400 bytes with twelve fields.
fn prepare(
    transaction: &Transaction<'_>,
    number: u64,
) -> Result<(DocumentId, Vec<u8>), SourceError> {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let id = DocumentId::from_value(&Value::String(format!("{mixed:020}"))).unwrap();
    let held = transaction.state("orders", &id)?;
    let mut edit = Edit::open(held.as_deref(), transaction.dot()).unwrap();
    let fields = (0..12).map(|field| {
        (
            format!("field{field:02}"),
            Value::String(format!("value {mixed:016x}")),
        )
    });
    edit.set_object(&fields.collect::<Object>(), &Schema::INFERRED)
        .unwrap();
    Ok((id, edit.finish().unwrap().unwrap()))
}
