//! Chains as files: written, cut, changed, torn, rotated and resumed.

use std::path::Path;

use super::*;
use crate::config::Frequency;

mod faults;
mod queue;
mod repeated;

const ROTATION: Rotation = Rotation {
    frequency: Frequency::Never,
    file_bytes_max: 1024 * 1024,
    files_max: None,
    compress: false,
};

fn owner() -> Owner {
    Owner {
        database: "db-1".to_owned(),
        device: "edge".to_owned(),
    }
}

fn book(directory: &Path, rotation: Rotation, now_ms: u64) -> Book {
    let owner = (owner(), "00000000000000aa".to_owned());
    Book::open(directory, rotation, owner, now_ms).unwrap()
}

fn request(n: u64) -> AuditRecord {
    AuditRecord::Request(RequestRecord {
        request_id: format!("r-{n}"),
        endpoint: "execute",
        status: Some(200),
        ..RequestRecord::default()
    })
}

fn put(book: &mut Book, numbers: std::ops::Range<u64>, now_ms: u64) {
    for n in numbers {
        book.make_ready(now_ms).unwrap();
        book.seal(&request(n), now_ms).unwrap();
        book.flush().unwrap();
    }
    book.conclude().unwrap();
}

/// A directory with a whole chain of one file: its header and five requests.
fn written() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    put(&mut book(directory.path(), ROTATION, 0), 1..6, 0);
    directory
}

fn current(directory: &Path) -> PathBuf {
    directory.join(NAME)
}

fn lines(directory: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(current(directory)).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn breaks(directory: &Path) -> Vec<String> {
    let verified = verify::verify(directory, None).unwrap();
    verified.breaks.iter().map(ToString::to_string).collect()
}

#[test]
fn a_chain_that_nobody_touched_is_whole() {
    let directory = written();
    let verified = verify::verify(directory.path(), None).unwrap();
    assert_eq!((verified.files, verified.records), (1, 6));
    assert_eq!(verified.breaks, []);
    let first = &lines(directory.path())[0];
    assert!(
        first.starts_with(
            r#"{"seq":1,"at":"1970-01-01T00:00:00.000Z","kind":"file","format":1,"chain":"#
        ),
        "{first}"
    );
    let last = &lines(directory.path())[5];
    assert!(last.contains(r#""kind":"request","request_id":"r-5","endpoint":"execute","result":"done","status":200,"duration_us":0,"hash":""#), "{last}");
}

#[test]
fn a_start_goes_on_in_the_same_chain() {
    let directory = written();
    put(&mut book(directory.path(), ROTATION, 0), 6..8, 0);
    assert_eq!(breaks(directory.path()), Vec::<String>::new());
    assert_eq!(lines(directory.path()).len(), 8);
}

#[test]
fn a_second_process_is_kept_out() {
    let directory = written();
    let _first = book(directory.path(), ROTATION, 0);
    let owner = (owner(), String::new());
    let second = Book::open(directory.path(), ROTATION, owner, 0);
    assert!(matches!(second, Err(AuditError::Held { .. })));
}

#[test]
fn files_follow_each_other_by_size_and_by_the_turn_of_the_clock_in_one_chain() {
    let directory = tempfile::tempdir().unwrap();
    let rotation = Rotation {
        frequency: Frequency::Hourly,
        file_bytes_max: 2048,
        compress: true,
        ..ROTATION
    };
    let mut open = book(directory.path(), rotation, 0);
    put(&mut open, 0..20, 0);
    put(&mut open, 20..21, 60 * 60 * 1000);
    drop(open);
    let verified = verify::verify(directory.path(), None).unwrap();
    assert!(verified.files > 2, "{verified:?}");
    assert_eq!(verified.breaks, []);
    let closed = Series::at(directory.path(), NAME).closed().unwrap();
    assert!(closed.iter().any(|file| file.is_compressed));
    // A start between the closing of a file and the beginning of the next.
    std::fs::remove_file(current(directory.path())).unwrap();
    assert_eq!(
        breaks(directory.path()).len(),
        1,
        "the last file is missing"
    );
}

#[test]
fn files_that_max_files_removed_are_no_break_and_others_are() {
    let directory = tempfile::tempdir().unwrap();
    let rotation = Rotation {
        file_bytes_max: 1024,
        files_max: Some(2),
        ..ROTATION
    };
    put(&mut book(directory.path(), rotation, 0), 0..20, 0);
    let verified = verify::verify(directory.path(), None).unwrap();
    assert_eq!(verified.breaks, []);
    assert!(
        verified.notes[0].contains("were removed by max_files"),
        "{:?}",
        verified.notes
    );
    let closed = Series::at(directory.path(), NAME).closed().unwrap();
    assert_eq!(closed.len(), 2);
    std::fs::remove_file(&closed[0].path).unwrap();
    let found = breaks(directory.path());
    assert_eq!(found.len(), 1);
    assert!(
        found[0].contains("are missing, and no later record says that they were removed"),
        "{found:?}"
    );
}

use crate::rolling::Series;
