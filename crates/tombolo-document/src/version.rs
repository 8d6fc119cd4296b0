//! Version vectors: what a replica has seen of each actor.
//!
//! An actor that is absent is not covered, not even at stamp zero.

use smallvec::SmallVec;

use crate::actor::{Actor, Dot};
use crate::stamp::Stamp;

/// Most actors that one document may have; beyond it no new one is accepted.
pub const MAX_ACTORS: usize = 1024;

/// The highest stamp seen per actor, sorted by actor.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VersionVector {
    entries: SmallVec<[(Actor, Stamp); 2]>,
}

impl VersionVector {
    /// The vector that covers nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            entries: SmallVec::new_const(),
        }
    }

    /// The entries in the order of their actors.
    #[must_use]
    pub fn entries(&self) -> &[(Actor, Stamp)] {
        &self.entries
    }

    /// How many actors it covers.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it covers nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The highest stamp seen of `actor`.
    #[must_use]
    pub fn get(&self, actor: &Actor) -> Option<Stamp> {
        let at = self.position(actor).ok()?;
        Some(self.entries[at].1)
    }

    /// Whether the commit has been seen.
    #[must_use]
    pub fn covers(&self, dot: &Dot) -> bool {
        self.get(&dot.actor).is_some_and(|seen| seen >= dot.stamp)
    }

    /// The greatest stamp that it covers.
    #[must_use]
    pub fn newest(&self) -> Option<Stamp> {
        self.entries.iter().map(|(_, stamp)| *stamp).max()
    }

    /// Whether everything that `other` covers is covered here.
    #[must_use]
    pub fn dominates(&self, other: &Self) -> bool {
        other
            .entries
            .iter()
            .all(|&(actor, stamp)| self.covers(&Dot::new(actor, stamp)))
    }

    /// Adds an entry behind the last one; the caller has checked the order.
    pub(crate) fn push(&mut self, actor: Actor, stamp: Stamp) {
        debug_assert!(self.entries.last().is_none_or(|(last, _)| *last < actor));
        self.entries.push((actor, stamp));
    }

    /// Covers the commit and all before it of the same actor.
    pub fn add(&mut self, dot: Dot) {
        match self.position(&dot.actor) {
            Ok(at) => self.entries[at].1 = self.entries[at].1.max(dot.stamp),
            Err(at) => self.entries.insert(at, (dot.actor, dot.stamp)),
        }
    }

    /// Puts another stamp in an actor's entry.
    pub(crate) fn replace(&mut self, actor: &Actor, stamp: Stamp) {
        if let Ok(at) = self.position(actor) {
            self.entries[at].1 = stamp;
        }
    }

    /// Claims no stamp above this one.
    pub(crate) fn cut_above(&mut self, limit: Stamp) {
        for (_, stamp) in &mut self.entries {
            *stamp = (*stamp).min(limit);
        }
    }

    /// Covers what either covers.
    pub fn join(&mut self, other: &Self) {
        for &(actor, stamp) in &other.entries {
            self.add(Dot::new(actor, stamp));
        }
    }

    /// The entries that `drop` does not pick.
    pub(crate) fn without(&self, drop: impl Fn(&Dot) -> bool) -> Self {
        let kept = self
            .entries
            .iter()
            .filter(|(actor, stamp)| !drop(&Dot::new(*actor, *stamp)));
        Self {
            entries: kept.copied().collect(),
        }
    }

    /// The part of `other` that speaks of the actors covered here, and claims
    /// no more of them than is seen here.
    #[must_use]
    pub fn meet(&self, other: &Self) -> Self {
        let common = self.entries.iter().filter_map(|&(actor, stamp)| {
            let theirs = other.get(&actor)?;
            Some((actor, stamp.min(theirs)))
        });
        Self {
            entries: common.collect(),
        }
    }

    fn position(&self, actor: &Actor) -> Result<usize, usize> {
        self.entries.binary_search_by(|(held, _)| held.cmp(actor))
    }
}

impl FromIterator<Dot> for VersionVector {
    fn from_iter<I: IntoIterator<Item = Dot>>(dots: I) -> Self {
        let mut vector = Self::new();
        for dot in dots {
            vector.add(dot);
        }
        vector
    }
}
