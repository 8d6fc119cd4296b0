//! What a liar or a crash does to the files, and what is said of it.

use super::*;

fn write(directory: &Path, lines: &[String]) {
    let mut text = lines.join("\n");
    text.push('\n');
    std::fs::write(current(directory), text).unwrap();
}

#[track_caller]
fn assert_break(directory: &Path, expected: &str) {
    let found = breaks(directory);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with(expected), "{found:?}");
}

#[test]
fn a_changed_record_is_named_by_file_and_line() {
    let directory = written();
    let mut changed = lines(directory.path());
    changed[2] = changed[2].replace("r-2", "r-9");
    write(directory.path(), &changed);
    assert_break(directory.path(), "audit.jsonl:3: record 3 was changed");
}

#[test]
fn a_record_that_was_changed_with_its_hash_does_not_fit_the_next_one() {
    let directory = written();
    let mut changed = lines(directory.path());
    let before = line::Line::parse(changed[1].as_bytes()).unwrap();
    let before = Position {
        sequence: before.sequence,
        hash: before.hash,
    };
    let mut forged = Vec::new();
    line::seal(&mut forged, before, "1970-01-01T00:00:00.000Z", &request(9)).unwrap();
    changed[2] = String::from_utf8(forged).unwrap().trim_end().to_owned();
    write(directory.path(), &changed);
    assert_break(
        directory.path(),
        "audit.jsonl:4: record 4 was changed, or the one before it",
    );
}

#[test]
fn cut_moved_and_added_records_are_named() {
    let directory = written();
    let whole = lines(directory.path());
    let mut cut = whole.clone();
    cut.drain(2..4);
    write(directory.path(), &cut);
    assert_break(
        directory.path(),
        "audit.jsonl:3: records 3 to 4 are missing before this line",
    );
    let mut doubled = whole.clone();
    doubled.insert(4, whole[3].clone());
    write(directory.path(), &doubled);
    assert_break(
        directory.path(),
        "audit.jsonl:5: record 4 stands behind record 4",
    );
    write(directory.path(), &whole[1..]);
    assert_break(
        directory.path(),
        "audit.jsonl:1: the first 1 records are missing",
    );
}

#[test]
fn a_cut_tail_is_noticed_by_the_head_before_and_after_the_next_start() {
    let directory = written();
    let whole = lines(directory.path());
    write(directory.path(), &whole[..4]);
    assert_break(
        directory.path(),
        "audit.jsonl:5: the end was cut: audit.head names record 6, and the last one here is 4",
    );
    put(&mut book(directory.path(), ROTATION, 0), 6..7, 0);
    assert_break(
        directory.path(),
        "audit.jsonl:5: records 5 to 6 are missing before this line",
    );
}

#[test]
fn a_removed_head_is_told_and_stays_told() {
    let directory = written();
    std::fs::remove_file(directory.path().join("audit.head")).unwrap();
    assert_break(directory.path(), "audit.jsonl:7: audit.head is missing");
    put(&mut book(directory.path(), ROTATION, 0), 6..7, 0);
    assert_break(
        directory.path(),
        "audit.jsonl:7: audit.head was missing when the node started here",
    );
}

#[test]
fn a_chain_that_was_written_anew_does_not_hold_what_was_noted() {
    let directory = written();
    let noted = verify::verify(directory.path(), None).unwrap().end;
    put(&mut book(directory.path(), ROTATION, 0), 6..9, 0);
    let good = verify::verify(directory.path(), noted).unwrap();
    assert_eq!(good.breaks, []);
    let anew = tempfile::tempdir().unwrap();
    put(&mut book(anew.path(), ROTATION, 1), 1..9, 1);
    let found = verify::verify(anew.path(), noted).unwrap();
    assert_eq!(found.breaks_total, 1);
    assert!(
        found.breaks[0]
            .to_string()
            .contains("the chain was written anew")
    );
    let empty = tempfile::tempdir().unwrap();
    assert_eq!(verify::verify(empty.path(), noted).unwrap().breaks_total, 1);
}

#[test]
fn a_line_that_was_torn_by_a_crash_is_marked_and_the_chain_goes_on_at_any_cut() {
    let directory = written();
    let whole = std::fs::read(current(directory.path())).unwrap();
    let last = lines(directory.path())[5].len() + 1;
    // The flush came after five records, so the sixth may be lost by a crash.
    let head = std::fs::read(directory.path().join("audit.head")).unwrap();
    let fifth = line::Line::parse(lines(directory.path())[4].as_bytes())
        .unwrap()
        .hash;
    let mut earlier = format!("{{\"sequence\":5,\"hash\":\"{fifth}\"}}").into_bytes();
    earlier.resize(head.len(), b' ');
    for kept in 0..last {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("audit.head"), &earlier).unwrap();
        std::fs::write(
            current(directory.path()),
            &whole[..whole.len() - last + kept],
        )
        .unwrap();
        assert_eq!(
            breaks(directory.path()),
            Vec::<String>::new(),
            "before, {kept}"
        );
        put(&mut book(directory.path(), ROTATION, 0), 6..8, 0);
        assert_eq!(
            breaks(directory.path()),
            Vec::<String>::new(),
            "after, {kept}"
        );
        let is_torn = (1..last - 1).contains(&kept);
        let notes = verify::verify(directory.path(), None).unwrap().notes;
        assert_eq!(notes.len(), usize::from(is_torn), "{kept}: {notes:?}");
        // Hiding what was torn is noticed too.
        if is_torn {
            let text = std::fs::read_to_string(current(directory.path())).unwrap();
            let hidden: Vec<String> = text
                .lines()
                .filter(|line| line.ends_with('}') && line.contains("\"hash\""))
                .map(str::to_owned)
                .collect();
            if hidden.len() + 1 == text.lines().count() {
                write(directory.path(), &hidden);
                assert_eq!(breaks(directory.path()).len(), 1, "{kept}");
            }
        }
    }
}

#[test]
fn bytes_that_a_liar_put_in_are_not_taken_for_a_crash() {
    let directory = written();
    let mut changed = lines(directory.path());
    changed.insert(3, "rubbish".to_owned());
    write(directory.path(), &changed);
    assert_break(directory.path(), "audit.jsonl:4: 8 bytes are no records");
}

#[test]
fn a_damaged_compressed_file_is_a_break_and_not_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let rotation = Rotation {
        file_bytes_max: 1024,
        compress: true,
        ..ROTATION
    };
    let mut open = book(directory.path(), rotation, 0);
    put(&mut open, 0..5, 0);
    drop(open);
    let closed = Series::at(directory.path(), NAME).closed().unwrap();
    let compressed = closed.iter().find(|file| file.is_compressed).unwrap();
    let bytes = std::fs::read(&compressed.path).unwrap();
    std::fs::write(&compressed.path, &bytes[..bytes.len() / 2]).unwrap();
    let found = breaks(directory.path());
    assert!(found[0].contains("cannot be inflated"), "{found:?}");
}
