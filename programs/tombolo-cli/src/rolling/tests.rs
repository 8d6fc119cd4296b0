//! Files that are rotated: what is closed, kept, compressed and removed.

use std::io::Read;

use super::*;

fn numbers(series: &Series) -> Vec<(u64, bool)> {
    let closed = series.closed().unwrap();
    closed
        .iter()
        .map(|file| (file.number, file.is_compressed))
        .collect()
}

fn filled(series: &Series, text: &str) {
    std::fs::write(series.current(), text).unwrap();
}

fn text(file: &ClosedFile) -> String {
    let mut text = String::new();
    file.open().unwrap().read_to_string(&mut text).unwrap();
    text
}

#[test]
fn closed_files_have_growing_numbers_and_strangers_are_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let series = Series::open(directory.path(), "a.log").unwrap();
    for name in [
        "a.log.1",
        "a.log.00000x",
        "b.log.000009",
        "a.log.000007.gz.part",
        "a.log.000008.zip",
    ] {
        std::fs::write(directory.path().join(name), "").unwrap();
    }
    for number in 1..=3 {
        filled(&series, &number.to_string());
        assert_eq!(series.close().unwrap().number, number);
    }
    assert_eq!(numbers(&series), [(1, false), (2, false), (3, false)]);
}

#[test]
fn compressing_keeps_the_text_and_removes_the_plain_file() {
    let directory = tempfile::tempdir().unwrap();
    let series = Series::open(directory.path(), "a.log").unwrap();
    filled(&series, &"line\n".repeat(1000));
    let plain = series.close().unwrap();
    let mut keeper = Keeper::new(series.clone());
    keeper.compress();
    drop(keeper);
    assert_eq!(numbers(&series), [(1, true)]);
    assert!(!plain.path.exists());
    assert_eq!(text(&series.closed().unwrap()[0]), "line\n".repeat(1000));
}

#[test]
fn what_a_kill_left_half_compressed_is_compressed_again() {
    let directory = tempfile::tempdir().unwrap();
    let series = Series::open(directory.path(), "a.log").unwrap();
    filled(&series, "one");
    series.close().unwrap();
    std::fs::write(directory.path().join("a.log.000001.gz.part"), "rubbish").unwrap();
    let mut keeper = Keeper::new(series.clone());
    keeper.compress();
    drop(keeper);
    // Killed between the rename and the removal.
    std::fs::write(directory.path().join("a.log.000001"), "one").unwrap();
    assert_eq!(numbers(&series), [(1, true)]);
    let mut keeper = Keeper::new(series.clone());
    keeper.compress();
    drop(keeper);
    assert_eq!(text(&series.closed().unwrap()[0]), "one");
    assert!(!directory.path().join("a.log.000001").exists());
}

#[test]
fn only_the_oldest_are_surplus() {
    let directory = tempfile::tempdir().unwrap();
    let series = Series::open(directory.path(), "a.log").unwrap();
    for text in ["one", "two", "three"] {
        filled(&series, text);
        series.close().unwrap();
    }
    let keeper = Keeper::new(series);
    for (files_max, surplus) in [(4, 0), (3, 0), (2, 1), (1, 2)] {
        let found = keeper.surplus(files_max).unwrap();
        let expected: Vec<u64> = (1..=surplus).collect();
        let numbers: Vec<u64> = found.iter().map(|file| file.number).collect();
        assert_eq!(numbers, expected, "{files_max}");
    }
}

#[test]
fn others_cannot_read_logs() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let inner = directory.path().join("deep/logs");
    let series = Series::open(&inner, "a.log").unwrap();
    series.append().unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o007;
    assert_eq!((mode(&inner), mode(&series.current())), (0, 0));
}
