//! Attachments: the names of bytes that live beside documents, and how any part
//! of such bytes is checked against a name.
//!
//! A document holds a token, never the bytes. This module holds no bytes either
//! and reads no file. `docs/formats/attachment.md` is normative.

mod chunk;
mod id;
mod manifest;
mod mentions;
mod token;

pub use chunk::{CheckedChunk, ChunkCheck};
pub use id::{AttachmentId, AttachmentIdError};
pub use manifest::{
    CHUNK_BYTES, ChunkError, Manifest, ManifestBuilder, ManifestError, chunk_count, chunk_length,
};
pub use mentions::{mentioned, mentions};
pub use token::{AttachmentToken, METADATA_BYTES_MAX, METADATA_ENTRIES_MAX, TokenError};

/// Longest content of an attachment: 32 GiB, so that its manifest takes at most 1 MiB.
pub const ATTACHMENT_BYTES_MAX: u64 = 32 * 1024 * 1024 * 1024;
