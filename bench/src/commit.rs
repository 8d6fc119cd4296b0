//! Durable commits of 64 writers through the group commit of the store, beside what the disk does for one writer.
//! The limit is one thread that appends 512 bytes and calls `fdatasync`, on the same file system and in turn.
//! A round counts only if the store, opened again, holds every document that it acknowledged.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;
use tombolo_document::{DocumentId, Edit, Object, Schema, SiteId, Value, json};
use tombolo_query::{Source, Target};
use tombolo_store::engine::{FjallEngine, FjallSettings};
use tombolo_store::{Store, StoreSettings, Timekeeper, Transaction, WriteError};

use crate::error::BenchError;
use crate::machine::{self, Stopwatch};
use crate::order::order;
use crate::rounds::{ROUNDS_MIN, Summary, percentile};

const WRITERS: usize = 64;
const APPEND_BYTES: usize = 512;
const PHASE: Duration = Duration::from_secs(4);
const STORE: &str = "tombolo-store";
const COLLECTION: &str = "orders";

/// What one phase yielded.
struct Phase {
    commits_per_second: f64,
    latencies_us: Vec<u32>,
}

/// Runs all rounds and returns the report.
pub(crate) fn run() -> Result<String, BenchError> {
    let machine = machine::describe();
    let directory = tempfile::tempdir().map_err(disk_error)?;
    let store_directory = directory.path().join("store");
    let numbers = Arc::new(AtomicU64::new(0));
    let (mut limits, mut single, mut grouped) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS_MIN {
        limits.push(append(&directory, round).map_err(disk_error)?);
        let store = open(&store_directory)?;
        single.push(write(&store, 1, &numbers)?);
        grouped.push(write(&store, WRITERS, &numbers)?);
        drop(store);
        verify(&store_directory, numbers.load(Ordering::Relaxed))?;
    }
    Ok(render(
        &machine,
        &[
            ("raw append and fdatasync, 1 thread", &limits),
            ("store, 1 writer", &single),
            ("store, 64 writers", &grouped),
        ],
    ))
}

/// One thread appends and flushes.
fn append(directory: &TempDir, round: usize) -> std::io::Result<Phase> {
    let mut file = File::create(directory.path().join(format!("append-{round}")))?;
    let bytes = [7_u8; APPEND_BYTES];
    let mut latencies_us = Vec::new();
    let watch = Stopwatch::start();
    while watch.elapsed() < PHASE {
        let single = Stopwatch::start();
        file.write_all(&bytes)?;
        file.sync_data()?;
        latencies_us.push(micros(single));
    }
    Ok(Phase::new(latencies_us, watch.elapsed()))
}

/// `writers` threads insert one document each time and wait until it is durable.
fn write(store: &Store, writers: usize, numbers: &AtomicU64) -> Result<Phase, BenchError> {
    let watch = Stopwatch::start();
    let results: Vec<Result<Vec<u32>, BenchError>> = thread::scope(|scope| {
        let threads: Vec<_> = (0..writers)
            .map(|_| scope.spawn(|| write_until(store, numbers, watch)))
            .collect();
        threads
            .into_iter()
            .map(|thread| {
                thread
                    .join()
                    .unwrap_or_else(|_| Err(wrong("a writer panicked")))
            })
            .collect()
    });
    let elapsed = watch.elapsed();
    let mut latencies_us = Vec::new();
    for result in results {
        latencies_us.extend(result?);
    }
    Ok(Phase::new(latencies_us, elapsed))
}

fn write_until(
    store: &Store,
    numbers: &AtomicU64,
    watch: Stopwatch,
) -> Result<Vec<u32>, BenchError> {
    let mut latencies_us = Vec::new();
    while watch.elapsed() < PHASE {
        let number = numbers.fetch_add(1, Ordering::Relaxed);
        let (id, fields) = document(number);
        let single = Stopwatch::start();
        let written: Result<_, WriteError<String>> =
            store.write_and_wait(move |transaction| insert(transaction, &id, &fields));
        written.map_err(|error| wrong(&format!("{error:?}")))?;
        latencies_us.push(micros(single));
    }
    Ok(latencies_us)
}

fn insert(
    transaction: &mut Transaction<'_>,
    id: &DocumentId,
    fields: &Object,
) -> Result<(), String> {
    let mut edit = Edit::open(None, transaction.dot()).map_err(|error| error.to_string())?;
    edit.set_object(fields, &Schema::INFERRED)
        .map_err(|error| error.to_string())?;
    let bytes = edit
        .finish()
        .map_err(|error| error.to_string())?
        .unwrap_or_default();
    transaction
        .put(COLLECTION, id, bytes)
        .map_err(|error| error.to_string())
}

fn document(number: u64) -> (DocumentId, Object) {
    let fields = match json::parse(order(number).to_string().as_bytes()) {
        Ok(Value::Object(fields)) => fields,
        other => unreachable!("an order is an object: {other:?}"),
    };
    let id = DocumentId::from_value(&fields["_id"]).expect("the id of an order is a string");
    (id, fields)
}

fn open(directory: &Path) -> Result<Store, BenchError> {
    let engine = FjallEngine::open(directory, &FjallSettings::default())
        .map_err(|error| wrong(&error.to_string()))?;
    let mut drawn = 0_u8;
    let entropy = move || {
        drawn += 1;
        [drawn; 16]
    };
    let settings = StoreSettings::new(
        "bench",
        SiteId([1; 16]),
        Arc::new(Clock(Stopwatch::start())),
        entropy,
    );
    Store::open(Arc::new(engine), settings).map_err(|error| wrong(&error.to_string()))
}

/// Opens the store again and counts.
fn verify(directory: &Path, acknowledged: u64) -> Result<(), BenchError> {
    let found = open(directory)?
        .snapshot()
        .count(COLLECTION)
        .map_err(|error| wrong(&error.to_string()))?;
    if found == acknowledged {
        Ok(())
    } else {
        Err(wrong(&format!(
            "{acknowledged} documents acknowledged, {found} found"
        )))
    }
}

/// The time of the measurement counts as the time of day; stamps only have to grow.
struct Clock(Stopwatch);

impl Timekeeper for Clock {
    fn unix_ms(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

impl Phase {
    fn new(mut latencies_us: Vec<u32>, elapsed: Duration) -> Self {
        latencies_us.sort_unstable();
        Self {
            commits_per_second: latencies_us.len() as f64 / elapsed.as_secs_f64(),
            latencies_us,
        }
    }
}

fn micros(watch: Stopwatch) -> u32 {
    u32::try_from(watch.elapsed().as_micros()).unwrap_or(u32::MAX)
}

fn disk_error(source: std::io::Error) -> BenchError {
    BenchError::Connection {
        contender: "disk",
        source,
    }
}

fn wrong(detail: &str) -> BenchError {
    BenchError::Wrong {
        contender: STORE,
        detail: detail.to_owned(),
    }
}

fn render(machine: &str, rows: &[(&str, &Vec<Phase>)]) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "machine: {machine}; load at the end {}",
        machine::load()
    );
    let _ = writeln!(
        text,
        "{ROUNDS_MIN} rounds in turn, {} s for each phase; median (min-max)\n",
        PHASE.as_secs()
    );
    let _ = writeln!(
        text,
        "| contender | durable commits/s | p50 ms | p99 ms | of the raw rate |\n|---|---|---|---|---|"
    );
    let rates = |phases: &[Phase]| {
        phases
            .iter()
            .map(|phase| phase.commits_per_second)
            .collect::<Vec<_>>()
    };
    let raw = rates(rows[0].1);
    for (name, phases) in rows {
        let latency = |share| {
            let each: Vec<f64> = phases
                .iter()
                .map(|phase| f64::from(percentile(&phase.latencies_us, share)) / 1000.0)
                .collect();
            Summary::of(&each).show(2)
        };
        let (rate, ratio) = (
            Summary::of(&rates(phases)),
            Summary::of_ratio(&rates(phases), &raw),
        );
        let _ = writeln!(
            text,
            "| {name} | {} | {} | {} | {} |",
            rate.show(0),
            latency(0.5),
            latency(0.99),
            ratio.show(2)
        );
    }
    text
}
