//! From bytes to the working form, checking every rule of the format.
//!
//! Whatever the bytes are, decoding ends, allocates no more than they are
//! long (times a constant) and never panics.

use std::borrow::Cow;
use std::sync::Arc;

use crate::bytes::{DecodeError, Reader, unzigzag};
use crate::head::{Head, Resolve, entry, take_commits, take_head};
use crate::layout::{
    COUNTER_BASES, COUNTER_FLOOR, COUNTER_RESTART, DELTA, HAS_REMOVALS, NODE_ORDER, NODE_REMOVALS,
    OFFSET_BYTES, ROOT_REMOVED, WIDE_MAP, take_stamp,
};
use crate::raw::{self, RawValue};
use crate::schema::Kind;
use crate::tree::{
    Base, Child, CommitIndex, Counter, Dots, Floor, Leaf, MapNode, Node, Part, Removal, Removals,
    Tree,
};
use crate::value::MAX_DEPTH;
use crate::version::{MAX_ACTORS, VersionVector};

/// What bytes from outside hold.
#[derive(Debug)]
pub(crate) struct Decoded<'a> {
    pub(crate) tree: Tree<'a>,
    /// The vector that a delta extends; `None` for a whole document.
    pub(crate) base: Option<VersionVector>,
}

/// Where bytes come from, and so how far their values are looked into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// A peer or a caller: every value is checked.
    Outside,
    /// Our own store, which checked them before: values are passed over.
    Stored,
}

/// Reads a document or a delta from outside.
pub(crate) fn decode<'a>(
    bytes: &'a [u8],
    resolve: Option<Resolve<'_>>,
) -> Result<Decoded<'a>, DecodeError> {
    decode_from(Origin::Outside, bytes, resolve)
}

fn decode_from<'a>(
    origin: Origin,
    bytes: &'a [u8],
    resolve: Option<Resolve<'_>>,
) -> Result<Decoded<'a>, DecodeError> {
    let mut decoder = Decoder {
        origin,
        reader: Reader::new(bytes),
        tree: Tree::default(),
        vectors: Vec::new(),
    };
    let base = decoder.document(resolve)?;
    if !decoder.reader.is_empty() {
        return Err(decoder.reader.malformed("end of a document"));
    }
    Ok(Decoded {
        tree: decoder.tree,
        base,
    })
}

/// Reads a stored document; a delta is malformed here.
pub(crate) fn decode_document(bytes: &[u8]) -> Result<Tree<'_>, DecodeError> {
    whole(decode_from(Origin::Stored, bytes, None)?)
}

/// The document that was decoded; a delta is malformed here.
pub(crate) fn whole(decoded: Decoded<'_>) -> Result<Tree<'_>, DecodeError> {
    match decoded.base {
        None => Ok(decoded.tree),
        Some(_) => Err(DecodeError::Malformed {
            what: "document: a delta stands in its place",
            at: 0,
        }),
    }
}

struct Decoder<'a> {
    origin: Origin,
    reader: Reader<'a>,
    tree: Tree<'a>,
    vectors: Vec<VersionVector>,
}

impl<'a> Decoder<'a> {
    fn document(
        &mut self,
        resolve: Option<Resolve<'_>>,
    ) -> Result<Option<VersionVector>, DecodeError> {
        let head = take_head(&mut self.reader, resolve)?;
        self.tree.commits = take_commits(&mut self.reader, &head)?;
        if head.flags & HAS_REMOVALS != 0 {
            self.vector_table(&head)?;
        }
        if head.flags & ROOT_REMOVED != 0 {
            self.tree.removal = Some(self.removal()?);
        }
        self.tree.root = self.map(0)?;
        self.tree.vector = head.vector;
        Ok((head.flags & DELTA != 0).then_some(head.base))
    }

    fn vector_table(&mut self, head: &Head) -> Result<(), DecodeError> {
        let count = self.reader.count("removal vectors")?;
        if count == 0 {
            return Err(self.reader.malformed("removal vectors: none"));
        }
        for _ in 0..count {
            let vector = self.removal_vector(head)?;
            self.vectors.push(vector);
        }
        Ok(())
    }

    fn removal_vector(&mut self, head: &Head) -> Result<VersionVector, DecodeError> {
        let reader = &mut self.reader;
        let mut vector = VersionVector::new();
        for _ in 0..reader.count("removal vector")? {
            let place = reader.varint("actor of a removal")?;
            let (actor, seen) = entry(reader, &head.vector, place)?;
            let stamp = take_stamp(reader, head.newest_ms)?;
            let last = vector.entries().last();
            if stamp > seen || last.is_some_and(|(last, _)| *last >= actor) {
                return Err(
                    reader.malformed("removal vector: out of order or above the document's")
                );
            }
            vector.push(actor, stamp);
        }
        Ok(vector)
    }

    fn removal(&mut self) -> Result<Arc<Removal>, DecodeError> {
        let count = self.reader.count("removing commits")?;
        let dots = self.dots(count)?;
        let place = usize::try_from(self.reader.varint("removal vector")?).ok();
        let vector = place.and_then(|place| self.vectors.get(place));
        let Some(vector) = vector else {
            return Err(self.reader.malformed("removal vector"));
        };
        let Some(newest) = dots.first() else {
            return Err(self.reader.malformed("removal without a commit"));
        };
        let limit = self.tree.commits[*newest as usize].stamp;
        if vector.entries().iter().any(|(_, stamp)| *stamp > limit) {
            return Err(self.reader.malformed("removal vector above its own commit"));
        }
        Ok(Arc::new(Removal {
            dots,
            vector: vector.clone(),
        }))
    }

    fn map(&mut self, depth: usize) -> Result<MapNode<'a>, DecodeError> {
        if depth > MAX_DEPTH {
            return Err(DecodeError::TooDeep);
        }
        let presence = self.reader.varint("presence")?;
        let count = usize::try_from(presence >> 1).unwrap_or(usize::MAX);
        let mut map = MapNode {
            presence: self.dots(count)?,
            nulled: presence & 1 == 1,
            children: Vec::new(),
        };
        let count = self.reader.count("fields")?;
        let wide = count >= WIDE_MAP;
        let table_bytes = if wide {
            count.saturating_mul(OFFSET_BYTES)
        } else {
            0
        };
        let mut offsets = self
            .reader
            .take(table_bytes, "offsets")?
            .chunks_exact(OFFSET_BYTES);
        let start = self.reader.position();
        map.children.reserve(count.min(WIDE_MAP));
        for _ in 0..count {
            let offset = (self.reader.position() - start) as u32;
            if wide && offsets.next() != Some(offset.to_le_bytes().as_slice()) {
                return Err(self.reader.malformed("offset of a field"));
            }
            self.child(&mut map.children, depth)?;
        }
        Ok(map)
    }

    /// Reads a field in its place, sparing the moves: most of a merge is here.
    fn child(&mut self, children: &mut Vec<Child<'a>>, depth: usize) -> Result<(), DecodeError> {
        let key = self.reader.text("field name")?;
        if children.last().is_some_and(|last| *last.key >= *key) {
            return Err(self.reader.malformed("order of fields"));
        }
        children.push(Child {
            key: Cow::Borrowed(key),
            node: Node::default(),
        });
        if let Some(child) = children.last_mut() {
            self.node(&mut child.node, depth + 1)?;
            if child.node.is_empty() {
                return Err(self.reader.malformed("field without content"));
            }
        }
        Ok(())
    }

    fn node(&mut self, node: &mut Node<'a>, depth: usize) -> Result<(), DecodeError> {
        let header = self.reader.byte("field header")?;
        if header & !(NODE_REMOVALS | NODE_ORDER | 0x1F) != 0 {
            return Err(self.reader.malformed("field header"));
        }
        if header & NODE_ORDER != 0 {
            let count = self.reader.count("order of kinds")?;
            self.reader.take(count, "order of kinds")?;
        }
        let holds = |kind: Kind| header & (1 << kind as u8) != 0;
        if holds(Kind::Register) {
            node.register = Some(self.leaf(depth)?);
        }
        if holds(Kind::Map) {
            node.map = Some(Box::new(self.nested_map(depth)?));
        }
        if holds(Kind::Counter) {
            node.counter = Some(Box::new(self.counter()?));
        }
        if holds(Kind::PnCounter) {
            node.pn_counter = Some(Box::new(self.counter()?));
        }
        if holds(Kind::Attachment) {
            node.attachment = Some(Box::new(self.leaf(depth)?));
        }
        if header & NODE_REMOVALS != 0 {
            self.node_removals(node)?;
        }
        Ok(())
    }

    fn nested_map(&mut self, depth: usize) -> Result<MapNode<'a>, DecodeError> {
        let length = self.reader.count("length of a map")?;
        let start = self.reader.position();
        let map = self.map(depth)?;
        if self.reader.position() - start != length {
            return Err(self.reader.malformed("length of a map"));
        }
        Ok(map)
    }

    fn node_removals(&mut self, node: &mut Node<'a>) -> Result<(), DecodeError> {
        let mut removals: Removals = Default::default();
        for _ in 0..self.reader.count("removals")? {
            let mask = self.reader.byte("removed kinds")?;
            let removal = self.removal()?;
            for kind in Kind::ALL {
                if mask & (1 << kind as u8) != 0 {
                    removals[kind as usize] = Some(Arc::clone(&removal));
                }
            }
        }
        node.removals = Some(Box::new(removals));
        node.prune();
        Ok(())
    }

    fn leaf(&mut self, depth: usize) -> Result<Leaf<'a>, DecodeError> {
        let first = self.reader.varint("leaf")?;
        let mut dots = Dots::new();
        self.push_dot(&mut dots, first >> 2)?;
        let mut more = first & 1 == 1;
        while more {
            let next = self.reader.varint("leaf")?;
            self.push_dot(&mut dots, next >> 1)?;
            more = next & 1 == 1;
        }
        if first & 2 != 0 {
            return Ok(Leaf { dots, value: None });
        }
        let value = match self.origin {
            Origin::Outside => raw::check(&mut self.reader, depth)?,
            Origin::Stored => RawValue::take(&mut self.reader)?,
        };
        Ok(Leaf {
            dots,
            value: Some(Cow::Borrowed(value.as_bytes())),
        })
    }

    fn counter(&mut self) -> Result<Counter, DecodeError> {
        let flags = self.reader.byte("counter")?;
        if flags & !(COUNTER_RESTART | COUNTER_FLOOR | COUNTER_BASES) != 0 {
            return Err(self.reader.malformed("counter"));
        }
        let mut counter = Counter::default();
        if flags & COUNTER_RESTART != 0 {
            counter.restart = Some((self.commit()?, unzigzag(self.reader.varint("restart")?)));
        }
        for _ in 0..self.reader.count("counter parts")? {
            let part = self.part()?;
            let last = counter.parts.last();
            if last.is_some_and(|last| last.incarnation >= part.incarnation) {
                return Err(self.reader.malformed("order of counter parts"));
            }
            counter.parts.push(part);
        }
        if flags & COUNTER_FLOOR != 0 {
            counter.floor = Some(Floor {
                epoch: self.commit()?,
                dot: self.commit()?,
            });
        }
        if flags & COUNTER_BASES != 0 {
            self.bases(&mut counter)?;
        }
        Ok(counter)
    }

    fn part(&mut self) -> Result<Part, DecodeError> {
        let incarnation = self.commit()?;
        let dot = self.commit()?;
        let commits = &self.tree.commits;
        if commits[incarnation as usize].actor != commits[dot as usize].actor || incarnation > dot {
            return Err(self.reader.malformed("counter part"));
        }
        let epoch = match self.reader.varint("epoch of a counter part")? {
            0 => None,
            place => Some(self.check_commit(place - 1)?),
        };
        Ok(Part {
            incarnation,
            dot,
            epoch,
            up: self.reader.varint("increments")?,
            down: self.reader.varint("decrements")?,
        })
    }

    fn bases(&mut self, counter: &mut Counter) -> Result<(), DecodeError> {
        for _ in 0..self.reader.count("counter bases")? {
            let base = Base {
                incarnation: self.commit()?,
                dot: self.commit()?,
                up: self.reader.varint("removed increments")?,
                down: self.reader.varint("removed decrements")?,
            };
            let last = counter.bases.last();
            if last.is_some_and(|last| last.incarnation >= base.incarnation) {
                return Err(self.reader.malformed("order of counter bases"));
            }
            counter.bases.push(base);
        }
        Ok(())
    }

    fn dots(&mut self, count: usize) -> Result<Dots, DecodeError> {
        let mut dots = Dots::new();
        for _ in 0..count {
            let place = self.reader.varint("commit")?;
            self.push_dot(&mut dots, place)?;
        }
        Ok(dots)
    }

    /// Adds a commit to a list that must fall.
    fn push_dot(&self, dots: &mut Dots, place: u64) -> Result<(), DecodeError> {
        let dot = self.check_commit(place)?;
        if dots.last().is_some_and(|last| *last <= dot) || dots.len() == MAX_ACTORS {
            return Err(self.reader.malformed("list of commits"));
        }
        dots.push(dot);
        Ok(())
    }

    fn commit(&mut self) -> Result<CommitIndex, DecodeError> {
        let place = self.reader.varint("commit")?;
        self.check_commit(place)
    }

    fn check_commit(&self, place: u64) -> Result<CommitIndex, DecodeError> {
        match CommitIndex::try_from(place) {
            Ok(index) if (index as usize) < self.tree.commits.len() => Ok(index),
            _ => Err(self.reader.malformed("place of a commit")),
        }
    }
}
