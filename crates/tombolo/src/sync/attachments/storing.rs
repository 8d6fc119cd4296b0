//! Keeps what comes of attachments over one link.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use tombolo_document::attachment::{
    AttachmentId, CheckedChunk, Manifest, chunk_count, chunk_length,
};
use tombolo_store::attachments::{AttachmentError, Partial};
use tombolo_sync::Event;
use tombolo_sync::attachments::{AttachmentEvent, FetchEnd, Kept, Place, Progress, Seek};

use super::fetches::Fetches;

/// What comes over one link.
pub(super) struct Storing {
    fetches: Arc<Fetches>,
    link: u64,
    open: BTreeMap<AttachmentId, Coming>,
}

struct Coming {
    partial: Partial,
    /// Bytes that are here.
    bytes: u64,
}

impl Storing {
    pub(super) fn new(fetches: Arc<Fetches>, link: u64) -> Self {
        let open = BTreeMap::new();
        Self {
            fetches,
            link,
            open,
        }
    }

    /// Finds what is here of an attachment, so that the peer is asked for the rest.
    pub(super) fn seek(&mut self, attachment: AttachmentId, place: Place) -> Option<Event> {
        // Somebody may have brought it while this waited.
        if let Ok(true) = self.fetches.shelf().holds(attachment) {
            self.fetches
                .ended(self.link, attachment, FetchEnd::Complete);
            return None;
        }
        match self.fetches.shelf().partial(attachment, place.length) {
            Ok(partial) => {
                let progress = progress(&partial);
                let bytes = held_bytes(&partial);
                self.fetches.progress(attachment, bytes);
                self.open.insert(attachment, Coming { partial, bytes });
                Some(Event::Attachment(AttachmentEvent::Seek(Seek {
                    attachment,
                    place,
                    progress,
                })))
            }
            Err(error) => {
                // What no content can be was written by a peer into a document.
                let end = match error {
                    AttachmentError::Manifest(_) => FetchEnd::Unable,
                    _ => self.failed(attachment, &error),
                };
                self.fetches.ended(self.link, attachment, end);
                None
            }
        }
    }

    pub(super) fn cancel(&mut self, attachment: AttachmentId) -> Option<Event> {
        if let Some(mut coming) = self.open.remove(&attachment) {
            self.settle(&mut coming);
        }
        Some(Event::Attachment(AttachmentEvent::Cancel(attachment)))
    }

    pub(super) fn adopt(&mut self, request: u64, manifest: &Manifest) -> Option<Event> {
        let attachment = manifest.id();
        let coming = self.open.get_mut(&attachment)?;
        let adopted = coming.partial.adopt_manifest(manifest.as_bytes());
        let error = adopted.err()?;
        self.failed(attachment, &error);
        Some(Event::Attachment(AttachmentEvent::NotAdopted(request)))
    }

    pub(super) fn store(&mut self, request: u64, chunk: &CheckedChunk<Bytes>) -> Option<Event> {
        let attachment = chunk.attachment();
        // One that was called off is not here any more.
        let coming = self.open.get_mut(&attachment);
        let put = coming.map(|coming| {
            coming.partial.put_checked(chunk)?;
            coming.bytes += chunk.length() as u64;
            Ok(coming.bytes)
        });
        let kept = match put {
            Some(Ok(bytes)) => {
                self.fetches.fetched(chunk.length());
                self.fetches.progress(attachment, bytes);
                Kept::Yes
            }
            Some(Err(error)) => {
                self.failed(attachment, &error);
                Kept::No
            }
            None => Kept::No,
        };
        Some(Event::Attachment(AttachmentEvent::Stored(request, kept)))
    }

    /// Asking the peer for it is over.
    pub(super) fn end(&mut self, attachment: AttachmentId, end: FetchEnd) {
        let mut end = end;
        if let Some(mut coming) = self.open.remove(&attachment) {
            if end == FetchEnd::Complete {
                if let Err(error) = coming.partial.finish() {
                    end = self.failed(attachment, &error);
                }
            } else {
                self.settle(&mut coming);
            }
        }
        self.fetches.ended(self.link, attachment, end);
    }

    /// Makes durable what came, so that it is not asked for again.
    fn settle(&self, coming: &mut Coming) {
        if coming.partial.manifest().is_some()
            && let Err(error) = coming.partial.checkpoint()
        {
            self.failed(coming.partial.id(), &error);
        }
    }

    fn failed(&self, attachment: AttachmentId, error: &AttachmentError) -> FetchEnd {
        tracing::warn!(target: "tombolo::sync", %attachment, link = self.link, %error, "an attachment that a peer sent could not be kept");
        FetchEnd::Failed
    }
}

impl Drop for Storing {
    fn drop(&mut self) {
        for (_, mut coming) in std::mem::take(&mut self.open) {
            self.settle(&mut coming);
        }
        self.fetches.unlinked(self.link);
    }
}

fn progress(partial: &Partial) -> Progress {
    let Some(manifest) = partial.manifest() else {
        return Progress::NONE;
    };
    let mut missing: Vec<std::ops::Range<u64>> = Vec::new();
    for chunk in partial.missing() {
        match missing.last_mut() {
            Some(range) if range.end == chunk => range.end += 1,
            _ => missing.push(chunk..chunk + 1),
        }
    }
    Progress {
        manifest: Some(Arc::new(manifest.clone())),
        missing,
    }
}

fn held_bytes(partial: &Partial) -> u64 {
    let chunks = 0..chunk_count(partial.length());
    let held = chunks.filter(|chunk| partial.holds(*chunk));
    let lengths = held.filter_map(|chunk| chunk_length(partial.length(), chunk));
    lengths.map(|length| length as u64).sum()
}
