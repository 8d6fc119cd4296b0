//! Whose documents a store holds. The first login binds it, in the store itself,
//! so that the documents of one user are never sent under the name of another.

use tombolo_store::{Sidecar, Snapshot, Store, StoreError, Transaction, WriteError};

/// The key of the record, beside those of sessions.
const KEY: &[u8] = b"u";
/// What the record begins with.
const VERSION: u8 = 1;

/// Whose the store is, if it is anybody's.
pub(super) fn owner(snapshot: &Snapshot) -> Result<Option<String>, StoreError> {
    match snapshot.sidecar(Sidecar::Sessions, KEY)? {
        None => Ok(None),
        Some(record) => read(&record).map(Some),
    }
}

/// Makes the store `user`'s, and waits until that is durable. Gives whose it is
/// then, which is another's if it was.
pub(super) fn bind(store: &Store, user: &str) -> Result<String, StoreError> {
    let record = [&[VERSION], user.as_bytes()].concat();
    let bound = store.write_and_wait(move |transaction: &mut Transaction<'_>| {
        if let Some(held) = transaction.sidecar(Sidecar::Sessions, KEY)? {
            return read(&held);
        }
        transaction.set_sidecar(Sidecar::Sessions, KEY, Some(record.clone()))?;
        read(&record)
    });
    bound.map(|(_, user)| user).map_err(flat)
}

/// Makes the store nobody's.
pub(super) fn unbind(transaction: &mut Transaction<'_>) -> Result<(), StoreError> {
    transaction.set_sidecar(Sidecar::Sessions, KEY, None)
}

fn read(record: &[u8]) -> Result<String, StoreError> {
    let damaged = || StoreError::DamagedRecord { record: "user" };
    let (version, user) = record.split_first().ok_or_else(damaged)?;
    let user = std::str::from_utf8(user).map_err(|_| damaged())?;
    if *version != VERSION || user.is_empty() {
        return Err(damaged());
    }
    Ok(user.to_owned())
}

pub(super) fn flat(error: WriteError<StoreError>) -> StoreError {
    match error {
        WriteError::Store(error) | WriteError::Work(error) => error,
    }
}
