//! A flood of refusals: a few lines, a count, and a chain that is whole.

use std::net::{IpAddr, Ipv4Addr};

use super::*;
use crate::audit::refusals::WHOLE_MAX;

const REFUSAL: Refusal<'static> = Refusal {
    address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)),
    identity: None,
    endpoint: "execute",
    status: 401,
    code: Some("unknown_key"),
};

fn open(directory: &Path, clock: fn() -> u64) -> Audit {
    Audit::open_by(
        (directory, owner()),
        (ROTATION, AuditedReads::All),
        0,
        clock,
    )
    .unwrap()
}

fn refuse(audit: &Audit, n: u64) -> Option<Written> {
    let told = audit.tell_refusal(REFUSAL, n);
    (told == Told::Whole).then(|| audit.admit().unwrap().put(request(n), n))
}

#[test]
fn a_flood_of_refusals_is_a_few_lines_and_its_count_is_written_at_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let audit = open(directory.path(), || 0);
    for n in 0..100_000 {
        drop(refuse(&audit, n));
    }
    assert_eq!(audit.sums().counted, 100_000 - WHOLE_MAX);
    drop(audit);
    let lines = lines(directory.path());
    assert_eq!(
        lines.len() as u64,
        1 + WHOLE_MAX + 1,
        "a header and a count"
    );
    let last = lines.last().unwrap();
    let count = r#""at":"1970-01-01T00:01:39.999Z","kind":"repeated","address":"192.0.2.7","endpoint":"execute","result":"refused","status":401,"code":"unknown_key","requests":99992,"since":"1970-01-01T00:00:00.008Z","hash":""#;
    assert!(last.contains(count), "{last}");
    assert_eq!(breaks(directory.path()), Vec::<String>::new());
}

#[tokio::test]
async fn a_count_is_written_when_its_window_is_over_and_the_next_one_begins_with_whole_lines() {
    let directory = tempfile::tempdir().unwrap();
    // For the log the window is over as soon as it looks.
    let audit = open(directory.path(), || 60_000);
    let told: Vec<Told> = (0..20).map(|n| audit.tell_refusal(REFUSAL, n)).collect();
    let whole = told.iter().filter(|told| **told == Told::Whole).count() as u64;
    assert_eq!(whole, WHOLE_MAX);
    // Whoever opened the window sends a record right after.
    let written = audit.admit().unwrap().put(request(0), 0);
    written.wait().await.unwrap();
    let text = lines(directory.path()).join("\n");
    let count = format!(r#""requests":{},"since":"#, 20 - WHOLE_MAX);
    assert!(text.contains(&count), "{text}");
    assert_eq!(audit.tell_refusal(REFUSAL, 60_001), Told::Whole);
    drop(audit);
    assert_eq!(breaks(directory.path()), Vec::<String>::new());
}

#[test]
fn a_count_of_a_long_name_fits_a_line() {
    let directory = tempfile::tempdir().unwrap();
    let audit = open(directory.path(), || 0);
    let name = "\u{1}".repeat(100_000);
    let refusal = Refusal {
        identity: Some(&name),
        status: 429,
        ..REFUSAL
    };
    for n in 0..=WHOLE_MAX {
        audit.tell_refusal(refusal, n);
    }
    drop(audit);
    let lines = lines(directory.path());
    assert!(lines[1].contains(r#""kind":"repeated""#), "{lines:?}");
    assert_eq!(breaks(directory.path()), Vec::<String>::new());
}
