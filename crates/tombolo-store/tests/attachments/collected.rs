//! What no document refers to goes, after a while and never before.

use std::{collections::BTreeSet, time::Duration};

use tombolo_document::attachment::{AttachmentId, CHUNK_BYTES};
use tombolo_store::attachments::{AttachmentError, Attachments, Collected};

use crate::bench::{chunk, content, keep, manifest_of};

const GRACE: Duration = Duration::from_secs(60);

/// A collection in which documents refer to `mentioned` alone.
fn collect(attachments: &Attachments, now: u64, mentioned: &[AttachmentId]) -> Collected {
    let suspects = Some(BTreeSet::new());
    let now = Duration::from_secs(now);
    attachments
        .collect(now, GRACE, suspects, &mut |id| {
            Ok::<_, AttachmentError>(mentioned.contains(&id))
        })
        .unwrap()
}

fn counts(removed: u64, waiting: u64) -> Collected {
    Collected { removed, waiting }
}

#[test]
fn content_stays_for_its_grace_and_as_long_as_a_document_has_it() {
    let attachments = Attachments::in_memory();
    let (first, second) = (
        keep(&attachments, b"first").unwrap(),
        keep(&attachments, b"second").unwrap(),
    );
    assert_eq!(collect(&attachments, 10, &[second]), counts(0, 1));
    assert_eq!(collect(&attachments, 69, &[second]), counts(0, 1));
    assert_eq!(collect(&attachments, 70, &[second]), counts(1, 0));
    assert!(!attachments.holds(first).unwrap());
    assert!(attachments.holds(second).unwrap());
}

#[test]
fn a_document_that_comes_in_time_saves_its_content() {
    let attachments = Attachments::in_memory();
    let id = keep(&attachments, b"content").unwrap();
    collect(&attachments, 10, &[]);
    assert_eq!(collect(&attachments, 100, &[id]), counts(0, 0));
    // Its time begins anew when the document goes again, which the next collection is told.
    let told = |now| {
        let suspects = Some(BTreeSet::from([id]));
        let now = Duration::from_secs(now);
        attachments
            .collect(now, GRACE, suspects, &mut |_| {
                Ok::<_, AttachmentError>(false)
            })
            .unwrap()
    };
    assert_eq!(told(1000), counts(0, 1));
    assert_eq!(told(1060), counts(1, 0));
}

#[test]
fn content_that_is_uploaded_again_has_its_whole_grace_again() {
    let attachments = Attachments::in_memory();
    let id = keep(&attachments, b"content").unwrap();
    collect(&attachments, 10, &[]);
    keep(&attachments, b"content").unwrap();
    assert_eq!(collect(&attachments, 70, &[]), counts(0, 1));
    assert!(attachments.holds(id).unwrap());
    assert_eq!(collect(&attachments, 130, &[]), counts(1, 0));
}

#[test]
fn what_is_being_fetched_stays_and_what_was_given_up_goes() {
    let attachments = Attachments::in_memory();
    let content = content(1, 2 * CHUNK_BYTES);
    let manifest = manifest_of(&content);
    let mut partial = attachments
        .partial(manifest.id(), manifest.length())
        .unwrap();
    partial.adopt_manifest(manifest.as_bytes()).unwrap();
    partial.put_chunk(0, chunk(&content, 0)).unwrap();
    collect(&attachments, 0, &[]);
    assert_eq!(collect(&attachments, 1000, &[]), counts(0, 1));
    drop(partial);
    assert_eq!(collect(&attachments, 1001, &[]), counts(0, 1));
    assert_eq!(collect(&attachments, 1061, &[]), counts(1, 0));
    let again = attachments
        .partial(manifest.id(), manifest.length())
        .unwrap();
    assert_eq!(again.missing_count(), 2);
}

#[test]
fn after_a_failure_everything_is_looked_at_again() {
    let attachments = Attachments::in_memory();
    let id = keep(&attachments, b"content").unwrap();
    let failing = attachments.collect(Duration::ZERO, GRACE, Some(BTreeSet::new()), &mut |_| {
        Err(AttachmentError::NoRoom)
    });
    assert!(failing.is_err());
    assert_eq!(collect(&attachments, 0, &[]), counts(0, 1));
    assert_eq!(collect(&attachments, 60, &[]), counts(1, 0));
    assert!(!attachments.holds(id).unwrap());
}

#[test]
fn what_did_not_change_is_not_looked_at_again() {
    let attachments = Attachments::in_memory();
    for number in 0..10_u8 {
        keep(&attachments, &[number]).unwrap();
    }
    let looked_at = |suspects| {
        let mut count = 0;
        attachments
            .collect(Duration::ZERO, GRACE, suspects, &mut |_| {
                count += 1;
                Ok::<_, AttachmentError>(true)
            })
            .unwrap();
        count
    };
    assert_eq!(looked_at(Some(BTreeSet::new())), 10);
    assert_eq!(looked_at(Some(BTreeSet::new())), 0);
    keep(&attachments, b"another").unwrap();
    assert_eq!(looked_at(Some(BTreeSet::new())), 1);
    assert_eq!(looked_at(None), 11);
}
