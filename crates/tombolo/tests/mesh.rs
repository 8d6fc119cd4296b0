//! Databases of one process that exchange documents over loopback TLS.

#![expect(
    clippy::unwrap_used,
    reason = "a test whose world cannot be set up has failed"
)]

use std::sync::mpsc::{Receiver, sync_channel};

use tombolo::{Database, Object, Observer, Options, SharedKey, Subscription, SyncOptions};

const DATABASE: &str = "3f1f1f5e-0000-4000-8000-000000000000";

struct Node {
    database: Database,
    _subscription: Subscription,
}

fn node(key: &SharedKey, servers: &[&Node]) -> Node {
    let database = Database::open(Options::memory(DATABASE)).unwrap();
    let subscription = database.register_subscription("SELECT * FROM cars", Object::new());
    let mut options = SyncOptions::new(SharedKey::parse(&key.to_base64()).unwrap());
    options.listen = vec!["127.0.0.1:0".parse().unwrap()];
    let addresses = servers
        .iter()
        .map(|server| server.database.sync_addresses()[0].to_string());
    options.known_tcp_servers = addresses.collect();
    database.start_sync(options).unwrap();
    Node {
        database,
        _subscription: subscription.unwrap(),
    }
}

impl Node {
    fn run(&self, statement: &str) -> Vec<String> {
        let response = self.database.execute(statement, Object::new()).unwrap();
        response.items.iter().map(tombolo::json::print).collect()
    }

    /// Tells of every result of a query from now on.
    fn watch(&self, statement: &str) -> (Observer, Receiver<Vec<String>>) {
        let (told, results) = sync_channel(1024);
        let tell = move |result: Result<tombolo::Response, _>| {
            let items = result.unwrap().items;
            told.send(items.iter().map(tombolo::json::print).collect())
                .unwrap();
        };
        let observer = self
            .database
            .register_observer(statement, Object::new(), tell);
        (observer.unwrap(), results)
    }

    fn wait_for(&self, statement: &str, wanted: &[&str]) {
        let (_observer, results) = self.watch(statement);
        assert!(results.iter().any(|rows| rows == wanted));
    }
}

#[test]
fn three_nodes_in_a_line_hold_the_same() {
    let key = SharedKey::generate().unwrap();
    let hub = node(&key, &[]);
    let left = node(&key, &[&hub]);
    let right = node(&key, &[&hub]);
    left.run("INSERT INTO cars DOCUMENTS ({'_id': '1', 'colour': 'red'})");
    right.wait_for("SELECT colour FROM cars", &[r#"{"colour":"red"}"#]);
    right.run("UPDATE cars SET doors = 5 WHERE _id = '1'");
    left.wait_for(
        "SELECT colour, doors FROM cars",
        &[r#"{"colour":"red","doors":5}"#],
    );
    let graph = hub.database.presence().unwrap();
    assert_eq!(graph.remote_peers.len(), 2);
    let rows = hub.run("SELECT * FROM system:data_sync_info");
    assert_eq!(rows.len(), 2);
    assert!(
        rows.iter()
            .all(|row| row.contains(r#""sync_session_status":"Connected""#)),
        "{rows:?}"
    );
}

#[test]
fn sync_is_started_and_stopped_and_goes_on_where_it_was() {
    let key = SharedKey::generate().unwrap();
    let (one, other) = (node(&key, &[]), node(&key, &[]));
    one.run("INSERT INTO cars DOCUMENTS ({'_id': '1'})");
    assert!(other.run("SELECT * FROM cars").is_empty());
    other.database.stop_sync();
    assert!(!other.database.is_sync_active());
    let mut options = SyncOptions::new(SharedKey::parse(&key.to_base64()).unwrap());
    options.known_tcp_servers = vec![one.database.sync_addresses()[0].to_string()];
    other.database.start_sync(options).unwrap();
    other.wait_for("SELECT _id FROM cars", &[r#"{"_id":"1"}"#]);
}
