//! The two ways in which a session of a run is driven.

use tombolo::replication::{Outward, Seat};
use tombolo_store::StoreError;
use tombolo_sync::{Event, Now, Standing};

use crate::liar::Liar;
use crate::slow_seat::SlowSeat;

/// A session with its node's database.
pub(crate) enum Chair {
    /// All work is done at once.
    Prompt(Box<Seat>),
    /// Work takes time, and other things happen meanwhile.
    Slow(Box<SlowSeat>),
    /// Nobody keeps to anything.
    Liar(Liar),
}

/// What came of telling a session something.
#[derive(Default)]
pub(crate) struct Response {
    pub(crate) outward: Vec<Outward>,
    /// Pieces of work that are to be done later.
    pub(crate) works: usize,
}

impl Response {
    fn prompt(outward: Vec<Outward>) -> Self {
        Self { outward, works: 0 }
    }
}

impl Chair {
    pub(crate) fn handle(&mut self, event: Event, now: Now) -> Result<Response, StoreError> {
        match self {
            Self::Prompt(seat) => seat.handle(event, now).map(Response::prompt),
            Self::Slow(seat) => seat.handle(event, now),
            Self::Liar(liar) => liar.handle(event, now),
        }
    }

    pub(crate) fn committed(
        &mut self,
        standing: Standing,
        now: Now,
    ) -> Result<Response, StoreError> {
        self.handle(Event::Committed(standing), now)
    }

    /// Does one piece of work that waits, chosen by `lot`.
    pub(crate) fn work(&mut self, lot: u64, now: Now) -> Result<Response, StoreError> {
        match self {
            Self::Prompt(_) | Self::Liar(_) => Ok(Response::default()),
            Self::Slow(seat) => seat.work(lot, now),
        }
    }

    /// How many views the session keeps.
    pub(crate) fn views_kept(&self) -> usize {
        match self {
            Self::Prompt(seat) => seat.views_kept(),
            Self::Slow(seat) => seat.views_kept(),
            Self::Liar(_) => 0,
        }
    }

    pub(crate) fn end(self) -> Result<(), StoreError> {
        match self {
            Self::Prompt(seat) => seat.end(),
            Self::Slow(seat) => seat.end(),
            Self::Liar(liar) => liar.end(),
        }
    }
}
