//! Writes of one statement, put into the target only when all of them are known
//! to be good: a statement that fails leaves a transaction as it found it.

use tombolo_document::{DocumentId, EditError};

use super::shown;
use crate::context::Context;
use crate::error::QueryError;
use crate::limits::{Budget, Limit};
use crate::outcome::Outcome;
use crate::source::Target;

/// Bytes that a kept write costs besides id and document.
const WRITE_BYTES: usize = 96;

/// How large documents and the writes of one statement may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct WriteLimits {
    statement_bytes_max: usize,
    hard_bytes_max: usize,
    soft_bytes_max: usize,
}

impl WriteLimits {
    pub(super) fn of(context: &Context<'_>) -> Self {
        let parameter =
            |name: &str| usize::try_from(context.parameters.integer(name)).unwrap_or(usize::MAX);
        Self {
            statement_bytes_max: context.limits.mutation_bytes,
            hard_bytes_max: parameter("document_size_hard_limit_bytes"),
            soft_bytes_max: parameter("document_size_soft_limit_bytes"),
        }
    }
}

/// The writes of one statement on one collection.
pub(super) struct Writes<'s> {
    collection: &'s str,
    list: Vec<Write>,
    budget: Budget,
    limits: WriteLimits,
    warnings: Vec<String>,
}

/// One document to put.
pub(super) struct Write {
    pub id: DocumentId,
    pub document: Vec<u8>,
}

impl<'s> Writes<'s> {
    pub(super) fn new(collection: &'s str, limits: WriteLimits) -> Self {
        Self {
            collection,
            list: Vec::new(),
            budget: Budget::new(limits.statement_bytes_max, Limit::Mutation),
            limits,
            warnings: Vec::new(),
        }
    }

    /// Adds a write, unless the document is too large.
    pub(super) fn add(&mut self, id: DocumentId, document: Vec<u8>) -> Result<(), QueryError> {
        let bytes = document.len();
        if bytes > self.limits.hard_bytes_max {
            return Err(QueryError::Limit(Limit::Document {
                bytes,
                bytes_max: self.limits.hard_bytes_max,
            }));
        }
        if bytes > self.limits.soft_bytes_max {
            self.warnings.push(format!(
                "the document {} has {bytes} bytes, more than the {} that sync well",
                shown(&id),
                self.limits.soft_bytes_max
            ));
        }
        self.budget
            .take(bytes + id.as_bytes().len() + WRITE_BYTES)?;
        self.list.push(Write { id, document });
        Ok(())
    }

    /// The documents after this statement.
    pub(super) fn images(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let writes = self.list.iter();
        writes.map(|write| (write.id.as_bytes(), write.document.as_slice()))
    }

    /// Puts every document and notes its id.
    pub(super) fn put(
        self,
        target: &mut dyn Target,
        outcome: &mut Outcome,
    ) -> Result<(), QueryError> {
        for write in self.list {
            outcome.mutated_document_ids.push(write.id.to_value());
            target.put(self.collection, &write.id, write.document)?;
        }
        self.warnings
            .into_iter()
            .for_each(|warning| outcome.warn(warning));
        Ok(())
    }
}

/// An edit that was refused, with the document it was about.
pub(super) fn refused(id: &DocumentId, error: EditError) -> QueryError {
    match error {
        EditError::Damaged(error) => QueryError::Damaged(Box::new(error)),
        error => QueryError::Document {
            id: shown(id),
            source: Box::new(error),
        },
    }
}
