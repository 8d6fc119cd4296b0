//! Taking a session's documents into the store, in one commit with the records
//! that say so.

use tombolo_document::merge::MergeError;
use tombolo_document::{ClockError, Stamp};
use tombolo_store::{Body, Incoming, LogId, Sidecar, StoreError, Transaction, WriteError};
use tombolo_sync::record::Refused;
use tombolo_sync::wire::Refusal;
use tombolo_sync::{Applied, Apply, Arriving, Content, Outcome, RecordChange};

/// Why an apply leaves no commit.
pub(crate) enum Undone {
    /// These extend states that are not here.
    BaseMissing(Vec<usize>),
    /// This one breaks the format.
    Malformed(usize, tombolo_document::bytes::DecodeError),
    /// The store failed.
    Store(StoreError),
}

/// Merges the documents and writes the records. An error undoes all of it.
pub(crate) fn apply(
    transaction: &mut Transaction<'_>,
    apply: &Apply,
) -> Result<Vec<Outcome>, Undone> {
    let mut missing = Vec::new();
    let mut outcomes = Vec::with_capacity(apply.documents.len());
    for (at, arriving) in apply.documents.iter().enumerate() {
        match take(transaction, apply, arriving) {
            Ok(outcome) => outcomes.push(outcome),
            Err(StoreError::Merge(MergeError::BaseMissing)) => missing.push(at),
            Err(StoreError::Merge(MergeError::Remote(error))) => {
                return Err(Undone::Malformed(at, error));
            }
            Err(error) => return Err(Undone::Store(error)),
        }
    }
    if !missing.is_empty() {
        return Err(Undone::BaseMissing(missing));
    }
    write_records(transaction, apply.records(&outcomes)).map_err(Undone::Store)?;
    Ok(outcomes)
}

fn take(
    transaction: &mut Transaction<'_>,
    apply: &Apply,
    arriving: &Arriving,
) -> Result<Outcome, StoreError> {
    let received = transaction.receive(&Incoming {
        collection: &arriving.collection,
        id: &arriving.id,
        body: match &arriving.content {
            Content::Whole(whole) => Body::Whole(whole),
            Content::Delta { bytes, actors } => Body::Delta {
                bytes,
                actors: Some(actors),
            },
        },
        log: Some(LogId(apply.log.0)),
        acknowledged: apply.acknowledged,
    });
    match received {
        Ok(received) => Ok(Outcome::Merged {
            changed: received.changed,
            behind: received.behind,
            equivocated: !received.equivocations.is_empty(),
        }),
        Err(StoreError::Clock(ClockError::RemoteAhead { ahead_ms, limit_ms })) => {
            let too_far = ahead_ms.saturating_sub(limit_ms);
            Ok(Outcome::Refused(Refused {
                reason: Refusal::Skew,
                again_from_ms: transaction.now_ms().saturating_add(too_far),
            }))
        }
        Err(
            StoreError::Merge(MergeError::TooManyActors)
            | StoreError::CollectionName { .. }
            | StoreError::TooMany { .. },
        ) => Ok(Outcome::Refused(Refused {
            reason: Refusal::Size,
            again_from_ms: Stamp::ZERO.millis(),
        })),
        Err(error) => Err(error),
    }
}

/// Writes records beside the documents.
pub(crate) fn write_records(
    transaction: &mut Transaction<'_>,
    records: Vec<RecordChange>,
) -> Result<(), StoreError> {
    for (key, value) in records {
        transaction.set_sidecar(Sidecar::Sessions, &key, value)?;
    }
    Ok(())
}

/// What a session is told of a write.
pub(crate) fn answer<C>(result: Result<(C, Vec<Outcome>), WriteError<Undone>>) -> Applied {
    match result {
        Ok((_, outcomes)) => Applied::Done(outcomes),
        Err(WriteError::Store(StoreError::Busy)) => Applied::Busy,
        Err(WriteError::Work(Undone::BaseMissing(missing))) => Applied::BaseMissing(missing),
        Err(WriteError::Work(Undone::Malformed(at, error))) => Applied::Malformed(at, error),
        Err(WriteError::Work(Undone::Store(error)) | WriteError::Store(error)) => {
            Applied::Failed(Box::new(error))
        }
    }
}
