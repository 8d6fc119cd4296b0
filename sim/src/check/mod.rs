//! The promises that every run is held against. Each has a file of its own,
//! whose header states it.

mod acknowledged;
mod convergence;
pub(crate) mod memory;
mod relay;
mod unasked;

use tombolo_sync::Notice;

use crate::holdings::{Change, Union};
use crate::node::Node;
use crate::violation::{Promise, Violation};
use crate::world::World;

use memory::Memory;

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
    ever: Vec<Union>,
    pub(crate) memory: Memory,
    /// When a frame with documents was last sent.
    pub(crate) last_document_us: u64,
    /// How often each node was told that it is a copy.
    copied: Vec<u64>,
    pub(crate) looks_always: bool,
}

impl Checks {
    pub(crate) fn new(nodes: usize) -> Self {
        Self {
            acknowledged: Union::default(),
            ever: vec![Union::default(); nodes],
            memory: Memory::default(),
            last_document_us: 0,
            copied: vec![0; nodes],
            looks_always: false,
        }
    }

    /// Takes a notice that a session gave its operator.
    pub(crate) fn noticed(&mut self, node: usize, notice: &Notice) {
        if *notice == Notice::Copied {
            self.copied[node] += 1;
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
        if let Cause::Peer(from) = cause {
            relay::check((node, from), changes, &self.ever)?;
            unasked::check(node, changes, &nodes[node])?;
        }
        for change in changes {
            match &change.after {
                Some(held) => {
                    self.ever[node].add(&change.place, &held.document)?;
                    self.acknowledged.add(&change.place, &held.document)?;
                }
                None => self.give_up(&change.place, nodes)?,
            }
        }
        Ok(())
    }

    /// A document was forgotten on purpose: what nobody holds now may be lost.
    fn give_up(&mut self, place: &crate::holdings::Place, nodes: &[Node]) -> Result<(), Violation> {
        self.acknowledged.0.remove(place);
        for node in nodes {
            if let Some(held) = node.holdings.documents.get(place) {
                self.acknowledged.add(place, &held.document)?;
            }
        }
        Ok(())
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
        if let Some(link) = self
            .links
            .iter()
            .position(|link| link.chairs.iter().any(Option::is_none))
        {
            let story = format!("link {link} is not up at the end");
            return Err(Violation::new(Promise::Quiet, story));
        }
        self.checks.memory.check()?;
        acknowledged::check(&self.checks.acknowledged, &self.nodes)?;
        convergence::check(&self.nodes, &self.links)?;
        memory::check_end(&self.links)
    }
}
