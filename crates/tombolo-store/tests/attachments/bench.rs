//! Content to be kept, and shelves to keep it on.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tombolo_document::attachment::{AttachmentId, CHUNK_BYTES, Manifest, ManifestBuilder};
use tombolo_store::attachments::{AttachmentError, Attachments};

/// Bytes in which no two chunks are equal.
pub(crate) fn content(seed: u8, length: usize) -> Vec<u8> {
    let mut state = u64::from(seed) + 1;
    let mut bytes = vec![0; length];
    for piece in bytes.chunks_mut(8) {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        piece.copy_from_slice(&state.to_le_bytes()[..piece.len()]);
    }
    bytes
}

pub(crate) fn manifest_of(content: &[u8]) -> Manifest {
    let mut builder = ManifestBuilder::new();
    builder.update(content).unwrap();
    builder.finish()
}

pub(crate) fn chunk(content: &[u8], index: u64) -> &[u8] {
    content.chunks(CHUNK_BYTES).nth(index as usize).unwrap()
}

/// Keeps content as an upload does.
pub(crate) fn keep(
    attachments: &Attachments,
    content: &[u8],
) -> Result<AttachmentId, AttachmentError> {
    let mut writer = attachments.begin_write()?;
    for piece in content.chunks(300_000) {
        writer.write(piece)?;
    }
    let (id, length) = writer.finish()?;
    assert_eq!(length, content.len() as u64);
    Ok(id)
}

/// All of held content, by its chunks.
pub(crate) fn read(attachments: &Attachments, id: AttachmentId) -> Option<Vec<u8>> {
    let reader = attachments.open_content(id).unwrap()?;
    let chunks = 0..reader.manifest().chunk_count();
    let content: Vec<u8> = chunks
        .flat_map(|index| reader.chunk(index).unwrap())
        .collect();
    assert_eq!(content.len() as u64, reader.length());
    Some(content)
}

/// All files below a directory.
pub(crate) fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}
