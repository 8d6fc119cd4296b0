//! What a statement gave back.

use tombolo_query::{Outcome, OutcomeKind};

use tombolo_document::Value;

/// The result of one statement.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Response {
    /// Rows: of a SELECT, of RETURNING, of EXPLAIN or SHOW.
    pub items: Vec<Value>,
    /// The `_id` of every document that was written or removed, in order.
    pub mutated_document_ids: Vec<Value>,
    /// The local commit of a mutation: it grows with every commit of this
    /// device. `None` for reads, and inside a transaction that is still open.
    pub commit_id: Option<u64>,
    /// What kind of statement it was.
    pub kind: OutcomeKind,
    /// What the caller should know although the statement succeeded; the first
    /// ten.
    pub warnings: Vec<String>,
    /// How many warnings there were.
    pub warnings_total: usize,
}

impl Response {
    pub(crate) fn new(outcome: Outcome, commit_id: Option<u64>) -> Self {
        Self {
            items: outcome.items,
            mutated_document_ids: outcome.mutated_document_ids,
            commit_id,
            kind: outcome.kind,
            warnings: outcome.warnings,
            warnings_total: outcome.warnings_total,
        }
    }
}
