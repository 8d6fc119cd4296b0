//! Permission sets as a file writes them, over real requests and a real database.

use std::ffi::OsString;
use std::io;
use std::path::Path;

use tombolo::{Database, Options};

use super::*;
use crate::config::secret::{Outside, SecretFile, UnreadableFile};
use crate::config::{Context, InsecureListen, parse};
use crate::edge::JoinedDatabase;

const FILE: &str = r#"
database: { db_id: "0f1e", device_name: "edge" }
http_server: { listen_addr: "127.0.0.1:0", tls_config: dev_mode, http_api: true }
auth:
  identities:
IDENTITIES
  permission_sets:
    all: { permissions: full }
    data: { permissions: data }
    reader: { permissions: read_only }
    site:
      permissions:
        collections: { orders: { read: ["starts_with(_id, 'a')"], write: ["starts_with(_id, 'a')"] } }
        statements: [select, insert]
    orders_and_files:
      permissions:
        endpoints: [execute, attachments_download]
        collections: { orders: { read: ["starts_with(_id, 'a')"] } }
    watcher: { permissions: { endpoints: [presence] } }
    late: { permissions: { level: full, expires: 2001-01-01T00:00:00Z } }
    other: { permissions: { collections: { orders: { read: ["_id = 'b1'"] } }, statements: [select] } }
"#;

/// No variable is set, and there is no file.
#[derive(Debug)]
struct Nowhere;

impl Outside for Nowhere {
    fn variable(&self, _: &str) -> Option<OsString> {
        None
    }

    fn secret_file(&self, path: &Path) -> Result<SecretFile, UnreadableFile> {
        Err(UnreadableFile::new(path, io::ErrorKind::NotFound.into()))
    }
}

/// Whose key is drawn from which number.
const IDENTITIES: [(&str, u8); 7] = [
    ("all", 1),
    ("data", 2),
    ("reader", 3),
    ("site", 4),
    ("watcher", 5),
    ("late", 6),
    ("site, other", 7),
];

pub(in crate::edge) fn clients(identities: &[(&str, u8)]) -> Clients {
    let identity = |(sets, number): &(&str, u8)| {
        let hash = key(*number).public_hash;
        format!(
            "    id{number}: {{ credential: {{ api_key: \"{hash}\" }}, permissions: [{sets}] }}"
        )
    };
    let identities: Vec<String> = identities.iter().map(identity).collect();
    let text = FILE.replace("IDENTITIES", &identities.join("\n"));
    let context = Context {
        file: "f",
        insecure_listen: InsecureListen::Refused,
        outside: &Nowhere,
    };
    parse(&text, context).unwrap().http.unwrap().clients
}

pub(in crate::edge) fn key(number: u8) -> GeneratedKey {
    GeneratedKey::from_randomness([number; 32], [number; 12]).unwrap()
}

struct World {
    running: Running,
    guard: Arc<Guard>,
    _directory: tempfile::TempDir,
}

async fn world() -> World {
    let directory = tempfile::tempdir().unwrap();
    let database = Database::open(Options::directory("db-1", directory.path())).unwrap();
    for statement in [
        "INSERT INTO orders DOCUMENTS ({'_id': 'a1'}), ({'_id': 'b1'}), ({'_id': 'c1'})",
        "INSERT INTO other DOCUMENTS ({'_id': 'x'})",
    ] {
        database.execute(statement, tombolo::Object::new()).unwrap();
    }
    let guard = Arc::new(Guard::new(clients(&IDENTITIES), [3; 32]));
    let node = JoinedDatabase::new(Arc::new(database));
    let limits = Limits::default();
    let running = serve(
        ALL,
        Arc::clone(&guard),
        limits,
        Arc::new(NodeRecorder::new(None, None)),
        node,
    )
    .await;
    World {
        running,
        guard,
        _directory: directory,
    }
}

impl World {
    async fn run(&self, number: u8, statement: &str) -> String {
        let key = key(number).private_key;
        let head = format!(
            "POST /execute HTTP/1.1\r\ncontent-type: application/json\r\nauthorization: Bearer {key}"
        );
        let body = serde_json::json!({ "statement": statement }).to_string();
        self.running.send(&head, &body).await
    }

    async fn presence(&self, number: u8) -> String {
        let key = key(number).private_key;
        let head = format!("GET /presence HTTP/1.1\r\nauthorization: Bearer {key}");
        self.running.send(&head, "").await
    }
}

#[tokio::test]
async fn a_level_allows_what_it_says_and_no_more() {
    let world = world().await;
    let alter = "ALTER SYSTEM SET dql_strict_mode = false";
    assert_answer(&world.run(1, alter).await, 200, "unknown");
    assert_answer(&world.run(2, alter).await, 403, "alter_system statements");
    assert_answer(
        &world.run(2, "CREATE INDEX i ON orders (n)").await,
        403,
        "create_index",
    );
    assert_answer(
        &world.run(2, "INSERT INTO new DOCUMENTS ({'_id': 1})").await,
        200,
        "mutation",
    );
    assert_answer(&world.presence(2).await, 403, "the endpoint presence");
    assert_answer(
        &world.run(3, "SELECT * FROM orders").await,
        200,
        r#""_id":"c1""#,
    );
    assert_answer(
        &world.run(3, "DELETE FROM orders").await,
        403,
        "delete statements",
    );
    assert_answer(
        &world.run(3, "EXPLAIN DELETE FROM orders").await,
        403,
        "delete statements",
    );
    assert_answer(
        &world.run(1, "SELECT COUNT(*) AS c FROM orders").await,
        200,
        r#"{"c":3}"#,
    );
}

#[tokio::test]
async fn rules_hide_what_may_not_be_read_and_refuse_what_may_not_be_written() {
    let world = world().await;
    let count = world.run(4, "SELECT COUNT(*) AS c FROM orders").await;
    assert_answer(&count, 200, r#"{"c":1}"#);
    assert_answer(
        &world.run(4, "SELECT * FROM other").await,
        200,
        r#""items":[]"#,
    );
    let refused = world
        .run(4, "INSERT INTO orders DOCUMENTS ({'_id': 'b2'})")
        .await;
    assert_answer(
        &refused,
        403,
        "this caller may write in orders only where starts_with(_id, 'a')",
    );
    assert_answer(&refused, 403, r#""code":"not_permitted""#);
    assert_answer(
        &world.run(4, "DELETE FROM orders").await,
        403,
        "delete statements",
    );
    assert_answer(
        &world
            .run(4, "INSERT INTO orders DOCUMENTS ({'_id': 'a2'})")
            .await,
        200,
        "a2",
    );
    assert_answer(&world.presence(4).await, 403, "not_permitted");
}

#[tokio::test]
async fn several_sets_allow_what_one_of_them_allows_and_no_more() {
    let world = world().await;
    let seen = world.run(7, "SELECT _id FROM orders").await;
    assert_answer(&seen, 200, r#""items":[{"_id":"a1"},{"_id":"b1"}]"#);
    let refused = world
        .run(7, "INSERT INTO orders DOCUMENTS ({'_id': 'b1'})")
        .await;
    assert_answer(&refused, 403, "may write");
}

#[tokio::test]
async fn a_grant_of_one_endpoint_is_none_for_others() {
    let world = world().await;
    assert_answer(&world.presence(5).await, 200, "remotePeers");
    assert_answer(
        &world.run(5, "SELECT * FROM orders").await,
        403,
        "the endpoint execute",
    );
}

#[tokio::test]
async fn a_grant_that_expired_grants_nothing() {
    let world = world().await;
    assert_answer(
        &world.run(6, "SELECT * FROM orders").await,
        403,
        "not_permitted",
    );
}

#[tokio::test]
async fn a_key_that_was_revoked_stops_at_once_and_another_begins() {
    let world = world().await;
    let read = "SELECT * FROM orders";
    assert_answer(&world.run(3, read).await, 200, "select");
    world.guard.replace(clients(&[("reader", 8)]));
    assert_answer(&world.run(3, read).await, 401, "unknown_key");
    assert_answer(&world.run(8, read).await, 200, "select");
    // The same key with fewer rights keeps none of those it had.
    world.guard.replace(clients(&[("watcher", 8)]));
    assert_answer(&world.run(8, read).await, 403, "not_permitted");
}

#[tokio::test]
async fn several_statements_are_kept_together_or_not_at_all() {
    let world = world().await;
    let send = async |number: u8, statements: &[&str]| {
        let key = key(number).private_key;
        let head = format!(
            "POST /execute HTTP/1.1\r\ncontent-type: application/json\r\nauthorization: Bearer {key}"
        );
        let statements: Vec<_> = statements
            .iter()
            .map(|statement| serde_json::json!({ "statement": statement }))
            .collect();
        let body = serde_json::json!({ "statements": statements }).to_string();
        world.running.send(&head, &body).await
    };
    let insert = "INSERT INTO orders DOCUMENTS ({'_id': 'a8'})";
    let count = "SELECT COUNT(*) AS c FROM orders";
    let done = send(1, &[insert, count]).await;
    assert_answer(&done, 200, r#""results":[{"transactionId":"#);
    assert_answer(&done, 200, r#""items":[{"c":4}]"#);
    let twice = send(1, &["DELETE FROM orders WHERE _id = 'a1'", insert]).await;
    assert_answer(&twice, 400, "statements[1]: Identifier conflict");
    let outside = send(
        4,
        &[
            "INSERT INTO orders DOCUMENTS ({'_id': 'a9'})",
            "INSERT INTO orders DOCUMENTS ({'_id': 'b9'})",
        ],
    )
    .await;
    assert_answer(&outside, 403, "statements[1]: the document");
    let kind = send(4, &[count, "DELETE FROM orders"]).await;
    assert_answer(&kind, 403, "statements[1]: no permission set");
    // Rules are those of each statement alone.
    let hidden = send(4, &[count, count]).await;
    assert_answer(&hidden, 200, r#"[{"c":2}]"#);
    assert_answer(&send(1, &[count]).await, 200, r#"{"c":4}"#);
}
