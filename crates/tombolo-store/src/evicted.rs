//! The memory of evicted documents, so that one written again never reuses what was forgotten.
//!
//! The accident: this device wrote a field, evicted the document, and writes it again under the
//! same actor. The new vector would claim the forgotten write, and peers that hold it would be
//! told that we have it. So the first write of such a document changes the actor's epoch, unless
//! a copy that covers the forgotten writes came back before. Eviction alone changes no epoch.

use tombolo_document::{Stamp, VersionVector};
use tombolo_query::source::Target;

use crate::{
    StoreError,
    arrival::Origin,
    codec::{RECORD_VERSION, RecordReader, put_varint},
    engine::{KeyRange, Keyspace},
    indexing::keys_of,
    reads::Reads,
    transaction::Transaction,
};

/// Most evicted documents that are remembered. Beyond it the epoch changes at once, which makes
/// every memory needless.
pub const EVICTED_MAX: u64 = 65_536;

const EVICTED: u8 = b'e';

/// Remembers a document that is being evicted, if this actor wrote in it.
pub(crate) fn remember(
    transaction: &mut Transaction<'_>,
    document_key: &[u8],
    vector: &VersionVector,
) -> Result<(), StoreError> {
    let Some(own) = vector.get(&transaction.dot().actor) else {
        return Ok(());
    };
    if transaction.desk.state.evicted >= EVICTED_MAX {
        return renew_epoch(transaction);
    }
    let mut record = vec![RECORD_VERSION];
    put_varint(&mut record, own.bits());
    transaction.desk.state.evicted += 1;
    transaction.set(Keyspace::Meta, note_key(document_key), Some(record.into()))
}

/// Looks at a document that is about to be written.
pub(crate) fn check(
    transaction: &mut Transaction<'_>,
    document_key: &[u8],
    vector: &VersionVector,
    origin: Origin,
) -> Result<(), StoreError> {
    let is_own = origin == Origin::HERE;
    if is_own && transaction.dot().actor.epoch != transaction.desk.state.epoch {
        // The epoch changed within this very transaction.
        return refuse(transaction);
    }
    if transaction.desk.state.evicted == 0 {
        return Ok(());
    }
    let key = note_key(document_key);
    let Some(record) = transaction.get(Keyspace::Meta, &key)? else {
        return Ok(());
    };
    let mut reader = RecordReader::open("evicted", &record)?;
    let forgotten = Stamp::from_bits(reader.varint()?);
    reader.close()?;
    if is_own {
        return refuse(transaction);
    }
    let own = vector.get(&transaction.dot().actor);
    if own.is_some_and(|stamp| stamp >= forgotten) {
        transaction.desk.state.evicted -= 1;
        transaction.set(Keyspace::Meta, key, None)?;
    }
    Ok(())
}

/// Has the transaction run again under a new actor.
fn refuse(transaction: &mut Transaction<'_>) -> Result<(), StoreError> {
    transaction.needs_new_actor = true;
    Err(StoreError::ActorChanged)
}

/// Changes the epoch from the next transaction on, which makes every memory needless.
pub(crate) fn renew_epoch(transaction: &mut Transaction<'_>) -> Result<(), StoreError> {
    transaction.desk.state.epoch += 1;
    forget_all(transaction)
}

/// Forgets every evicted document.
pub(crate) fn forget_all(transaction: &mut Transaction<'_>) -> Result<(), StoreError> {
    for key in keys_of(transaction, Keyspace::Meta, &KeyRange::prefix(&[EVICTED]))? {
        transaction.set(Keyspace::Meta, key, None)?;
    }
    transaction.desk.state.evicted = 0;
    Ok(())
}

fn note_key(document_key: &[u8]) -> Vec<u8> {
    [&[EVICTED], document_key].concat()
}
