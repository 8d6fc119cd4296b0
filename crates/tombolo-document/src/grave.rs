//! Removing from the working form under one commit.

use std::sync::Arc;

use crate::actor::Dot;
use crate::normal::epoch_of;
use crate::schema::Kind;
use crate::tree::{Base, CommitIndex, Counter, Floor, MapNode, Node, Part, Removal};

/// Removes under one commit.
pub(crate) struct Grave<'c> {
    pub(crate) me: CommitIndex,
    pub(crate) commits: &'c [Dot],
    pub(crate) removal: Arc<Removal>,
}

impl Grave<'_> {
    pub(crate) fn remove(&self, node: &mut Node<'_>, kinds: &[Kind]) {
        if !node.is_visible() {
            return;
        }
        for &kind in kinds {
            self.bury(node, kind);
            node.removals.get_or_insert_default()[kind as usize] = Some(Arc::clone(&self.removal));
        }
    }

    fn bury(&self, node: &mut Node<'_>, kind: Kind) {
        match kind {
            Kind::Register => node.register = None,
            Kind::Attachment => node.attachment = None,
            Kind::Map => node.map.iter_mut().for_each(|map| self.bury_map(map)),
            Kind::Counter => node
                .counter
                .iter_mut()
                .for_each(|counter| self.bury_counter(counter)),
            Kind::PnCounter => node
                .pn_counter
                .iter_mut()
                .for_each(|counter| self.bury_counter(counter)),
        }
    }

    pub(crate) fn bury_map(&self, map: &mut MapNode<'_>) {
        map.presence.clear();
        map.nulled = false;
        for child in &mut map.children {
            for kind in Kind::ALL {
                self.bury(&mut child.node, kind);
            }
        }
    }

    /// Notes what is removed, so that only increments not seen here survive.
    fn bury_counter(&self, counter: &mut Counter) {
        if !counter.is_visible() {
            return;
        }
        let epoch = epoch_of(counter, self.commits);
        let epoch = epoch.and_then(|dot| self.commits.iter().position(|held| *held == dot));
        if let Some(epoch) = epoch {
            counter.floor = Some(Floor {
                epoch: epoch as CommitIndex,
                dot: self.me,
            });
        }
        for part in std::mem::take(&mut counter.parts) {
            // A part born in this very commit was never seen by anyone else.
            if part.incarnation != self.me {
                self.note(&mut counter.bases, part);
            }
        }
        counter.restart = None;
    }

    fn note(&self, bases: &mut Vec<Base>, part: Part) {
        let dot_of = |incarnation: CommitIndex| self.commits[incarnation as usize];
        let noted = Base {
            incarnation: part.incarnation,
            dot: self.me,
            up: part.up,
            down: part.down,
        };
        match bases.binary_search_by_key(&dot_of(part.incarnation), |base| dot_of(base.incarnation))
        {
            Ok(at) => bases[at] = noted,
            Err(at) => bases.insert(at, noted),
        }
    }
}
