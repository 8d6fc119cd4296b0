//! The holder's side: answers who asks, and sends what is pulled as the link
//! takes it. It reads a chunk at a time and the next one while the first is sent;
//! memory holds two chunks, whatever is asked for.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use tombolo_identity::Filter;

use super::event::{Answer, AttachmentAction, Opening, Place};
use super::{PIECES_OF_CHUNK, piece_count, piece_length};
use crate::event::Action;
use crate::limits::{
    ATTACHMENT_FRAGMENT_BYTES, PIECE_BYTES, PULLED_PIECES_MAX, READY_PIECES_MAX, REQUESTS_MAX,
    UNSENT_FRAMES_MAX,
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
    /// What is being read: its request, and how many of `pulled` that is.
    reading: Option<(u64, usize)>,
    /// What was read and is not sent yet: its request, which piece, its bytes.
    ready: VecDeque<(u64, u64, Bytes)>,
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
        let waiting = self.pulled.len() + self.ready.len();
        if count > PULLED_PIECES_MAX.saturating_sub(waiting) as u64 {
            return Err(WireError::Protocol("too many pieces were pulled ahead"));
        }
        served.from = Some(end);
        self.pulled
            .extend((first..end).map(|piece| (request, piece)));
        self.advance(desk);
        Ok(())
    }

    pub(crate) fn read(&mut self, request: u64, content: Option<Bytes>, desk: &mut Desk<'_>) {
        let reading = self.reading.take();
        // The front is what was being read, unless it was released meanwhile.
        if let Some((_, count)) = reading
            && let Some(served) = self.open.get(&request)
        {
            let length = served.length;
            let pieces: Vec<_> = self.pulled.drain(..count).collect();
            let is_whole = |content: &Bytes| content.len() == bytes_of(&pieces, length);
            match content.filter(is_whole) {
                Some(mut content) => self.ready.extend(pieces.iter().map(|(_, piece)| {
                    let content = content.split_to(piece_length(length, *piece));
                    (request, *piece, content)
                })),
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
        self.ready.retain(|(of, _, _)| *of != request);
    }

    /// Sends as much as the link has room for, and reads on.
    fn advance(&mut self, desk: &mut Desk<'_>) {
        while self.unsent < UNSENT_FRAMES_MAX
            && let Some((request, piece, content)) = self.ready.pop_front()
        {
            self.unsent += 1;
            desk.send_piece(request, piece, &content);
        }
        if self.reading.is_some() || self.ready.len() >= READY_PIECES_MAX {
            return;
        }
        let Some(&(request, first)) = self.pulled.front() else {
            return;
        };
        let Some(served) = self.open.get(&request) else {
            return;
        };
        // As much as follows without a gap, up to the end of the chunk.
        let rest = PIECES_OF_CHUNK - first % PIECES_OF_CHUNK;
        let wanted = (first..first + rest).map(|piece| (request, piece));
        let pieces = self.pulled.iter().zip(wanted);
        let count = pieces.take_while(|(pulled, next)| *pulled == next).count();
        self.reading = Some((request, count));
        desk.act(Action::Attachment(AttachmentAction::Read {
            request,
            offset: first * PIECE_BYTES as u64,
            length: bytes_of(self.pulled.range(..count), served.length),
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

/// Bytes of some pieces of content of this length.
fn bytes_of<'p>(pieces: impl IntoIterator<Item = &'p (u64, u64)>, length: u64) -> usize {
    let pieces = pieces.into_iter();
    pieces.map(|(_, piece)| piece_length(length, *piece)).sum()
}
