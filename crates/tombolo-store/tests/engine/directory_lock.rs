//! Two processes never share a data directory, and a dead one never keeps it.

use std::{
    env,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;
use tombolo_store::engine::{DirectoryLock, EngineError, FjallEngine, FjallSettings, RedbEngine};

const HELD_DIRECTORY: &str = "TOMBOLO_TEST_HELD_DIRECTORY";

/// Not a rule: the body of the child process of the tests below, empty without its variable.
#[test]
fn child_that_holds_a_directory() {
    let Ok(directory) = env::var(HELD_DIRECTORY) else {
        return;
    };
    let _lock = DirectoryLock::acquire(Path::new(&directory)).unwrap();
    println!("\nheld");
    std::io::stdout().flush().unwrap();
    // Ends when the parent closes the pipe or kills this process.
    let _ = std::io::stdin().read_line(&mut String::new());
}

fn spawn_holder(directory: &Path) -> Child {
    let mut child = Command::new(env::current_exe().unwrap())
        .args([
            "--exact",
            "directory_lock::child_that_holds_a_directory",
            "--nocapture",
        ])
        .env(HELD_DIRECTORY, directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    assert!(output.lines().any(|line| line.unwrap() == "held"));
    child
}

#[test]
fn a_second_process_is_told_which_directory_is_in_use() {
    let directory = TempDir::new().unwrap();
    let mut child = spawn_holder(directory.path());
    let error = FjallEngine::open(directory.path(), &FjallSettings::default())
        .err()
        .unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(
        matches!(&error, EngineError::Locked { directory: named } if named == directory.path())
    );
    assert!(
        error
            .to_string()
            .contains(directory.path().to_str().unwrap())
    );
}

#[test]
fn a_killed_process_leaves_the_directory_free() {
    let directory = TempDir::new().unwrap();
    let mut child = spawn_holder(directory.path());
    child.kill().unwrap();
    child.wait().unwrap();
    FjallEngine::open(directory.path(), &FjallSettings::default()).unwrap();
}

#[test]
fn the_same_process_cannot_open_a_directory_twice_until_it_drops_the_first() {
    let directory = TempDir::new().unwrap();
    let first = FjallEngine::open(directory.path(), &FjallSettings::default()).unwrap();
    let second = FjallEngine::open(directory.path(), &FjallSettings::default());
    assert!(matches!(second.err(), Some(EngineError::Locked { .. })));
    drop(first);
    FjallEngine::open(directory.path(), &FjallSettings::default()).unwrap();
}

#[test]
fn a_directory_of_one_engine_is_not_opened_by_the_other() {
    let directory = TempDir::new().unwrap();
    drop(FjallEngine::open(directory.path(), &FjallSettings::default()).unwrap());
    let error = RedbEngine::open(directory.path(), 1 << 20).err().unwrap();
    assert!(matches!(
        error,
        EngineError::OtherEngine {
            found: "fjall",
            wanted: "redb",
            ..
        }
    ));
    let directory = TempDir::new().unwrap();
    drop(RedbEngine::open(directory.path(), 1 << 20).unwrap());
    let error = FjallEngine::open(directory.path(), &FjallSettings::default())
        .err()
        .unwrap();
    assert!(matches!(
        error,
        EngineError::OtherEngine {
            found: "redb",
            wanted: "fjall",
            ..
        }
    ));
}
