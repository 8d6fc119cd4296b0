//! Keeping index entries in step with documents, in the same transaction.

use std::{ops::ControlFlow, sync::Arc};

use tombolo_query::source::IndexDefinition;

use crate::{
    StoreError,
    catalog::{Collection, INDEXES_MAX, StoredIndex},
    engine::{Direction, KeyRange, Keyspace},
    index::entry_key,
    layout::{self, DocumentRecord},
    reads::{Reads, scan_live},
    transaction::Transaction,
};

/// Moves the entries of one document from what `old` gave to what `new` gives (`None` = no entry).
pub(crate) fn move_entries(
    transaction: &mut Transaction<'_>,
    collection: &Collection,
    id: &[u8],
    old: Option<&DocumentRecord<'_>>,
    new: Option<&[u8]>,
) -> Result<(), StoreError> {
    let old = old.filter(|old| old.live).map(|old| old.document);
    for index in collection.indexes.iter() {
        let removed = old
            .map(|document| entry_key(index, id, document))
            .transpose()?;
        let added = new
            .map(|document| entry_key(index, id, document))
            .transpose()?;
        if removed == added {
            continue;
        }
        if let Some(key) = removed {
            transaction.set(Keyspace::Index, key, None)?;
        }
        if let Some(key) = added {
            transaction.set(Keyspace::Index, key, Some(layout::index_record(id).into()))?;
        }
    }
    Ok(())
}

/// Makes an index and an entry in it for each live document.
pub(crate) fn create(
    transaction: &mut Transaction<'_>,
    definition: &IndexDefinition,
) -> Result<(), StoreError> {
    let name = &definition.collection;
    let mut collection = transaction.collection(name)?;
    if collection.indexes.len() >= INDEXES_MAX {
        return Err(StoreError::TooMany {
            what: "indexes on one collection",
            max: INDEXES_MAX,
        });
    }
    transaction.desk.state.indexes_made += 1;
    let number = transaction.desk.state.indexes_made;
    let index = StoredIndex {
        number,
        definition: definition.clone(),
    };
    for (key, value) in entries_of(transaction, &index)? {
        transaction.set(Keyspace::Index, key, Some(value.into()))?;
    }
    let (key, value) = index.meta_entry();
    transaction.set(Keyspace::Meta, key, Some(value.into()))?;
    Arc::make_mut(&mut collection.indexes).push(index);
    transaction.set_collection(name, collection)
}

/// Removes an index and all its entries; one that is not there is no error.
pub(crate) fn drop_index(
    transaction: &mut Transaction<'_>,
    name: &str,
    index: &str,
) -> Result<(), StoreError> {
    let Some(mut collection) = transaction.desk.state.catalog.collection(name).cloned() else {
        return Ok(());
    };
    let indexes = Arc::make_mut(&mut collection.indexes);
    let Some(at) = indexes
        .iter()
        .position(|held| held.definition.name == index)
    else {
        return Ok(());
    };
    let dropped = indexes.remove(at);
    for key in keys_of(
        transaction,
        Keyspace::Index,
        &KeyRange::prefix(&dropped.number.to_be_bytes()),
    )? {
        transaction.set(Keyspace::Index, key, None)?;
    }
    let (key, _) = dropped.meta_entry();
    transaction.set(Keyspace::Meta, key, None)?;
    transaction.set_collection(name, collection)
}

/// The keys that a transaction sees in a range.
pub(crate) fn keys_of(
    transaction: &Transaction<'_>,
    keyspace: Keyspace,
    range: &KeyRange,
) -> Result<Vec<Vec<u8>>, StoreError> {
    let mut keys = Vec::new();
    transaction.scan_bytes(keyspace, range, Direction::Forward, &mut |key, _| {
        keys.push(key.to_vec());
        ControlFlow::Continue(())
    })?;
    Ok(keys)
}

type Entry = (Vec<u8>, Vec<u8>);

fn entries_of(
    transaction: &Transaction<'_>,
    index: &StoredIndex,
) -> Result<Vec<Entry>, StoreError> {
    let mut entries = Vec::new();
    let mut outcome = Ok(());
    scan_live(
        transaction,
        &index.definition.collection,
        &mut |id, document| match entry_key(index, id, document) {
            Ok(key) => {
                entries.push((key, layout::index_record(id)));
                ControlFlow::Continue(())
            }
            Err(error) => {
                outcome = Err(error);
                ControlFlow::Break(())
            }
        },
    )?;
    outcome.map(|()| entries)
}
