//! The promises that every run is held against. Each has a file of its own,
//! whose header states it.

mod acknowledged;
mod convergence;
pub(crate) mod copies;
pub(crate) mod memory;
pub(crate) mod permitted;
mod relay;
pub(crate) mod revoked;
mod transactions;
mod unasked;

use std::collections::{BTreeMap, BTreeSet};

use tombolo::Timekeeper;

use crate::holdings::{Change, Place, Union};
use crate::link::Link;
use crate::node::{Node, UNDER_WAY_US};
use crate::violation::{Promise, Violation};
use crate::world::World;

use copies::Copies;
use memory::Memory;
use relay::Ever;

/// Links must have been silent for so long at the end, besides pings.
const SILENT_US: u64 = 10_000_000;

/// What made a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The node itself.
    Own,
    /// A session with this node.
    Peer(usize),
}

/// What the checkers remember of a run.
pub(crate) struct Checks {
    /// All that was ever acknowledged and not given up since.
    acknowledged: Union,
    /// All that each node ever held.
    ever: Vec<Ever>,
    /// When each node last gave a document up, in microseconds.
    evicted: BTreeMap<(usize, Place), u64>,
    pub(crate) memory: Memory,
    pub(crate) copies: Copies,
    /// Whether two may have written under one actor.
    is_ambiguous: bool,
    /// All that honest nodes wrote, in a world with rules.
    written: Union,
    /// Documents that came from who forges: of them nothing is promised but where
    /// they may be.
    forged: BTreeSet<Place>,
    /// When a frame with documents was last sent.
    pub(crate) last_document_us: u64,
}

impl Checks {
    pub(crate) fn new(nodes: usize) -> Self {
        Self {
            acknowledged: Union::default(),
            ever: vec![Ever::default(); nodes],
            evicted: BTreeMap::new(),
            memory: Memory::default(),
            copies: Copies::default(),
            is_ambiguous: false,
            written: Union::default(),
            forged: BTreeSet::new(),
            last_document_us: 0,
        }
    }

    /// Takes what a commit changed.
    pub(crate) fn committed(
        &mut self,
        node: usize,
        cause: Cause,
        changes: &[Change],
        nodes: &[Node],
    ) -> Result<(), Violation> {
        let now_us = nodes[node].clock.monotonic().as_micros() as u64;
        let changes = &self.check_rules(node, cause, changes, nodes)?[..];
        if nodes[node].is_liar() {
            return Ok(());
        }
        if let Cause::Peer(from) = cause
            && !nodes[from].is_liar()
        {
            if !self.is_ambiguous {
                relay::check((node, from), changes, &self.ever)?;
            }
            let since_us = now_us.saturating_sub(UNDER_WAY_US);
            let is_late = |place: &Place| {
                let evicted = self.evicted.get(&(node, place.clone()));
                evicted.is_some_and(|at_us| *at_us >= since_us)
            };
            unasked::check(node, changes, &nodes[node], is_late)?;
        }
        transactions::check(node, changes, &nodes[node])?;
        if self.is_ambiguous {
            // Two states of one actor have no union, and nothing asks for one.
            return Ok(());
        }
        for change in changes {
            match &change.after {
                Some(held) => {
                    self.ever[node].add(&change.place, &held.document)?;
                    self.acknowledged.add(&change.place, &held.document)?;
                }
                None => {
                    self.evicted.insert((node, change.place.clone()), now_us);
                    self.ever[node].give_up(&change.place);
                    self.give_up(&change.place, nodes)?;
                }
            }
        }
        Ok(())
    }

    /// Checks what the certificates allow; gives the changes that nobody forged.
    fn check_rules(
        &mut self,
        node: usize,
        cause: Cause,
        changes: &[Change],
        nodes: &[Node],
    ) -> Result<Vec<Change>, Violation> {
        if nodes[node].papers.is_none() {
            return Ok(changes.to_vec());
        }
        match cause {
            Cause::Own if nodes[node].is_liar() => {}
            Cause::Own => {
                for change in changes.iter() {
                    if let Some(after) = &change.after {
                        self.written.add(&change.place, &after.document)?;
                    }
                }
            }
            Cause::Peer(from) => {
                revoked::check_pass((node, from), nodes, "took documents from")?;
                // What a forger takes in is its own affair.
                permitted::check_commit((node, from), changes, nodes)?;
                if nodes[from].has_forged() {
                    let places = changes.iter().map(|change| change.place.clone());
                    self.forged.extend(places);
                }
            }
        }
        if !nodes[node].is_liar() {
            permitted::check_unaltered(node, changes, &self.written, nodes)?;
        }
        let honest = changes
            .iter()
            .filter(|change| !self.forged.contains(&change.place));
        Ok(honest.cloned().collect())
    }

    /// A document was forgotten on purpose: what nobody holds now may be lost.
    fn give_up(&mut self, place: &Place, nodes: &[Node]) -> Result<(), Violation> {
        self.acknowledged.0.remove(place);
        for node in nodes {
            if let Some(held) = node.holdings.documents.get(place) {
                self.acknowledged.add(place, &held.document)?;
            }
        }
        Ok(())
    }

    /// A node went back in time: only what is held now may be asked for.
    pub(crate) fn gave_up(&mut self, nodes: &[Node]) -> Result<(), Violation> {
        self.acknowledged = Union::default();
        for node in nodes {
            for (place, held) in &node.holdings.documents {
                self.acknowledged.add(place, &held.document)?;
            }
        }
        Ok(())
    }

    /// A node goes on as another that it does not know of: until that is noticed,
    /// two write under one actor, and what either wrote may be lost.
    pub(crate) fn hid_copy(&mut self) {
        self.is_ambiguous = true;
    }

    /// A node was copied to a new one.
    pub(crate) fn copied(&mut self, at: usize) {
        self.ever.push(self.ever[at].clone());
    }
}

impl World {
    /// What must hold after everything is healed and quiet.
    pub(crate) fn check_end(&mut self) -> Result<(), Violation> {
        let silent_us = self.time.us().saturating_sub(self.checks.last_document_us);
        if silent_us < SILENT_US {
            let story = format!("documents were sent {silent_us} us before the end");
            return Err(Violation::new(Promise::Quiet, story));
        }
        let is_down = |link: &Link| link.is_wanted && link.chairs.iter().any(Option::is_none);
        if let Some(link) = self.links.iter().position(is_down) {
            let story = format!("link {link} is not up at the end");
            return Err(Violation::new(Promise::Quiet, story));
        }
        self.checks.memory.check()?;
        if !self.checks.is_ambiguous {
            let forged = &self.checks.forged;
            acknowledged::check(&self.checks.acknowledged, &self.nodes, |place| {
                forged.contains(place)
            })?;
        }
        convergence::check(&self.nodes, &self.links, &|place| {
            self.checks.forged.contains(place)
        })?;
        revoked::check_end(&self.nodes, &self.links)?;
        self.checks.copies.check(&self.nodes, &self.links)?;
        memory::check_end(&self.links)
    }
}
