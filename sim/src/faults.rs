//! What goes wrong in a world, and how it is mended.

use tombolo::engine::Fault;

use crate::backup;
use crate::check::Cause;
use crate::clock::NodeClock;
use crate::identity::POOL;
use crate::link::Link;
use crate::node::Node;
use crate::violation::Violation;
use crate::world::World;

/// Nodes that a world may come to have by copies.
const NODES_MAX: usize = POOL;

impl World {
    /// Lets a link come up again.
    pub(crate) fn mend(&mut self, link: usize) {
        self.links[link].is_wanted = true;
        self.connect_soon(link);
    }

    /// Cuts every link between two halves.
    pub(crate) fn partition(&mut self) -> Result<(), Violation> {
        let halves = self.script.next();
        self.say(|| format!("the mesh is cut into {halves:b} and the rest"));
        for link in 0..self.links.len() {
            let [left, right] = self.links[link].nodes.map(|node| halves >> node & 1);
            if left != right {
                self.cut(link)?;
            }
        }
        Ok(())
    }

    pub(crate) fn lose_power(&mut self, node: usize) -> Result<(), Violation> {
        if self.nodes[node].running.is_none() {
            return Ok(());
        }
        self.crash(node)
    }

    /// Makes a disk fail at one of its next flushes or writes.
    pub(crate) fn break_disk(&mut self, at: usize, after: u32) {
        let node = &mut self.nodes[at];
        if node.running.is_none() {
            return;
        }
        let faults = [
            Fault::FlushFails { after },
            Fault::WriteFails { after },
            Fault::WriteFull { after },
        ];
        let fault = *self.script.pick(&faults);
        node.disk.set_fault(fault);
        node.is_faulty = true;
        self.say(|| format!("the disk of node {at} is to meet {fault:?}"));
    }

    pub(crate) fn set_clock(&mut self, at: usize) {
        let skew = self.profile.skew_ms;
        let ahead_ms = self.script.within(0..2 * skew.unsigned_abs() + 1) as i64 - skew;
        self.nodes[at].clock.set_ahead_ms(ahead_ms);
        self.say(|| format!("the clock of node {at} is put {ahead_ms} ms ahead"));
    }

    pub(crate) fn back_up(&mut self, at: usize) -> Result<(), Violation> {
        if self.nodes[at].running.is_some() {
            self.say(|| format!("node {at} is backed up"));
            self.nodes[at].backup = Some(backup::copy(&self.nodes[at].disk)?);
        }
        Ok(())
    }

    /// Has a node go on from its backup.
    pub(crate) fn restore(&mut self, at: usize) -> Result<(), Violation> {
        let (Some(backup), Some(_)) = (&self.nodes[at].backup, &self.nodes[at].running) else {
            return Ok(());
        };
        let disk = backup::copy(backup)?;
        let Some(key) = self.key_of_copy(at) else {
            return Ok(());
        };
        self.say(|| format!("node {at} goes on from its backup, with key {key}"));
        self.crash(at)?;
        self.nodes[at].disk = disk;
        self.nodes[at].start_copy(key)?;
        if self.profile.hides_copies {
            self.checks.hid_copy();
            return self.checks.copies.restored(at, &self.nodes);
        }
        self.checks.gave_up(&self.nodes)
    }

    /// The key of a copy of what a node has, while there are any.
    fn key_of_copy(&self, at: usize) -> Option<usize> {
        if self.profile.hides_copies {
            return Some(self.nodes[at].key);
        }
        let newest = self.nodes.iter().map(|node| node.key).max()?;
        (newest + 1 < POOL).then_some(newest + 1)
    }

    /// Copies what a node has to another machine, which reaches the same nodes.
    pub(crate) fn copy(&mut self, at: usize) -> Result<(), Violation> {
        let nodes = self.nodes.len();
        if nodes >= NODES_MAX || self.nodes[at].running.is_none() {
            return Ok(());
        }
        if self.profile.hides_copies {
            // The hub meets one of two alike at a time; two hubs would be two meshes.
            if at == 0 {
                return Ok(());
            }
            self.checks.hid_copy();
        }
        let Some(key) = self.key_of_copy(at) else {
            return Ok(());
        };
        self.say(|| format!("node {at} is copied to node {nodes}, with key {key}"));
        let clock = NodeClock::new(self.time.clone(), 0, 0);
        let original = &self.nodes[at];
        let mut node = Node::new(original.key, clock, self.script.fork());
        node.disk = backup::copy(&original.disk)?;
        node.interests = original.interests.clone();
        node.start_copy(key)?;
        self.nodes.push(node);
        self.checks.copied(at);
        for link in 0..self.links.len() {
            let ends = self.links[link].nodes;
            if ends.contains(&at) {
                let ends = ends.map(|end| if end == at { nodes } else { end });
                self.links.push(Link::new(ends));
                self.connect_soon(self.links.len() - 1);
            }
        }
        Ok(())
    }

    /// A node that lost power comes back.
    pub(crate) fn restart(&mut self, at: usize) -> Result<(), Violation> {
        if self.nodes[at].running.is_some() {
            return Ok(());
        }
        self.say(|| format!("node {at} comes back"));
        self.nodes[at].start()?;
        self.observe(at, Cause::Own)
    }

    /// Ends all faults.
    pub(crate) fn heal(&mut self) -> Result<(), Violation> {
        self.say(|| "all faults end".to_owned());
        self.is_healed = true;
        for node in 0..self.nodes.len() {
            self.nodes[node].clock.set_ahead_ms(0);
            if self.nodes[node].is_faulty {
                self.crash(node)?;
            }
        }
        self.seat_copies(0);
        for link in 0..self.links.len() {
            if self.links[link].is_lossy {
                self.cut(link)?;
            }
        }
        Ok(())
    }

    /// Of the nodes with one key, lets one be linked, and no liar any more.
    pub(crate) fn seat_copies(&mut self, turn: usize) {
        for link in 0..self.links.len() {
            let is_its_turn = |node: &usize| {
                let key = self.nodes[*node].key;
                let alike = (0..self.nodes.len()).filter(|other| self.nodes[*other].key == key);
                let alike: Vec<usize> = alike.collect();
                alike[turn % alike.len()] == *node && !self.nodes[*node].is_liar()
            };
            let is_wanted = self.links[link].nodes.iter().all(is_its_turn);
            self.links[link].is_wanted = is_wanted;
            if is_wanted {
                self.connect_soon(link);
            } else {
                self.links[link].is_cut = true;
                for side in [0, 1] {
                    let end = self.end(link, side);
                    let now = self.time.us();
                    self.agenda.at(now, crate::agenda::Happening::Gone(end));
                }
            }
        }
    }

    /// How many nodes at most have one key.
    pub(crate) fn copies(&self) -> usize {
        let count = |key: usize| self.nodes.iter().filter(|node| node.key == key).count();
        (0..POOL).map(count).max().unwrap_or(1)
    }
}
