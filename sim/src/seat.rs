//! The two ways in which a session of a run is driven.

use tombolo::replication::{Outward, Seat};
use tombolo_store::StoreError;
use tombolo_sync::{Event, Now, Standing};

/// A session with its node's database.
pub(crate) enum Chair {
    /// All work is done at once.
    Prompt(Box<Seat>),
}

impl Chair {
    pub(crate) fn handle(&mut self, event: Event, now: Now) -> Result<Vec<Outward>, StoreError> {
        match self {
            Self::Prompt(seat) => seat.handle(event, now),
        }
    }

    pub(crate) fn committed(
        &mut self,
        standing: Standing,
        now: Now,
    ) -> Result<Vec<Outward>, StoreError> {
        self.handle(Event::Committed(standing), now)
    }

    /// How many views the session keeps.
    pub(crate) fn views_kept(&self) -> usize {
        match self {
            Self::Prompt(seat) => seat.views_kept(),
        }
    }

    pub(crate) fn end(self) -> Result<(), StoreError> {
        match self {
            Self::Prompt(seat) => seat.end(),
        }
    }
}
