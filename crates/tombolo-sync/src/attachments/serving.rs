//! The holder's side: answers who asks, and sends what is pulled as the link
//! takes it. Memory holds a few pieces, whatever is asked for.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use tombolo_identity::Filter;

use super::event::{Answer, AttachmentAction, Opening, Place};
use super::{piece_count, piece_length};
use crate::event::Action;
use crate::limits::{
    ATTACHMENT_FRAGMENT_BYTES, PIECE_BYTES, PULLED_PIECES_MAX, REQUESTS_MAX, UNSENT_FRAMES_MAX,
};
use crate::session::Desk;
use crate::wire::{AttachmentMessage, Channel, Lack, Message, Packed, WireError};

/// Frames that may wait for the link when another request comes. Who waits for
/// answers before it asks on never sees so many.
const ANSWER_FRAMES_MAX: usize = 256;

#[derive(Default)]
pub(crate) struct Serving {
    /// The number that the peer's next request must have.
    next: u64,
    open: BTreeMap<u64, Served>,
    /// What was pulled and not read yet, in the order in which it goes out.
    pulled: VecDeque<(u64, u64)>,
    /// Whether a piece is being read.
    is_reading: bool,
    /// Frames that the link has not taken yet.
    unsent: usize,
}

struct Served {
    length: u64,
    /// The lowest piece that may still be pulled; `None` before it is opened.
    from: Option<u64>,
}

impl Serving {
    pub(crate) fn seek(
        &mut self,
        opening: Opening,
        filter: &Filter,
        desk: &mut Desk<'_>,
    ) -> Result<(), WireError> {
        let request = opening.request;
        if request != self.next {
            return Err(WireError::Protocol(
                "a request for an attachment out of order",
            ));
        }
        if self.open.len() >= REQUESTS_MAX || self.unsent > ANSWER_FRAMES_MAX {
            return Err(WireError::Protocol("too many requests for attachments"));
        }
        self.next += 1;
        let Place { collection, id, .. } = &opening.place;
        if !filter.may_send(collection, id) {
            self.lack(request, Lack::Refused, desk);
            return Ok(());
        }
        let length = opening.place.length;
        self.open.insert(request, Served { length, from: None });
        desk.act(Action::Attachment(AttachmentAction::Open(opening)));
        Ok(())
    }

    pub(crate) fn opened(&mut self, request: u64, answer: Answer, desk: &mut Desk<'_>) {
        let Some(served) = self.open.get_mut(&request) else {
            // It was released meanwhile.
            desk.act(Action::Attachment(AttachmentAction::Close(request)));
            return;
        };
        let lack = match answer {
            Answer::Held(manifest) => {
                served.from = Some(0);
                self.send(AttachmentMessage::Holding { request, manifest }, desk);
                return;
            }
            Answer::Refused => Lack::Refused,
            Answer::NotHeld => Lack::NotHeld,
        };
        self.open.remove(&request);
        self.lack(request, lack, desk);
    }

    pub(crate) fn pull(
        &mut self,
        request: u64,
        (first, count): (u64, u64),
        desk: &mut Desk<'_>,
    ) -> Result<(), WireError> {
        if request >= self.next {
            return Err(WireError::Protocol("pieces of what was not asked for"));
        }
        // This side may have ended it while the pull was under way.
        let Some(served) = self.open.get_mut(&request) else {
            return Ok(());
        };
        let from = served
            .from
            .ok_or(WireError::Protocol("pieces were pulled before an answer"))?;
        let end = first.checked_add(count);
        let end = end.filter(|end| *end <= piece_count(served.length));
        let end = end.ok_or(WireError::Protocol("pieces that an attachment has not"))?;
        if first < from {
            return Err(WireError::Protocol("pieces were pulled twice"));
        }
        if count > (PULLED_PIECES_MAX - self.pulled.len()) as u64 {
            return Err(WireError::Protocol("too many pieces were pulled ahead"));
        }
        served.from = Some(end);
        self.pulled
            .extend((first..end).map(|piece| (request, piece)));
        self.advance(desk);
        Ok(())
    }

    pub(crate) fn read(&mut self, request: u64, content: Option<Bytes>, desk: &mut Desk<'_>) {
        self.is_reading = false;
        // The front is what was being read, unless it was released meanwhile.
        if self.open.contains_key(&request) {
            let Some((_, piece)) = self.pulled.pop_front() else {
                return;
            };
            match content {
                Some(content) => {
                    let message = AttachmentMessage::Piece {
                        request,
                        piece,
                        content,
                    };
                    self.send(message, desk);
                }
                None => {
                    self.forget(request);
                    desk.act(Action::Attachment(AttachmentAction::Close(request)));
                    self.lack(request, Lack::NotHeld, desk);
                }
            }
        }
        self.advance(desk);
    }

    pub(crate) fn release(&mut self, request: u64, desk: &mut Desk<'_>) -> Result<(), WireError> {
        if request >= self.next {
            return Err(WireError::Protocol("a release of what was not asked for"));
        }
        if self
            .open
            .get(&request)
            .is_some_and(|served| served.from.is_some())
        {
            desk.act(Action::Attachment(AttachmentAction::Close(request)));
        }
        self.forget(request);
        Ok(())
    }

    /// The link took frames.
    pub(crate) fn carried(&mut self, frames: usize, desk: &mut Desk<'_>) {
        self.unsent = self.unsent.saturating_sub(frames);
        self.advance(desk);
    }

    fn forget(&mut self, request: u64) {
        self.open.remove(&request);
        self.pulled.retain(|(of, _)| *of != request);
    }

    /// Reads the next piece, if the link has room for it.
    fn advance(&mut self, desk: &mut Desk<'_>) {
        if self.is_reading || self.unsent >= UNSENT_FRAMES_MAX {
            return;
        }
        let Some(&(request, piece)) = self.pulled.front() else {
            return;
        };
        let Some(served) = self.open.get(&request) else {
            return;
        };
        self.is_reading = true;
        desk.act(Action::Attachment(AttachmentAction::Read {
            request,
            offset: piece * PIECE_BYTES as u64,
            length: piece_length(served.length, piece),
        }));
    }

    fn lack(&mut self, request: u64, lack: Lack, desk: &mut Desk<'_>) {
        self.send(AttachmentMessage::Lacking { request, lack }, desk);
    }

    fn send(&mut self, message: AttachmentMessage, desk: &mut Desk<'_>) {
        let packed = Packed::plain(Message::Attachment(message).encode());
        self.unsent += packed.len().div_ceil(ATTACHMENT_FRAGMENT_BYTES);
        desk.send(Channel::Attachments, &packed);
    }
}
