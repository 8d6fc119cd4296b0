//! From the working form to canonical bytes.
//!
//! Equal states give equal bytes: everything is sorted, only what is named is
//! written, and nothing says how the state came about.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::actor::{Actor, Dot};
use crate::bytes::{put_length_before, put_text, put_varint, zigzag};
use crate::layout::{
    BASE_ABSENT, BASE_OTHER, BASE_SAME, COUNTER_BASES, COUNTER_FLOOR, COUNTER_RESTART, DELTA,
    HAS_REMOVALS, INTERNED, NODE_ORDER, NODE_REMOVALS, OFFSET_BYTES, ROOT_REMOVED, VERSION,
    WIDE_MAP, put_stamp,
};
use crate::marks::{Visitor, visit};
use crate::schema::Kind;
use crate::tree::{CommitIndex, Commits, Counter, Dots, Leaf, MapNode, Node, Removal, Tree};
use crate::version::VersionVector;

/// Bytes set aside for a document before it is written; most fit.
const ROOM_BYTES: usize = 512;

/// Gives the number that the peer knows an actor by.
pub(crate) type Intern<'i> = &'i mut dyn FnMut(&Actor) -> u64;

/// The canonical bytes of a document.
pub(crate) fn encode_document(tree: &Tree<'_>) -> Vec<u8> {
    Encoder::new(tree).encode(None, None)
}

/// What follows the tables in [`encode_document`].
pub(crate) fn encode_fields(tree: &Tree<'_>) -> Vec<u8> {
    let mut encoder = Encoder::new(tree);
    encoder.map(&tree.root);
    encoder.out
}

/// The bytes of a delta that extends `base`.
pub(crate) fn encode_delta(
    tree: &Tree<'_>,
    base: &VersionVector,
    intern: Option<Intern<'_>>,
) -> Vec<u8> {
    Encoder::new(tree).encode(Some(base), intern)
}

struct Encoder<'t, 'a> {
    tree: &'t Tree<'a>,
    newest_ms: u64,
    /// The commits to write, sorted.
    commits: Commits,
    /// From the tree's commit indexes to places in `commits`.
    places: SmallVec<[CommitIndex; 8]>,
    /// The distinct removal vectors, sorted.
    vectors: Vec<&'t VersionVector>,
    out: Vec<u8>,
}

impl<'t, 'a> Encoder<'t, 'a> {
    fn new(tree: &'t Tree<'a>) -> Self {
        let mut named = Named {
            commits: SmallVec::from_elem(false, tree.commits.len()),
            vectors: Vec::new(),
        };
        visit(tree, &mut named);
        let Named {
            commits: used,
            mut vectors,
        } = named;
        vectors.sort_unstable_by(|left, right| left.entries().cmp(right.entries()));
        vectors.dedup();
        let (commits, places) = sorted_commits(tree, &used);
        let stamps = tree.vector.entries().iter();
        Self {
            tree,
            newest_ms: stamps.map(|(_, stamp)| stamp.millis()).max().unwrap_or(0),
            commits,
            places,
            vectors,
            out: Vec::with_capacity(ROOM_BYTES),
        }
    }

    fn encode(mut self, base: Option<&VersionVector>, intern: Option<Intern<'_>>) -> Vec<u8> {
        self.header(base.is_some(), intern.is_some());
        self.actors(base, intern);
        self.commit_table();
        self.vector_table();
        if let Some(removal) = &self.tree.removal {
            self.removal(removal);
        }
        self.map(&self.tree.root);
        self.out
    }

    fn header(&mut self, delta: bool, interned: bool) {
        let flags = [
            (delta, DELTA),
            (interned, INTERNED),
            (!self.vectors.is_empty(), HAS_REMOVALS),
            (self.tree.removal.is_some(), ROOT_REMOVED),
        ];
        let set = flags.iter().filter(|(set, _)| *set).map(|(_, flag)| flag);
        self.out.push(set.fold(VERSION, |byte, flag| byte | flag));
        put_varint(&mut self.out, self.newest_ms);
    }

    fn actors(&mut self, base: Option<&VersionVector>, mut intern: Option<Intern<'_>>) {
        let entries = self.tree.vector.entries();
        put_varint(&mut self.out, entries.len() as u64);
        for (actor, stamp) in entries {
            match &mut intern {
                Some(number) => put_varint(&mut self.out, number(actor)),
                None => {
                    self.out.extend_from_slice(&actor.site.0);
                    put_varint(&mut self.out, u64::from(actor.epoch));
                }
            }
            put_stamp(&mut self.out, self.newest_ms, *stamp);
            let Some(base) = base else { continue };
            match base.get(actor) {
                None => put_varint(&mut self.out, BASE_ABSENT),
                Some(seen) if seen == *stamp => put_varint(&mut self.out, BASE_SAME),
                Some(seen) => {
                    put_varint(&mut self.out, BASE_OTHER);
                    put_stamp(&mut self.out, self.newest_ms, seen);
                }
            }
        }
    }

    fn commit_table(&mut self) {
        put_varint(&mut self.out, self.commits.len() as u64);
        for dot in &self.commits {
            let actor = place_of(&self.tree.vector, &dot.actor);
            // The lowest bit is set aside for signed commits.
            put_varint(&mut self.out, actor << 1);
            put_stamp(&mut self.out, self.newest_ms, dot.stamp);
        }
    }

    fn vector_table(&mut self) {
        if self.vectors.is_empty() {
            return;
        }
        put_varint(&mut self.out, self.vectors.len() as u64);
        for vector in &self.vectors {
            put_varint(&mut self.out, vector.len() as u64);
            for (actor, stamp) in vector.entries() {
                put_varint(&mut self.out, place_of(&self.tree.vector, actor));
                put_stamp(&mut self.out, self.newest_ms, *stamp);
            }
        }
    }

    fn removal(&mut self, removal: &Removal) {
        put_varint(&mut self.out, removal.dots.len() as u64);
        self.dots(&removal.dots);
        let vectors = &self.vectors;
        let at = vectors.binary_search_by(|held| held.entries().cmp(removal.vector.entries()));
        put_varint(
            &mut self.out,
            at.expect("invariant: the table holds every removal's vector") as u64,
        );
    }

    fn map(&mut self, map: &MapNode<'_>) {
        put_varint(
            &mut self.out,
            (map.presence.len() as u64) << 1 | u64::from(map.nulled),
        );
        self.dots(&map.presence);
        let count = map.children.len();
        put_varint(&mut self.out, count as u64);
        let table = self.out.len();
        if count >= WIDE_MAP {
            self.out.resize(table + count * OFFSET_BYTES, 0);
        }
        let start = self.out.len();
        for (index, child) in map.children.iter().enumerate() {
            if count >= WIDE_MAP {
                let offset = (self.out.len() - start) as u32;
                let slot = table + index * OFFSET_BYTES;
                self.out[slot..slot + OFFSET_BYTES].copy_from_slice(&offset.to_le_bytes());
            }
            put_text(&mut self.out, &child.key);
            self.node(&child.node);
        }
    }

    fn node(&mut self, node: &Node<'_>) {
        let order = node.kinds_by_age(&self.tree.commits);
        self.out.push(node_header(node, order.len() > 1));
        if order.len() > 1 {
            put_varint(&mut self.out, order.len() as u64);
            self.out.extend(order.iter().map(|kind| *kind as u8));
        }
        if let Some(leaf) = &node.register {
            self.leaf(leaf);
        }
        if let Some(map) = &node.map {
            let start = self.out.len();
            self.map(map);
            put_length_before(&mut self.out, start);
        }
        for counter in node.counter.iter().chain(&node.pn_counter) {
            self.counter(counter);
        }
        if let Some(leaf) = &node.attachment {
            self.leaf(leaf);
        }
        if let Some(removals) = &node.removals {
            self.node_removals(removals.as_slice());
        }
    }

    fn node_removals(&mut self, removals: &[Option<Arc<Removal>>]) {
        let mut groups: Vec<(u8, &Removal)> = Vec::new();
        for (kind, removal) in removals.iter().enumerate() {
            let Some(removal) = removal.as_deref() else {
                continue;
            };
            match groups.iter_mut().find(|(_, held)| *held == removal) {
                Some((mask, _)) => *mask |= 1 << kind,
                None => groups.push((1 << kind, removal)),
            }
        }
        put_varint(&mut self.out, groups.len() as u64);
        for (mask, removal) in groups {
            self.out.push(mask);
            self.removal(removal);
        }
    }

    fn leaf(&mut self, leaf: &Leaf<'_>) {
        for (index, dot) in leaf.dots.iter().enumerate() {
            let more = u64::from(index + 1 < leaf.dots.len());
            let place = u64::from(self.places[*dot as usize]);
            if index == 0 {
                put_varint(
                    &mut self.out,
                    place << 2 | u64::from(leaf.value.is_none()) << 1 | more,
                );
            } else {
                put_varint(&mut self.out, place << 1 | more);
            }
        }
        if let Some(value) = &leaf.value {
            self.out.extend_from_slice(value);
        }
    }

    fn counter(&mut self, counter: &Counter) {
        let flags = [
            (counter.restart.is_some(), COUNTER_RESTART),
            (counter.floor.is_some(), COUNTER_FLOOR),
            (!counter.bases.is_empty(), COUNTER_BASES),
        ];
        let set = flags.iter().filter(|(set, _)| *set).map(|(_, flag)| flag);
        self.out.push(set.fold(0, |byte, flag| byte | flag));
        if let Some((dot, value)) = counter.restart {
            self.dot(dot);
            put_varint(&mut self.out, zigzag(value));
        }
        put_varint(&mut self.out, counter.parts.len() as u64);
        for part in &counter.parts {
            self.dot(part.incarnation);
            self.dot(part.dot);
            let epoch = part
                .epoch
                .map_or(0, |epoch| u64::from(self.places[epoch as usize]) + 1);
            put_varint(&mut self.out, epoch);
            put_varint(&mut self.out, part.up);
            put_varint(&mut self.out, part.down);
        }
        if let Some(floor) = counter.floor {
            self.dot(floor.epoch);
            self.dot(floor.dot);
        }
        if !counter.bases.is_empty() {
            put_varint(&mut self.out, counter.bases.len() as u64);
        }
        for base in &counter.bases {
            self.dot(base.incarnation);
            self.dot(base.dot);
            put_varint(&mut self.out, base.up);
            put_varint(&mut self.out, base.down);
        }
    }

    fn dot(&mut self, dot: CommitIndex) {
        put_varint(&mut self.out, u64::from(self.places[dot as usize]));
    }

    fn dots(&mut self, dots: &Dots) {
        for dot in dots {
            self.dot(*dot);
        }
    }
}

fn node_header(node: &Node<'_>, several: bool) -> u8 {
    let kinds = [
        node.register.is_some(),
        node.map.is_some(),
        node.counter.is_some(),
        node.pn_counter.is_some(),
        node.attachment.is_some(),
    ];
    let held = Kind::ALL.into_iter().zip(kinds).filter(|(_, held)| *held);
    let mut header = held.fold(0, |byte, (kind, _)| byte | 1 << kind as u8);
    if node.removals.is_some() {
        header |= NODE_REMOVALS;
    }
    if several {
        header |= NODE_ORDER;
    }
    header
}

fn place_of(vector: &VersionVector, actor: &Actor) -> u64 {
    let at = vector
        .entries()
        .binary_search_by(|(held, _)| held.cmp(actor));
    at.expect("invariant: a document's vector covers all that the document names") as u64
}

/// What a tree names: commits by index, and the vectors of its removals.
struct Named<'t> {
    commits: SmallVec<[bool; 16]>,
    vectors: Vec<&'t VersionVector>,
}

impl<'t> Visitor<'t> for Named<'t> {
    fn commit(&mut self, commit: CommitIndex) {
        self.commits[commit as usize] = true;
    }

    fn removal(&mut self, removal: &'t Arc<Removal>) {
        self.vectors.push(&removal.vector);
    }
}

/// The used commits, sorted, and where each index of the tree went.
fn sorted_commits(tree: &Tree<'_>, used: &[bool]) -> (Commits, SmallVec<[CommitIndex; 8]>) {
    let named = tree.commits.iter().zip(used).filter(|(_, used)| **used);
    let mut commits: Commits = named.map(|(dot, _)| *dot).collect();
    commits.sort_unstable();
    commits.dedup();
    let place = |dot: &Dot| commits.binary_search(dot).unwrap_or(0) as CommitIndex;
    let places = tree.commits.iter().map(place).collect();
    (commits, places)
}
