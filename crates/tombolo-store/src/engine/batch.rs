//! A batch: the puts and removals that an engine applies at once or not at all.
//!
//! Each key appears once, the last word wins: an engine never sees one key twice in a batch.

use super::sorted::SortedEntries;
use super::{EngineError, KEY_BYTES_MAX, KeyRange, Keyspace, StoredBytes, VALUE_BYTES_MAX};

/// Puts and removals over the keyspaces, sorted by key.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    keyspaces: [SortedEntries; Keyspace::COUNT],
    size_bytes: usize,
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a key to a value.
    ///
    /// # Errors
    /// [`EngineError::Oversized`] beyond [`KEY_BYTES_MAX`] or [`VALUE_BYTES_MAX`] or for an
    /// empty key; the batch is unchanged.
    pub fn put(
        &mut self,
        keyspace: Keyspace,
        key: impl Into<StoredBytes>,
        value: impl Into<StoredBytes>,
    ) -> Result<(), EngineError> {
        self.set(keyspace, key.into(), Some(value.into()))?;
        Ok(())
    }

    /// Removes a key, present or not.
    ///
    /// # Errors
    /// [`EngineError::Oversized`] as for [`Batch::put`].
    pub fn remove(
        &mut self,
        keyspace: Keyspace,
        key: impl Into<StoredBytes>,
    ) -> Result<(), EngineError> {
        self.set(keyspace, key.into(), None)?;
        Ok(())
    }

    /// Puts a key into a given state and tells the state before: `None` if the batch did not
    /// name it, inner `None` for a removal. Swapping the answer back in undoes the change.
    pub(crate) fn swap(
        &mut self,
        keyspace: Keyspace,
        key: StoredBytes,
        state: Option<Option<StoredBytes>>,
    ) -> Result<Option<Option<StoredBytes>>, EngineError> {
        match state {
            Some(value) => self.set(keyspace, key, value),
            None => {
                let previous = self.keyspaces[keyspace.index()].remove(&key);
                self.size_bytes -= weight(&key, previous.as_ref());
                Ok(previous)
            }
        }
    }

    /// What the batch says about a key: nothing, a value, or (inner `None`) its removal.
    pub fn lookup(&self, keyspace: Keyspace, key: &[u8]) -> Option<Option<&StoredBytes>> {
        self.keyspaces[keyspace.index()]
            .get(key)
            .map(Option::as_ref)
    }

    /// The entries of one keyspace within `range`, in key order; `None` is a removal.
    pub fn range(
        &self,
        keyspace: Keyspace,
        range: &KeyRange,
    ) -> impl DoubleEndedIterator<Item = (&StoredBytes, Option<&StoredBytes>)> {
        let entries = &self.keyspaces[keyspace.index()];
        entries
            .range(range.bounds())
            .map(|(key, value)| (key, value.as_ref()))
    }

    /// Every entry, by keyspace and then by key; `None` is a removal.
    pub fn entries(&self) -> impl Iterator<Item = (Keyspace, &StoredBytes, Option<&StoredBytes>)> {
        Keyspace::ALL.into_iter().flat_map(move |keyspace| {
            self.keyspaces[keyspace.index()]
                .iter()
                .map(move |(key, value)| (keyspace, key, value.as_ref()))
        })
    }

    /// How many keys the batch names.
    pub fn len(&self) -> usize {
        self.keyspaces.iter().map(SortedEntries::len).sum()
    }

    /// Whether the batch names no key.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of keys and values in the batch.
    pub const fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    /// Forgets every entry.
    pub fn clear(&mut self) {
        for entries in &mut self.keyspaces {
            entries.clear();
        }
        self.size_bytes = 0;
    }

    fn set(
        &mut self,
        keyspace: Keyspace,
        key: StoredBytes,
        value: Option<StoredBytes>,
    ) -> Result<Option<Option<StoredBytes>>, EngineError> {
        let value_bytes = value.as_ref().map_or(0, |value| value.len());
        if key.is_empty() || key.len() > KEY_BYTES_MAX || value_bytes > VALUE_BYTES_MAX {
            return Err(EngineError::Oversized {
                keyspace,
                key_bytes: key.len(),
                value_bytes,
            });
        }
        let added = key.len() + value_bytes;
        let previous = self.keyspaces[keyspace.index()].insert(key.clone(), value);
        self.size_bytes = self.size_bytes + added - weight(&key, previous.as_ref());
        Ok(previous)
    }
}

/// Bytes that an entry adds to a batch.
fn weight(key: &StoredBytes, entry: Option<&Option<StoredBytes>>) -> usize {
    let value_bytes = |value: &Option<StoredBytes>| value.as_ref().map_or(0, |value| value.len());
    entry.map_or(0, |value| key.len() + value_bytes(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(key_bytes: usize, value_bytes: usize) -> Result<(), EngineError> {
        let (key, value) = (vec![1; key_bytes], vec![2; value_bytes]);
        Batch::new().put(Keyspace::Meta, key, value)
    }

    #[test]
    fn keys_and_values_are_refused_above_their_limit() {
        assert!(put(1, 0).is_ok());
        assert!(put(KEY_BYTES_MAX, 0).is_ok());
        assert!(put(1, VALUE_BYTES_MAX).is_ok());
        assert!(matches!(put(0, 0), Err(EngineError::Oversized { .. })));
        assert!(matches!(
            put(KEY_BYTES_MAX + 1, 0),
            Err(EngineError::Oversized { .. })
        ));
        assert!(matches!(
            put(1, VALUE_BYTES_MAX + 1),
            Err(EngineError::Oversized { .. })
        ));
    }

    #[test]
    fn the_size_follows_what_the_batch_holds() {
        let mut batch = Batch::new();
        batch.put(Keyspace::Meta, *b"key", *b"value").unwrap();
        assert_eq!(batch.size_bytes(), 8);
        batch.put(Keyspace::Meta, *b"key", *b"v").unwrap();
        assert_eq!(batch.size_bytes(), 4);
        batch.remove(Keyspace::Meta, *b"key").unwrap();
        assert_eq!((batch.size_bytes(), batch.len()), (3, 1));
        batch.clear();
        assert!(batch.is_empty() && batch.size_bytes() == 0);
    }

    #[test]
    fn a_range_turned_round_is_empty() {
        let mut batch = Batch::new();
        batch.put(Keyspace::Meta, *b"b", *b"").unwrap();
        let range = KeyRange::between(*b"c", *b"a");
        assert_eq!(batch.range(Keyspace::Meta, &range).count(), 0);
    }
}
