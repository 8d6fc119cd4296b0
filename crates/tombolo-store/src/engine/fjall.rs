//! The default engine: fjall, a log-structured merge tree in safe Rust.
//!
//! Its journal is flushed by us alone, once per group of commits, by `fdatasync`.
//! It never calls `clear()`, which can pin journals for ever.

use std::{ops::ControlFlow, path::Path, sync::Arc};

use fjall::{
    Database, KeyspaceCreateOptions, LsmError, OwnedWriteBatch, PersistMode, Readable, Snapshot,
    config::BlockSizePolicy,
};

use super::{
    Batch, Direction, DirectoryLock, Engine, EngineError, EngineSnapshot, EngineStats, KeyRange,
    Keyspace, StoredBytes, Visitor, fuse::Fuse, journal,
};

const PLACE: &str = "fjall";
const OTHER_PLACES: [&str; 1] = [super::redb::PLACE];

/// Background threads for flushing and compacting.
const WORKER_THREADS: usize = 2;

/// Bytes of a block, which is what is read, cached and checked at a time. Most reads are of
/// neighbours: a catch-up, the change log, a query over a collection.
const BLOCK_BYTES: u32 = 16 * 1024;

/// Sizes that trade memory and recovery time for speed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FjallSettings {
    /// Block cache, shared by all keyspaces.
    pub cache_bytes: u64,
    /// Journals kept before memtables are forced out: bounds the time to reopen after a kill.
    /// Below 64 MiB it is taken as 64 MiB, the least that the engine accepts.
    pub journal_bytes_max: u64,
    /// Size at which a keyspace's memtable is written out.
    pub memtable_bytes: u64,
}

impl FjallSettings {
    const JOURNAL_BYTES_MIN: u64 = 64 * 1024 * 1024;
}

impl Default for FjallSettings {
    fn default() -> Self {
        Self {
            cache_bytes: 64 * 1024 * 1024,
            journal_bytes_max: Self::JOURNAL_BYTES_MIN,
            memtable_bytes: 16 * 1024 * 1024,
        }
    }
}

/// One fjall database with one fjall keyspace for each of ours.
pub struct FjallEngine {
    // Declared before the lock, so that the files are closed before the directory is released.
    keyspaces: Arc<[fjall::Keyspace; Keyspace::COUNT]>,
    database: Database,
    fuse: Fuse,
    _lock: DirectoryLock,
}

impl FjallEngine {
    /// Opens or makes the store in `directory`, which belongs to this process while it is open.
    ///
    /// # Errors
    /// [`EngineError::Locked`] or [`EngineError::OtherEngine`] if the directory is not ours;
    /// [`EngineError::Damaged`], [`EngineError::Full`] or [`EngineError::Io`] if it cannot be read.
    pub fn open(directory: &Path, settings: &FjallSettings) -> Result<Self, EngineError> {
        let lock = DirectoryLock::acquire(directory)?;
        let place = lock.place(PLACE, &OTHER_PLACES, |place| {
            let database = open_database(place, settings)?;
            open_keyspaces(&database, settings)?;
            let flushed = database.persist(PersistMode::SyncAll);
            flushed.map_err(|error| translate("make the store", error))
        })?;
        let database = open_mended(&place, settings)?;
        let keyspaces = open_keyspaces(&database, settings)?;
        Ok(Self {
            keyspaces: Arc::new(keyspaces),
            database,
            fuse: Fuse::default(),
            _lock: lock,
        })
    }
}

/// Opens the database, mending a torn tail of its journal if that is what keeps it closed.
fn open_mended(place: &Path, settings: &FjallSettings) -> Result<Database, EngineError> {
    let opened = open_database(place, settings);
    if let Err(EngineError::Damaged { .. }) = &opened {
        let mended = journal::mend_tail(place)
            .map_err(|error| EngineError::from_io("mend the journal", error))?;
        if mended {
            return open_database(place, settings);
        }
    }
    opened
}

fn open_database(place: &Path, settings: &FjallSettings) -> Result<Database, EngineError> {
    let journal_bytes_max = settings
        .journal_bytes_max
        .max(FjallSettings::JOURNAL_BYTES_MIN);
    Database::builder(place)
        .cache_size(settings.cache_bytes)
        .max_journaling_size(journal_bytes_max)
        .worker_threads(WORKER_THREADS)
        .manual_journal_persist(true)
        .open()
        .map_err(|error| translate("open the store", error))
}

fn open_keyspaces(
    database: &Database,
    settings: &FjallSettings,
) -> Result<[fjall::Keyspace; Keyspace::COUNT], EngineError> {
    let opened = Keyspace::ALL.map(|keyspace| {
        database.keyspace(keyspace.name(), || {
            KeyspaceCreateOptions::default()
                .manual_journal_persist(true)
                .max_memtable_size(settings.memtable_bytes)
                .data_block_size_policy(BlockSizePolicy::all(BLOCK_BYTES))
        })
    });
    let mut keyspaces = Vec::with_capacity(Keyspace::COUNT);
    for keyspace in opened {
        keyspaces.push(keyspace.map_err(|error| translate("open a keyspace", error))?);
    }
    Ok(keyspaces
        .try_into()
        .unwrap_or_else(|_| unreachable!("one keyspace was pushed for each of ours")))
}

impl Engine for FjallEngine {
    fn snapshot(&self) -> Result<Box<dyn EngineSnapshot>, EngineError> {
        Ok(Box::new(FjallSnapshot {
            snapshot: self.database.snapshot(),
            keyspaces: Arc::clone(&self.keyspaces),
        }))
    }

    fn write(&self, batch: &Batch) -> Result<(), EngineError> {
        self.fuse.write(|| {
            let mut written = OwnedWriteBatch::with_capacity(self.database.clone(), batch.len());
            for (keyspace, key, value) in batch.entries() {
                let keyspace = &self.keyspaces[keyspace.index()];
                match value {
                    Some(value) => written.insert(keyspace, key.to_slice(), value.to_slice()),
                    None => written.remove(keyspace, key.to_slice()),
                }
            }
            written
                .commit()
                .map_err(|error| translate("write a batch", error))
        })
    }

    fn flush(&self) -> Result<(), EngineError> {
        self.fuse.flush(|| {
            self.database
                .persist(PersistMode::SyncData)
                .map_err(|error| translate("flush", error))
        })
    }

    fn stats(&self) -> EngineStats {
        EngineStats {
            // A journal that cannot be measured is reported as an empty one: this is a gauge.
            size_bytes: self.database.disk_space().unwrap_or(0),
            batches_written: self.fuse.batches_written(),
            flushes: self.fuse.flushes(),
        }
    }
}

struct FjallSnapshot {
    snapshot: Snapshot,
    keyspaces: Arc<[fjall::Keyspace; Keyspace::COUNT]>,
}

impl EngineSnapshot for FjallSnapshot {
    fn get(&self, keyspace: Keyspace, key: &[u8]) -> Result<Option<StoredBytes>, EngineError> {
        let found = self
            .snapshot
            .get(&self.keyspaces[keyspace.index()], key)
            .map_err(|error| translate("read a key", error))?;
        Ok(found.map(StoredBytes::from_slice))
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
        let keyspace = &self.keyspaces[keyspace.index()];
        let mut entries = self.snapshot.range::<&[u8], _>(keyspace, range.bounds());
        let mut next = || match direction {
            Direction::Forward => entries.next(),
            Direction::Backward => entries.next_back(),
        };
        while let Some(entry) = next() {
            let (key, value) = entry
                .into_inner()
                .map_err(|error| translate("scan a range", error))?;
            if let ControlFlow::Break(()) = visitor(&key, &value) {
                break;
            }
        }
        Ok(())
    }
}

fn translate(action: &'static str, error: fjall::Error) -> EngineError {
    match error {
        fjall::Error::Io(source) | fjall::Error::Storage(LsmError::Io(source)) => {
            EngineError::from_io(action, source)
        }
        fjall::Error::Poisoned => EngineError::Stopped,
        error @ fjall::Error::Locked => EngineError::Io {
            action,
            source: error.into(),
        },
        error => EngineError::Damaged {
            action,
            source: error.into(),
        },
    }
}
