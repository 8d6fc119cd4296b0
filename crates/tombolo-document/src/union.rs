//! Uniting two states part by part, before the normal form.

use std::cmp::Ordering;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::actor::Dot;
use crate::normal::sort_dots;
use crate::tree::{
    Base, Child, CommitIndex, Counter, Dots, Floor, Leaf, MapNode, Node, Part, Removal, Tree,
};
use crate::version::VersionVector;

/// Joins the remote state into the local one, not yet in normal form.
pub(crate) fn unite<'a>(local: &mut Tree<'a>, remote: Tree<'a>) -> Vec<Dot> {
    let indexes = adopt_commits(local, &remote.commits);
    let seen =
        |vector: &VersionVector| local.commits.iter().map(|dot| vector.covers(dot)).collect();
    let mut union = Union {
        commits: &local.commits,
        seen_here: seen(&local.vector),
        seen_there: seen(&remote.vector),
        indexes,
        equivocations: Vec::new(),
    };
    local.removal = union.removal(local.removal.take(), remote.removal);
    union.map(&mut local.root, remote.root);
    let equivocations = union.equivocations;
    local.vector.join(&remote.vector);
    equivocations
}

/// Adds the remote commits to the local table and tells where each one is.
fn adopt_commits(local: &mut Tree<'_>, remote: &[Dot]) -> SmallVec<[CommitIndex; 8]> {
    let held = local.commits.len();
    let place = |dot: &Dot| {
        let found = local.commits[..held].binary_search(dot);
        let at = found.unwrap_or_else(|_| {
            local.commits.push(*dot);
            local.commits.len() - 1
        });
        at as CommitIndex
    };
    remote.iter().map(place).collect()
}

struct Union<'c> {
    commits: &'c [Dot],
    /// By commit: whether the local vector covers it.
    seen_here: SmallVec<[bool; 16]>,
    /// By commit: whether the remote vector covers it.
    seen_there: SmallVec<[bool; 16]>,
    /// From the remote commit indexes to the local ones.
    indexes: SmallVec<[CommitIndex; 8]>,
    equivocations: Vec<Dot>,
}

impl Union<'_> {
    fn index(&self, remote: CommitIndex) -> CommitIndex {
        self.indexes[remote as usize]
    }

    fn map<'a>(&mut self, local: &mut MapNode<'a>, remote: MapNode<'a>) {
        if !remote.presence.is_empty() {
            local.presence = self.dots(&local.presence, &remote.presence);
        }
        local.nulled = false;
        let by_key = |left: &Child<'a>, right: &Child<'a>| left.key.cmp(&right.key);
        join_sorted(
            &mut local.children,
            remote.children,
            by_key,
            |held, child| {
                let mut node = held.map_or_else(Node::default, |held| held.node);
                self.node(&mut node, child.node);
                Child {
                    key: child.key,
                    node,
                }
            },
        );
    }

    fn node<'a>(&mut self, local: &mut Node<'a>, remote: Node<'a>) {
        local.register = self.leaf(local.register.take(), remote.register);
        let attachment = local.attachment.take().map(|leaf| *leaf);
        let attachment = self.leaf(attachment, remote.attachment.map(|leaf| *leaf));
        local.attachment = attachment.map(Box::new);
        if let Some(map) = remote.map {
            self.map(local.map.get_or_insert_default(), *map);
        }
        if let Some(counter) = remote.counter {
            self.counter(local.counter.get_or_insert_default(), &counter);
        }
        if let Some(counter) = remote.pn_counter {
            self.counter(local.pn_counter.get_or_insert_default(), &counter);
        }
        if let Some(removals) = remote.removals {
            let held = local.removals.get_or_insert_default();
            for (slot, removal) in held.iter_mut().zip(*removals) {
                *slot = self.removal(slot.take(), removal);
            }
        }
    }

    /// The commits of a field that neither side has seen replaced.
    fn dots(&self, local: &Dots, remote: &Dots) -> Dots {
        let mut ours = local.iter().copied().peekable();
        let mut theirs = remote.iter().map(|dot| self.index(*dot)).peekable();
        let mut dots = Dots::new();
        loop {
            let (here, there) = (ours.peek().copied(), theirs.peek().copied());
            let dot = |index: CommitIndex| self.commits[index as usize];
            match here.map(dot).cmp(&there.map(dot)) {
                Ordering::Equal => match here {
                    Some(both) => dots.push(both),
                    None => return dots,
                },
                Ordering::Greater => {
                    dots.extend(here.filter(|dot| !self.seen_there[*dot as usize]))
                }
                Ordering::Less => dots.extend(there.filter(|dot| !self.seen_here[*dot as usize])),
            }
            let order = here.map(dot).cmp(&there.map(dot));
            if order.is_ge() {
                ours.next();
            }
            if order.is_le() {
                theirs.next();
            }
        }
    }

    fn leaf<'a>(&mut self, local: Option<Leaf<'a>>, remote: Option<Leaf<'a>>) -> Option<Leaf<'a>> {
        let Some(remote) = remote else { return local };
        let local = local.unwrap_or_else(|| Leaf {
            dots: Dots::new(),
            value: None,
        });
        let dots = self.dots(&local.dots, &remote.dots);
        let newest = dots.first().copied()?;
        let ours = (local.newest() == Some(newest)).then_some(local.value);
        let theirs = remote.newest().map(|dot| self.index(dot)) == Some(newest);
        let value = match (ours, theirs.then_some(remote.value)) {
            (Some(Some(ours)), Some(Some(theirs))) => {
                if ours != theirs {
                    self.equivocations.push(self.commits[newest as usize]);
                }
                Some(ours.max(theirs))
            }
            // Null from a removal ranks above every value of the same commit,
            // and a side where the commit is a loser holds it as null.
            (Some(value), None) if !self.lost(&remote.dots, newest) => value,
            (None, Some(value)) if !local.dots.contains(&newest) => value,
            _ => None,
        };
        Some(Leaf { dots, value })
    }

    fn lost(&self, remote: &Dots, dot: CommitIndex) -> bool {
        remote.iter().any(|held| self.index(*held) == dot)
    }

    fn removal(
        &self,
        local: Option<Arc<Removal>>,
        remote: Option<Arc<Removal>>,
    ) -> Option<Arc<Removal>> {
        let Some(remote) = remote else { return local };
        let mut dots: Dots = remote.dots.iter().map(|dot| self.index(*dot)).collect();
        let mut vector = remote.vector.clone();
        if let Some(local) = local {
            dots.extend(local.dots.iter().copied());
            vector.join(&local.vector);
        }
        sort_dots(&mut dots, self.commits);
        // A removal that another one had seen is part of it; the newest stays
        // even where liars claim to have seen each other.
        let newest = dots.first().copied();
        dots.retain(|dot| Some(*dot) == newest || !vector.covers(&self.commits[*dot as usize]));
        Some(Arc::new(Removal { dots, vector }))
    }

    fn counter(&mut self, local: &mut Counter, remote: &Counter) {
        if let Some((dot, value)) = remote.restart {
            let theirs = (self.index(dot), value);
            local.restart = Some(self.greater_restart(local.restart, theirs));
        }
        let parts = remote
            .parts
            .iter()
            .map(|part| self.translate(part))
            .collect();
        let commits = self.commits;
        let by_incarnation = |left: &Part, right: &Part| {
            commits[left.incarnation as usize].cmp(&commits[right.incarnation as usize])
        };
        join_sorted(
            &mut local.parts,
            parts,
            by_incarnation,
            |ours, theirs| match ours {
                Some(ours) => self.greater_part(ours, theirs),
                None => theirs,
            },
        );
        if let Some(floor) = remote.floor {
            let theirs = Floor {
                epoch: self.index(floor.epoch),
                dot: self.index(floor.dot),
            };
            let rank = |floor: &Floor| {
                (
                    self.commits[floor.epoch as usize],
                    self.commits[floor.dot as usize],
                )
            };
            local.floor = local.floor.into_iter().chain([theirs]).max_by_key(rank);
        }
        let bases = remote.bases.iter().map(|base| Base {
            incarnation: self.index(base.incarnation),
            dot: self.index(base.dot),
            ..*base
        });
        let by_incarnation = |left: &Base, right: &Base| {
            commits[left.incarnation as usize].cmp(&commits[right.incarnation as usize])
        };
        join_sorted(
            &mut local.bases,
            bases.collect(),
            by_incarnation,
            |ours, theirs| match ours {
                Some(ours) => self.greater_base(ours, theirs),
                None => theirs,
            },
        );
    }

    fn greater_restart(
        &mut self,
        local: Option<(CommitIndex, i64)>,
        theirs: (CommitIndex, i64),
    ) -> (CommitIndex, i64) {
        let Some(ours) = local else { return theirs };
        if ours.0 == theirs.0 && ours.1 != theirs.1 {
            self.equivocations.push(self.commits[ours.0 as usize]);
        }
        let rank = |(dot, value): (CommitIndex, i64)| (self.commits[dot as usize], value);
        if rank(theirs) > rank(ours) {
            theirs
        } else {
            ours
        }
    }

    fn translate(&self, part: &Part) -> Part {
        Part {
            incarnation: self.index(part.incarnation),
            dot: self.index(part.dot),
            epoch: part.epoch.map(|epoch| self.index(epoch)),
            ..*part
        }
    }

    fn greater_part(&mut self, ours: Part, theirs: Part) -> Part {
        if ours.dot == theirs.dot && ours != theirs {
            self.equivocations.push(self.commits[ours.dot as usize]);
        }
        let rank = |part: &Part| {
            let epoch = part.epoch.map(|dot| self.commits[dot as usize]);
            (self.commits[part.dot as usize], epoch, part.up, part.down)
        };
        if rank(&theirs) > rank(&ours) {
            theirs
        } else {
            ours
        }
    }

    fn greater_base(&self, ours: Base, theirs: Base) -> Base {
        let rank = |base: &Base| (base.up, base.down, self.commits[base.dot as usize]);
        let dot = if rank(&theirs) > rank(&ours) {
            theirs.dot
        } else {
            ours.dot
        };
        Base {
            incarnation: ours.incarnation,
            dot,
            up: ours.up.max(theirs.up),
            down: ours.down.max(theirs.down),
        }
    }
}

/// Below this share of the held items, incoming ones are inserted one by one.
const FEW: usize = 4;

/// Joins two lists that are sorted by `order`: `join` gets the held item, if
/// there is one, and the incoming one.
fn join_sorted<T: Default>(
    held: &mut Vec<T>,
    incoming: Vec<T>,
    order: impl Fn(&T, &T) -> Ordering,
    mut join: impl FnMut(Option<T>, T) -> T,
) {
    if incoming.len() * FEW <= held.len() {
        for item in incoming {
            match held.binary_search_by(|held| order(held, &item)) {
                Ok(at) => {
                    let ours = std::mem::take(&mut held[at]);
                    held[at] = join(Some(ours), item);
                }
                Err(at) => held.insert(at, join(None, item)),
            }
        }
        return;
    }
    let mut joined = Vec::with_capacity(held.len() + incoming.len());
    let mut ours = std::mem::take(held).into_iter().peekable();
    for item in incoming {
        while let Some(before) = ours.next_if(|held| order(held, &item).is_lt()) {
            joined.push(before);
        }
        let same = ours.next_if(|held| order(held, &item).is_eq());
        joined.push(join(same, item));
    }
    joined.extend(ours);
    *held = joined;
}
