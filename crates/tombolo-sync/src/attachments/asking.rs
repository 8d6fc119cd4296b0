//! The asker's side of one link: pulls the pieces of missing chunks as far as
//! they come without delay, and checks each chunk before it is given out.
//! Memory holds one chunk that grows and a few that wait for the disk, in the
//! pieces in which they came: no byte is copied here, and each is hashed once.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tombolo_document::attachment::{AttachmentId, ChunkCheck, Manifest};

use super::event::{AttachmentAction, FetchEnd, Kept, Seek, all_chunks};
use super::window::Window;
use super::{PIECES_OF_CHUNK, piece_count, piece_length};
use crate::event::Action;
use crate::limits::{ATTACHMENT_SILENCE_MAX, REQUESTS_MAX, UNSTORED_CHUNKS_MAX};
use crate::session::Desk;
use crate::wire::{AttachmentMessage, Lack, Message, WireError};

#[derive(Default)]
pub(crate) struct Asking {
    /// The number of the next request.
    next: u64,
    open: BTreeMap<u64, Request>,
    /// What was pulled and has not come, in its order.
    expected: VecDeque<Expected>,
    /// What came of the chunk that the front of `expected` belongs to.
    chunk: Option<ChunkCheck<Bytes>>,
    /// The chunk that is being pulled: its request and the next piece of it.
    pulling: Option<(u64, u64)>,
    /// The request whose turn it was last.
    turn: u64,
    /// Chunks that were given out and are not stored yet.
    unstored: usize,
    window: Window,
    /// Pieces and answers that may still come for released requests.
    stray_pieces: usize,
    stray_answers: usize,
    /// When something came of what the peer owes, or it began to owe.
    heard: Duration,
}

struct Request {
    attachment: AttachmentId,
    length: u64,
    /// `None` until the peer said that it holds the attachment.
    manifest: Option<Arc<Manifest>>,
    kept: Option<Arc<Manifest>>,
    /// Chunks to be pulled yet, ascending.
    missing: VecDeque<std::ops::Range<u64>>,
    /// Chunks that were pulled and are not stored yet.
    unfinished: usize,
}

struct Expected {
    request: u64,
    piece: u64,
    pulled: Duration,
}

impl Asking {
    pub(crate) fn seek(&mut self, seek: Seek, desk: &mut Desk<'_>) {
        let Seek {
            attachment,
            place,
            progress,
        } = seek;
        // Whoever asks keeps to a lower limit of its own.
        if self.open.len() >= REQUESTS_MAX || self.request_of(attachment).is_some() {
            end(attachment, FetchEnd::Unable, desk);
            return;
        }
        if self.owes_nothing() {
            self.heard = desk.now.monotonic;
        }
        let request = self.next;
        self.next += 1;
        let length = place.length;
        let kept = progress.manifest.clone();
        say(
            AttachmentMessage::Seek {
                request,
                has_manifest: kept.is_some(),
                collection: place.collection,
                id: place.id,
                attachment,
                length,
            },
            desk,
        );
        let missing = progress.chunks(length).into();
        let request_state = Request {
            attachment,
            length,
            manifest: None,
            kept,
            missing,
            unfinished: 0,
        };
        self.open.insert(request, request_state);
    }

    pub(crate) fn cancel(&mut self, attachment: AttachmentId, desk: &mut Desk<'_>) {
        if let Some(request) = self.request_of(attachment) {
            self.release(request, desk);
            self.pull(desk);
        }
    }

    pub(crate) fn holding(
        &mut self,
        number: u64,
        bytes: &Bytes,
        desk: &mut Desk<'_>,
    ) -> Result<(), WireError> {
        self.heard = desk.now.monotonic;
        let Some(request) = self.open.get_mut(&number) else {
            return self.stray_answer(number);
        };
        if request.manifest.is_some() {
            return Err(WireError::Protocol("an attachment was promised twice"));
        }
        let manifest = match &request.kept {
            Some(_) if !bytes.is_empty() => {
                return Err(WireError::Protocol("a manifest that was not asked for"));
            }
            Some(kept) => Arc::clone(kept),
            None => {
                let checked = Manifest::verify(bytes, request.attachment, request.length)?;
                let checked = Arc::new(checked);
                request.missing = all_chunks(request.length).into();
                let kept = AttachmentAction::Adopt(number, Arc::clone(&checked));
                desk.act(Action::Attachment(kept));
                checked
            }
        };
        request.manifest = Some(manifest);
        self.finish_if_done(number, desk);
        self.pull(desk);
        Ok(())
    }

    pub(crate) fn lacking(
        &mut self,
        number: u64,
        lack: Lack,
        desk: &mut Desk<'_>,
    ) -> Result<(), WireError> {
        self.heard = desk.now.monotonic;
        let Some(request) = self.open.remove(&number) else {
            return self.stray_answer(number);
        };
        end(request.attachment, FetchEnd::Lacking(lack), desk);
        self.forget(number);
        self.pull(desk);
        Ok(())
    }

    pub(crate) fn piece(
        &mut self,
        (number, piece): (u64, u64),
        content: &Bytes,
        desk: &mut Desk<'_>,
    ) -> Result<(), WireError> {
        let now = desk.now.monotonic;
        self.heard = now;
        let front = self.expected.front();
        let is_next = front.is_some_and(|front| (front.request, front.piece) == (number, piece));
        let request = self.open.get_mut(&number).filter(|_| is_next);
        let Some(request) = request else {
            return self.stray_piece(number);
        };
        if content.len() != piece_length(request.length, piece) {
            return Err(WireError::Protocol("a piece of another size"));
        }
        if let Some(came) = self.expected.pop_front() {
            self.window.arrived(now.saturating_sub(came.pulled));
        }
        let index = piece / PIECES_OF_CHUNK;
        let mut chunk = self.chunk.take();
        let growing = chunk.get_or_insert_with(|| ChunkCheck::begin(index));
        growing.take(content.clone());
        let is_last = piece + 1 == piece_count(request.length);
        if !is_last && !(piece + 1).is_multiple_of(PIECES_OF_CHUNK) {
            self.chunk = chunk;
        } else if let (Some(chunk), Some(manifest)) = (chunk, &request.manifest) {
            let chunk = chunk.finish(manifest)?;
            self.unstored += 1;
            desk.act(Action::Attachment(AttachmentAction::Store {
                request: number,
                chunk,
            }));
        }
        self.pull(desk);
        Ok(())
    }

    /// A chunk was stored, or could not be.
    pub(crate) fn stored(&mut self, number: u64, stored: Kept, desk: &mut Desk<'_>) {
        self.unstored = self.unstored.saturating_sub(1);
        if let Some(request) = self.open.get_mut(&number) {
            request.unfinished = request.unfinished.saturating_sub(1);
        }
        match stored {
            Kept::Yes => self.finish_if_done(number, desk),
            Kept::No => self.give_up(number, desk),
        }
        if self.expected.is_empty() {
            self.heard = desk.now.monotonic;
        }
        self.pull(desk);
    }

    /// What comes of a request cannot be kept.
    pub(crate) fn give_up(&mut self, number: u64, desk: &mut Desk<'_>) {
        if let Some(request) = self.open.get(&number) {
            end(request.attachment, FetchEnd::Failed, desk);
            self.release(number, desk);
            self.pull(desk);
        }
    }

    /// Gives up a peer that owes something for too long.
    pub(crate) fn advance(&mut self, desk: &mut Desk<'_>) {
        if self.alarm().is_none_or(|at| desk.now.monotonic < at) {
            return;
        }
        for number in self.open.keys().copied().collect::<Vec<_>>() {
            if let Some(request) = self.open.get(&number) {
                end(request.attachment, FetchEnd::Silent, desk);
            }
            self.release(number, desk);
        }
    }

    pub(crate) fn alarm(&self) -> Option<Duration> {
        (!self.owes_nothing()).then_some(self.heard + ATTACHMENT_SILENCE_MAX)
    }

    fn owes_nothing(&self) -> bool {
        let is_answered = |request: &Request| request.manifest.is_some();
        self.expected.is_empty() && self.open.values().all(is_answered)
    }

    fn request_of(&self, attachment: AttachmentId) -> Option<u64> {
        let mut open = self.open.iter();
        open.find_map(|(number, request)| (request.attachment == attachment).then_some(*number))
    }

    fn finish_if_done(&mut self, number: u64, desk: &mut Desk<'_>) {
        let Some(request) = self.open.get(&number) else {
            return;
        };
        if request.missing.is_empty() && request.unfinished == 0 {
            end(request.attachment, FetchEnd::Complete, desk);
            self.release(number, desk);
        }
    }

    /// Ends a request that the peer has not ended.
    fn release(&mut self, number: u64, desk: &mut Desk<'_>) {
        let Some(request) = self.open.remove(&number) else {
            return;
        };
        let owed = self.forget(number);
        self.stray_pieces += owed;
        // The first one, or one in place of the pieces that are owed.
        if request.manifest.is_none() || owed > 0 {
            self.stray_answers += 1;
        }
        say(AttachmentMessage::Release { request: number }, desk);
    }

    /// Takes back what was pulled of a request; gives how many pieces that is.
    fn forget(&mut self, number: u64) -> usize {
        let is_of = |one: &Expected| one.request == number;
        if self.expected.front().is_some_and(is_of) {
            self.chunk = None;
        }
        if self.pulling.is_some_and(|(of, _)| of == number) {
            self.pulling = None;
        }
        let before = self.expected.len();
        self.expected.retain(|one| !is_of(one));
        before - self.expected.len()
    }

    /// Pulls as far as the window is open, in portions worth a message.
    fn pull(&mut self, desk: &mut Desk<'_>) {
        let window = self.window.pieces();
        let mut room = window.saturating_sub(self.expected.len());
        if room * 2 < window && !self.expected.is_empty() {
            return;
        }
        while room > 0 {
            let Some((number, first)) = self.pulling.or_else(|| self.next_chunk()) else {
                return;
            };
            let Some(request) = self.open.get(&number) else {
                self.pulling = None;
                continue;
            };
            let end = (first / PIECES_OF_CHUNK + 1) * PIECES_OF_CHUNK;
            let end = end.min(piece_count(request.length));
            let count = (end - first).min(room as u64);
            let pulled = desk.now.monotonic;
            if self.expected.is_empty() {
                self.heard = pulled;
            }
            let pieces = (first..first + count).map(|piece| Expected {
                request: number,
                piece,
                pulled,
            });
            self.expected.extend(pieces);
            room -= count as usize;
            self.pulling = (first + count < end).then_some((number, first + count));
            say(
                AttachmentMessage::Pull {
                    request: number,
                    first,
                    count,
                },
                desk,
            );
        }
    }

    /// Takes the next chunk of the request whose turn it is, if the disk keeps up.
    fn next_chunk(&mut self) -> Option<(u64, u64)> {
        if self.unstored >= UNSTORED_CHUNKS_MAX {
            return None;
        }
        let can = |request: &Request| request.manifest.is_some() && !request.missing.is_empty();
        let after = self
            .open
            .range(self.turn + 1..)
            .chain(self.open.range(..=self.turn));
        let number = after
            .into_iter()
            .find_map(|(number, request)| can(request).then_some(*number))?;
        self.turn = number;
        let request = self.open.get_mut(&number)?;
        let range = request.missing.front_mut()?;
        let chunk = range.start;
        range.start += 1;
        if range.is_empty() {
            request.missing.pop_front();
        }
        request.unfinished += 1;
        Some((number, chunk * PIECES_OF_CHUNK))
    }

    fn stray_answer(&mut self, number: u64) -> Result<(), WireError> {
        if number >= self.next || self.stray_answers == 0 {
            return Err(WireError::Protocol("an answer that nobody waits for"));
        }
        self.stray_answers -= 1;
        Ok(())
    }

    fn stray_piece(&mut self, number: u64) -> Result<(), WireError> {
        let is_open = self.open.contains_key(&number);
        if number >= self.next || is_open || self.stray_pieces == 0 {
            return Err(WireError::Protocol(
                "a piece that was not pulled, or not now",
            ));
        }
        self.stray_pieces -= 1;
        Ok(())
    }
}

fn end(attachment: AttachmentId, end: FetchEnd, desk: &mut Desk<'_>) {
    desk.act(Action::Attachment(AttachmentAction::Ended(attachment, end)));
}

fn say(message: AttachmentMessage, desk: &mut Desk<'_>) {
    desk.say(&Message::Attachment(message));
}
