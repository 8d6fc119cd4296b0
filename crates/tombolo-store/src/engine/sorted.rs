//! The entries of a batch in key order, in chunks: a key that comes after all others, as most do,
//! is compared once, and any other as often as a binary search does.

use std::ops::Bound;

use super::StoredBytes;

/// Entries of a chunk; to insert one moves at most so many.
const CHUNK: usize = 128;

type Entry = (StoredBytes, Option<StoredBytes>);

/// A sorted map from keys to values or removals.
#[derive(Clone, Debug, Default)]
pub(super) struct SortedEntries {
    /// None of them is empty.
    chunks: Vec<Vec<Entry>>,
    count: usize,
}

/// A chunk and a place in it.
type Place = (usize, usize);

impl SortedEntries {
    /// The entry of a key.
    pub(super) fn get(&self, key: &[u8]) -> Option<&Option<StoredBytes>> {
        let (chunk, at) = self.find(key).ok()?;
        Some(&self.chunks[chunk][at].1)
    }

    /// Puts an entry, and gives the one that was there.
    pub(super) fn insert(
        &mut self,
        key: StoredBytes,
        value: Option<StoredBytes>,
    ) -> Option<Option<StoredBytes>> {
        let (chunk, at) = match self.find(&key) {
            Ok((chunk, at)) => {
                return Some(std::mem::replace(&mut self.chunks[chunk][at].1, value));
            }
            Err(place) => place,
        };
        self.count += 1;
        let last = self.chunks.len().saturating_sub(1);
        match self.chunks.get_mut(chunk) {
            None => self.chunks.push(vec![(key, value)]),
            Some(full) if chunk == last && at == CHUNK => {
                debug_assert_eq!(full.len(), CHUNK, "what comes last fills chunks one by one");
                let mut next = Vec::with_capacity(CHUNK);
                next.push((key, value));
                self.chunks.push(next);
            }
            Some(held) => {
                held.insert(at, (key, value));
                if held.len() > CHUNK {
                    let half = held.split_off(CHUNK / 2);
                    self.chunks.insert(chunk + 1, half);
                }
            }
        }
        None
    }

    /// Takes an entry out.
    pub(super) fn remove(&mut self, key: &[u8]) -> Option<Option<StoredBytes>> {
        let (chunk, at) = self.find(key).ok()?;
        self.count -= 1;
        let (_, value) = self.chunks[chunk].remove(at);
        if self.chunks[chunk].is_empty() {
            self.chunks.remove(chunk);
        }
        Some(value)
    }

    /// All entries in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.chunks.iter().flatten()
    }

    /// The entries between two keys; nothing if they are turned round.
    pub(super) fn range(
        &self,
        (from, to): (Bound<&[u8]>, Bound<&[u8]>),
    ) -> impl DoubleEndedIterator<Item = &Entry> {
        let place = |key| self.find(key).unwrap_or_else(|place| place);
        let after = |key| match self.find(key) {
            Ok((chunk, at)) => (chunk, at + 1),
            Err(place) => place,
        };
        let start: Place = match from {
            Bound::Unbounded => (0, 0),
            Bound::Included(key) => place(key),
            Bound::Excluded(key) => after(key),
        };
        let end: Place = match to {
            Bound::Unbounded => (self.chunks.len(), 0),
            Bound::Included(key) => after(key),
            Bound::Excluded(key) => place(key),
        };
        let chunks = self.chunks.iter().enumerate();
        let within = chunks.take(end.0 + 1).skip(start.0);
        within.flat_map(move |(number, chunk)| {
            let first = if number == start.0 { start.1 } else { 0 };
            let last = if number == end.0 { end.1 } else { chunk.len() };
            chunk.get(first..last).unwrap_or_default()
        })
    }

    /// How many there are.
    pub(super) const fn len(&self) -> usize {
        self.count
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.chunks.clear();
        self.count = 0;
    }

    /// Where a key is, or where it would be.
    fn find(&self, key: &[u8]) -> Result<Place, Place> {
        let Some(newest) = self.chunks.last() else {
            return Err((0, 0));
        };
        if newest.last().is_some_and(|(last, _)| **last < *key) {
            return Err((self.chunks.len() - 1, newest.len()));
        }
        let is_before = |chunk: &Vec<Entry>| chunk.last().is_some_and(|(last, _)| **last < *key);
        let number = self.chunks.partition_point(is_before);
        let found = self.chunks[number].binary_search_by(|(held, _)| (**held).cmp(key));
        match found {
            Ok(at) => Ok((number, at)),
            Err(at) => Err((number, at)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn key(number: u16) -> StoredBytes {
        number.to_be_bytes().into()
    }

    /// Keys that come after all others, before them and between.
    fn keys() -> impl Strategy<Value = Vec<(u16, bool)>> {
        let run = (any::<u16>(), 1_u16..400, any::<bool>()).prop_map(|(first, count, put)| {
            (0..count)
                .map(|at| (first.wrapping_add(at) % 2_000, put))
                .collect::<Vec<_>>()
        });
        let one = (0_u16..2_000, any::<bool>()).prop_map(|one| vec![one]);
        let steps = prop::collection::vec(prop_oneof![1 => run, 4 => one], 0..60);
        steps.prop_map(|steps| steps.concat())
    }

    proptest! {
        #[test]
        fn it_is_the_map_that_a_tree_would_be(
            steps in keys(),
            (from, to) in (0_u16..2_000, 0_u16..2_000),
        ) {
            let (mut entries, mut model) = (SortedEntries::default(), BTreeMap::new());
            for (number, put) in steps {
                let value = put.then(|| key(number ^ 1));
                if put || number % 3 == 0 {
                    let before = entries.insert(key(number), value.clone());
                    prop_assert_eq!(before, model.insert(key(number), value));
                } else {
                    prop_assert_eq!(entries.remove(&key(number)), model.remove(&key(number)));
                }
                prop_assert_eq!(entries.get(&key(number)), model.get(&key(number)));
            }
            prop_assert_eq!(entries.len(), model.len());
            let held: Vec<_> = entries.iter().cloned().collect();
            prop_assert_eq!(&held, &model.clone().into_iter().collect::<Vec<_>>());
            let (low, high) = (key(from.min(to)), key(from.max(to)));
            for bounds in [
                (Bound::Included(&*low), Bound::Excluded(&*high)),
                (Bound::Excluded(&*low), Bound::Included(&*high)),
                (Bound::Unbounded, Bound::Excluded(&*high)),
                (Bound::Included(&*low), Bound::Unbounded),
            ] {
                if bounds == (Bound::Excluded(&*low), Bound::Included(&*low)) {
                    continue;
                }
                let expected: Vec<_> = model.range::<[u8], _>(bounds).map(|(key, _)| key).collect();
                let found: Vec<_> = entries.range(bounds).map(|(key, _)| key).collect();
                prop_assert_eq!(&found, &expected);
                let mut back: Vec<_> = entries.range(bounds).rev().map(|(key, _)| key).collect();
                back.reverse();
                prop_assert_eq!(&back, &expected);
            }
        }
    }

    #[test]
    fn a_range_turned_round_is_empty() {
        let mut entries = SortedEntries::default();
        for number in 0..300 {
            entries.insert(key(number), None);
        }
        let (low, high) = (key(10), key(290));
        let turned = (Bound::Included(&*high), Bound::Excluded(&*low));
        assert_eq!(entries.range(turned).count(), 0);
    }
}
