//! Opens and reads what the peer of one link asks for.

use std::collections::BTreeMap;

use bytes::Bytes;
use tombolo_document::attachment::CHUNK_BYTES;
use tombolo_store::attachments::{AttachmentReader, Attachments};
use tombolo_sync::Event;
use tombolo_sync::attachments::{Answer, AttachmentEvent, Opening};

use crate::replication::Host;

/// What one peer reads.
pub(super) struct Serving {
    host: Host,
    shelf: Attachments,
    open: BTreeMap<u64, AttachmentReader>,
    /// The chunk that pieces were last read from: its request and number.
    chunk: Option<((u64, u64), Bytes)>,
}

impl Serving {
    pub(super) const fn new(host: Host, shelf: Attachments) -> Self {
        Self {
            host,
            shelf,
            open: BTreeMap::new(),
            chunk: None,
        }
    }

    /// Sees whether the peer may have it, and whether it is here.
    pub(super) fn open(&mut self, opening: &Opening) -> Option<Event> {
        let answer = match opening.is_vouched(&self.host.view()) {
            Ok(true) => self.find(opening),
            Ok(false) => Answer::Refused,
            Err(error) => {
                tracing::warn!(target: "tombolo::sync", attachment = %opening.attachment, %error, "whether a peer may have an attachment cannot be told");
                Answer::Refused
            }
        };
        let opened = AttachmentEvent::Opened(opening.request, answer);
        Some(Event::Attachment(opened))
    }

    fn find(&mut self, opening: &Opening) -> Answer {
        let found = self.shelf.open_content(opening.attachment);
        match found {
            Ok(Some(reader)) if reader.length() == opening.place.length => {
                let manifest = match opening.wants_manifest {
                    true => Bytes::copy_from_slice(reader.manifest().as_bytes()),
                    false => Bytes::new(),
                };
                self.open.insert(opening.request, reader);
                Answer::Held(manifest)
            }
            Ok(_) => Answer::NotHeld,
            Err(error) => {
                tracing::warn!(target: "tombolo::sync", attachment = %opening.attachment, %error, "an attachment cannot be given to a peer");
                Answer::NotHeld
            }
        }
    }

    /// Reads a piece, out of a chunk that was checked: a disk that is damaged
    /// makes no liar of this side.
    pub(super) fn read(&mut self, request: u64, offset: u64, length: usize) -> Option<Event> {
        let within = (offset % CHUNK_BYTES as u64) as usize;
        let content = self.chunk(request, offset / CHUNK_BYTES as u64);
        let content = content.filter(|chunk| chunk.len() >= within + length);
        let content = content.map(|chunk| chunk.slice(within..within + length));
        Some(Event::Attachment(AttachmentEvent::Read(request, content)))
    }

    fn chunk(&mut self, request: u64, number: u64) -> Option<Bytes> {
        if let Some((held, chunk)) = &self.chunk
            && *held == (request, number)
        {
            return Some(chunk.clone());
        }
        self.chunk = None;
        let reader = self.open.get(&request)?;
        match reader.chunk(number) {
            Ok(chunk) => {
                let chunk = Bytes::from(chunk);
                self.chunk = Some(((request, number), chunk.clone()));
                Some(chunk)
            }
            Err(error) => {
                tracing::warn!(target: "tombolo::sync", attachment = %reader.id(), %error, "an attachment cannot be given to a peer");
                None
            }
        }
    }

    pub(super) fn close(&mut self, request: u64) {
        self.open.remove(&request);
        if self
            .chunk
            .as_ref()
            .is_some_and(|((of, _), _)| *of == request)
        {
            self.chunk = None;
        }
    }
}
