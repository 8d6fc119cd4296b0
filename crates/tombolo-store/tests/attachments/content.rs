//! Whole content: kept durably, read back, refused when the disk is full or lies.

use std::fs;

use tempfile::TempDir;
use tombolo_document::attachment::{AttachmentId, CHUNK_BYTES};
use tombolo_store::attachments::{AttachmentError, Attachments};

use crate::bench::{content, files, keep, read};

const LENGTHS: [usize; 6] = [
    0,
    1,
    CHUNK_BYTES - 1,
    CHUNK_BYTES,
    CHUNK_BYTES + 1,
    3 * CHUNK_BYTES + 7,
];

#[test]
fn what_was_kept_is_read_back_also_after_opening_anew() {
    let directory = TempDir::new().unwrap();
    let disk = Attachments::open(directory.path()).unwrap();
    for attachments in [&disk, &Attachments::in_memory()] {
        for length in LENGTHS {
            let content = content(1, length);
            let id = keep(attachments, &content).unwrap();
            assert_eq!(id, AttachmentId::of(&content));
            assert_eq!(read(attachments, id), Some(content));
        }
        let mut listed = Vec::new();
        attachments
            .list(&mut |id, length| listed.push((id, length)))
            .unwrap();
        assert!(listed.is_sorted());
        assert_eq!(listed.len(), LENGTHS.len());
    }
    drop(disk);
    let disk = Attachments::open(directory.path()).unwrap();
    for length in LENGTHS {
        let content = content(1, length);
        assert_eq!(read(&disk, AttachmentId::of(&content)), Some(content));
    }
}

#[test]
fn the_same_content_is_kept_once_and_mends_a_damaged_copy() {
    let directory = TempDir::new().unwrap();
    let attachments = Attachments::open(directory.path()).unwrap();
    let content = content(2, 100);
    let id = keep(&attachments, &content).unwrap();
    let kept = files(directory.path());
    assert_eq!(kept.len(), 1);
    fs::write(&kept[0], vec![0; 100]).unwrap();
    let reader = attachments.open_content(id).unwrap().unwrap();
    assert!(matches!(
        reader.chunk(0),
        Err(AttachmentError::Damaged { .. })
    ));
    assert_eq!(keep(&attachments, &content).unwrap(), id);
    assert_eq!(files(directory.path()), kept);
    assert_eq!(read(&attachments, id), Some(content));
}

#[test]
fn a_manifest_that_was_lost_is_made_again_and_damage_is_told() {
    let directory = TempDir::new().unwrap();
    let attachments = Attachments::open(directory.path()).unwrap();
    let content = content(3, 2 * CHUNK_BYTES + 5);
    let id = keep(&attachments, &content).unwrap();
    let files = files(directory.path());
    let [data, manifest] = files.as_slice() else {
        panic!("content and manifest: {files:?}")
    };
    fs::remove_file(manifest).unwrap();
    assert_eq!(read(&attachments, id), Some(content.clone()));
    fs::write(manifest, [7; 96]).unwrap();
    assert_eq!(read(&attachments, id), Some(content.clone()));
    // With neither to go by there is nothing to be told.
    fs::write(data, &content[1..]).unwrap();
    let refused = attachments.open_content(id);
    assert!(matches!(refused, Err(AttachmentError::Damaged { .. })));
}

#[test]
fn content_that_is_removed_can_be_read_to_its_end() {
    let directory = TempDir::new().unwrap();
    let attachments = Attachments::open(directory.path()).unwrap();
    let content = content(4, CHUNK_BYTES + 9);
    let id = keep(&attachments, &content).unwrap();
    let reader = attachments.open_content(id).unwrap().unwrap();
    attachments.remove(id).unwrap();
    assert!(!attachments.holds(id).unwrap());
    assert_eq!(reader.chunk(1).unwrap(), content[CHUNK_BYTES..]);
    assert_eq!(files(directory.path()), Vec::<std::path::PathBuf>::new());
}

#[test]
fn an_upload_that_does_not_end_leaves_nothing() {
    let directory = TempDir::new().unwrap();
    let attachments = Attachments::open(directory.path()).unwrap();
    let mut writer = attachments.begin_write().unwrap();
    writer.write(&[1; 1000]).unwrap();
    assert_eq!(files(directory.path()).len(), 1);
    drop(writer);
    assert_eq!(files(directory.path()).len(), 0);
    // A process that dies drops nothing.
    let mut writer = attachments.begin_write().unwrap();
    writer.write(&[1; 1000]).unwrap();
    std::mem::forget(writer);
    Attachments::open(directory.path()).unwrap();
    assert_eq!(files(directory.path()).len(), 0);
}

#[test]
fn a_full_disk_is_told_and_the_file_is_removed() {
    let attachments = Attachments::in_memory_of(1000);
    let held = keep(&attachments, &content(5, 400)).unwrap();
    let mut writer = attachments.begin_write().unwrap();
    writer.write(&[1; 600]).unwrap();
    assert!(matches!(writer.write(&[1]), Err(AttachmentError::NoRoom)));
    assert!(matches!(writer.write(&[1]), Err(AttachmentError::GivenUp)));
    assert!(matches!(writer.finish(), Err(AttachmentError::GivenUp)));
    // Its room is free again, and what was held is untouched.
    assert_eq!(
        keep(&attachments, &content(6, 600)).unwrap(),
        AttachmentId::of(&content(6, 600))
    );
    assert_eq!(read(&attachments, held), Some(content(5, 400)));
}

#[test]
fn files_of_others_in_the_directory_are_left_alone() {
    let directory = TempDir::new().unwrap();
    let attachments = Attachments::open(directory.path()).unwrap();
    let id = keep(&attachments, b"content").unwrap();
    let beside = files(directory.path())[0].with_file_name("notes.txt");
    fs::write(&beside, "x").unwrap();
    let mut listed = Vec::new();
    attachments.list(&mut |id, _| listed.push(id)).unwrap();
    assert_eq!(listed, [id]);
    assert!(beside.exists());
}
