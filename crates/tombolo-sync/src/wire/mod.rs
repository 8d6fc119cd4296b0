//! The bytes of docs/formats/wire.md: frames, messages, batches.
//!
//! Nothing here decides anything; it turns bytes into what they say and back.

mod attachment;
mod batch;
mod frame;
mod message;

pub use attachment::{AttachmentMessage, Lack};
pub use batch::{BatchPart, BatchReader, BatchWriter, Flags, Form, Item, Payload};
pub use frame::{Assembler, Channel, Framer, Packed};
pub use message::{Hello, Message, Refusal, Scope, Stated, Verdict};

pub(crate) use attachment::put_piece;

use tombolo_document::attachment::{ChunkError, ManifestError};
use tombolo_document::bytes::DecodeError;

/// Why bytes of a peer were refused: its fault or the line's, never ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// A message breaks the format.
    #[error("a message breaks the format: {0}")]
    Decode(#[from] DecodeError),
    /// A message of a kind that this version does not know.
    #[error("message kind {0} is unknown")]
    Kind(u8),
    /// A frame is missing or came twice.
    #[error("frame {found} arrived where frame {expected} belongs")]
    Sequence {
        /// The number that belongs there.
        expected: u64,
        /// The number that came.
        found: u64,
    },
    /// More bytes than a limit allows.
    #[error("{what} is larger than {max} bytes")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// The limit.
        max: usize,
    },
    /// Compressed bytes that do not become what they announce.
    #[error("a compressed message does not unpack to its length")]
    Compression,
    /// A manifest that does not belong to the attachment that was asked for.
    #[error("{0}")]
    Manifest(#[from] ManifestError),
    /// Bytes that are not the chunk that was asked for.
    #[error("{0}")]
    Chunk(#[from] ChunkError),
    /// Something that the rules of the session do not allow here.
    #[error("{0}")]
    Protocol(&'static str),
}
