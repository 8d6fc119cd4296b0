//! Content that comes chunk by chunk: resumed, refused, finished.

use tempfile::TempDir;
use tombolo_document::attachment::{ATTACHMENT_BYTES_MAX, AttachmentId, CHUNK_BYTES};
use tombolo_store::attachments::{AttachmentError, Attachments, CHECKPOINT_CHUNKS, Partial};

use crate::bench::{chunk, content, files, manifest_of, read};

const LENGTH: usize = 4 * CHUNK_BYTES + 11;

fn begin(attachments: &Attachments, content: &[u8]) -> Partial {
    let manifest = manifest_of(content);
    let mut partial = attachments
        .partial(manifest.id(), manifest.length())
        .unwrap();
    partial.adopt_manifest(manifest.as_bytes()).unwrap();
    partial
}

#[test]
fn chunks_come_in_any_order_and_what_is_there_is_not_asked_for_again() {
    let directory = TempDir::new().unwrap();
    let content = content(1, LENGTH);
    {
        let attachments = Attachments::open(directory.path()).unwrap();
        let mut partial = begin(&attachments, &content);
        assert_eq!(partial.missing().collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
        for index in [4, 1] {
            partial.put_chunk(index, chunk(&content, index)).unwrap();
        }
    }
    let attachments = Attachments::open(directory.path()).unwrap();
    let mut partial = begin(&attachments, &content);
    assert!(partial.manifest().is_some());
    assert_eq!(partial.missing().collect::<Vec<_>>(), [0, 2, 3]);
    // A chunk that overlaps one that is there changes nothing.
    partial.put_chunk(4, chunk(&content, 4)).unwrap();
    for index in [3, 0, 2] {
        partial.put_chunk(index, chunk(&content, index)).unwrap();
    }
    let (id, length) = partial.finish().unwrap();
    assert_eq!((id, length), (AttachmentId::of(&content), LENGTH as u64));
    assert_eq!(read(&attachments, id), Some(content));
    assert_eq!(files(directory.path()).len(), 2);
}

#[test]
fn notes_of_a_checkpoint_spare_the_hashing() {
    let directory = TempDir::new().unwrap();
    let content = content(2, LENGTH);
    let attachments = Attachments::open(directory.path()).unwrap();
    let mut partial = begin(&attachments, &content);
    partial.put_chunk(2, chunk(&content, 2)).unwrap();
    partial.checkpoint().unwrap();
    partial.put_chunk(0, chunk(&content, 0)).unwrap();
    drop(partial);
    let partial = begin(&attachments, &content);
    assert_eq!(partial.missing().collect::<Vec<_>>(), [1, 3, 4]);
    const { assert!(CHECKPOINT_CHUNKS > 1) };
}

#[test]
fn content_without_a_manifest_is_one_chunk_or_none() {
    let attachments = Attachments::in_memory();
    for length in [0, 1, CHUNK_BYTES] {
        let content = content(3, length);
        let id = AttachmentId::of(&content);
        let mut partial = attachments.partial(id, length as u64).unwrap();
        if length > 0 {
            partial.put_chunk(0, &content).unwrap();
        }
        partial.finish().unwrap();
        assert_eq!(read(&attachments, id), Some(content));
    }
}

#[test]
fn t45_chunks_that_are_not_the_contents_are_refused_and_nothing_else_is_lost() {
    let attachments = Attachments::in_memory();
    let right = content(4, LENGTH);
    let other = content(5, LENGTH);
    let mut partial = begin(&attachments, &right);
    partial.put_chunk(1, chunk(&right, 1)).unwrap();
    let refused = [
        partial.put_chunk(0, chunk(&other, 0)),
        partial.put_chunk(0, &chunk(&right, 0)[1..]),
        partial.put_chunk(0, chunk(&right, 1)),
        partial.put_chunk(4, &[chunk(&right, 4), b"x"].concat()),
        partial.put_chunk(5, chunk(&right, 0)),
        partial.put_chunk(u64::MAX, chunk(&right, 0)),
        partial.put_chunk(0, &[]),
    ];
    for refused in refused {
        assert!(
            matches!(refused, Err(AttachmentError::Chunk(_))),
            "{refused:?}"
        );
    }
    assert_eq!(partial.missing().collect::<Vec<_>>(), [0, 2, 3, 4]);
    let incomplete = partial.finish();
    assert!(matches!(
        incomplete,
        Err(AttachmentError::Incomplete { chunks: 4, .. })
    ));
    assert!(!attachments.holds(AttachmentId::of(&right)).unwrap());
}

#[test]
fn t45_lengths_and_manifests_that_lie_are_refused() {
    let directory = TempDir::new().unwrap();
    let attachments = Attachments::open(directory.path()).unwrap();
    let right = content(6, LENGTH);
    let manifest = manifest_of(&right);
    let id = manifest.id();
    for length in [0, ATTACHMENT_BYTES_MAX + 1, u64::MAX] {
        let refused = attachments.partial(id, length);
        assert!(
            matches!(refused, Err(AttachmentError::Manifest(_))),
            "{length}"
        );
    }
    assert_eq!(files(directory.path()).len(), 0);
    let mut partial = attachments.partial(id, manifest.length()).unwrap();
    let early = partial.put_chunk(0, chunk(&right, 0));
    assert!(matches!(early, Err(AttachmentError::NoManifest { .. })));
    let mut changed = manifest.as_bytes().to_vec();
    changed[40] ^= 1;
    for bytes in [&changed[..], &changed[1..], &[]] {
        let refused = partial.adopt_manifest(bytes);
        assert!(matches!(refused, Err(AttachmentError::Manifest(_))));
    }
    assert!(partial.manifest().is_none());
    partial.discard().unwrap();
    // One byte too many is found out by the last chunk alone.
    let mut longer = attachments.partial(id, manifest.length() + 1).unwrap();
    longer.adopt_manifest(manifest.as_bytes()).unwrap();
    assert!(longer.put_chunk(4, chunk(&right, 4)).is_err());
    longer.discard().unwrap();
    assert_eq!(files(directory.path()).len(), 0);
}

#[test]
fn another_length_begins_anew() {
    let directory = TempDir::new().unwrap();
    let attachments = Attachments::open(directory.path()).unwrap();
    let right = content(7, LENGTH);
    let manifest = manifest_of(&right);
    let mut longer = attachments
        .partial(manifest.id(), manifest.length() + 1)
        .unwrap();
    longer.adopt_manifest(manifest.as_bytes()).unwrap();
    longer.put_chunk(0, chunk(&right, 0)).unwrap();
    longer.checkpoint().unwrap();
    drop(longer);
    let partial = begin(&attachments, &right);
    assert_eq!(partial.missing_count(), 5);
}

#[test]
fn one_fetches_at_a_time_and_nobody_removes_under_it() {
    let attachments = Attachments::in_memory();
    let content = content(8, LENGTH);
    let partial = begin(&attachments, &content);
    let id = partial.id();
    let second = attachments.partial(id, partial.length());
    assert!(matches!(second, Err(AttachmentError::InUse { .. })));
    assert!(matches!(
        attachments.remove(id),
        Err(AttachmentError::InUse { .. })
    ));
    drop(partial);
    assert!(attachments.partial(id, LENGTH as u64).is_ok());
    attachments.remove(id).unwrap();
}

#[test]
fn a_full_disk_keeps_what_came_before() {
    let attachments = Attachments::in_memory_of(2 * CHUNK_BYTES as u64 + 1000);
    let content = content(9, LENGTH);
    let mut partial = begin(&attachments, &content);
    for index in 0..2 {
        partial.put_chunk(index, chunk(&content, index)).unwrap();
    }
    let full = partial.put_chunk(2, chunk(&content, 2));
    assert!(matches!(full, Err(AttachmentError::NoRoom)));
    assert_eq!(partial.missing_count(), 3);
}
