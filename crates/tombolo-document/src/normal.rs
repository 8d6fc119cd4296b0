//! The one normal form of a state: removals take effect, subsumed removals go.
//!
//! Merging unites what both sides hold; this pass then drops what a removal
//! covers and nulls what a later removal did not see. It depends on the state
//! alone, never on how it came about.

use std::sync::Arc;

use crate::actor::Dot;
use crate::schema::Kind;
use crate::stamp::Stamp;
use crate::tree::{CommitIndex, Counter, Dots, Leaf, MapNode, Node, Removal, Tree};

/// Brings a state to its normal form.
pub(crate) fn normalise(tree: &mut Tree<'_>) {
    let mut scope = Scope {
        commits: &tree.commits,
        active: tree.removal.iter().cloned().collect(),
    };
    scope.map(&mut tree.root);
}

/// The removals in force at one place of the tree, outermost first.
struct Scope<'c> {
    commits: &'c [Dot],
    active: Vec<Arc<Removal>>,
}

impl Scope<'_> {
    fn map(&mut self, map: &mut MapNode<'_>) {
        if !self.active.is_empty() {
            map.presence.retain(|dot| !self.covers(*dot));
        }
        let newest = map.presence.first();
        map.nulled = newest.is_some_and(|dot| self.is_later(*dot));
        for child in &mut map.children {
            self.node(&mut child.node);
        }
        map.children.retain(|child| !child.node.is_empty());
    }

    fn node(&mut self, node: &mut Node<'_>) {
        if self.active.is_empty() && node.removals.is_none() {
            if let Some(map) = &mut node.map {
                self.map(map);
            }
            for counter in [&mut node.counter, &mut node.pn_counter]
                .into_iter()
                .flatten()
            {
                self.counter(counter);
            }
            node.prune();
            return;
        }
        self.drop_subsumed(node);
        self.within(node, Kind::Register, |scope, node| {
            scope.leaf_of(&mut node.register)
        });
        self.within(node, Kind::Map, |scope, node| {
            if let Some(map) = &mut node.map {
                scope.map(map);
            }
        });
        self.within(node, Kind::Counter, |scope, node| {
            node.counter
                .iter_mut()
                .for_each(|counter| scope.counter(counter));
        });
        self.within(node, Kind::PnCounter, |scope, node| {
            node.pn_counter
                .iter_mut()
                .for_each(|counter| scope.counter(counter));
        });
        self.within(node, Kind::Attachment, |scope, node| {
            let mut leaf = node.attachment.take().map(|leaf| *leaf);
            scope.leaf_of(&mut leaf);
            node.attachment = leaf.map(Box::new);
        });
        node.prune();
    }

    /// Runs `act` with the field's own removal of `kind` in force.
    fn within<'a>(
        &mut self,
        node: &mut Node<'a>,
        kind: Kind,
        act: impl FnOnce(&mut Self, &mut Node<'a>),
    ) {
        let own = node
            .removals
            .as_ref()
            .and_then(|all| all[kind as usize].clone());
        let depth = self.active.len();
        self.active.extend(own);
        act(self, node);
        self.active.truncate(depth);
    }

    fn leaf_of(&self, slot: &mut Option<Leaf<'_>>) {
        let Some(leaf) = slot else { return };
        let newest = leaf.newest();
        leaf.dots.retain(|dot| !self.covers(*dot));
        match leaf.newest() {
            None => *slot = None,
            // A loser is null already; the winner is if a later removal missed it.
            left => {
                if left != newest || left.is_some_and(|dot| self.is_later(dot)) {
                    leaf.value = None;
                }
            }
        }
    }

    fn counter(&self, counter: &mut Counter) {
        if !self.active.is_empty() {
            counter.restart = counter.restart.filter(|(dot, _)| !self.covers(*dot));
            counter.parts.retain(|part| !self.covers(part.dot));
        }
        drop_past_epochs(counter, self.commits);
    }

    /// A removal keeps what the removals around it do not do already: those of
    /// its commits that they had not seen, and what it covers beyond them.
    fn drop_subsumed(&self, node: &mut Node<'_>) {
        let Some(removals) = &mut node.removals else {
            return;
        };
        if self.active.is_empty() {
            return;
        }
        for slot in removals.iter_mut() {
            *slot = slot.take().and_then(|own| self.beyond_active(own));
        }
    }

    fn beyond_active(&self, own: Arc<Removal>) -> Option<Arc<Removal>> {
        let is_new = |dot: &CommitIndex| {
            let part_of_outer = self.active.iter().any(|outer| outer.dots.contains(dot));
            !part_of_outer && !self.covers(*dot)
        };
        let dots: Dots = own.dots.iter().copied().filter(is_new).collect();
        if dots.is_empty() {
            return None;
        }
        let outer = |dot: &Dot| self.active.iter().any(|outer| outer.vector.covers(dot));
        let mut vector = own.vector.without(outer);
        // Nobody had seen more than its own commit, unless two devices wrote as
        // one and an outer removal claims the newer commit alone.
        let newest = dots.first().map(|dot| self.commits[*dot as usize].stamp);
        vector.cut_above(newest.unwrap_or(Stamp::ZERO));
        if dots == own.dots && vector == own.vector {
            return Some(own);
        }
        Some(Arc::new(Removal { dots, vector }))
    }

    fn stamp_of(&self, removal: &Removal) -> Option<Stamp> {
        removal
            .dots
            .first()
            .map(|dot| self.commits[*dot as usize].stamp)
    }

    fn covers(&self, dot: CommitIndex) -> bool {
        let dot = &self.commits[dot as usize];
        self.active.iter().any(|removal| removal.vector.covers(dot))
    }

    /// Whether a removal in force came after the commit.
    fn is_later(&self, dot: CommitIndex) -> bool {
        let stamp = self.commits[dot as usize].stamp;
        self.active
            .iter()
            .any(|removal| self.stamp_of(removal) > Some(stamp))
    }
}

/// Drops what belongs to an epoch before the counter's own.
pub(crate) fn drop_past_epochs(counter: &mut Counter, commits: &[Dot]) {
    let epoch = epoch_of(counter, commits);
    counter.restart = counter
        .restart
        .filter(|(dot, _)| Some(commits[*dot as usize]) >= epoch);
    counter
        .parts
        .retain(|part| part.epoch.map(|dot| commits[dot as usize]) >= epoch);
}

/// The restart that the counter stands in: the greatest that anyone in it knew.
pub(crate) fn epoch_of(counter: &Counter, commits: &[Dot]) -> Option<Dot> {
    let restart = counter.restart.map(|(dot, _)| dot);
    let floor = counter.floor.map(|floor| floor.epoch);
    let parts = counter.parts.iter().filter_map(|part| part.epoch);
    let known = parts.chain(restart).chain(floor);
    known.map(|dot| commits[dot as usize]).max()
}

/// Sorts commits so that the greatest comes first, each once.
pub(crate) fn sort_dots(dots: &mut Dots, commits: &[Dot]) {
    dots.sort_unstable_by(|left, right| commits[*right as usize].cmp(&commits[*left as usize]));
    dots.dedup();
}
