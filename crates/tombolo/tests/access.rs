//! Statements that are run for somebody: what their rules hide is hidden from
//! every clause, what lies outside is not written, and a refusal changes nothing.

#![expect(
    clippy::unwrap_used,
    reason = "a test whose world cannot be set up has failed"
)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use tempfile::TempDir;
use tombolo::{
    Access, Batch, BatchError, Database, ExecuteError, Object, Options, QueryError, Response,
    Rules, Step, json,
};

struct World {
    database: Database,
    _directory: TempDir,
}

/// Orders of two sites, a collection without rules, and an index over both sites.
fn world() -> World {
    let directory = tempfile::tempdir().unwrap();
    let database = Database::open(Options::directory("access", directory.path())).unwrap();
    for statement in [
        "INSERT INTO orders DOCUMENTS ({'_id': 'a1', 'n': 1}), ({'_id': 'a2', 'n': 2}), ({'_id': 'b1', 'n': 3})",
        "INSERT INTO secrets DOCUMENTS ({'_id': 's', 'n': 1})",
        "CREATE INDEX by_n ON orders (n)",
        "CREATE INDEX by_secret ON secrets (n)",
    ] {
        database.execute(statement, Object::new()).unwrap();
    }
    World {
        database,
        _directory: directory,
    }
}

fn rules(queries: &[(&str, &str)]) -> Vec<Arc<Rules>> {
    let queries = queries
        .iter()
        .map(|(collection, rule)| ((*collection).to_owned(), vec![(*rule).to_owned()]));
    let queries: BTreeMap<_, _> = queries.collect();
    vec![Arc::new(Rules::parse(&queries).unwrap())]
}

/// Reads and writes the orders of site a.
fn site_a() -> Access {
    let own = rules(&[("orders", "starts_with(_id, 'a')")]);
    Access::within(own.clone(), own)
}

impl World {
    fn read(&self, access: &Access, statement: &str) -> Result<Vec<String>, ExecuteError> {
        let statement = self.database.prepare(statement)?;
        let response = self
            .database
            .read_as((&statement, access), &Object::new(), None)?;
        Ok(response.items.iter().map(json::print).collect())
    }

    fn write(&self, access: &Access, statements: &[&str]) -> Result<Vec<Response>, BatchError> {
        let step = |text: &&str| Step {
            statement: self.database.prepare(text).unwrap(),
            arguments: Arc::default(),
            access: access.clone(),
        };
        let batch = Batch {
            steps: statements.iter().map(step).collect(),
        };
        let (answer, answered) = sync_channel(1);
        let done = move |result| answer.try_send(result).unwrap();
        self.database.write_batch(batch, None, done)?;
        answered.recv().unwrap()
    }

    fn state(&self) -> Vec<String> {
        let mut all = self
            .read(&Access::everything(), "SELECT * FROM orders")
            .unwrap();
        all.extend(
            self.read(&Access::everything(), "SELECT * FROM secrets")
                .unwrap(),
        );
        all.extend(
            self.read(&Access::everything(), "SELECT * FROM system:indexes")
                .unwrap(),
        );
        all
    }

    #[track_caller]
    fn refused(&self, access: &Access, statement: &str) -> String {
        let before = self.state();
        let refused = self.write(access, &[statement]).unwrap_err();
        assert!(
            matches!(refused.error, ExecuteError::CallerNotPermitted { .. }),
            "{statement}: {refused}"
        );
        assert_eq!(self.state(), before, "{statement}");
        refused.to_string()
    }
}

#[test]
fn every_way_to_read_shows_what_the_rules_allow_and_no_more() {
    let world = world();
    for (statement, rows) in [
        (
            "SELECT _id FROM orders",
            vec![r#"{"_id":"a1"}"#, r#"{"_id":"a2"}"#],
        ),
        (
            "SELECT _id FROM orders WHERE n > 1",
            vec![r#"{"_id":"a2"}"#],
        ),
        (
            "SELECT _id FROM orders USE INDEX 'by_n' WHERE n > 1",
            vec![r#"{"_id":"a2"}"#],
        ),
        ("SELECT _id FROM orders WHERE _id = 'b1'", vec![]),
        (
            "SELECT _id FROM orders USE IDS 'b1', 'a1'",
            vec![r#"{"_id":"a1"}"#],
        ),
        ("SELECT COUNT(*) AS c FROM orders", vec![r#"{"c":2}"#]),
        (
            "SELECT COUNT(*) AS c FROM orders WHERE n > 0",
            vec![r#"{"c":2}"#],
        ),
        ("SELECT COUNT(*) AS c FROM secrets", vec![r#"{"c":0}"#]),
        ("SELECT MAX(n) AS m FROM orders", vec![r#"{"m":2}"#]),
        (
            "SELECT DISTINCT n FROM orders ORDER BY n DESC",
            vec![r#"{"n":2}"#, r#"{"n":1}"#],
        ),
        (
            "SELECT name FROM system:collections",
            vec![r#"{"name":"orders"}"#],
        ),
        (
            "SELECT _id FROM system:indexes",
            vec![r#"{"_id":"orders.by_n"}"#],
        ),
        ("SELECT * FROM secrets", vec![]),
    ] {
        assert_eq!(
            world.read(&site_a(), statement).unwrap(),
            rows,
            "{statement}"
        );
    }
}

#[test]
fn joins_explain_and_profile_tell_of_no_hidden_document_or_index() {
    let world = world();
    let join = "SELECT o.n, s.n AS m FROM orders AS o JOIN secrets AS s ON s.n = o.n";
    assert_eq!(world.read(&Access::everything(), join).unwrap().len(), 1);
    // The index of the hidden collection is hidden with it.
    assert!(world.read(&site_a(), join).is_err());
    let ids = "SELECT o.n AS n, p.n AS m FROM orders AS o JOIN orders AS p ON p.n = o.n";
    assert_eq!(world.read(&site_a(), ids).unwrap().len(), 2);
    for word in ["EXPLAIN", "PROFILE", "ADVISE"] {
        let statement = format!("{word} SELECT * FROM secrets WHERE n = 1");
        let text = world.read(&site_a(), &statement).unwrap().concat();
        assert!(!text.contains("by_secret"), "{text}");
    }
    let profile = world
        .read(&site_a(), "PROFILE SELECT * FROM orders")
        .unwrap();
    assert!(
        profile.concat().contains(r#""resultCount":2"#),
        "{profile:?}"
    );
}

#[test]
fn what_the_node_knows_of_others_is_not_for_who_may_read_some_documents() {
    let world = world();
    let refused = world
        .read(&site_a(), "SELECT * FROM system:data_sync_info")
        .unwrap_err();
    assert!(
        matches!(refused, ExecuteError::CallerNotPermitted { .. }),
        "{refused}"
    );
    let reader = Access::within(vec![Arc::new(Rules::everything())], Vec::new());
    assert!(
        world
            .read(&reader, "SELECT * FROM system:data_sync_info")
            .is_ok()
    );
}

#[test]
fn a_write_outside_is_refused_as_a_whole_and_names_the_rule() {
    let world = world();
    let text = world.refused(
        &site_a(),
        "INSERT INTO orders DOCUMENTS ({'_id': 'a9'}), ({'_id': 'b9'})",
    );
    assert_eq!(
        text,
        "the document \"b9\" of orders was not written: this caller may write in orders only where starts_with(_id, 'a')"
    );
    for statement in [
        "INSERT INTO orders DOCUMENTS ({'n': 1})",
        "INSERT INTO orders DOCUMENTS ({'_id': 'b1'})",
        "INSERT INTO orders DOCUMENTS ({'_id': 'b1'}) ON ID CONFLICT DO NOTHING",
        "INSERT INTO orders DOCUMENTS ({'_id': 'b1', 'n': 9}) ON ID CONFLICT DO UPDATE",
        "INSERT INTO secrets DOCUMENTS ({'_id': 'x'})",
        "CREATE INDEX mine ON orders (m)",
        "DROP INDEX by_n ON orders",
        "ADVISE AND PROVISION SELECT * FROM orders WHERE m = 1",
    ] {
        world.refused(&site_a(), statement);
    }
}

#[test]
fn a_refusal_does_not_tell_whether_a_document_exists() {
    let world = world();
    let insert = |id: &str| {
        world
            .refused(
                &site_a(),
                &format!("INSERT INTO orders DOCUMENTS ({{'_id': '{id}'}})"),
            )
            .replace(id, "ID")
    };
    assert_eq!(insert("b1"), insert("b2"));
}

#[test]
fn mutations_reach_only_what_may_be_read() {
    let world = world();
    let changed = world
        .write(&site_a(), &["UPDATE orders SET n = 7"])
        .unwrap();
    assert_eq!(changed[0].mutated_document_ids.len(), 2);
    let removed = world.write(&site_a(), &["DELETE FROM orders WHERE n >= 3 RETURNING *"]);
    assert_eq!(removed.unwrap()[0].items.len(), 2);
    let evicted = world
        .write(&site_a(), &["EVICT FROM orders USE IDS 'b1'"])
        .unwrap();
    assert!(evicted[0].mutated_document_ids.is_empty());
    let left = world
        .read(&Access::everything(), "SELECT * FROM orders")
        .unwrap();
    assert_eq!(left, [r#"{"_id":"b1","n":3}"#]);
}

#[test]
fn who_may_read_all_and_write_some_is_refused_the_rest() {
    let world = world();
    let own = rules(&[("orders", "starts_with(_id, 'a')")]);
    let access = Access::within(vec![Arc::new(Rules::everything())], own);
    for statement in [
        "UPDATE orders SET n = 0",
        "DELETE FROM orders",
        "EVICT FROM orders WHERE _id = 'b1'",
    ] {
        world.refused(&access, statement);
    }
    world
        .write(&access, &["DELETE FROM orders WHERE n < 3"])
        .unwrap();
}

#[test]
fn who_may_write_and_not_read_is_shown_nothing() {
    let world = world();
    let access = Access::within(Vec::new(), rules(&[("orders", "true")]));
    world.refused(
        &access,
        "INSERT INTO orders DOCUMENTS ({'_id': 'b1', 'x': 1}) ON ID CONFLICT DO UPDATE RETURNING *",
    );
    world
        .write(&access, &["INSERT INTO orders DOCUMENTS ({'_id': 'new'})"])
        .unwrap();
    let none = world.write(&access, &["DELETE FROM orders"]).unwrap();
    assert!(none[0].mutated_document_ids.is_empty());
}

#[test]
fn several_rules_allow_what_one_of_them_allows() {
    let world = world();
    let mut read = rules(&[("orders", "_id = 'a1'")]);
    read.extend(rules(&[("orders", "_id = 'b1'"), ("secrets", "true")]));
    let access = Access::within(read, Vec::new());
    assert_eq!(
        world.read(&access, "SELECT * FROM orders").unwrap().len(),
        2
    );
    let count = world
        .read(&access, "SELECT COUNT(*) AS c FROM secrets")
        .unwrap();
    assert_eq!(count, [r#"{"c":1}"#]);
}

#[test]
fn a_batch_is_kept_as_a_whole_or_not_at_all() {
    let world = world();
    let kept = world.write(
        &site_a(),
        &[
            "INSERT INTO orders DOCUMENTS ({'_id': 'a3', 'n': 4})",
            "SELECT COUNT(*) AS c FROM orders",
            "DELETE FROM orders WHERE _id = 'a1'",
        ],
    );
    let kept = kept.unwrap();
    assert_eq!(json::print(&kept[1].items[0]), r#"{"c":3}"#);
    assert_eq!(
        (kept[0].commit_id, kept[1].commit_id),
        (kept[2].commit_id, None)
    );
    let before = world.state();
    for wrong in [
        "INSERT INTO orders DOCUMENTS ({'_id': 'b9'})",
        "INSERT INTO orders DOCUMENTS ({'_id': 'a2'})",
        "ALTER SYSTEM SET dql_strict_mode = true",
    ] {
        let first = "INSERT INTO orders DOCUMENTS ({'_id': 'a8'})";
        let refused = world.write(&site_a(), &[first, wrong]).unwrap_err();
        assert_eq!(refused.at, 1, "{wrong}");
        assert_eq!(world.state(), before, "{wrong}");
    }
}

#[test]
fn passing_over_hidden_documents_is_stopped_in_time() {
    let world = world();
    let insert = "INSERT INTO orders DOCUMENTS (:all)";
    let many =
        (0..1000).map(|n| json::parse(format!(r#"{{"_id":"b{n:04}"}}"#).as_bytes()).unwrap());
    let all = tombolo::Value::Array(many.collect());
    world
        .database
        .execute(insert, Object::from([("all".to_owned(), all)]))
        .unwrap();
    for statement in [
        "SELECT * FROM orders WHERE x = 1",
        "SELECT COUNT(*) FROM orders",
    ] {
        let statement = world.database.prepare(statement).unwrap();
        let who = (&statement, &site_a());
        let over = world
            .database
            .read_as(who, &Object::new(), Some(Duration::ZERO));
        let stopped = matches!(over, Err(ExecuteError::Query(QueryError::Stopped)));
        assert!(stopped, "{over:?}");
    }
}

#[test]
fn an_observer_is_told_of_what_may_be_read() {
    let world = world();
    let (told, heard): (_, Receiver<usize>) = sync_channel(8);
    let query = ("SELECT * FROM orders", site_a());
    let observer = world
        .database
        .register_observer_as(query, Object::new(), move |rows| {
            told.send(rows.unwrap().items.len()).unwrap();
        });
    assert_eq!(heard.recv().unwrap(), 2);
    let write = |statement| world.database.execute(statement, Object::new()).unwrap();
    write("INSERT INTO orders DOCUMENTS ({'_id': 'b7'})");
    write("INSERT INTO orders DOCUMENTS ({'_id': 'a7'})");
    assert_eq!(heard.recv().unwrap(), 3);
    drop(observer);
}
