//! What a program relies on that watches collections without running anything.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod simulated;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tombolo::engine::MemoryEngine;
use tombolo::{
    Database, ExecuteError, Object, ObserverDriver, Options, Prepared, WATCHES_MAX, Watch,
};

/// An empty database whose watches are told in `Database::poll_observers`.
fn polled() -> Database {
    let mut surroundings = simulated::surroundings(Arc::new(MemoryEngine::new()), "A", 0);
    surroundings.observers = ObserverDriver::Caller;
    Database::open_with(Options::memory("test"), surroundings).unwrap()
}

fn run(database: &Database, statement: &str) {
    database.execute(statement, Object::new()).unwrap();
}

/// Watches, and counts how often it is told.
fn watch(database: &Database, statement: &str) -> (Watch, impl Fn() -> usize + use<>) {
    let told = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&told);
    let watch = database.watch(&Prepared::parse(statement).unwrap(), move || {
        counting.fetch_add(1, Ordering::SeqCst);
    });
    (watch.unwrap(), move || told.load(Ordering::SeqCst))
}

#[test]
fn only_who_watches_a_touched_collection_is_told() {
    let database = polled();
    let (_a, a) = watch(&database, "SELECT * FROM a");
    let (_b, b) = watch(&database, "SELECT * FROM b");
    let (_both, both) = watch(&database, "SELECT * FROM a JOIN b ON a.n = b.n");
    run(&database, "INSERT INTO a DOCUMENTS ({'_id': 1})");
    assert_eq!(database.poll_observers(), 2);
    run(&database, "INSERT INTO b DOCUMENTS ({'_id': 1})");
    run(&database, "INSERT INTO c DOCUMENTS ({'_id': 1})");
    assert_eq!(database.poll_observers(), 2);
    assert_eq!((a(), b(), both()), (1, 1, 2));
    assert_eq!(database.poll_observers(), 0);
}

#[test]
fn several_commits_are_told_as_one_and_a_join_is_told_once() {
    let database = polled();
    let (_watch, told) = watch(&database, "SELECT * FROM a JOIN b ON a.n = b.n");
    for id in 0..5 {
        let statement = format!("INSERT INTO a DOCUMENTS ({{'_id': {id}}})");
        run(&database, &statement);
        run(&database, &statement.replace("INTO a", "INTO b"));
    }
    assert_eq!((database.poll_observers(), told()), (1, 1));
}

#[test]
fn an_eviction_and_a_system_collection_are_told_of_every_commit() {
    let database = polled();
    let (_a, a) = watch(&database, "SELECT * FROM a");
    let (_system, system) = watch(&database, "SELECT * FROM system:collections");
    run(&database, "INSERT INTO b DOCUMENTS ({'_id': 1})");
    database.poll_observers();
    assert_eq!((a(), system()), (0, 1));
    run(&database, "EVICT FROM b WHERE _id = 1");
    database.poll_observers();
    assert_eq!((a(), system()), (1, 2));
}

#[test]
fn who_left_is_told_nothing_and_whoever_comes_later_nothing_of_before() {
    let database = polled();
    let (left, told) = watch(&database, "SELECT * FROM a");
    drop(left);
    run(&database, "INSERT INTO a DOCUMENTS ({'_id': 1})");
    assert_eq!((database.poll_observers(), told()), (0, 0));
    let (_late, late) = watch(&database, "SELECT * FROM a");
    assert_eq!((database.poll_observers(), late()), (0, 0));
    run(&database, "INSERT INTO a DOCUMENTS ({'_id': 2})");
    assert_eq!((database.poll_observers(), late()), (1, 1));
}

#[test]
fn one_that_panics_does_not_keep_the_others_from_being_told() {
    let database = polled();
    let select = Prepared::parse("SELECT * FROM a").unwrap();
    let _broken = database.watch(&select, || panic!("the test's watch panics"));
    let (_watch, told) = watch(&database, "SELECT * FROM a");
    run(&database, "INSERT INTO a DOCUMENTS ({'_id': 1})");
    database.poll_observers();
    assert_eq!(told(), 1);
}

#[test]
fn only_a_select_is_watched_and_there_are_at_most_so_many() {
    let database = polled();
    let delete = Prepared::parse("DELETE FROM a").unwrap();
    let refused = database.watch(&delete, || ());
    assert!(matches!(refused, Err(ExecuteError::NotObservable)));
    let select = Prepared::parse("SELECT * FROM a").unwrap();
    let mut held: Vec<Watch> = (0..WATCHES_MAX)
        .map(|_| database.watch(&select, || ()).unwrap())
        .collect();
    let refused = database.watch(&select, || ());
    assert!(matches!(refused, Err(ExecuteError::TooMany { .. })));
    held.pop();
    assert!(database.watch(&select, || ()).is_ok());
}
