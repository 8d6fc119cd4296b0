//! The working form of a document: what decoding gives, merging and editing
//! change, and encoding writes.
//!
//! Text and values stay borrowed from the bytes they were read from. Commits
//! are held once in a table; everything else names them by index.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::actor::Dot;
use crate::schema::Kind;
use crate::stamp::Stamp;
use crate::version::VersionVector;

/// A place in [`Tree::commits`].
pub(crate) type CommitIndex = u32;

/// The commits that wrote one thing concurrently, the greatest first.
pub(crate) type Dots = SmallVec<[CommitIndex; 2]>;

/// The commits of a document; most have few.
pub(crate) type Commits = SmallVec<[Dot; 4]>;

/// A whole document.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tree<'a> {
    /// Everything that this state has seen.
    pub(crate) vector: VersionVector,
    /// The commits named below; unused ones are left out when encoding.
    pub(crate) commits: Commits,
    pub(crate) root: MapNode<'a>,
    /// The removal of the whole document.
    pub(crate) removal: Option<Arc<Removal>>,
}

/// A map: its presence and its fields.
#[derive(Debug, Clone, Default)]
pub(crate) struct MapNode<'a> {
    /// The commits that last addressed this map.
    pub(crate) presence: Dots,
    /// A removal that did not see the presence is later than it.
    pub(crate) nulled: bool,
    /// Sorted by key.
    pub(crate) children: Vec<Child<'a>>,
}

/// One field of a map.
#[derive(Debug, Clone, Default)]
pub(crate) struct Child<'a> {
    pub(crate) key: Cow<'a, str>,
    pub(crate) node: Node<'a>,
}

/// A field, with every kind that it holds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Node<'a> {
    pub(crate) register: Option<Leaf<'a>>,
    pub(crate) map: Option<Box<MapNode<'a>>>,
    pub(crate) counter: Option<Box<Counter>>,
    pub(crate) pn_counter: Option<Box<Counter>>,
    pub(crate) attachment: Option<Box<Leaf<'a>>>,
    /// Removals by [`Kind`] number.
    pub(crate) removals: Option<Box<Removals>>,
}

/// The removals of one field, by [`Kind`] number.
pub(crate) type Removals = [Option<Arc<Removal>>; Kind::ALL.len()];

/// A register or an attachment token.
#[derive(Debug, Clone)]
pub(crate) struct Leaf<'a> {
    /// The greatest wrote the value; the others are concurrent losers, kept so
    /// that a removal of the winner alone reads null everywhere.
    pub(crate) dots: Dots,
    /// `None` where a later removal made the value null.
    pub(crate) value: Option<Cow<'a, [u8]>>,
}

/// What a removal covers: everything that its author had seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Removal {
    /// The removing commits that did not see each other, the greatest first.
    pub(crate) dots: Dots,
    /// What they had seen before.
    pub(crate) vector: VersionVector,
}

/// A counter of either kind; the older kind never restarts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counter {
    /// The last restart and the value it set.
    pub(crate) restart: Option<(CommitIndex, i64)>,
    /// Sorted by the dot of their incarnation.
    pub(crate) parts: Vec<Part>,
    /// The epoch that a removal found; no smaller epoch lives again.
    pub(crate) floor: Option<Floor>,
    /// What removals found in parts, sorted like them.
    pub(crate) bases: Vec<Base>,
}

/// The increments of one actor since it last saw the counter absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Part {
    /// The commit of the first increment: the part's identity.
    pub(crate) incarnation: CommitIndex,
    /// The commit of the last increment.
    pub(crate) dot: CommitIndex,
    /// The restart that these increments add to.
    pub(crate) epoch: Option<CommitIndex>,
    pub(crate) up: u64,
    pub(crate) down: u64,
}

/// The epoch that a counter was in when it was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Floor {
    pub(crate) epoch: CommitIndex,
    /// The removing commit.
    pub(crate) dot: CommitIndex,
}

/// What a removal had seen of a part, to be subtracted from later versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Base {
    pub(crate) incarnation: CommitIndex,
    /// The removing commit.
    pub(crate) dot: CommitIndex,
    pub(crate) up: u64,
    pub(crate) down: u64,
}

impl<'a> Tree<'a> {
    /// The index of a commit, added if new.
    pub(crate) fn commit(&mut self, dot: Dot) -> CommitIndex {
        let at = self.commits.iter().position(|held| *held == dot);
        at.unwrap_or_else(|| {
            self.commits.push(dot);
            self.commits.len() - 1
        }) as CommitIndex
    }
}

impl<'a> MapNode<'a> {
    /// The field, if the map ever had it.
    pub(crate) fn child_mut(&mut self, key: &str) -> Option<&mut Node<'a>> {
        let at = self.find(key).ok()?;
        Some(&mut self.children[at].node)
    }

    /// The field, made if need be.
    pub(crate) fn child_or_new(&mut self, key: &str) -> &mut Node<'a> {
        let at = match self.find(key) {
            Ok(at) => at,
            Err(at) => {
                self.children.insert(
                    at,
                    Child {
                        key: Cow::Owned(key.to_owned()),
                        node: Node::default(),
                    },
                );
                at
            }
        };
        &mut self.children[at].node
    }

    /// Where the key is, or where it belongs.
    pub(crate) fn find(&self, key: &str) -> Result<usize, usize> {
        self.children
            .binary_search_by(|child| child.key.as_ref().cmp(key))
    }

    /// Whether the map shows: someone addressed it, or something in it shows.
    pub(crate) fn is_visible(&self) -> bool {
        !self.presence.is_empty() || self.children.iter().any(|child| child.node.is_visible())
    }

    fn is_empty(&self) -> bool {
        self.presence.is_empty() && self.children.is_empty()
    }
}

impl<'a> Node<'a> {
    /// Whether any kind of the field shows.
    pub(crate) fn is_visible(&self) -> bool {
        self.register.is_some()
            || self.attachment.is_some()
            || self
                .counter
                .as_ref()
                .is_some_and(|counter| counter.is_visible())
            || self
                .pn_counter
                .as_ref()
                .is_some_and(|counter| counter.is_visible())
            || self.map.as_ref().is_some_and(|map| map.is_visible())
    }

    /// Whether the field holds a register or token and nothing else, as most do.
    pub(crate) fn is_plain(&self) -> bool {
        self.map.is_none()
            && self.counter.is_none()
            && self.pn_counter.is_none()
            && self.removals.is_none()
            && self.register.is_some() != self.attachment.is_some()
    }

    /// Whether nothing is left that anyone needs to know.
    pub(crate) fn is_empty(&self) -> bool {
        self.register.is_none()
            && self.map.is_none()
            && self.counter.is_none()
            && self.pn_counter.is_none()
            && self.attachment.is_none()
            && self.removals.is_none()
    }

    /// Drops the parts that hold nothing.
    pub(crate) fn prune(&mut self) {
        if self.is_plain() {
            return;
        }
        if self.map.as_ref().is_some_and(|map| map.is_empty()) {
            self.map = None;
        }
        for counter in [&mut self.counter, &mut self.pn_counter] {
            if counter.as_ref().is_some_and(|counter| counter.is_empty()) {
                *counter = None;
            }
        }
        if self
            .removals
            .as_ref()
            .is_some_and(|all| all.iter().all(Option::is_none))
        {
            self.removals = None;
        }
    }

    /// The kinds that show, the one written last first; equal stamps by the
    /// greater kind number.
    pub(crate) fn kinds_by_age(&self, commits: &[Dot]) -> SmallVec<[Kind; 5]> {
        if self.is_plain() {
            let kind = self
                .register
                .as_ref()
                .map_or(Kind::Attachment, |_| Kind::Register);
            return SmallVec::from_slice(&[kind]);
        }
        let mut kinds: SmallVec<[Kind; 5]> = Kind::ALL
            .into_iter()
            .filter(|&kind| self.shows(kind))
            .collect();
        if kinds.len() > 1 {
            kinds.sort_by_cached_key(|&kind| Reverse((self.latest(kind, commits), kind)));
        }
        kinds
    }

    fn shows(&self, kind: Kind) -> bool {
        match kind {
            Kind::Register => self.register.is_some(),
            Kind::Map => self.map.as_ref().is_some_and(|map| map.is_visible()),
            Kind::Counter => self
                .counter
                .as_ref()
                .is_some_and(|counter| counter.is_visible()),
            Kind::PnCounter => self
                .pn_counter
                .as_ref()
                .is_some_and(|counter| counter.is_visible()),
            Kind::Attachment => self.attachment.is_some(),
        }
    }

    fn latest(&self, kind: Kind, commits: &[Dot]) -> Option<Stamp> {
        let mut latest = None;
        let mut see = |dot: CommitIndex| latest = latest.max(Some(commits[dot as usize].stamp));
        match kind {
            Kind::Register => self
                .register
                .iter()
                .flat_map(|leaf| &leaf.dots)
                .copied()
                .for_each(see),
            Kind::Attachment => self
                .attachment
                .iter()
                .flat_map(|leaf| &leaf.dots)
                .copied()
                .for_each(see),
            Kind::Counter => self
                .counter
                .iter()
                .for_each(|counter| counter.visit_live(&mut see)),
            Kind::PnCounter => self
                .pn_counter
                .iter()
                .for_each(|counter| counter.visit_live(&mut see)),
            Kind::Map => self.map.iter().for_each(|map| visit_live(map, &mut see)),
        }
        latest
    }
}

impl Leaf<'_> {
    /// The commit that wrote the value.
    pub(crate) fn newest(&self) -> Option<CommitIndex> {
        self.dots.first().copied()
    }
}

impl Counter {
    /// Whether the counter exists.
    pub(crate) fn is_visible(&self) -> bool {
        self.restart.is_some() || !self.parts.is_empty()
    }

    fn is_empty(&self) -> bool {
        !self.is_visible() && self.floor.is_none() && self.bases.is_empty()
    }

    fn visit_live(&self, see: &mut impl FnMut(CommitIndex)) {
        self.restart.iter().for_each(|(dot, _)| see(*dot));
        self.parts.iter().for_each(|part| see(part.dot));
    }

    /// The sum of what counts: the restart, and each part less its base.
    pub(crate) fn value(&self) -> i128 {
        let start = self.restart.map_or(0, |(_, value)| i128::from(value));
        self.parts.iter().fold(start, |sum, part| {
            let base = self
                .bases
                .iter()
                .find(|base| base.incarnation == part.incarnation);
            let (up, down) = base.map_or((0, 0), |base| (base.up, base.down));
            sum + i128::from(part.up.saturating_sub(up))
                - i128::from(part.down.saturating_sub(down))
        })
    }
}

/// Visits the commits of everything that shows in a map, presence included.
fn visit_live(map: &MapNode<'_>, see: &mut impl FnMut(CommitIndex)) {
    map.presence.iter().copied().for_each(&mut *see);
    for child in &map.children {
        let node = &child.node;
        let leaves = node.register.iter().chain(node.attachment.as_deref());
        leaves
            .flat_map(|leaf| &leaf.dots)
            .copied()
            .for_each(&mut *see);
        let counters = node.counter.iter().chain(&node.pn_counter);
        counters.for_each(|counter| counter.visit_live(&mut *see));
        if let Some(map) = &node.map {
            visit_live(map, see);
        }
    }
}
