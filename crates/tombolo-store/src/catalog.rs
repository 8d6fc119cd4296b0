//! The registries: collections with their live counts, indexes, remembered logs.
//!
//! They share structure, so that a snapshot and an undone transaction cost a few pointers.

use std::sync::Arc;

use rpds::RedBlackTreeMapSync;
use tombolo_document::order::Direction;
use tombolo_query::source::{IndexDefinition, IndexKey};

use crate::{
    StoreError,
    arrival::Origin,
    codec::{RECORD_VERSION, RecordReader, put_bytes, put_varint},
    engine::{EngineSnapshot, KeyRange, Keyspace},
    reads::{FallibleVisitor, scan_fallible},
    state::LogId,
};

/// Longest name of a collection, in bytes.
pub const COLLECTION_NAME_BYTES_MAX: usize = 1024;
/// Most collections in one store.
pub const COLLECTIONS_MAX: usize = 1 << 20;
/// Most indexes on one collection.
pub const INDEXES_MAX: usize = 64;
/// Most remote logs whose echoes are known apart; changes from later ones count as
/// [`Origin::UNKNOWN`] and are sent back to where they came from, which costs bytes alone.
pub const LOGS_MAX: usize = 65_536;

const COLLECTION: u8 = b'c';
const INDEX: u8 = b'i';
const LOG: u8 = b'o';

/// One collection.
#[derive(Clone, Debug)]
pub(crate) struct Collection {
    pub(crate) number: u32,
    /// Whether a document was ever written, as opposed to an index made.
    pub(crate) written: bool,
    pub(crate) live: u64,
    pub(crate) indexes: Arc<Vec<StoredIndex>>,
}

/// One index with the number that begins its entries.
#[derive(Clone, Debug)]
pub(crate) struct StoredIndex {
    pub(crate) number: u32,
    pub(crate) definition: IndexDefinition,
}

#[derive(Clone, Debug)]
pub(crate) struct Catalog {
    pub(crate) collections: RedBlackTreeMapSync<Arc<str>, Collection>,
    names: RedBlackTreeMapSync<u32, Arc<str>>,
    logs: RedBlackTreeMapSync<LogId, Origin>,
}

/// A key and a value for `Meta`, or a removal.
pub(crate) type MetaChange = (Vec<u8>, Option<Vec<u8>>);

impl Catalog {
    pub(crate) fn load(snapshot: &dyn EngineSnapshot) -> Result<Self, StoreError> {
        let mut catalog = Self {
            collections: RedBlackTreeMapSync::new_sync(),
            names: RedBlackTreeMapSync::new_sync(),
            logs: RedBlackTreeMapSync::new_sync(),
        };
        let each = |tag: u8, visit: &mut FallibleVisitor<'_>| {
            scan_fallible(snapshot, Keyspace::Meta, &KeyRange::prefix(&[tag]), visit)
        };
        each(COLLECTION, &mut |key, value| {
            let (name, collection) = read_collection(key, value)?;
            catalog.set(name, collection);
            Ok(())
        })?;
        each(INDEX, &mut |key, value| {
            catalog.add_loaded(read_index(key, value)?)
        })?;
        each(LOG, &mut |key, value| {
            let (log, origin) = read_log(key, value)?;
            catalog.logs.insert_mut(log, origin);
            Ok(())
        })?;
        Ok(catalog)
    }

    pub(crate) fn collection(&self, name: &str) -> Option<&Collection> {
        self.collections.get(name)
    }

    pub(crate) fn name(&self, number: u32) -> Option<&Arc<str>> {
        self.names.get(&number)
    }

    pub(crate) fn origin(&self, log: LogId) -> Option<Origin> {
        self.logs.get(&log).copied()
    }

    /// Puts a collection into the registry and tells the record to store.
    pub(crate) fn set(&mut self, name: Arc<str>, collection: Collection) -> MetaChange {
        let change = (collection_key(&name), Some(collection.record()));
        if !self.names.contains_key(&collection.number) {
            self.names.insert_mut(collection.number, Arc::clone(&name));
        }
        self.collections.insert_mut(name, collection);
        change
    }

    /// Counts live documents in or out, and tells the record to store.
    pub(crate) fn grow(&mut self, number: u32, by: i64) -> Option<MetaChange> {
        let name = Arc::clone(self.name(number)?);
        let mut collection = self.collection(&name)?.clone();
        collection.live = collection.live.saturating_add_signed(by);
        Some(self.set(name, collection))
    }

    /// Remembers a log and tells the record to store; nothing if no more fit.
    pub(crate) fn remember_log(&mut self, log: LogId) -> Option<(Origin, MetaChange)> {
        let count = u32::try_from(self.logs.size()).ok()?;
        if self.logs.size() >= LOGS_MAX {
            return None;
        }
        let origin = Origin(Origin::FIRST_LOG + count);
        self.logs.insert_mut(log, origin);
        let mut record = vec![RECORD_VERSION];
        put_varint(&mut record, u64::from(origin.0));
        Some((origin, ([&[LOG], &log.0[..]].concat(), Some(record))))
    }

    fn add_loaded(&mut self, index: StoredIndex) -> Result<(), StoreError> {
        let name: Arc<str> = index.definition.collection.as_str().into();
        let mut collection = self.collection(&name).cloned().ok_or(DAMAGED_INDEX)?;
        Arc::make_mut(&mut collection.indexes).push(index);
        self.set(name, collection);
        Ok(())
    }
}

const DAMAGED_INDEX: StoreError = StoreError::DamagedRecord {
    record: "index definition",
};

impl Collection {
    fn record(&self) -> Vec<u8> {
        let mut out = vec![RECORD_VERSION, u8::from(self.written)];
        put_varint(&mut out, u64::from(self.number));
        put_varint(&mut out, self.live);
        out
    }
}

impl StoredIndex {
    /// The entry that this definition is in `Meta`.
    pub(crate) fn meta_entry(&self) -> (Vec<u8>, Vec<u8>) {
        let mut out = vec![RECORD_VERSION];
        put_bytes(&mut out, self.definition.collection.as_bytes());
        put_bytes(&mut out, self.definition.name.as_bytes());
        put_varint(&mut out, self.definition.keys.len() as u64);
        for key in &self.definition.keys {
            out.push(u8::from(key.direction == Direction::Descending));
            put_varint(&mut out, key.path.len() as u64);
            for name in &key.path {
                put_bytes(&mut out, name.as_bytes());
            }
        }
        ([&[INDEX], &self.number.to_be_bytes()[..]].concat(), out)
    }
}

fn collection_key(name: &str) -> Vec<u8> {
    [&[COLLECTION], name.as_bytes()].concat()
}

fn read_collection(key: &[u8], value: &[u8]) -> Result<(Arc<str>, Collection), StoreError> {
    let mut reader = RecordReader::open("collection", value)?;
    let name = std::str::from_utf8(&key[1..]).map_err(|_| reader.damaged())?;
    let written = reader.byte()? != 0;
    let (number, live) = (reader.number()?, reader.varint()?);
    reader.close()?;
    let indexes = Arc::default();
    Ok((
        name.into(),
        Collection {
            number,
            written,
            live,
            indexes,
        },
    ))
}

fn read_index(key: &[u8], value: &[u8]) -> Result<StoredIndex, StoreError> {
    let mut reader = RecordReader::open("index definition", value)?;
    let number = key[1..].try_into().map_err(|_| reader.damaged())?;
    let (collection, name) = (reader.text()?.to_owned(), reader.text()?.to_owned());
    let mut keys = Vec::new();
    for _ in 0..reader.varint()? {
        let direction = match reader.byte()? {
            0 => Direction::Ascending,
            _ => Direction::Descending,
        };
        let mut path = Vec::new();
        for _ in 0..reader.varint()? {
            path.push(reader.text()?.to_owned());
        }
        keys.push(IndexKey { path, direction });
    }
    reader.close()?;
    let definition = IndexDefinition {
        name,
        collection,
        keys,
    };
    Ok(StoredIndex {
        number: u32::from_be_bytes(number),
        definition,
    })
}

fn read_log(key: &[u8], value: &[u8]) -> Result<(LogId, Origin), StoreError> {
    let mut reader = RecordReader::open("log", value)?;
    let log = key[1..].try_into().map_err(|_| reader.damaged())?;
    let origin = Origin(reader.number()?);
    reader.close()?;
    Ok((LogId(log), origin))
}
