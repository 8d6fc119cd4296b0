//! What follows from a commit on a node: the checkers look at it, and its sessions
//! are told; and what follows from a store that fails.

use tombolo_store::StoreError;

use crate::agenda::Happening;
use crate::check::Cause;
use crate::violation::Violation;
use crate::world::World;

/// Until a node's sessions hear of its commits.
const ANNOUNCE_US: std::ops::Range<u64> = 0..3_000;

impl World {
    /// Looks at what a node's store holds now, and has its sessions told.
    pub(crate) fn observe(&mut self, at: usize, cause: Cause) -> Result<(), Violation> {
        let node = &mut self.nodes[at];
        let Some(running) = &mut node.running else {
            return Ok(());
        };
        let standing = running.host.standing();
        if standing != running.announced && !running.is_announcing {
            running.is_announcing = true;
            let us = self.time.us() + self.chance.within(ANNOUNCE_US);
            self.agenda.at(us, Happening::Announce(at));
        }
        let snapshot = running.database.snapshot();
        if node.holdings.is_of(&snapshot) {
            return Ok(());
        }
        let changes = node.holdings.look(&snapshot)?;
        if changes.is_empty() {
            return Ok(());
        }
        match cause {
            Cause::Own => self.tally.writes += 1,
            Cause::Peer(_) => self.tally.applies += 1,
        }
        self.say(|| {
            let ids = changes.iter().map(|change| &change.place);
            format!(
                "node {at} commits {:?} by {cause:?}",
                ids.collect::<Vec<_>>()
            )
        });
        self.checks.committed(at, cause, &changes, &self.nodes)
    }

    /// Tells a node's sessions of its commits.
    pub(crate) fn announce(&mut self, at: usize) -> Result<(), Violation> {
        let Some(running) = &mut self.nodes[at].running else {
            return Ok(());
        };
        running.is_announcing = false;
        let standing = running.host.standing();
        running.announced = standing;
        for link in 0..self.links.len() {
            for side in [0, 1] {
                if self.links[link].nodes[side] != at {
                    continue;
                }
                let end = self.end(link, side);
                let now = self.nodes[at].clock.now();
                if let Some(chair) = self.chair(end) {
                    let handled = chair.committed(standing, now);
                    self.handled(end, handled)?;
                }
            }
        }
        Ok(())
    }

    /// A node's store failed: that is right if its disk was made to.
    pub(crate) fn store_failed(
        &mut self,
        node: usize,
        error: &StoreError,
    ) -> Result<(), Violation> {
        if !self.nodes[node].is_faulty {
            return Err(Violation::store(error));
        }
        self.crash(node)
    }

    /// Takes a node's power; it comes back after a while.
    pub(crate) fn crash(&mut self, node: usize) -> Result<(), Violation> {
        self.say(|| format!("node {node} loses power"));
        for link in 0..self.links.len() {
            for side in [0, 1] {
                if self.links[link].nodes[side] != node || self.links[link].chairs[side].is_none() {
                    continue;
                }
                self.links[link].chairs[side] = None;
                let end = self.end(link, 1 - side);
                if self.links[link].chairs[1 - side].is_none() {
                    self.connect_soon(link);
                    continue;
                }
                let us = self.time.us() + self.chance.within(0..100_000);
                self.agenda.at(us, Happening::Gone(end));
            }
        }
        let seed = self.chance.next();
        self.nodes[node].cut_power(seed);
        let us = self.time.us() + self.chance.within(1_000..2_000_000);
        self.agenda.at(us, Happening::Restart(node));
        Ok(())
    }
}
