//! Why a statement failed, and whose fault it is.

use tombolo_document::IdError;

use crate::limits::Limit;
use crate::parse::ParseError;
use crate::source::SourceError;

/// Why a statement was not carried out. Nothing of it may be kept: the caller
/// drops the transaction or goes on without this statement's writes.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The text is not a statement. The caller's fault.
    #[error(transparent)]
    Parse(#[from] Box<ParseError>),
    /// The statement is well formed and makes no sense. The caller's fault.
    #[error(transparent)]
    Check(Box<ParseError>),
    /// The statement cannot be carried out with these arguments or on these
    /// documents. The caller's fault.
    #[error("{0}")]
    Evaluation(String),
    /// A document has this id already. The caller's fault, or a race.
    #[error("Identifier conflict on document {id}: using FAIL conflict policy")]
    Conflict {
        /// The id as JSON.
        id: String,
    },
    /// A value cannot be a document id. The caller's fault.
    #[error(transparent)]
    Id(#[from] IdError),
    /// A named limit was reached. The caller's fault.
    #[error("{0}")]
    Limit(Limit),
    /// The caller's stop check said stop, usually because time is up.
    #[error("the request was stopped before it was complete: its time is up or it was cancelled")]
    Stopped,
    /// A write does not fit the document or its declared kinds. The caller's
    /// fault.
    #[error("the document {id} cannot be written: {source}")]
    Document {
        /// The id as JSON.
        id: String,
        /// What does not fit.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A stored document cannot be read. Our fault or the disk's.
    #[error("a stored document is damaged")]
    Damaged(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The statement writes and only reading is allowed here. The caller's fault.
    #[error("A mutating DQL query was attempted using a read-only transaction.")]
    ReadOnly,
    /// The store failed. Our fault or the operator's.
    #[error(transparent)]
    Source(#[from] SourceError),
}

impl QueryError {
    /// An evaluation error with this text.
    pub(crate) fn evaluation(message: impl Into<String>) -> Self {
        Self::Evaluation(message.into())
    }
}
