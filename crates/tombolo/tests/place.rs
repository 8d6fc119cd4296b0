//! A data directory that was copied takes a new identity before it writes.

use std::fs;
use std::path::Path;

use tombolo::{Database, Object, Options};

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("made");
    for entry in fs::read_dir(from).expect("read") {
        let entry = entry.expect("read");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("read").is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("copied");
        }
    }
}

/// Writes a document; gives the names of the log and of the actor.
fn write_and_look(directory: &Path, id: u32) -> String {
    let database = Database::open(Options::directory("copied", directory)).expect("opened");
    let insert = format!("INSERT INTO cars DOCUMENTS ({{'_id': {id}}})");
    database.execute(&insert, Object::new()).expect("inserted");
    let snapshot = database.snapshot();
    format!("{:?} {:?}", snapshot.log_id(), snapshot.actor())
}

/// Neither the log nor the actor is the same.
fn assert_differ(one: &str, other: &str) {
    let (log, actor) = one.split_once(" Actor").expect("both");
    let (other_log, other_actor) = other.split_once(" Actor").expect("both");
    assert_ne!(log, other_log);
    assert_ne!(actor, other_actor);
}

#[test]
fn a_directory_that_stays_keeps_its_name_and_a_copy_takes_another() {
    let base = tempfile::tempdir().expect("made");
    let (original, copied) = (base.path().join("a"), base.path().join("b"));
    let first = write_and_look(&original, 1);
    let second = write_and_look(&original, 2);
    assert_eq!(first, second);
    copy(&original, &copied);
    let of_copy = write_and_look(&copied, 3);
    assert_differ(&of_copy, &second);
    assert_eq!(of_copy, write_and_look(&copied, 4));
    assert_eq!(write_and_look(&original, 5), second);
}

#[test]
fn a_directory_that_was_moved_keeps_its_name() {
    let base = tempfile::tempdir().expect("made");
    let (here, there) = (base.path().join("a"), base.path().join("b"));
    let before = write_and_look(&here, 1);
    fs::rename(&here, &there).expect("moved");
    assert_eq!(write_and_look(&there, 2), before);
}

#[test]
fn a_backup_put_back_in_place_takes_another_name() {
    let base = tempfile::tempdir().expect("made");
    let (here, backup) = (base.path().join("a"), base.path().join("backup"));
    let before = write_and_look(&here, 1);
    copy(&here, &backup);
    write_and_look(&here, 2);
    fs::remove_dir_all(&here).expect("removed");
    copy(&backup, &here);
    let restored = write_and_look(&here, 3);
    assert_differ(&restored, &before);
}
