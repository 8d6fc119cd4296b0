//! Bringing two states of one document together.
//!
//! Merging is commutative, associative and idempotent. A field that both sides
//! hold keeps what neither side has seen replaced: a commit that one side lacks
//! although its vector covers it was overwritten there.

use std::cmp::Ordering;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::actor::{Actor, Dot};
use crate::bytes::{DecodeError, Reader};
use crate::decode::{self, Decoded, decode, decode_document, take_head};
use crate::encode::{encode_delta, encode_document};
use crate::normal::{normalise, sort_dots};
use crate::tree::{
    Base, Child, CommitIndex, Counter, Dots, Floor, Leaf, MapNode, Node, Part, Removal, Tree,
};
use crate::version::{MAX_ACTORS, VersionVector};

/// Why bytes could not be merged. The local document is unchanged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// The local document's bytes are damaged: our fault or the disk's.
    #[error("the stored document is damaged")]
    Local(#[source] DecodeError),
    /// The bytes that came in break the format: the peer's fault.
    #[error("the peer sent a malformed document")]
    Remote(#[source] DecodeError),
    /// The delta extends a state that is not here: ask for the whole document.
    #[error("the delta extends a state that is not here: ask for the whole document")]
    BaseMissing,
    /// The united document would have too many actors; it accepts no new one.
    #[error("the document already has {max} actors and accepts no new one", max = MAX_ACTORS)]
    TooManyActors,
}

/// The outcome of a merge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merged {
    /// Canonical bytes of the united document.
    pub document: Vec<u8>,
    /// Whether they differ from the local ones.
    pub changed: bool,
    /// Commits that came with two contents: a copied device or a liar. The
    /// greater bytes won.
    pub equivocations: Vec<Dot>,
}

/// Unites `incoming` (a document or a delta) with the local document.
///
/// The caller has held the newest stamp of `incoming` ([`newest_stamp`])
/// against its clock.
///
/// # Errors
/// [`MergeError`]; nothing is changed then.
pub fn merge(local: Option<&[u8]>, incoming: &[u8]) -> Result<Merged, MergeError> {
    merge_resolved(local, incoming, None)
}

/// As [`merge`], for a delta whose actors are numbers that `resolve` knows.
///
/// # Errors
/// [`MergeError`]; nothing is changed then.
pub fn merge_interned(
    local: Option<&[u8]>,
    incoming: &[u8],
    resolve: &dyn Fn(u64) -> Option<Actor>,
) -> Result<Merged, MergeError> {
    merge_resolved(local, incoming, Some(resolve))
}

/// What `document` holds beyond `base`, as bytes for [`merge`]; `None` if
/// `base` covers all of it.
///
/// # Errors
/// The document's bytes are damaged.
pub fn delta(document: &[u8], base: &VersionVector) -> Result<Option<Vec<u8>>, DecodeError> {
    let found = changes_since(document, base)?;
    Ok(found.map(|(tree, base)| encode_delta(&tree, &base, None)))
}

/// As [`delta`], writing each actor as the number that `intern` gives it.
///
/// # Errors
/// The document's bytes are damaged.
pub fn delta_interned(
    document: &[u8],
    base: &VersionVector,
    intern: &mut dyn FnMut(&Actor) -> u64,
) -> Result<Option<Vec<u8>>, DecodeError> {
    let found = changes_since(document, base)?;
    Ok(found.map(|(tree, base)| encode_delta(&tree, &base, Some(intern))))
}

/// The version vector at the head of a document or delta.
///
/// # Errors
/// The head is damaged.
pub fn version_vector(document: &[u8]) -> Result<VersionVector, DecodeError> {
    Ok(take_head(&mut Reader::new(document), None)?.vector)
}

/// Checks bytes from outside in full: every rule of the format.
///
/// # Errors
/// The first rule that they break.
pub fn check_document(document: &[u8]) -> Result<(), DecodeError> {
    decode::check_document(document)
}

fn merge_resolved(
    local: Option<&[u8]>,
    incoming: &[u8],
    resolve: Option<&dyn Fn(u64) -> Option<Actor>>,
) -> Result<Merged, MergeError> {
    let Decoded { tree: remote, base } = decode(incoming, resolve).map_err(MergeError::Remote)?;
    let mut tree = match local {
        Some(bytes) => decode_document(bytes).map_err(MergeError::Local)?,
        None => Tree::default(),
    };
    if base.is_some_and(|base| !tree.vector.dominates(&base)) {
        return Err(MergeError::BaseMissing);
    }
    let equivocations = unite(&mut tree, remote);
    if tree.vector.len() > MAX_ACTORS {
        return Err(MergeError::TooManyActors);
    }
    normalise(&mut tree);
    let document = encode_document(&tree);
    Ok(Merged {
        changed: local != Some(document.as_slice()),
        document,
        equivocations,
    })
}

/// Joins the remote state into the local one, not yet in normal form.
fn unite<'a>(local: &mut Tree<'a>, remote: Tree<'a>) -> Vec<Dot> {
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

/// The part of a document that `base` does not cover, and the base cut to the
/// actors of the document.
fn changes_since<'a>(
    document: &'a [u8],
    base: &VersionVector,
) -> Result<Option<(Tree<'a>, VersionVector)>, DecodeError> {
    let vector = version_vector(document)?;
    if base.dominates(&vector) {
        return Ok(None);
    }
    let mut tree = decode_document(document)?;
    let shared = vector.meet(base);
    let fresh: Vec<bool> = tree.commits.iter().map(|dot| !shared.covers(dot)).collect();
    let is_fresh = |dot: CommitIndex| fresh[dot as usize];
    if tree
        .removal
        .as_ref()
        .is_some_and(|removal| !removal.dots.iter().copied().any(is_fresh))
    {
        tree.removal = None;
    }
    keep_fresh_map(&mut tree.root, &is_fresh);
    Ok(Some((tree, shared)))
}

fn keep_fresh_map(map: &mut MapNode<'_>, is_fresh: &impl Fn(CommitIndex) -> bool) {
    if !map.presence.iter().copied().any(is_fresh) {
        map.presence.clear();
        map.nulled = false;
    }
    for child in &mut map.children {
        keep_fresh_node(&mut child.node, is_fresh);
    }
    map.children.retain(|child| !child.node.is_empty());
}

fn keep_fresh_node(node: &mut Node<'_>, is_fresh: &impl Fn(CommitIndex) -> bool) {
    let stale = |leaf: &Leaf<'_>| !leaf.dots.iter().copied().any(is_fresh);
    if node.register.as_ref().is_some_and(stale) {
        node.register = None;
    }
    if node.attachment.as_deref().is_some_and(stale) {
        node.attachment = None;
    }
    for counter in [&mut node.counter, &mut node.pn_counter]
        .into_iter()
        .flatten()
    {
        counter.restart = counter.restart.filter(|(dot, _)| is_fresh(*dot));
        counter.parts.retain(|part| is_fresh(part.dot));
        counter.floor = counter.floor.filter(|floor| is_fresh(floor.dot));
        counter.bases.retain(|base| is_fresh(base.dot));
    }
    if let Some(removals) = &mut node.removals {
        for slot in removals.iter_mut() {
            let fresh = |removal: &Arc<Removal>| removal.dots.iter().copied().any(is_fresh);
            *slot = slot.take().filter(fresh);
        }
    }
    if let Some(map) = &mut node.map {
        keep_fresh_map(map, is_fresh);
    }
    node.prune();
}
