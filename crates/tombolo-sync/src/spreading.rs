//! Lists of revocations on their way through one session: what the peer is told
//! and how often, and how often it may tell. What stands in them is not looked
//! at here.

use std::time::Duration;

use bytes::Bytes;

use crate::limits::{REVOCATIONS_BURST, REVOCATIONS_PAUSE};
use crate::wire::WireError;

/// A list by its hash: a session keeps none of them.
type Name = [u8; 32];

/// What was told and heard of lists.
#[derive(Debug, Default)]
pub(crate) struct Spreading {
    /// To be told.
    waiting: Option<Bytes>,
    told: Option<Name>,
    heard: Option<Name>,
    /// When the next may be told.
    open_at: Duration,
    /// When the peer's lists would have come if they had kept their pace.
    paced: Duration,
}

impl Spreading {
    /// This side holds a list.
    pub(crate) fn hold(&mut self, list: Bytes) {
        let name = Some(name(&list));
        let is_known = name == self.told || name == self.heard;
        self.waiting = (!is_known).then_some(list);
    }

    /// The list to be told now, if there is one.
    pub(crate) fn next(&mut self, now: Duration) -> Option<Bytes> {
        if now < self.open_at {
            return None;
        }
        let list = self.waiting.take()?;
        self.told = Some(name(&list));
        self.open_at = now + REVOCATIONS_PAUSE;
        Some(list)
    }

    /// When [`Spreading::next`] will have one.
    pub(crate) fn alarm(&self) -> Option<Duration> {
        self.waiting.as_ref().map(|_| self.open_at)
    }

    /// The peer sent a list.
    pub(crate) fn hear(&mut self, list: &Bytes, now: Duration) -> Result<(), WireError> {
        self.paced = self.paced.max(now) + REVOCATIONS_PAUSE;
        if self.paced > now + REVOCATIONS_PAUSE * REVOCATIONS_BURST {
            return Err(WireError::Protocol("revocations too often"));
        }
        let name = name(list);
        if self.waiting.as_ref().is_some_and(|ours| ours == list) {
            self.waiting = None;
        }
        self.heard = Some(name);
        Ok(())
    }
}

fn name(list: &Bytes) -> Name {
    *blake3::hash(list).as_bytes()
}
