//! A peer that lies: it holds a good certificate, and what comes out of it is not
//! what a session says that keeps to it.
//!
//! In one life of a link it lies in one of two ways. A [`Tamperer`] runs a real
//! session that knows no rules, and changes, repeats, withholds and replays what
//! that says. A [`Forger`] has no session and says whatever it likes.

mod forged;
mod forger;
mod tamperer;

use tombolo_document::Actor;
use tombolo_store::StoreError;
use tombolo_sync::wire::Hello;
use tombolo_sync::{Event, Now};

use self::forger::Forger;
pub(crate) use self::tamperer::Honest;
use self::tamperer::Tamperer;
use crate::holdings::Place;
use crate::random::Random;
use crate::seat::Response;

/// What a liar knows when a link comes up.
pub(crate) struct Lore {
    /// How many documents of each collection there are.
    pub(crate) documents: u64,
    /// Under which names the nodes of the world write.
    pub(crate) actors: Vec<Actor>,
    /// Documents that it holds.
    pub(crate) known: Vec<(Place, Vec<u8>)>,
    /// All lists of revocations that were ever signed.
    pub(crate) lists: Vec<bytes::Bytes>,
    /// What it would say of itself if it were honest.
    pub(crate) hello: Hello,
}

/// One end of a link with a liar behind it.
pub(crate) enum Liar {
    Tamperer(Box<Tamperer>),
    Forger(Box<Forger>),
}

impl Liar {
    pub(crate) fn open(
        honest: Honest,
        lore: Lore,
        mut random: Random,
        now: Now,
    ) -> Result<(Self, Response), StoreError> {
        if random.chance(500) {
            let (tamperer, response) = Tamperer::open(honest, lore, random, now)?;
            return Ok((Self::Tamperer(Box::new(tamperer)), response));
        }
        let (forger, response) = Forger::open(lore, random, now);
        Ok((Self::Forger(Box::new(forger)), response))
    }

    /// Whether what it sends was never written by anybody.
    pub(crate) const fn forges(&self) -> bool {
        matches!(self, Self::Forger(_))
    }

    pub(crate) fn handle(&mut self, event: Event, now: Now) -> Result<Response, StoreError> {
        match self {
            Self::Tamperer(tamperer) => tamperer.handle(event, now),
            Self::Forger(forger) => Ok(forger.handle(event, now)),
        }
    }

    pub(crate) fn end(self) -> Result<(), StoreError> {
        match self {
            Self::Tamperer(tamperer) => tamperer.end(),
            Self::Forger(_) => Ok(()),
        }
    }
}
