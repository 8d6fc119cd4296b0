//! The queue and its thread: what is admitted is written, and what is not is refused.

use super::*;

fn open(directory: &Path, reads: AuditedReads) -> Audit {
    Audit::open(directory, (ROTATION, reads), owner(), 0).unwrap()
}

#[tokio::test]
async fn what_was_told_to_be_written_is_in_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let audit = open(directory.path(), AuditedReads::All);
    audit
        .admit()
        .unwrap()
        .put(request(1), 0)
        .wait()
        .await
        .unwrap();
    // Nothing was closed or flushed by us.
    assert_eq!(lines(directory.path()).len(), 2);
    assert_eq!(audit.sums().written, 1);
    assert_eq!(audit.sums().queued, 0);
}

#[test]
fn a_full_queue_refuses_and_says_later_how_many() {
    let directory = tempfile::tempdir().unwrap();
    let rotation = Rotation {
        file_bytes_max: 64 * 1024 * 1024,
        ..ROTATION
    };
    let audit = Audit::open(directory.path(), (rotation, AuditedReads::All), owner(), 0).unwrap();
    let admitted: Vec<Admission> = (0..RECORDS_MAX).map(|_| audit.admit().unwrap()).collect();
    assert_eq!(audit.admit().unwrap_err(), AuditFull);
    assert_eq!(audit.admit().unwrap_err(), AuditFull);
    for (n, admission) in admitted.into_iter().enumerate() {
        drop(admission.put(request(n as u64), 0));
    }
    drop(audit);
    let text = lines(directory.path()).join("\n");
    assert_eq!(text.matches(r#""kind":"request""#).count(), RECORDS_MAX);
    assert!(text.contains(r#""kind":"unwritten","requests":2,"#));
    assert_eq!(breaks(directory.path()), Vec::<String>::new());
}

#[test]
fn a_place_that_was_not_used_is_given_back() {
    let directory = tempfile::tempdir().unwrap();
    let audit = open(directory.path(), AuditedReads::All);
    for _ in 0..RECORDS_MAX * 2 {
        drop(audit.admit().unwrap());
    }
    assert_eq!(audit.sums().queued, 0);
}

#[test]
fn reads_are_left_out_only_where_the_operator_said_so() {
    let directory = tempfile::tempdir().unwrap();
    for (reads, expected) in [
        (AuditedReads::All, 1000),
        (AuditedReads::Sampled, 10),
        (AuditedReads::Off, 0),
    ] {
        let audit = open(directory.path(), reads);
        let chosen = (0..1000).filter(|_| audit.chooses_read());
        assert_eq!(chosen.count(), expected);
        assert_eq!(audit.needs_reads(), expected == 1000);
    }
}

#[tokio::test]
async fn a_disk_that_fails_refuses_until_it_is_well_and_nothing_admitted_is_lost() {
    let directory = tempfile::tempdir().unwrap();
    let rotation = Rotation {
        file_bytes_max: 1,
        ..ROTATION
    };
    let audit = Audit::open(directory.path(), (rotation, AuditedReads::All), owner(), 0).unwrap();
    // The next record closes the file, for which the directory must be there.
    let away = directory.path().with_extension("away");
    std::fs::rename(directory.path(), &away).unwrap();
    let written = audit.admit().unwrap().put(request(1), 0);
    while !audit.sums().is_failing {
        tokio::task::yield_now().await;
    }
    assert_eq!(audit.admit().unwrap_err(), AuditFull);
    std::fs::rename(&away, directory.path()).unwrap();
    written.wait().await.unwrap();
    while audit.sums().is_failing {
        tokio::task::yield_now().await;
    }
    audit
        .admit()
        .unwrap()
        .put(request(2), 0)
        .wait()
        .await
        .unwrap();
    drop(audit);
    let verified = verify::verify(directory.path(), None).unwrap();
    assert_eq!(verified.breaks, []);
}
