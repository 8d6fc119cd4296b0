//! What a program that embeds the database relies on.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use tombolo::{
    Database, ExecuteError, Object, OpenError, Options, OutcomeKind, QueryError, TransactionError,
    Value, json,
};

fn memory() -> Database {
    Database::open(Options::memory("test")).unwrap()
}

fn run(database: &Database, statement: &str) -> Vec<String> {
    let response = database.execute(statement, Object::new()).unwrap();
    response.items.iter().map(json::print).collect()
}

fn arguments(text: &str) -> Object {
    match json::parse(text.as_bytes()).unwrap() {
        Value::Object(members) => members,
        other => panic!("not an object: {other:?}"),
    }
}

#[test]
fn what_was_acknowledged_is_there_after_reopening() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options::directory("test", directory.path());
    let database = Database::open(options.clone()).unwrap();
    let first = database
        .execute(
            "INSERT INTO tasks DOCUMENTS (:d)",
            arguments(r#"{"d":{"_id":"1","n":1}}"#),
        )
        .unwrap();
    assert_eq!(first.mutated_document_ids, [Value::from("1")]);
    assert_eq!(first.kind, OutcomeKind::Mutation);
    run(&database, "UPDATE tasks SET n = n + 1 WHERE _id = '1'");
    database.close();

    let database = Database::open(options).unwrap();
    assert_eq!(
        run(&database, "SELECT * FROM tasks"),
        [r#"{"_id":"1","n":2}"#]
    );
    let second = database
        .execute("DELETE FROM tasks", Object::new())
        .unwrap();
    assert!(second.commit_id > first.commit_id);
}

#[test]
fn a_second_database_in_one_directory_is_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options::directory("test", directory.path());
    let _held = Database::open(options.clone()).unwrap();
    let Err(OpenError::Engine(error)) = Database::open(options) else {
        panic!("opened twice")
    };
    assert!(
        error
            .to_string()
            .contains(&directory.path().display().to_string()),
        "{error}"
    );
}

#[test]
fn another_databases_directory_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    Database::open(Options::directory("one", directory.path()))
        .unwrap()
        .close();
    let refused = Database::open(Options::directory("other", directory.path()));
    assert!(matches!(refused, Err(OpenError::Store(_))));
}

#[test]
fn a_transaction_is_kept_as_a_whole() {
    let database = memory();
    let (count, commit) = database
        .transaction(|transaction| {
            transaction.execute("INSERT INTO a DOCUMENTS ({'_id': 1})", Object::new())?;
            transaction.execute("INSERT INTO b DOCUMENTS ({'_id': 2})", Object::new())?;
            let seen = transaction.execute("SELECT _id FROM a", Object::new())?;
            Ok::<_, ExecuteError>(seen.items.len())
        })
        .unwrap();
    assert_eq!((count, commit > 0), (1, true));
    assert_eq!(run(&database, "SELECT _id FROM b"), [r#"{"_id":2}"#]);
}

#[test]
fn a_transaction_that_gives_an_error_is_undone() {
    let database = memory();
    let refused = database.transaction(|transaction| {
        transaction
            .execute("INSERT INTO a DOCUMENTS ({'_id': 1})", Object::new())
            .unwrap();
        Err::<(), _>("changed my mind")
    });
    assert!(matches!(
        refused,
        Err(TransactionError::Work("changed my mind"))
    ));
    assert_eq!(run(&database, "SELECT * FROM a"), [""; 0]);
}

#[test]
fn a_failed_statement_leaves_the_transaction_usable_and_nothing_behind() {
    let database = memory();
    run(&database, "INSERT INTO a DOCUMENTS ({'_id': 1})");
    database
        .transaction(|transaction| {
            let conflict = transaction.execute(
                "INSERT INTO a DOCUMENTS ({'_id': 0}), ({'_id': 1})",
                Object::new(),
            );
            assert!(matches!(
                conflict,
                Err(ExecuteError::Query(QueryError::Conflict { .. }))
            ));
            transaction.execute("INSERT INTO a DOCUMENTS ({'_id': 2})", Object::new())
        })
        .unwrap();
    let ids = run(&database, "SELECT _id FROM a ORDER BY _id");
    assert_eq!(ids, [r#"{"_id":1}"#, r#"{"_id":2}"#]);
}

#[test]
fn an_insert_minds_what_was_there_before_it() {
    let database = memory();
    run(&database, "INSERT INTO a DOCUMENTS ({'_id': 1, 'n': 1})");
    let again = "INSERT INTO a DOCUMENTS ({'_id': 0}), ({'_id': 1, 'n': 2})";
    assert!(matches!(
        database.execute(again, Object::new()),
        Err(ExecuteError::Query(QueryError::Conflict { .. }))
    ));
    let both =
        "INSERT INTO a DOCUMENTS ({'_id': 0}), ({'_id': 1, 'n': 2}) ON ID CONFLICT DO NOTHING";
    let kept = database.execute(both, Object::new()).unwrap();
    assert_eq!(kept.mutated_document_ids, [Value::Int(0)]);
    run(&database, "DELETE FROM a WHERE _id = 1");
    run(&database, "INSERT INTO a DOCUMENTS ({'_id': 1, 'n': 3})");
    assert_eq!(
        run(&database, "SELECT * FROM a ORDER BY _id"),
        [r#"{"_id":0}"#, r#"{"_id":1,"n":3}"#]
    );
}

#[test]
fn a_transaction_left_open_is_rolled_back_at_its_limit() {
    let mut options = Options::memory("test");
    options.transaction_limit = Duration::from_millis(20);
    let database = Database::open(options).unwrap();
    let expired = database.transaction(|transaction| {
        transaction.execute("INSERT INTO a DOCUMENTS ({'_id': 1})", Object::new())?;
        // Writes of others wait for this transaction, so this one is answered
        // when the limit has passed.
        run(&database, "INSERT INTO b DOCUMENTS ({'_id': 1})");
        transaction.execute("INSERT INTO a DOCUMENTS ({'_id': 2})", Object::new())
    });
    assert!(
        matches!(
            expired,
            Err(TransactionError::Work(
                ExecuteError::TransactionExpired { .. }
            ))
        ),
        "{expired:?}"
    );
    assert_eq!(run(&database, "SELECT * FROM a"), [""; 0]);
    assert_eq!(run(&database, "SELECT * FROM b"), [r#"{"_id":1}"#]);
}

#[test]
fn a_read_transaction_sees_one_state_and_refuses_to_write() {
    let database = memory();
    run(&database, "INSERT INTO a DOCUMENTS ({'_id': 1})");
    let view = database.read_transaction();
    run(&database, "DELETE FROM a");
    let seen = view.execute("SELECT * FROM a", &Object::new()).unwrap();
    assert_eq!(seen.items.len(), 1);
    let refused = view.execute("DELETE FROM a", &Object::new());
    assert!(matches!(
        refused,
        Err(ExecuteError::Query(QueryError::ReadOnly))
    ));
}

#[test]
fn a_query_whose_time_is_up_stops() {
    let database = memory();
    let documents: Vec<Value> = (0..2000_i64)
        .map(Value::from)
        .map(|id| Value::Object(Object::from([("_id".to_owned(), id)])))
        .collect();
    let arguments = Object::from([("d".to_owned(), Value::Array(documents))]);
    database
        .execute("INSERT INTO a DOCUMENTS (:d)", arguments)
        .unwrap();
    let statement = database
        .prepare("SELECT _id FROM a WHERE lower('A') = 'a'")
        .unwrap();
    let stopped = database.read(&statement, &Object::new(), Some(Duration::ZERO));
    assert!(matches!(
        stopped,
        Err(ExecuteError::Query(QueryError::Stopped))
    ));
}

#[test]
fn system_parameters_change_for_the_whole_database() {
    let database = memory();
    run(&database, "ALTER SYSTEM SET DQL_STRICT_MODE = true");
    assert_eq!(
        run(&database, "SHOW dql_strict_mode"),
        [r#"{"dql_strict_mode":true}"#]
    );
}

#[test]
fn generated_ids_differ() {
    let database = memory();
    let response = database
        .execute(
            "INSERT INTO a DOCUMENTS ({'n': 1}), ({'n': 2})",
            Object::new(),
        )
        .unwrap();
    let ids = response.mutated_document_ids;
    assert_eq!(ids.len(), 2);
    assert_ne!(ids[0], ids[1]);
}
