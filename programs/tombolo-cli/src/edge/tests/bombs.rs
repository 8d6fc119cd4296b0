//! T53: statements that would run for ever are stopped within their time, in reads and in writes.

use tombolo::{Database, Object, Options};

use super::*;
use crate::edge::JoinedDatabase;
use crate::edge::authorize::Caller;

const TIME_LIMIT: Duration = Duration::from_millis(50);
/// Each row of the first level meets all of the others: 10 to the power of 12.
const JOINED: &str = "n AS a JOIN n AS b USE INDEX '' ON a.k != b.k + 1 JOIN n AS c USE INDEX '' ON a.k != c.k + 1 JOIN n AS d USE INDEX '' ON a.k != d.k + 1";

fn node() -> (JoinedDatabase, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let database = Database::open(Options::directory("db-1", directory.path())).unwrap();
    let many = (0..1000).map(|k| {
        let fields = [
            ("_id".to_owned(), Value::Int(k)),
            ("k".to_owned(), Value::Int(k)),
        ];
        Value::Object(Object::from(fields))
    });
    let all = Object::from([("all".to_owned(), Value::Array(many.collect()))]);
    database
        .execute("INSERT INTO n DOCUMENTS (:all)", all)
        .unwrap();
    (JoinedDatabase::new(Arc::new(database)), directory)
}

async fn run(
    node: &JoinedDatabase,
    statements: &[&str],
    time_left: Option<Duration>,
) -> Result<Vec<tombolo::Response>, Failure> {
    let step = |text: &&str| {
        let statement = node.prepare(text).unwrap();
        PermittedStep {
            permit: Caller::Anyone.permit_execute(&statement).unwrap(),
            statement,
            arguments: Object::new(),
        }
    };
    let steps = statements.iter().map(step).collect();
    // It answers only when the statement has ended: one that went on would hang here.
    let done = node.execute(steps, time_left).await;
    done.map_err(|failed| failed.failure)
}

#[tokio::test]
async fn t53_a_cartesian_bomb_is_stopped_in_reads_and_writes() {
    let (node, _directory) = node();
    let read = format!("SELECT COUNT(*) FROM {JOINED}");
    for bomb in [
        &[&*read][..],
        &["SELECT * FROM n LIMIT 1", &*read],
        &["UPDATE n SET z = 1", &*read],
    ] {
        let stopped = run(&node, bomb, Some(TIME_LIMIT)).await;
        assert_eq!(stopped.unwrap_err(), Failure::TimedOut, "{bomb:?}");
    }
    // Nothing of it was kept, and the writer goes on.
    let left = run(&node, &["UPDATE n SET z = 2 WHERE z = 1"], None).await;
    assert_eq!(left.unwrap()[0].mutated_document_ids.len(), 0);
}
