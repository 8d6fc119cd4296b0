//! What can go wrong with attachments, and whose fault it is.

use std::{io, sync::Arc};

use tombolo_document::attachment::{AttachmentId, ChunkError, ManifestError};

/// A failure of the attachments of a database.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AttachmentError {
    /// The operator's: the disk, or the quota on it, is full. Nothing of the content was kept.
    #[error("there is no room for the attachment: free space where persistence_dir is")]
    NoRoom,
    /// The machine's or the operator's: a file cannot be read or written.
    #[error("cannot {action}; check the disk and the permissions of persistence_dir")]
    Io {
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        source: Arc<io::Error>,
    },
    /// The machine's: content is not what its name says.
    #[error("attachment {id} is damaged on this disk; remove it and fetch it again")]
    Damaged {
        /// Which.
        id: AttachmentId,
    },
    /// The caller's or the peer's: the content is too long, or its manifest is wrong.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The peer's: a chunk is not what the manifest says.
    #[error(transparent)]
    Chunk(#[from] ChunkError),
    /// The caller's: somebody else fetches it.
    #[error("attachment {id} is being fetched already")]
    InUse {
        /// Which.
        id: AttachmentId,
    },
    /// The caller's: a chunk came before the manifest.
    #[error("attachment {id} has no manifest yet")]
    NoManifest {
        /// Which.
        id: AttachmentId,
    },
    /// The caller's: content that is not whole cannot be kept as such.
    #[error("attachment {id} lacks {chunks} chunks")]
    Incomplete {
        /// Which.
        id: AttachmentId,
        /// How many chunks are missing.
        chunks: u64,
    },
    /// The caller's: an earlier write failed, and the content was given up then.
    #[error("the upload failed before and was removed; begin a new one")]
    GivenUp,
}

impl AttachmentError {
    pub(super) fn io(action: &'static str, error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::NoRoom,
            _ => Self::Io {
                action,
                source: Arc::new(error),
            },
        }
    }

    pub(super) fn reading(error: io::Error) -> Self {
        Self::io("read an attachment", error)
    }

    pub(super) fn writing(error: io::Error) -> Self {
        Self::io("write an attachment", error)
    }
}
