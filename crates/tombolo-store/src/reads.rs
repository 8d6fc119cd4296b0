//! Reading documents, indexes and the change log, the same for a snapshot and for a transaction
//! that sees its own writes.

use std::ops::{Bound, ControlFlow};

use tombolo_document::{DocumentId, order};
use tombolo_query::source::{IndexDefinition, Visit};

use crate::{
    StoreError,
    arrival::{Arrivals, Origin},
    catalog::{Catalog, Collection},
    engine::{Direction, EngineError, EngineSnapshot, KeyRange, Keyspace, StoredBytes, Visitor},
    index::{self, INDEX_KEY_BYTES_MAX},
    layout::{self, DocumentRecord, LogKey},
};

/// A document as it is stored here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredDocument {
    /// False for a tombstone.
    pub live: bool,
    /// The canonical bytes.
    pub document: Vec<u8>,
    /// When its parts arrived, and from where.
    pub arrivals: Arrivals,
}

/// The newest change of one document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change<'a> {
    /// The local commit that made it.
    pub commit: u64,
    /// The document's collection.
    pub collection: &'a str,
    /// The canonical bytes of the document's id.
    pub id: &'a [u8],
    /// The remote log that all of the document came from, if it is known that there is one: a
    /// peer with that log has all of it.
    pub only_log: Option<Origin>,
}

/// Bytes in layers, and the registries that belong to them.
pub(crate) trait Reads {
    fn catalog(&self) -> &Catalog;

    /// How many live documents a collection has.
    fn live(&self, collection: &Collection) -> u64;

    fn get(&self, keyspace: Keyspace, key: &[u8]) -> Result<Option<StoredBytes>, EngineError>;

    fn scan_bytes(
        &self,
        keyspace: Keyspace,
        range: &KeyRange,
        direction: Direction,
        visitor: &mut Visitor<'_>,
    ) -> Result<(), EngineError>;
}

pub(crate) fn live_document(
    reads: &dyn Reads,
    collection: &str,
    id: &DocumentId,
) -> Result<Option<Vec<u8>>, StoreError> {
    let found = record(reads, collection, id.as_bytes())?;
    let Some(bytes) = found else { return Ok(None) };
    let record = DocumentRecord::read(&bytes)?;
    Ok(record.live.then(|| record.document.to_vec()))
}

pub(crate) fn stored_document(
    reads: &dyn Reads,
    collection: &str,
    id: &[u8],
) -> Result<Option<StoredDocument>, StoreError> {
    let Some(bytes) = record(reads, collection, id)? else {
        return Ok(None);
    };
    let record = DocumentRecord::read(&bytes)?;
    let arrivals = record.arrivals(&record.vector()?)?;
    let (live, document) = (record.live, record.document.to_vec());
    Ok(Some(StoredDocument {
        live,
        document,
        arrivals,
    }))
}

pub(crate) fn record(
    reads: &dyn Reads,
    collection: &str,
    id: &[u8],
) -> Result<Option<StoredBytes>, StoreError> {
    let Some(collection) = reads.catalog().collection(collection) else {
        return Ok(None);
    };
    let key = layout::document_key(collection.number, id);
    Ok(reads.get(Keyspace::Documents, &key)?)
}

pub(crate) fn scan_live(
    reads: &dyn Reads,
    collection: &str,
    visit: Visit<'_>,
) -> Result<(), StoreError> {
    let Some(collection) = reads.catalog().collection(collection) else {
        return Ok(());
    };
    let range = layout::collection_range(collection.number);
    let mut outcome = Ok(());
    reads.scan_bytes(
        Keyspace::Documents,
        &range,
        Direction::Forward,
        &mut |key, value| match DocumentRecord::read(value) {
            Ok(record) if record.live => visit(layout::id_of(key), record.document),
            Ok(_) => ControlFlow::Continue(()),
            Err(error) => stop(&mut outcome, error),
        },
    )?;
    outcome
}

/// Called with an id's canonical bytes, whether its document is live, and the document's canonical
/// bytes; `Break` ends the scan.
pub type VisitStored<'v> = &'v mut dyn FnMut(&[u8], bool, &[u8]) -> ControlFlow<()>;

/// Visits the documents of a collection with ids after `after`, in the order of their ids,
/// tombstones included.
pub(crate) fn scan_stored(
    reads: &dyn Reads,
    collection: &str,
    after: Option<&[u8]>,
    visit: VisitStored<'_>,
) -> Result<(), StoreError> {
    let Some(collection) = reads.catalog().collection(collection) else {
        return Ok(());
    };
    let mut range = layout::collection_range(collection.number);
    if let Some(after) = after {
        range.start = layout::document_key(collection.number, after).to_vec();
    }
    let mut outcome = Ok(());
    reads.scan_bytes(
        Keyspace::Documents,
        &range,
        Direction::Forward,
        &mut |key, value| match (layout::id_of(key), DocumentRecord::read(value)) {
            (id, _) if Some(id) == after => ControlFlow::Continue(()),
            (id, Ok(record)) => visit(id, record.live, record.document),
            (_, Err(error)) => stop(&mut outcome, error),
        },
    )?;
    outcome
}

pub(crate) fn scan_index(
    reads: &dyn Reads,
    wanted: &IndexDefinition,
    span: (Bound<&[u8]>, Bound<&[u8]>),
    direction: order::Direction,
    visit: Visit<'_>,
) -> Result<(), StoreError> {
    let collection = reads.catalog().collection(&wanted.collection);
    let index = collection.and_then(|collection| {
        let indexes = collection.indexes.iter();
        let index = indexes
            .into_iter()
            .find(|index| index.definition.name == wanted.name)?;
        Some((collection.number, index))
    });
    // An index that was dropped meanwhile has no entries.
    let Some((collection, index)) = index else {
        return Ok(());
    };
    let direction = match direction {
        order::Direction::Ascending => Direction::Forward,
        order::Direction::Descending => Direction::Backward,
    };
    let range = index_range(index.number, span);
    let mut outcome = Ok(());
    reads.scan_bytes(Keyspace::Index, &range, direction, &mut |key, value| {
        let entry = layout::read_index_entry(key, value).and_then(|(fields, id)| {
            let document = reads.get(Keyspace::Documents, &layout::document_key(collection, id))?;
            Ok((
                fields,
                id,
                document.ok_or(StoreError::DamagedRecord { record: "index" })?,
            ))
        });
        match entry
            .and_then(|(fields, id, bytes)| visit_entry(wanted, span, (fields, id, &bytes), visit))
        {
            Ok(flow) => flow,
            Err(error) => stop(&mut outcome, error),
        }
    })?;
    outcome
}

/// Visits one entry, unless its key was cut short and the whole of it lies outside the span.
fn visit_entry(
    index: &IndexDefinition,
    span: (Bound<&[u8]>, Bound<&[u8]>),
    (fields, id, bytes): (&[u8], &[u8], &[u8]),
    visit: Visit<'_>,
) -> Result<ControlFlow<()>, StoreError> {
    let record = DocumentRecord::read(bytes)?;
    if fields.len() == INDEX_KEY_BYTES_MAX {
        let whole = index::whole_key(index, id, record.document)?;
        if !contains(span, &whole) {
            return Ok(ControlFlow::Continue(()));
        }
    }
    Ok(visit(id, record.document))
}

/// The entries of a span: bounds are prefixes, cut to the longest key that is stored.
fn index_range(index: u32, (lower, upper): (Bound<&[u8]>, Bound<&[u8]>)) -> KeyRange {
    let all = KeyRange::prefix(&index.to_be_bytes());
    let key = |bound: &[u8]| {
        let cut = &bound[..bound.len().min(INDEX_KEY_BYTES_MAX)];
        [&index.to_be_bytes()[..], cut].concat()
    };
    let is_cut = |bound: &[u8]| bound.len() > INDEX_KEY_BYTES_MAX;
    let start = match lower {
        Bound::Unbounded => all.start,
        Bound::Included(bound) => key(bound),
        Bound::Excluded(bound) if is_cut(bound) => key(bound),
        // Past every entry that starts with the bound; past all entries if there is nothing after.
        Bound::Excluded(bound) => match KeyRange::prefix(&key(bound)).end {
            Some(end) => end,
            None => return KeyRange::between(key(bound), key(bound)),
        },
    };
    let end = match upper {
        Bound::Unbounded => all.end,
        Bound::Excluded(bound) if !is_cut(bound) => Some(key(bound)),
        Bound::Included(bound) | Bound::Excluded(bound) => KeyRange::prefix(&key(bound)).end,
    };
    KeyRange { start, end }
}

/// Whether a whole key lies in a span whose bounds are prefixes.
fn contains((lower, upper): (Bound<&[u8]>, Bound<&[u8]>), key: &[u8]) -> bool {
    let above = match lower {
        Bound::Unbounded => true,
        Bound::Included(bound) => key >= bound,
        Bound::Excluded(bound) => key > bound && !key.starts_with(bound),
    };
    let below = match upper {
        Bound::Unbounded => true,
        Bound::Included(bound) => key <= bound || key.starts_with(bound),
        Bound::Excluded(bound) => key < bound,
    };
    above && below
}

/// Visits the newest change of each document that changed after `commit`, in commit order.
pub(crate) fn changes_after(
    reads: &dyn Reads,
    commit: u64,
    visit: &mut dyn FnMut(Change<'_>) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    let mut outcome = Ok(());
    let range = layout::changes_after(commit);
    reads.scan_bytes(
        Keyspace::Changes,
        &range,
        Direction::Forward,
        &mut |key, value| {
            let (commit, number, id) = match layout::read_log_key(key) {
                Ok(LogKey::Change {
                    commit,
                    collection,
                    id,
                }) => (commit, collection, id),
                Ok(LogKey::Head { .. }) => return ControlFlow::Continue(()),
                Err(error) => return stop(&mut outcome, error),
            };
            let only_log = match layout::read_change(value) {
                Ok(only_log) => only_log,
                Err(error) => return stop(&mut outcome, error),
            };
            match reads.catalog().name(number) {
                Some(collection) => visit(Change {
                    commit,
                    collection,
                    id,
                    only_log,
                }),
                None => stop(&mut outcome, StoreError::DamagedRecord { record: "change" }),
            }
        },
    )?;
    outcome
}

pub(crate) fn collections(reads: &dyn Reads) -> Vec<String> {
    let written = reads
        .catalog()
        .collections
        .iter()
        .filter(|(_, collection)| collection.written);
    written.map(|(name, _)| name.to_string()).collect()
}

pub(crate) fn indexes(reads: &dyn Reads, wanted: Option<&str>) -> Vec<IndexDefinition> {
    let catalog = reads.catalog();
    let chosen = catalog
        .collections
        .iter()
        .filter(|(name, _)| wanted.is_none_or(|wanted| wanted == &***name));
    let indexes = chosen.flat_map(|(_, collection)| collection.indexes.iter());
    let mut definitions: Vec<_> = indexes.map(|index| index.definition.clone()).collect();
    definitions
        .sort_by(|one, other| (&one.collection, &one.name).cmp(&(&other.collection, &other.name)));
    definitions
}

/// A visitor that may fail, which ends its scan.
pub(crate) type FallibleVisitor<'a> = dyn FnMut(&[u8], &[u8]) -> Result<(), StoreError> + 'a;

/// A scan whose visitor may fail.
pub(crate) fn scan_fallible(
    snapshot: &dyn EngineSnapshot,
    keyspace: Keyspace,
    range: &KeyRange,
    visit: &mut FallibleVisitor<'_>,
) -> Result<(), StoreError> {
    let mut outcome = Ok(());
    snapshot.scan(
        keyspace,
        range,
        Direction::Forward,
        &mut |key, value| match visit(key, value) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => stop(&mut outcome, error),
        },
    )?;
    outcome
}

fn stop(outcome: &mut Result<(), StoreError>, error: StoreError) -> ControlFlow<()> {
    *outcome = Err(error);
    ControlFlow::Break(())
}

/// The query's door, over anything that reads.
macro_rules! serve_queries {
    ($reader:ty) => {
        impl Source for $reader {
            fn document(
                &self,
                collection: &str,
                id: &DocumentId,
            ) -> Result<Option<Vec<u8>>, SourceError> {
                Ok($crate::reads::live_document(self, collection, id)?)
            }

            fn scan(&self, collection: &str, visit: Visit<'_>) -> Result<(), SourceError> {
                Ok($crate::reads::scan_live(self, collection, visit)?)
            }

            fn scan_index(
                &self,
                index: &IndexDefinition,
                span: (Bound<&[u8]>, Bound<&[u8]>),
                direction: order::Direction,
                visit: Visit<'_>,
            ) -> Result<(), SourceError> {
                Ok($crate::reads::scan_index(
                    self, index, span, direction, visit,
                )?)
            }

            fn count(&self, collection: &str) -> Result<u64, SourceError> {
                let found = $crate::reads::Reads::catalog(self).collection(collection);
                Ok(found.map_or(0, |found| $crate::reads::Reads::live(self, found)))
            }

            fn collections(&self) -> Result<Vec<String>, SourceError> {
                Ok($crate::reads::collections(self))
            }

            fn indexes(
                &self,
                collection: Option<&str>,
            ) -> Result<Vec<IndexDefinition>, SourceError> {
                Ok($crate::reads::indexes(self, collection))
            }
        }
    };
}

pub(crate) use serve_queries;
