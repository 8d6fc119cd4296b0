//! What can go wrong in the store, and whose fault it is.

use std::{sync::Arc, time::Duration};

use tombolo_document::{ClockError, DecodeError, merge::MergeError};
use tombolo_query::source::SourceError;

use crate::engine::EngineError;

/// A failure of the store.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The operator's or the machine's: the engine failed. After a failed write nothing more is
    /// written until the store is opened again; reads go on.
    #[error("the storage engine failed")]
    Engine(#[source] Arc<EngineError>),
    /// Nobody's: the queue of writes is full. Try again later.
    #[error("too many writes are waiting; try again later")]
    Busy,
    /// The caller's: the store was closed, or its writer has ended.
    #[error("the store is closed")]
    Closed,
    /// The operator's: the data was written by a newer release.
    #[error(
        "a {record} record has format {found}, which is newer than this release reads; upgrade first"
    )]
    NewerFormat {
        /// The kind of record.
        record: &'static str,
        /// Its version.
        found: u8,
    },
    /// The machine's: a record does not read back.
    #[error("a {record} record is damaged; restore from a backup or from a peer")]
    DamagedRecord {
        /// The kind of record.
        record: &'static str,
    },
    /// The machine's: the change log does not hang together.
    #[error("the change log is damaged at commit {commit}; restore from a backup or from a peer")]
    DamagedLog {
        /// The first commit that does not follow from the one before.
        commit: u64,
    },
    /// The machine's: a stored document does not decode.
    #[error("a stored document is damaged; restore from a backup or from a peer")]
    DamagedDocument(#[source] DecodeError),
    /// The operator's: the directory holds another database.
    #[error("the directory holds database {found}, not {wanted}; set another persistence_dir")]
    OtherDatabase {
        /// The database whose data is there.
        found: String,
        /// The database that was asked for.
        wanted: String,
    },
    /// The caller's: a collection name is too long.
    #[error("a collection name of {bytes} bytes is too long; {max} are allowed", max = crate::COLLECTION_NAME_BYTES_MAX)]
    CollectionName {
        /// Its length.
        bytes: usize,
    },
    /// The caller's: a limit on things with names was reached.
    #[error("no more than {max} {what} fit in one store")]
    TooMany {
        /// What there are too many of.
        what: &'static str,
        /// How many there may be.
        max: usize,
    },
    /// The caller's: one transaction changes too much.
    #[error("the transaction changes more than {max_bytes} bytes; divide it")]
    TransactionTooLarge {
        /// The limit.
        max_bytes: usize,
    },
    /// The caller's: the transaction was left open too long and was rolled back.
    #[error("the transaction was open for {limit:?} and was rolled back")]
    Deadline {
        /// How long it may be open.
        limit: Duration,
    },
    /// The caller's: an answer that is to be kept is too long.
    #[error(
        "the answer has {bytes} bytes, more than the {max} that are kept; write less at once",
        max = crate::ANSWER_BYTES_MAX
    )]
    AnswerTooLarge {
        /// Its length.
        bytes: usize,
    },
    /// The caller's if it is their own answers, and nobody's otherwise: there are as many as are kept.
    #[error("as many answers are kept as there may be; the first of them ends in {ends_in:?}")]
    AnswersFull {
        /// Whether the same owner has too many.
        is_own: bool,
        /// When there may be room again.
        ends_in: Duration,
    },
    /// Nobody's: a document was written that this device had evicted, so that the transaction must
    /// start again under a new actor. Short writes are run again by the store itself.
    #[error("the transaction wrote a document that was evicted here; run it again")]
    ActorChanged,
    /// The peer's, the disk's or the caller's, as the inner error tells: a merge was refused.
    #[error("the incoming document was refused")]
    Merge(#[source] MergeError),
    /// The peer's or the operator's: a stamp is too far ahead, or the clock ran out.
    #[error("the clock refused")]
    Clock(#[from] ClockError),
    /// Ours: the work of a transaction panicked; it was rolled back.
    #[error("a write failed for a reason of ours; it was rolled back, report it")]
    Panicked,
}

impl From<EngineError> for StoreError {
    fn from(error: EngineError) -> Self {
        Self::Engine(Arc::new(error))
    }
}

impl From<StoreError> for SourceError {
    fn from(error: StoreError) -> Self {
        Self(Box::new(error))
    }
}
