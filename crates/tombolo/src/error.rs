//! What can go wrong at the database's surface.

use std::time::Duration;

use tombolo_query::QueryError;
use tombolo_store::attachments::AttachmentError;
use tombolo_store::engine::EngineError;
use tombolo_store::{ANSWER_BYTES_MAX, StoreError, WriteError};

use crate::peer_key::PeerKeyError;

/// Why a database did not open. The operator's to mend.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The files cannot be opened, or another process holds them.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The files hold another database, a newer format or damage.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The content of attachments cannot be reached.
    #[error(transparent)]
    Attachments(#[from] AttachmentError),
    /// Whether the directory was copied cannot be told.
    #[error(transparent)]
    Place(#[from] crate::place::PlaceError),
    /// The device's key cannot be had.
    #[error(transparent)]
    PeerKey(#[from] PeerKeyError),
    /// There is no randomness for ids.
    #[error("the operating system has no randomness to give")]
    Entropy(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A thread of the database could not be started.
    #[error("the operating system cannot start another thread")]
    Thread(#[source] std::io::Error),
}

/// Why a statement did not succeed. Nothing of it was kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExecuteError {
    /// The statement, its arguments, its time or the store, as the inner error
    /// tells.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// Too many writes are waiting. Nobody's fault: try again later.
    #[error("too many writes are waiting: try again later")]
    Busy,
    /// The transaction was open too long and was rolled back. The caller's
    /// fault.
    #[error(
        "the transaction was open for more than {limit:?} and was rolled back: do slow work outside of it"
    )]
    TransactionExpired {
        /// How long it may be open.
        limit: Duration,
    },
    /// The store failed within a statement of the transaction, which was rolled
    /// back. Our fault or the operator's.
    #[error("the store failed within the transaction, which was rolled back: run it again")]
    Broken,
    /// The store failed. Our fault or the operator's.
    #[error("the store could not keep the change")]
    Store(#[source] StoreError),
    /// The database was closed while the statement waited.
    #[error("the database was closed while the statement waited")]
    Closed,
    /// The user that is logged in here may not write the document, so no peer
    /// would take it from this device.
    #[error(
        "the document {id} of {collection} was not written: the user that is logged in on this node may write {rule}"
    )]
    NotPermitted {
        /// In which collection.
        collection: String,
        /// The document, as JSON, cut if it is long.
        id: String,
        /// What may be written there.
        rule: String,
    },
    /// The caller that the statement is run for may not do this. The caller's
    /// fault.
    #[error("{what}: this caller may {rule}")]
    CallerNotPermitted {
        /// What was not done.
        what: String,
        /// What may be done.
        rule: String,
    },
    /// A batch has no statement or too many. The caller's fault.
    #[error("a batch has 1 to {max} statements")]
    BatchLength {
        /// How many it may have.
        max: usize,
    },
    /// A statement takes effect at once and could not be undone. The caller's
    /// fault.
    #[error("ALTER SYSTEM cannot be kept or undone with other statements: send it alone")]
    NotInBatch,
    /// The name of a request that ran once came with another request. The caller's
    /// fault.
    #[error("this key came before with another request: use a new key for each request")]
    OtherRequest,
    /// What a request gave is too long to be kept for it. The caller's fault.
    #[error(
        "the answer would have {bytes} bytes, and at most {max} can be kept for a key: write less at once"
    )]
    AnswerTooLarge {
        /// Its length.
        bytes: usize,
        /// What it may be.
        max: usize,
    },
    /// There is no room for another answer. The caller's fault if it is their own
    /// answers, and nobody's otherwise.
    #[error("as many answers are kept as there may be: write without a key, or try again later")]
    AnswersFull {
        /// Whether it is this caller's who are too many.
        is_own: bool,
        /// When there may be room again, at the earliest.
        ends_in: Duration,
    },
    /// Only a SELECT has rows to observe. The caller's fault.
    #[error("only a SELECT can be observed, without EXPLAIN, PROFILE or ADVISE before it")]
    NotObservable,
    /// There are as many as there may be. The caller's fault.
    #[error("there are {max} {what} already: end some of them first")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there may be.
        max: usize,
    },
}

/// Why a transaction was not kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransactionError<E> {
    /// The work gave this error; the transaction was rolled back.
    #[error("the work of the transaction failed and was rolled back")]
    Work(E),
    /// The transaction could not begin or commit.
    #[error(transparent)]
    Execute(ExecuteError),
}

impl From<StoreError> for ExecuteError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Busy => Self::Busy,
            StoreError::Deadline { limit } => Self::TransactionExpired { limit },
            StoreError::AnswerTooLarge { bytes } => Self::AnswerTooLarge {
                bytes,
                max: ANSWER_BYTES_MAX,
            },
            StoreError::AnswersFull { is_own, ends_in } => Self::AnswersFull { is_own, ends_in },
            other => Self::Store(other),
        }
    }
}

impl From<WriteError<Self>> for ExecuteError {
    fn from(error: WriteError<Self>) -> Self {
        match error {
            WriteError::Store(error) => error.into(),
            WriteError::Work(error) => error,
        }
    }
}

impl<E> From<ExecuteError> for TransactionError<E> {
    fn from(error: ExecuteError) -> Self {
        Self::Execute(error)
    }
}
