//! The second engine: redb, a copy-on-write B+tree in one file.
//!
//! It keeps the door honest, and suits small devices that mostly read. Batches are commits
//! without durability; a flush is one empty commit with it.

use std::{
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use redb::{
    Database, Durability, ReadOnlyTable, ReadTransaction, ReadableDatabase, TableDefinition,
    WriteTransaction,
};

use super::{
    Batch, Direction, DirectoryLock, Engine, EngineError, EngineSnapshot, EngineStats, KeyRange,
    Keyspace, StoredBytes, Visitor, fuse::Fuse,
};

pub(super) const PLACE: &str = "redb";
const OTHER_PLACES: [&str; 1] = ["fjall"];
const FILE: &str = "store.redb";

type Bytes = &'static [u8];

/// One redb file with one table for each keyspace.
#[derive(Debug)]
pub struct RedbEngine {
    database: Database,
    fuse: Fuse,
    file: PathBuf,
    _lock: DirectoryLock,
}

impl RedbEngine {
    /// Opens or makes the store in `directory`, which belongs to this process while it is open.
    ///
    /// # Errors
    /// [`EngineError::Locked`] or [`EngineError::OtherEngine`] if the directory is not ours;
    /// [`EngineError::Damaged`], [`EngineError::Full`] or [`EngineError::Io`] if it cannot be read.
    pub fn open(directory: &Path, cache_bytes: usize) -> Result<Self, EngineError> {
        let lock = DirectoryLock::acquire(directory)?;
        let open = |file: &Path| {
            Database::builder()
                .set_cache_size(cache_bytes)
                .create(file)
                .map_err(|error| translate("open the store", error))
        };
        let place = lock.place(PLACE, &OTHER_PLACES, |place| {
            fs::create_dir_all(place)
                .map_err(|error| EngineError::from_io("make the store's directory", error))?;
            open(&place.join(FILE)).map(drop)
        })?;
        let file = place.join(FILE);
        let database = open(&file)?;
        let engine = Self {
            database,
            fuse: Fuse::default(),
            file,
            _lock: lock,
        };
        engine.commit("make the tables", Durability::Immediate, |transaction| {
            for keyspace in Keyspace::ALL {
                transaction.open_table(table(keyspace))?;
            }
            Ok(())
        })?;
        Ok(engine)
    }

    fn commit(
        &self,
        action: &'static str,
        durability: Durability,
        change: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error>,
    ) -> Result<(), EngineError> {
        let commit = || -> Result<(), redb::Error> {
            let mut transaction = self.database.begin_write()?;
            transaction.set_durability(durability)?;
            change(&transaction)?;
            transaction.commit()?;
            Ok(())
        };
        commit().map_err(|error| translate(action, error))
    }
}

impl Engine for RedbEngine {
    fn snapshot(&self) -> Result<Box<dyn EngineSnapshot>, EngineError> {
        let transaction = self
            .database
            .begin_read()
            .map_err(|error| translate("take a snapshot", error))?;
        Ok(Box::new(RedbSnapshot { transaction }))
    }

    fn write(&self, batch: &Batch) -> Result<(), EngineError> {
        self.fuse.write(|| {
            self.commit("write a batch", Durability::None, |transaction| {
                let all = KeyRange::all();
                for keyspace in Keyspace::ALL {
                    let mut entries = batch.range(keyspace, &all).peekable();
                    if entries.peek().is_none() {
                        continue;
                    }
                    let mut table = transaction.open_table(table(keyspace))?;
                    for (key, value) in entries {
                        match value {
                            Some(value) => table.insert(&**key, &**value)?,
                            None => table.remove(&**key)?,
                        };
                    }
                }
                Ok(())
            })
        })
    }

    fn flush(&self) -> Result<(), EngineError> {
        self.fuse
            .flush(|| self.commit("flush", Durability::Immediate, |_| Ok(())))
    }

    fn stats(&self) -> EngineStats {
        EngineStats {
            // A file that cannot be measured is reported as an empty one: this is a gauge.
            size_bytes: fs::metadata(&self.file).map_or(0, |metadata| metadata.len()),
            batches_written: self.fuse.batches_written(),
            flushes: self.fuse.flushes(),
        }
    }
}

struct RedbSnapshot {
    transaction: ReadTransaction,
}

impl RedbSnapshot {
    fn table(&self, keyspace: Keyspace) -> Result<ReadOnlyTable<Bytes, Bytes>, EngineError> {
        self.transaction
            .open_table(table(keyspace))
            .map_err(|error| translate("open a table", error))
    }
}

impl EngineSnapshot for RedbSnapshot {
    fn get(&self, keyspace: Keyspace, key: &[u8]) -> Result<Option<StoredBytes>, EngineError> {
        let table = self.table(keyspace)?;
        let found = table
            .get(key)
            .map_err(|error| translate("read a key", error))?;
        Ok(found.map(|value| StoredBytes::from(value.value())))
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
        let table = self.table(keyspace)?;
        let mut entries = table
            .range::<&[u8]>(range.bounds())
            .map_err(|error| translate("scan a range", error))?;
        let mut next = || match direction {
            Direction::Forward => entries.next(),
            Direction::Backward => entries.next_back(),
        };
        while let Some(entry) = next() {
            let (key, value) = entry.map_err(|error| translate("scan a range", error))?;
            if let ControlFlow::Break(()) = visitor(key.value(), value.value()) {
                break;
            }
        }
        Ok(())
    }
}

const fn table(keyspace: Keyspace) -> TableDefinition<'static, Bytes, Bytes> {
    TableDefinition::new(keyspace.name())
}

fn translate(action: &'static str, error: impl Into<redb::Error>) -> EngineError {
    match error.into() {
        redb::Error::Io(source) => EngineError::from_io(action, source),
        redb::Error::PreviousIo => EngineError::Stopped,
        error => EngineError::Damaged {
            action,
            source: error.into(),
        },
    }
}
