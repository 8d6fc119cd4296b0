//! Attachments between two peers, as machines: one side asks and checks, the
//! other answers and sends; a third decides whom to ask.
//!
//! Nothing here touches a disk: chunks are checked when they come, and given out
//! to be stored. docs/formats/wire.md holds the rules.

mod asking;
mod event;
mod exchange;
mod fetcher;
mod serving;
mod window;

pub use event::{
    Answer, AttachmentAction, AttachmentEvent, FetchEnd, Kept, Opening, Place, Progress, Seek,
};
pub use fetcher::{Fetcher, FetcherFull, Order, Waiting, Who};

pub(crate) use exchange::Exchange;

use crate::limits::PIECE_BYTES;
use tombolo_document::attachment::CHUNK_BYTES;

/// Pieces of a whole chunk.
pub(crate) const PIECES_OF_CHUNK: u64 = (CHUNK_BYTES / PIECE_BYTES) as u64;

/// How many pieces content of this length has.
#[must_use]
pub const fn piece_count(length: u64) -> u64 {
    length.div_ceil(PIECE_BYTES as u64)
}

/// Bytes of one piece of content of this length; zero if there is no such piece.
#[must_use]
pub const fn piece_length(length: u64, piece: u64) -> usize {
    if piece >= piece_count(length) {
        return 0;
    }
    let left = length - piece * PIECE_BYTES as u64;
    if left < PIECE_BYTES as u64 {
        left as usize
    } else {
        PIECE_BYTES
    }
}
