//! A process that is killed loses nothing that it has acknowledged, and frees its directory.

use std::{
    env,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
};

use tempfile::TempDir;
use tombolo_query::source::Source;
use tombolo_store::{
    Store,
    engine::{FjallEngine, FjallSettings},
};

use crate::bench::{World, id, set, write};

const DIRECTORY: &str = "TOMBOLO_TEST_KILLED_DIRECTORY";

/// How often the process is killed; each life goes on where the last one ended.
const LIVES: usize = 5;

fn open(directory: &Path) -> Store {
    World::default().open(FjallEngine::open(directory, &FjallSettings::default()).unwrap())
}

/// Not a rule: the body of the child process, empty without its variable.
#[test]
fn child_that_writes_until_it_is_killed() {
    let Some(directory) = env::var_os(DIRECTORY) else {
        return;
    };
    let store = open(Path::new(&directory));
    println!();
    for number in store.snapshot().last_commit() + 1.. {
        let commit = write(&store, move |transaction| {
            set(transaction, "cars", number, "{}")
        })
        .unwrap();
        println!("ack {}", commit.number);
        std::io::stdout().flush().unwrap();
    }
}

/// Runs the child until it has acknowledged some more, kills it, and gives its last word.
fn live_and_die(directory: &Path, acknowledgements: usize) -> u64 {
    let mut child = Command::new(env::current_exe().unwrap())
        .args([
            "--exact",
            "killed::child_that_writes_until_it_is_killed",
            "--nocapture",
        ])
        .env(DIRECTORY, directory)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut last = 0;
    let mut heard = 0;
    for line in lines.by_ref() {
        if let Some(number) = line.unwrap().strip_prefix("ack ") {
            last = number.parse().unwrap();
            heard += 1;
            if heard == acknowledgements {
                child.kill().unwrap();
            }
        }
    }
    child.wait().unwrap();
    last
}

#[test]
fn every_acknowledged_commit_is_there_after_each_kill() {
    let directory = TempDir::new().unwrap();
    for life in 0..LIVES {
        let acknowledged = live_and_die(directory.path(), 7 + 13 * life);
        let store = open(directory.path());
        let snapshot = store.snapshot();
        assert!(snapshot.last_commit() >= acknowledged);
        for number in 1..=snapshot.last_commit() {
            assert!(
                snapshot.document("cars", &id(number)).unwrap().is_some(),
                "document {number}"
            );
        }
        assert_eq!(snapshot.count("cars").unwrap(), snapshot.last_commit());
        snapshot.verify().unwrap();
    }
}
