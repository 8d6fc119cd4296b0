//! What happens to the attachments of a session, and what they ask to be done.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use tombolo_document::DocumentId;
use tombolo_document::attachment::{AttachmentId, CheckedChunk, Manifest, chunk_count, mentions};

use crate::view::{View, ViewError};
use crate::wire::Lack;

/// A document that refers to an attachment, and how long that is by its token.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The collection.
    pub collection: String,
    /// The document.
    pub id: DocumentId,
    /// Bytes, by the token.
    pub length: u64,
}

/// What of an attachment is here already.
#[derive(Debug, Clone)]
pub struct Progress {
    /// Its manifest, if it was kept.
    pub manifest: Option<Arc<Manifest>>,
    /// The chunks that are missing, ascending; not looked at without a manifest,
    /// since then all are.
    pub missing: Vec<Range<u64>>,
}

impl Progress {
    /// Nothing is here.
    pub const NONE: Self = Self {
        manifest: None,
        missing: Vec::new(),
    };

    pub(crate) fn chunks(self, length: u64) -> Vec<Range<u64>> {
        match self.manifest {
            Some(_) => self.missing,
            None => all_chunks(length),
        }
    }
}

pub(crate) fn all_chunks(length: u64) -> Vec<Range<u64>> {
    match chunk_count(length) {
        0 => Vec::new(),
        count => std::iter::once(0..count).collect(),
    }
}

/// An attachment to be asked for.
#[derive(Debug, Clone)]
pub struct Seek {
    /// Which.
    pub attachment: AttachmentId,
    /// The document by which it is asked for.
    pub place: Place,
    /// What of it is here.
    pub progress: Progress,
}

/// What happened.
#[derive(Debug)]
pub enum AttachmentEvent {
    /// The peer is to be asked. Answered with [`AttachmentAction::Ended`] when
    /// that is over; one at a time for each attachment.
    Seek(Seek),
    /// The peer is not to be asked any more; there is no answer.
    Cancel(AttachmentId),
    /// The [`AttachmentAction::Store`] of this request was done, or failed.
    Stored(u64, Kept),
    /// The [`AttachmentAction::Adopt`] of this request failed.
    NotAdopted(u64),
    /// An [`AttachmentAction::Open`] was done.
    Opened(u64, Answer),
    /// An [`AttachmentAction::Read`] was done; `None` if the content is gone.
    Read(u64, Option<Bytes>),
    /// The link took so many frames of the channel attachments.
    Carried(usize),
}

/// What became of an [`Opening`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The document is not here, or has no such token.
    Refused,
    /// The content is not here, or not as long.
    NotHeld,
    /// It is, with this manifest.
    Held(Bytes),
}

/// What is to be done.
#[derive(Debug)]
pub enum AttachmentAction {
    /// See whether the peer may have it and open it; answer with
    /// [`AttachmentEvent::Opened`].
    Open(Opening),
    /// Read so much of what was opened, all of it within one chunk, and answer
    /// with [`AttachmentEvent::Read`]. At most one at a time.
    Read {
        /// The peer's request.
        request: u64,
        /// From where, in bytes.
        offset: u64,
        /// How many bytes.
        length: usize,
    },
    /// What was opened for this request is not needed any more.
    Close(u64),
    /// Keep a manifest that was checked; an answer only if that fails.
    Adopt(u64, Arc<Manifest>),
    /// Keep a chunk that was checked, behind all that was to be kept before, and
    /// answer.
    Store {
        /// This side's request.
        request: u64,
        /// The chunk, in the pieces in which it came.
        chunk: CheckedChunk<Bytes>,
    },
    /// A [`AttachmentEvent::Seek`] is over.
    Ended(AttachmentId, FetchEnd),
}

/// Whether something was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// It was.
    Yes,
    /// It could not be.
    No,
}

/// How asking one peer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FetchEnd {
    /// Every chunk that was missing is stored.
    Complete,
    /// The peer does not give it.
    Lacking(Lack),
    /// The peer said nothing for too long.
    Silent,
    /// The peer is not asked: nothing of this document would be taken from it,
    /// or it knows nothing of attachments.
    Unable,
    /// What came could not be kept here.
    Failed,
}

/// Whether a peer may have an attachment, to be found out over a view.
#[derive(Debug, Clone)]
pub struct Opening {
    /// The peer's request.
    pub request: u64,
    /// The attachment.
    pub attachment: AttachmentId,
    /// The document that the peer names, which it may read.
    pub place: Place,
    /// Whether the peer needs the manifest.
    pub wants_manifest: bool,
}

impl Opening {
    /// Whether the document, as it is in the view, refers to the attachment with
    /// that length.
    ///
    /// # Errors
    /// The store failed, or the document is damaged.
    pub fn is_vouched(&self, view: &dyn View) -> Result<bool, ViewError> {
        let Place {
            collection,
            id,
            length,
        } = &self.place;
        let mut found = Ok(false);
        view.stored(collection, id, &mut |stored| {
            if stored.live {
                found = mentions(stored.document).map(|tokens| {
                    tokens
                        .iter()
                        .any(|token| token.id == self.attachment && token.length == *length)
                });
            }
        })?;
        found.map_err(|error| ViewError(Box::new(error)))
    }
}
