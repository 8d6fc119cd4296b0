//! Both sides of the exchange of attachments over one link, behind the rules of
//! its two ends.

use std::sync::Arc;
use std::time::Duration;

use tombolo_identity::Filter;

use super::asking::Asking;
use super::event::{AttachmentAction, AttachmentEvent, FetchEnd, Opening, Place};
use super::serving::Serving;
use crate::event::Action;
use crate::limits::PROTOCOL_VERSION_MAX;
use crate::session::Desk;
use crate::wire::{AttachmentMessage, WireError};

pub(crate) struct Exchange {
    filter: Arc<Filter>,
    /// Whether the peer knows what this is about.
    is_spoken: bool,
    asking: Asking,
    serving: Serving,
}

impl Exchange {
    pub(crate) fn new(filter: Arc<Filter>) -> Self {
        Self {
            filter,
            is_spoken: false,
            asking: Asking::default(),
            serving: Serving::default(),
        }
    }

    /// The peer said who it is; `version` is the highest that both speak.
    pub(crate) const fn met(&mut self, version: u64) {
        self.is_spoken = version >= PROTOCOL_VERSION_MAX;
    }

    pub(crate) fn happen(&mut self, event: AttachmentEvent, desk: &mut Desk<'_>) {
        match event {
            AttachmentEvent::Seek(seek) => {
                let Place { collection, id, .. } = &seek.place;
                if self.is_spoken && self.filter.accepts(collection, id) {
                    self.asking.seek(seek, desk);
                } else {
                    let unable = AttachmentAction::Ended(seek.attachment, FetchEnd::Unable);
                    desk.act(Action::Attachment(unable));
                }
            }
            AttachmentEvent::Cancel(attachment) => self.asking.cancel(attachment, desk),
            AttachmentEvent::Stored(request, stored) => self.asking.stored(request, stored, desk),
            AttachmentEvent::NotAdopted(request) => self.asking.give_up(request, desk),
            AttachmentEvent::Opened(request, answer) => self.serving.opened(request, answer, desk),
            AttachmentEvent::Read(request, content) => self.serving.read(request, content, desk),
            AttachmentEvent::Carried(frames) => self.serving.carried(frames, desk),
        }
    }

    pub(crate) fn hear(
        &mut self,
        message: AttachmentMessage,
        desk: &mut Desk<'_>,
    ) -> Result<(), WireError> {
        if !self.is_spoken {
            return Err(WireError::Protocol(
                "attachments under a version that has none",
            ));
        }
        match message {
            AttachmentMessage::Seek {
                request,
                has_manifest,
                collection,
                id,
                attachment,
                length,
            } => {
                let opening = Opening {
                    request,
                    attachment,
                    place: Place {
                        collection,
                        id,
                        length,
                    },
                    wants_manifest: !has_manifest,
                };
                self.serving.seek(opening, &self.filter, desk)
            }
            AttachmentMessage::Holding { request, manifest } => {
                self.asking.holding(request, &manifest, desk)
            }
            AttachmentMessage::Lacking { request, lack } => {
                self.asking.lacking(request, lack, desk)
            }
            AttachmentMessage::Pull {
                request,
                first,
                count,
            } => self.serving.pull(request, (first, count), desk),
            AttachmentMessage::Piece {
                request,
                piece,
                content,
            } => self.asking.piece((request, piece), &content, desk),
            AttachmentMessage::Release { request } => self.serving.release(request, desk),
        }
    }

    pub(crate) fn advance(&mut self, desk: &mut Desk<'_>) {
        self.asking.advance(desk);
    }

    pub(crate) fn alarm(&self) -> Option<Duration> {
        self.asking.alarm()
    }
}
