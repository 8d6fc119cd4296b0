//! The engine in memory: for simulations, tests and databases that need not outlive the process.
//!
//! Its maps share structure, so that a snapshot is a clone of six roots and a write copies
//! a path, never the map.

use std::{
    array,
    ops::ControlFlow,
    sync::{Mutex, MutexGuard, PoisonError},
};

use rpds::RedBlackTreeMapSync;

use super::{
    Batch, Direction, Engine, EngineError, EngineSnapshot, EngineStats, KeyRange, Keyspace,
    StoredBytes, Visitor, fuse::Fuse,
};

/// The keyspaces at one moment. Cloning it copies no key.
#[derive(Clone, Debug)]
pub(super) struct Maps {
    keyspaces: [RedBlackTreeMapSync<StoredBytes, StoredBytes>; Keyspace::COUNT],
}

impl Maps {
    pub(super) fn new() -> Self {
        Self {
            keyspaces: array::from_fn(|_| RedBlackTreeMapSync::new_sync()),
        }
    }

    pub(super) fn apply(&mut self, batch: &Batch) {
        for (keyspace, key, value) in batch.entries() {
            let map = &mut self.keyspaces[keyspace.index()];
            match value {
                Some(value) => map.insert_mut(key.clone(), value.clone()),
                None => {
                    map.remove_mut(key);
                }
            }
        }
    }

    pub(super) fn size_bytes(&self) -> u64 {
        let entries = self.keyspaces.iter().flat_map(|map| map.iter());
        entries
            .map(|(key, value)| (key.len() + value.len()) as u64)
            .sum()
    }
}

impl EngineSnapshot for Maps {
    fn get(&self, keyspace: Keyspace, key: &[u8]) -> Result<Option<StoredBytes>, EngineError> {
        Ok(self.keyspaces[keyspace.index()].get(key).cloned())
    }

    fn scan(
        &self,
        keyspace: Keyspace,
        range: &KeyRange,
        direction: Direction,
        visitor: &mut Visitor<'_>,
    ) -> Result<(), EngineError> {
        if range.is_empty() {
            return Ok(());
        }
        let map = &self.keyspaces[keyspace.index()];
        let mut entries = map.range::<[u8], _>(range.bounds());
        let mut next = || match direction {
            Direction::Forward => entries.next(),
            Direction::Backward => entries.next_back(),
        };
        while let Some((key, value)) = next() {
            if let ControlFlow::Break(()) = visitor(key, value) {
                break;
            }
        }
        Ok(())
    }
}

/// An engine whose flush keeps nothing: its content ends with the process.
#[derive(Debug)]
pub struct MemoryEngine {
    maps: Mutex<Maps>,
    fuse: Fuse,
}

impl MemoryEngine {
    /// An empty engine.
    pub fn new() -> Self {
        Self {
            maps: Mutex::new(Maps::new()),
            fuse: Fuse::default(),
        }
    }

    fn maps(&self) -> MutexGuard<'_, Maps> {
        // A panic while applying leaves whole entries, never a torn map.
        self.maps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryEngine {
    fn default() -> Self {
        Self::new()
    }
}

impl Engine for MemoryEngine {
    fn snapshot(&self) -> Result<Box<dyn EngineSnapshot>, EngineError> {
        Ok(Box::new(self.maps().clone()))
    }

    fn write(&self, batch: &Batch) -> Result<(), EngineError> {
        self.fuse.write(|| {
            self.maps().apply(batch);
            Ok(())
        })
    }

    fn flush(&self) -> Result<(), EngineError> {
        self.fuse.flush(|| Ok(()))
    }

    fn stats(&self) -> EngineStats {
        let maps = self.maps().clone();
        EngineStats {
            size_bytes: maps.size_bytes(),
            batches_written: self.fuse.batches_written(),
            flushes: self.fuse.flushes(),
        }
    }
}
