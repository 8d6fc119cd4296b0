//! The writes of a round that is not yet in the engine, over the snapshot that it began with.
//!
//! Each transaction of the round can be undone without touching the others.

use std::{cmp::Ordering, iter::Peekable, ops::ControlFlow};

use crate::{
    StoreError,
    engine::{
        Batch, Direction, EngineError, EngineSnapshot, KeyRange, Keyspace, StoredBytes, Visitor,
    },
};

/// Most bytes that one transaction may put and remove, keys included. Making an index over
/// many documents is one transaction too.
pub const TRANSACTION_BYTES_MAX: usize = 256 * 1024 * 1024;

type Undo = (Keyspace, StoredBytes, Option<Option<StoredBytes>>);

#[derive(Debug, Default)]
pub(crate) struct Overlay {
    batch: Batch,
    /// What the open transaction changed, oldest first.
    undo: Vec<Undo>,
    /// Size of the batch when the open transaction began.
    settled_bytes: usize,
    /// By how much the live documents of each collection, by number, have grown. They go into
    /// the registry once for the whole round.
    grown: Vec<(u32, i64)>,
    /// What the open transaction added to that.
    grown_lately: Vec<(u32, i64)>,
}

impl Overlay {
    pub(crate) const fn batch(&self) -> &Batch {
        &self.batch
    }

    /// Whether the open transaction has written anything.
    pub(crate) fn has_changes(&self) -> bool {
        !self.undo.is_empty()
    }

    pub(crate) fn set(
        &mut self,
        keyspace: Keyspace,
        key: impl Into<StoredBytes>,
        value: Option<StoredBytes>,
    ) -> Result<(), StoreError> {
        let key = key.into();
        let previous = self.batch.swap(keyspace, key.clone(), Some(value))?;
        self.undo.push((keyspace, key, previous));
        if self.batch.size_bytes() > self.settled_bytes + TRANSACTION_BYTES_MAX {
            return Err(StoreError::TransactionTooLarge {
                max_bytes: TRANSACTION_BYTES_MAX,
            });
        }
        Ok(())
    }

    /// Notes that a collection has so many live documents more.
    pub(crate) fn grow(&mut self, collection: u32, by: i64) {
        add(&mut self.grown, collection, by);
        add(&mut self.grown_lately, collection, by);
    }

    /// By how much a collection has grown in this round.
    pub(crate) fn growth(&self, collection: u32) -> i64 {
        let held = self.grown.iter().find(|(held, _)| *held == collection);
        held.map_or(0, |(_, by)| *by)
    }

    /// The collections that have grown or shrunk in this round, and by how much.
    pub(crate) fn take_growth(&mut self) -> Vec<(u32, i64)> {
        let mut grown = std::mem::take(&mut self.grown);
        grown.retain(|(_, by)| *by != 0);
        grown
    }

    /// Makes the open transaction part of the round.
    pub(crate) fn settle(&mut self) {
        self.undo.clear();
        self.grown_lately.clear();
        self.settled_bytes = self.batch.size_bytes();
    }

    /// Takes the open transaction out of the round.
    pub(crate) fn undo(&mut self) {
        while let Some((keyspace, key, previous)) = self.undo.pop() {
            let restored = self.batch.swap(keyspace, key, previous);
            debug_assert!(restored.is_ok(), "what the batch held once fits again");
        }
        for (collection, by) in self.grown_lately.drain(..) {
            add(&mut self.grown, collection, -by);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.batch.clear();
        self.undo.clear();
        self.grown.clear();
        self.grown_lately.clear();
        self.settled_bytes = 0;
    }

    /// The round so far over what was there before it.
    pub(crate) const fn over<'l>(&'l self, below: &'l dyn EngineSnapshot) -> Layers<'l> {
        Layers {
            upper: &self.batch,
            below,
        }
    }
}

fn add(sums: &mut Vec<(u32, i64)>, collection: u32, by: i64) {
    match sums.iter_mut().find(|(held, _)| *held == collection) {
        Some((_, sum)) => *sum += by,
        None => sums.push((collection, by)),
    }
}

/// Two layers read as one; a removal hides what is below it.
pub(crate) struct Layers<'l> {
    upper: &'l Batch,
    below: &'l dyn EngineSnapshot,
}

impl EngineSnapshot for Layers<'_> {
    fn get(&self, keyspace: Keyspace, key: &[u8]) -> Result<Option<StoredBytes>, EngineError> {
        match self.upper.lookup(keyspace, key) {
            Some(state) => Ok(state.cloned()),
            None => self.below.get(keyspace, key),
        }
    }

    fn scan(
        &self,
        keyspace: Keyspace,
        range: &KeyRange,
        direction: Direction,
        visitor: &mut Visitor<'_>,
    ) -> Result<(), EngineError> {
        let (entries, below) = (self.upper.range(keyspace, range), self.below);
        match direction {
            Direction::Forward => {
                let mut merge = Merge::new(entries, Ordering::Less, visitor);
                below.scan(keyspace, range, direction, &mut |key, value| {
                    merge.lower(key, value)
                })?;
                merge.finish();
            }
            Direction::Backward => {
                let mut merge = Merge::new(entries.rev(), Ordering::Greater, visitor);
                below.scan(keyspace, range, direction, &mut |key, value| {
                    merge.lower(key, value)
                })?;
                merge.finish();
            }
        }
        Ok(())
    }
}

/// Weaves the entries of the overlay into a scan of the layer below.
struct Merge<'a, 'v, I: Iterator<Item = (&'a StoredBytes, Option<&'a StoredBytes>)>> {
    upper: Peekable<I>,
    comes_first: Ordering,
    /// Set when the visitor ends the scan: nothing of the overlay may follow.
    ended: bool,
    visitor: &'a mut Visitor<'v>,
}

impl<'a, 'v, I: Iterator<Item = (&'a StoredBytes, Option<&'a StoredBytes>)>> Merge<'a, 'v, I> {
    fn new(upper: I, comes_first: Ordering, visitor: &'a mut Visitor<'v>) -> Self {
        let (upper, ended) = (upper.peekable(), false);
        Self {
            upper,
            comes_first,
            ended,
            visitor,
        }
    }

    fn lower(&mut self, key: &[u8], value: &[u8]) -> ControlFlow<()> {
        while let Some((upper_key, _)) = self.upper.peek() {
            match (***upper_key).cmp(key) {
                order if order == self.comes_first => self.upper()?,
                Ordering::Equal => return self.upper(),
                _ => break,
            }
        }
        self.visit(key, value)
    }

    fn finish(&mut self) {
        while !self.ended && self.upper.peek().is_some() {
            // Whether it ended is noted where the visitor is called.
            let _ = self.upper();
        }
    }

    /// Visits the next entry of the overlay.
    fn upper(&mut self) -> ControlFlow<()> {
        match self.upper.next() {
            Some((key, Some(value))) => self.visit(key, value),
            _ => ControlFlow::Continue(()),
        }
    }

    fn visit(&mut self, key: &[u8], value: &[u8]) -> ControlFlow<()> {
        let flow = (self.visitor)(key, value);
        self.ended = flow.is_break();
        flow
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::engine::{Engine, MemoryEngine};

    type Writes = Vec<(u8, Option<u8>)>;

    fn writes() -> impl Strategy<Value = Writes> {
        prop::collection::vec((0u8..12, prop::option::weighted(0.6, any::<u8>())), 0..12)
    }

    fn apply(model: &mut BTreeMap<u8, u8>, writes: &Writes) {
        for (key, value) in writes {
            match value {
                Some(value) => model.insert(*key, *value),
                None => model.remove(key),
            };
        }
    }

    fn put(overlay: &mut Overlay, writes: &Writes) {
        for (key, value) in writes {
            overlay
                .set(Keyspace::Meta, [*key], value.map(|value| [value].into()))
                .unwrap();
        }
    }

    proptest! {
        #[test]
        fn two_layers_scan_as_one_up_to_any_limit(
            below in writes(), settled in writes(), undone in writes(),
            (from, to) in (0u8..12, 0u8..13), limit in 1usize..14,
        ) {
            let (engine, mut overlay, mut model) = (MemoryEngine::new(), Overlay::default(), BTreeMap::new());
            put(&mut overlay, &below);
            engine.write(overlay.batch()).unwrap();
            overlay.clear();
            put(&mut overlay, &settled);
            overlay.settle();
            put(&mut overlay, &undone);
            overlay.undo();
            apply(&mut model, &below);
            apply(&mut model, &settled);
            let snapshot = engine.snapshot().unwrap();
            let layers = overlay.over(&*snapshot);
            for direction in [Direction::Forward, Direction::Backward] {
                let mut expected: Vec<_> = model.iter().filter(|(key, _)| (from..to).contains(key)).map(|(key, value)| (*key, *value)).collect();
                if direction == Direction::Backward {
                    expected.reverse();
                }
                expected.truncate(limit);
                let mut seen = Vec::new();
                layers.scan(Keyspace::Meta, &KeyRange::between([from], [to]), direction, &mut |key, value| {
                    seen.push((key[0], value[0]));
                    if seen.len() == limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                }).unwrap();
                prop_assert_eq!(seen, expected);
            }
            for key in 0u8..12 {
                let got = layers.get(Keyspace::Meta, &[key]).unwrap().map(|value| value[0]);
                prop_assert_eq!(got, model.get(&key).copied());
            }
        }
    }
}
