//! Benches that hold each engine for the tests of the door, and the map that engines must equal.

use std::{collections::BTreeMap, ops::ControlFlow};

use tempfile::TempDir;
use tombolo_store::engine::{
    Batch, Direction, Engine, EngineSnapshot, FaultyDisk, FaultyEngine, FjallEngine, FjallSettings,
    KeyRange, Keyspace, MemoryEngine, RedbEngine,
};

/// An engine and the way to close and open it again.
pub(crate) trait Bench {
    fn engine(&self) -> &dyn Engine;

    /// Closes and opens the engine; false if it keeps nothing by design.
    fn reopen(&mut self) -> bool;
}

pub(crate) struct FjallBench {
    engine: Option<FjallEngine>,
    directory: TempDir,
}

impl FjallBench {
    pub(crate) fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let engine = FjallEngine::open(directory.path(), &FjallSettings::default()).unwrap();
        Self {
            engine: Some(engine),
            directory,
        }
    }
}

impl Bench for FjallBench {
    fn engine(&self) -> &dyn Engine {
        self.engine.as_ref().unwrap()
    }

    fn reopen(&mut self) -> bool {
        self.engine = None;
        let settings = FjallSettings::default();
        self.engine = Some(FjallEngine::open(self.directory.path(), &settings).unwrap());
        true
    }
}

pub(crate) struct RedbBench {
    engine: Option<RedbEngine>,
    directory: TempDir,
}

const CACHE_BYTES: usize = 1024 * 1024;

impl RedbBench {
    pub(crate) fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let engine = RedbEngine::open(directory.path(), CACHE_BYTES).unwrap();
        Self {
            engine: Some(engine),
            directory,
        }
    }
}

impl Bench for RedbBench {
    fn engine(&self) -> &dyn Engine {
        self.engine.as_ref().unwrap()
    }

    fn reopen(&mut self) -> bool {
        self.engine = None;
        self.engine = Some(RedbEngine::open(self.directory.path(), CACHE_BYTES).unwrap());
        true
    }
}

pub(crate) struct MemoryBench(MemoryEngine);

impl MemoryBench {
    pub(crate) fn new() -> Self {
        Self(MemoryEngine::new())
    }
}

impl Bench for MemoryBench {
    fn engine(&self) -> &dyn Engine {
        &self.0
    }

    fn reopen(&mut self) -> bool {
        false
    }
}

pub(crate) struct FaultyBench {
    disk: FaultyDisk,
    engine: FaultyEngine,
}

impl FaultyBench {
    pub(crate) fn new() -> Self {
        let disk = FaultyDisk::new();
        Self {
            engine: disk.open(),
            disk,
        }
    }
}

impl Bench for FaultyBench {
    fn engine(&self) -> &dyn Engine {
        &self.engine
    }

    fn reopen(&mut self) -> bool {
        self.engine = self.disk.open();
        true
    }
}

/// What a keyspace holds, in order.
pub(crate) fn contents(
    snapshot: &dyn EngineSnapshot,
    keyspace: Keyspace,
) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut entries = Vec::new();
    snapshot
        .scan(
            keyspace,
            &KeyRange::all(),
            Direction::Forward,
            &mut |key, value| {
                entries.push((key.to_vec(), value.to_vec()));
                ControlFlow::Continue(())
            },
        )
        .unwrap();
    entries
}

/// Writes one entry into `Meta`, unflushed.
pub(crate) fn put_one(engine: &dyn Engine, key: &[u8], value: &[u8]) {
    let mut batch = Batch::new();
    batch.put(Keyspace::Meta, key, value).unwrap();
    engine.write(&batch).unwrap();
}

/// The plain map that an engine must equal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Model(BTreeMap<(Keyspace, Vec<u8>), Vec<u8>>);

impl Model {
    pub(crate) fn apply(&mut self, batch: &Batch) {
        for (keyspace, key, value) in batch.entries() {
            let key = (keyspace, key.to_vec());
            match value {
                Some(value) => self.0.insert(key, value.to_vec()),
                None => self.0.remove(&key),
            };
        }
    }

    pub(crate) fn of(snapshot: &dyn EngineSnapshot) -> Self {
        let entries = Keyspace::ALL.into_iter().flat_map(|keyspace| {
            let entries = contents(snapshot, keyspace).into_iter();
            entries.map(move |(key, value)| ((keyspace, key), value))
        });
        Self(entries.collect())
    }

    pub(crate) fn assert_same(&self, snapshot: &dyn EngineSnapshot) {
        assert_eq!(*self, Self::of(snapshot));
    }
}
