//! A database in surroundings that a simulator brings.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod simulated;

use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use tombolo::engine::{Engine, MemoryEngine};
use tombolo::{Database, Object, OpenError, Options, Value};

fn open(engine: Arc<dyn Engine>, seed: u128) -> Database {
    let surroundings = simulated::surroundings(engine, "A", seed);
    Database::open_with(Options::memory("test"), surroundings).unwrap()
}

/// Everything that a short life leaves: ids, commit numbers and states.
fn life(database: &Database) -> (Vec<Value>, [u8; 16], Vec<Vec<u8>>) {
    let insert = "INSERT INTO a DOCUMENTS ({'n': 1}), ({'n': 2})";
    let inserted = database.execute(insert, Object::new()).unwrap();
    database
        .execute("UPDATE a SET n = n + 1", Object::new())
        .unwrap();
    database
        .execute("EVICT FROM a WHERE n = 2", Object::new())
        .unwrap();
    let snapshot = database.snapshot();
    let mut states = Vec::new();
    tombolo_query::Source::scan(&snapshot, "a", &mut |_, state| {
        states.push(state.to_vec());
        std::ops::ControlFlow::Continue(())
    })
    .unwrap();
    (inserted.mutated_document_ids, snapshot.log_id().0, states)
}

#[test]
fn the_same_surroundings_give_the_same_ids_and_the_same_bytes() {
    let run = |seed| life(&open(Arc::new(MemoryEngine::new()), seed));
    assert_eq!(run(1), run(1));
    let (ids, log, _) = run(1);
    let (other_ids, other_log, _) = run(2);
    assert_ne!((ids, log), (other_ids, other_log));
}

#[test]
fn a_database_goes_on_in_the_engine_that_it_was_given() {
    let engine = Arc::new(MemoryEngine::new());
    let database = open(engine.clone(), 1);
    let insert = "INSERT INTO a DOCUMENTS ({'_id': 1})";
    database.execute(insert, Object::new()).unwrap();
    database.close();
    let database = open(engine.clone(), 2);
    let found = database.execute("SELECT * FROM a", Object::new()).unwrap();
    assert_eq!(found.items.len(), 1);
    database.close();
    let surroundings = simulated::surroundings(engine, "A", 3);
    let refused = Database::open_with(Options::memory("other"), surroundings);
    assert!(matches!(refused, Err(OpenError::Store(_))));
}

#[test]
fn the_clock_of_the_surroundings_is_the_only_one() {
    let database = open(Arc::new(MemoryEngine::new()), 1);
    assert_eq!(database.time().unix_ms(), 1_000_000);
    let insert = "INSERT INTO a DOCUMENTS ({'_id': 1})";
    database.execute(insert, Object::new()).unwrap();
    assert_eq!(database.snapshot().high_water().millis(), 1_000_000);
}

#[test]
fn listeners_hear_of_commits_that_a_snapshot_already_shows() {
    let database = Arc::new(open(Arc::new(MemoryEngine::new()), 1));
    let (told, heard) = sync_channel(8);
    let seen = Arc::downgrade(&database);
    let listener = database.on_commit(move |commits| {
        let shown = seen.upgrade().map(|database| database.snapshot());
        let shown = shown.map(|snapshot| snapshot.last_commit());
        told.try_send((commits, shown)).unwrap();
    });
    let insert = "INSERT INTO a DOCUMENTS ({'n': 1})";
    let first = database.execute(insert, Object::new()).unwrap().commit_id;
    drop(listener);
    database.execute(insert, Object::new()).unwrap();
    let heard: Vec<_> = heard.iter().collect();
    let number = first.unwrap();
    assert_eq!(heard, [(number..=number, first)]);
}

#[test]
fn what_is_drawn_differs() {
    let database = open(Arc::new(MemoryEngine::new()), 1);
    assert_ne!(database.random_16(), database.random_16());
}
