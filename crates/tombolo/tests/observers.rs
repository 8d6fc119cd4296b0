//! What a program that observes a statement relies on.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod simulated;

use std::convert::Infallible;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tombolo::engine::MemoryEngine;
use tombolo::{
    Database, ExecuteError, OBSERVERS_MAX, Object, Observer, ObserverDriver, Options, QueryError,
    Response, Timekeeper, Value, json,
};

type Result = std::result::Result<Response, ExecuteError>;

/// An empty database whose observers run in `Database::poll_observers`.
fn polled(site: &str) -> Database {
    let mut surroundings = simulated::surroundings(Arc::new(MemoryEngine::new()), site, 0);
    surroundings.observers = ObserverDriver::Caller;
    Database::open_with(Options::memory("test"), surroundings).unwrap()
}

fn run(database: &Database, statement: &str) -> Response {
    database.execute(statement, Object::new()).unwrap()
}

fn text(result: Result) -> String {
    json::print(&Value::Array(result.unwrap().items))
}

/// Observes, and gives the rows of each call as text.
fn observe(database: &Database, statement: &str) -> (Observer, Receiver<String>) {
    let (told, heard) = sync_channel(64);
    let observer = database.register_observer(statement, Object::new(), move |result| {
        told.send(text(result)).unwrap();
    });
    (observer.unwrap(), heard)
}

fn heard(calls: &Receiver<String>) -> Vec<String> {
    calls.try_iter().collect()
}

#[test]
fn the_rows_come_at_once_and_after_each_change_of_them() {
    let database = polled("A");
    run(&database, "INSERT INTO a DOCUMENTS ({'_id': 1, 'n': 1})");
    let (_observer, calls) = observe(&database, "SELECT n FROM a ORDER BY n");
    assert_eq!(heard(&calls), [r#"[{"n":1}]"#]);
    run(&database, "INSERT INTO a DOCUMENTS ({'_id': 2, 'n': 2})");
    assert_eq!(database.poll_observers(), 1);
    run(&database, "DELETE FROM a WHERE _id = 1");
    assert_eq!(database.poll_observers(), 1);
    assert_eq!(heard(&calls), [r#"[{"n":1},{"n":2}]"#, r#"[{"n":2}]"#]);
}

#[test]
fn what_leaves_the_rows_as_they_are_is_not_told() {
    let database = polled("A");
    run(&database, "INSERT INTO a DOCUMENTS ({'_id': 1, 'n': 1})");
    let (_observer, calls) = observe(&database, "SELECT * FROM a WHERE n = 1");
    heard(&calls);
    run(&database, "INSERT INTO b DOCUMENTS ({'_id': 1, 'n': 1})");
    run(&database, "INSERT INTO a DOCUMENTS ({'_id': 2, 'n': 2})");
    run(&database, "UPDATE a SET n = 1 WHERE _id = 1");
    assert_eq!(database.poll_observers(), 0);
    assert_eq!(heard(&calls), [""; 0]);
}

#[test]
fn only_the_newest_rows_come_to_who_was_slow() {
    let database = polled("A");
    let (_observer, calls) = observe(&database, "SELECT COUNT(*) AS n FROM a");
    for id in 0..5 {
        run(
            &database,
            &format!("INSERT INTO a DOCUMENTS ({{'_id': {id}}})"),
        );
    }
    assert_eq!(database.poll_observers(), 1);
    assert_eq!(heard(&calls), [r#"[{"n":0}]"#, r#"[{"n":5}]"#]);
}

#[test]
fn a_join_looks_at_all_its_collections() {
    let database = polled("A");
    run(
        &database,
        "INSERT INTO crews DOCUMENTS ({'_id': 1, 'name': 'Ana'})",
    );
    run(
        &database,
        "INSERT INTO trips DOCUMENTS ({'_id': 7, 'crew': 1})",
    );
    let join = "SELECT c.name AS who FROM trips t JOIN crews c ON c._id = t.crew";
    let (_observer, calls) = observe(&database, join);
    run(&database, "UPDATE crews SET name = 'Bo'");
    database.poll_observers();
    run(&database, "DELETE FROM trips");
    database.poll_observers();
    assert_eq!(
        heard(&calls),
        [r#"[{"who":"Ana"}]"#, r#"[{"who":"Bo"}]"#, "[]"]
    );
}

#[test]
fn an_eviction_is_told_though_the_change_log_is_silent() {
    let database = polled("A");
    run(
        &database,
        "INSERT INTO a DOCUMENTS ({'_id': 1}), ({'_id': 2})",
    );
    let (_observer, calls) = observe(&database, "SELECT * FROM a");
    heard(&calls);
    run(&database, "EVICT FROM a WHERE _id = 1");
    assert_eq!(database.poll_observers(), 1);
    assert_eq!(heard(&calls), [r#"[{"_id":2}]"#]);
}

#[test]
fn what_a_peer_sent_is_told_like_what_was_written_here() {
    let (here, there) = (polled("A"), polled("B"));
    run(&there, "INSERT INTO a DOCUMENTS ({'_id': 1})");
    let id = tombolo::DocumentId::from_value(&Value::from(1_i64)).unwrap();
    let stored = there
        .snapshot()
        .stored("a", id.as_bytes())
        .unwrap()
        .unwrap();
    let log = there.snapshot().log_id();
    let (_observer, calls) = observe(&here, "SELECT * FROM a");
    let merge = move |transaction: &mut tombolo_store::Transaction<'_>| {
        transaction
            .merge("a", &id, &stored.document, Some(log))
            .unwrap();
        Ok::<_, Infallible>(())
    };
    here.store().write_and_wait(merge).unwrap();
    assert_eq!(here.poll_observers(), 1);
    assert_eq!(heard(&calls), ["[]", r#"[{"_id":1}]"#]);
}

#[test]
fn a_virtual_collection_follows_every_commit() {
    let database = polled("A");
    let (_observer, calls) = observe(&database, "SELECT _id FROM system:indexes");
    run(&database, "CREATE INDEX one ON a (n)");
    database.poll_observers();
    assert_eq!(heard(&calls), ["[]", r#"[{"_id":"a.one"}]"#]);
}

#[test]
fn what_was_rolled_back_is_never_seen() {
    let database = polled("A");
    let (_observer, calls) = observe(&database, "SELECT * FROM a");
    let rolled_back = database.transaction(|transaction| {
        let insert = "INSERT INTO a DOCUMENTS ({'_id': 1})";
        transaction.execute(insert, Object::new()).unwrap();
        assert_eq!(database.poll_observers(), 0);
        Err::<(), _>("changed my mind")
    });
    assert!(rolled_back.is_err());
    assert_eq!(database.poll_observers(), 0);
    assert_eq!(heard(&calls), ["[]"]);
}

#[test]
fn whoever_is_cancelled_or_dropped_is_not_called_again() {
    let database = polled("A");
    let (first, first_calls) = observe(&database, "SELECT * FROM a");
    let (second, second_calls) = observe(&database, "SELECT * FROM a");
    assert!(first.is_active());
    first.cancel();
    drop(second);
    run(&database, "INSERT INTO a DOCUMENTS ({'_id': 1})");
    assert_eq!(database.poll_observers(), 0);
    // What the callbacks held is gone as well.
    assert_eq!(first_calls.iter().count(), 1);
    assert_eq!(second_calls.iter().count(), 1);
}

#[test]
fn a_callback_may_use_the_database_and_cancel_itself() {
    let database = Arc::new(polled("A"));
    let (used, slot) = (Arc::downgrade(&database), Arc::new(Mutex::new(None)));
    let own: Arc<Mutex<Option<Observer>>> = Arc::clone(&slot);
    let observer = database.register_observer("SELECT * FROM a", Object::new(), move |result| {
        if !result.unwrap().items.is_empty() {
            let database = used.upgrade().unwrap();
            run(&database, "INSERT INTO b DOCUMENTS ({'_id': 1})");
            assert_eq!(database.poll_observers(), 0);
            own.lock().unwrap().take().unwrap().cancel();
        }
    });
    *slot.lock().unwrap() = Some(observer.unwrap());
    run(&database, "INSERT INTO a DOCUMENTS ({'_id': 1})");
    assert_eq!(database.poll_observers(), 1);
    assert_eq!(run(&database, "SELECT * FROM b").items.len(), 1);
    run(&database, "INSERT INTO a DOCUMENTS ({'_id': 2})");
    assert_eq!(database.poll_observers(), 0);
}

#[test]
fn one_that_panics_is_cancelled_and_the_others_go_on() {
    let database = polled("A");
    let broken = database.register_observer("SELECT * FROM a", Object::new(), |result| {
        assert!(
            result.unwrap().items.is_empty(),
            "the test's callback panics"
        );
    });
    let broken = broken.unwrap();
    let (_observer, calls) = observe(&database, "SELECT * FROM a");
    run(&database, "INSERT INTO a DOCUMENTS ({'_id': 1})");
    assert_eq!(database.poll_observers(), 2);
    assert!(!broken.is_active());
    run(&database, "INSERT INTO a DOCUMENTS ({'_id': 2})");
    assert_eq!(database.poll_observers(), 1);
    assert_eq!(heard(&calls).len(), 3);
}

#[test]
fn what_cannot_be_observed_is_refused_and_not_called() {
    let database = polled("A");
    let refused = |statement: &str| {
        let never = |_| panic!("called");
        database
            .register_observer(statement, Object::new(), never)
            .err()
    };
    for statement in [
        "UPDATE a SET n = 1",
        "EXPLAIN SELECT * FROM a",
        "SHOW dql_strict_mode",
    ] {
        let error = refused(statement);
        assert!(
            matches!(error, Some(ExecuteError::NotObservable)),
            "{error:?}"
        );
    }
    let unknown = refused("SELECT * FROM a WHERE n = :missing");
    assert!(
        matches!(unknown, Some(ExecuteError::Query(_))),
        "{unknown:?}"
    );
    let broken = refused("SELECT FROM WHERE");
    assert!(matches!(
        broken,
        Some(ExecuteError::Query(QueryError::Parse(_)))
    ));
}

#[test]
fn a_statement_that_fails_later_tells_and_recovers() {
    let database = polled("A");
    let (told, heard) = sync_channel(8);
    let statement = "SELECT repeat(s, 1000000000) AS s FROM a";
    let _observer = database.register_observer(statement, Object::new(), move |result| {
        told.send(result).unwrap();
    });
    run(&database, "INSERT INTO a DOCUMENTS ({'_id': 1, 's': 'x'})");
    assert_eq!(database.poll_observers(), 1);
    run(&database, "DELETE FROM a");
    assert_eq!(database.poll_observers(), 1);
    let [first, second, third] = [(); 3].map(|()| heard.try_recv().unwrap());
    assert_eq!((text(first), text(third)), ("[]".into(), "[]".into()));
    assert!(matches!(
        second,
        Err(ExecuteError::Query(QueryError::Limit(_)))
    ));
}

#[test]
fn there_are_at_most_so_many_and_a_cancelled_one_makes_room() {
    let database = polled("A");
    let register = || database.register_observer("SELECT * FROM a", Object::new(), |_| ());
    let mut held: Vec<_> = (0..OBSERVERS_MAX).map(|_| register().unwrap()).collect();
    let refused = register();
    assert!(matches!(
        refused,
        Err(ExecuteError::TooMany {
            max: OBSERVERS_MAX,
            ..
        })
    ));
    held.pop();
    assert!(register().is_ok());
}

#[test]
fn the_thread_of_the_database_calls_and_never_queues() {
    let database = Database::open(Options::memory("test")).unwrap();
    let (entered, inside) = sync_channel(1);
    let (release, released) = sync_channel::<()>(1);
    let (told, heard) = sync_channel(8);
    let count = "SELECT COUNT(*) AS n FROM a";
    let _observer = database.register_observer(count, Object::new(), move |result| {
        let rows = text(result);
        let is_second = rows == r#"[{"n":1}]"#;
        told.send(rows).unwrap();
        if is_second {
            entered.send(()).unwrap();
            released.recv().unwrap();
        }
    });
    run(&database, "INSERT INTO a DOCUMENTS ({'n': 1})");
    inside.recv().unwrap();
    for _ in 0..3 {
        run(&database, "INSERT INTO a DOCUMENTS ({'n': 1})");
    }
    release.send(()).unwrap();
    let calls: Vec<_> = (0..3).map(|_| heard.recv().unwrap()).collect();
    assert_eq!(calls, [r#"[{"n":0}]"#, r#"[{"n":1}]"#, r#"[{"n":4}]"#]);
    database.close();
    assert_eq!(heard.iter().count(), 0);
}

#[test]
fn a_callback_may_hold_the_last_handle_of_the_database() {
    let database = Arc::new(Database::open(Options::memory("test")).unwrap());
    let own = Mutex::new(Some(Arc::clone(&database)));
    let (go, gone) = sync_channel::<()>(1);
    let (told, ended) = sync_channel(1);
    let observer = database.register_observer("SELECT * FROM a", Object::new(), move |result| {
        if !result.unwrap().items.is_empty() {
            gone.recv().unwrap();
            drop(own.lock().unwrap().take());
            told.send(()).unwrap();
        }
    });
    let observer = observer.unwrap();
    run(&database, "INSERT INTO a DOCUMENTS ({'n': 1})");
    drop(database);
    go.send(()).unwrap();
    ended.recv().unwrap();
    // The thread ends by itself now, and the callback with it.
    assert!(ended.recv().is_err());
    assert!(!observer.is_active());
}

/// Tells when the thread of the observers begins to run a statement.
struct ToldClock(std::sync::mpsc::SyncSender<()>);

impl Timekeeper for ToldClock {
    fn unix_ms(&self) -> u64 {
        if std::thread::current().name() == Some("tombolo-observers") {
            let _ = self.0.try_send(());
        }
        1_000_000
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

#[test]
fn closing_ends_a_statement_that_would_run_for_ever() {
    let (told, began) = sync_channel(1);
    let mut surroundings = simulated::surroundings(Arc::new(MemoryEngine::new()), "A", 0);
    surroundings.time = Arc::new(ToldClock(told));
    let database = Database::open_with(Options::memory("test"), surroundings).unwrap();
    let endless = "SELECT COUNT(*) FROM a x JOIN a y USE INDEX '' ON x.n < y.n \
                   JOIN a z USE INDEX '' ON y.n < z.n";
    let _observer = database
        .register_observer(endless, Object::new(), |_| ())
        .unwrap();
    let document = |n| Value::Object(Object::from([("n".to_owned(), Value::Int(n))]));
    let documents = Value::Array((0..5_000).map(document).collect());
    let arguments = Object::from([("d".to_owned(), documents)]);
    database
        .execute("INSERT INTO a DOCUMENTS (:d)", arguments)
        .unwrap();
    began.recv().unwrap();
    database.close();
}
