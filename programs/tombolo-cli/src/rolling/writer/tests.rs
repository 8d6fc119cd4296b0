//! The writer of rotated files: when a file is closed, and what a full disk or a late clock does.

use super::*;
use crate::config::Frequency;

const DAILY: Rotation = Rotation {
    frequency: Frequency::Daily,
    file_bytes_max: 64,
    files_max: Some(2),
    compress: false,
};
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

fn roll(directory: &Path, now_ms: u64) -> Roll {
    Roll::open(Series::open(directory, "a.log").unwrap(), DAILY, now_ms).unwrap()
}

fn closed(directory: &Path) -> Vec<u64> {
    let closed = Series::at(directory, "a.log").closed().unwrap();
    closed.iter().map(|file| file.number).collect()
}

#[test]
fn a_file_is_closed_by_size_at_the_limit_and_not_before() {
    let directory = tempfile::tempdir().unwrap();
    let mut roll = roll(directory.path(), 0);
    roll.write(&[b'x'; 60], 0);
    roll.write(&[b'x'; 4], 0);
    assert!(closed(directory.path()).is_empty());
    roll.write(b"x", 0);
    assert_eq!(closed(directory.path()), [1]);
    let first = std::fs::metadata(directory.path().join("a.log.000001")).unwrap();
    assert_eq!(first.len(), 64);
}

#[test]
fn a_file_is_closed_by_the_turn_of_the_day_and_the_oldest_go() {
    let directory = tempfile::tempdir().unwrap();
    let mut roll = roll(directory.path(), 0);
    for day in 0..5 {
        roll.write(b"x\n", day * DAY_MS);
        roll.write(b"y\n", day * DAY_MS + DAY_MS - 1);
    }
    // The next number is one more than the greatest, so removed ones never come back.
    assert_eq!(closed(directory.path()), [3, 4]);
    assert_eq!(
        std::fs::read(directory.path().join("a.log")).unwrap(),
        b"x\ny\n"
    );
}

#[test]
fn what_is_queued_is_written_before_the_end_and_a_later_start_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let rotation = Rotation {
        file_bytes_max: 1024 * 1024,
        ..DAILY
    };
    for start in 0..2 {
        let writer = RollingWriter::start(directory.path(), "a.log", rotation).unwrap();
        let queue = writer.queue().unwrap();
        for line in 0..100 {
            queue.put(format!("{start} {line}\n").into_bytes());
        }
        drop(writer);
        // A message after the end goes nowhere and blocks nobody.
        queue.put(b"late\n".to_vec());
    }
    let text = std::fs::read_to_string(directory.path().join("a.log")).unwrap();
    assert_eq!(text.lines().count(), 200);
    assert!(text.starts_with("0 0\n") && text.ends_with("1 99\n"));
}

#[test]
fn a_full_queue_drops_lines_and_says_how_many() {
    let directory = tempfile::tempdir().unwrap();
    let roll = roll(directory.path(), 0);
    let (lines, receiver) = sync_channel(1);
    let queue = LogQueue {
        lines,
        dropped: Arc::default(),
    };
    for line in [b"one\n", b"two\n", b"tri\n"] {
        queue.put(line.to_vec());
    }
    let dropped = Arc::clone(&queue.dropped);
    drop(queue);
    write_all(roll, &receiver, &dropped);
    let text = std::fs::read_to_string(directory.path().join("a.log")).unwrap();
    assert!(
        text.starts_with("2 lines of this log were dropped"),
        "{text}"
    );
}
