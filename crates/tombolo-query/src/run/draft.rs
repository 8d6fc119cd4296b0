//! INSERT in two parts: what needs no stored document, and what needs them all.
//!
//! The first part may run anywhere, at once with any other; the second, which
//! is short, in the transaction. Both together do what INSERT alone does.

use tombolo_document::{DocumentId, Draft};

use super::Environment;
use super::insert::{check_unique, written};
use super::write::{WriteLimits, Writes};
use crate::check::statement::{ConflictPolicy, Insert, InsertSource};
use crate::error::QueryError;
use crate::outcome::{Outcome, OutcomeKind};
use crate::source::Target;

/// More documents than these are not drafted: who asks may not have that long.
const DRAFTED_DOCUMENTS_MAX: usize = 64;

/// The new documents of one INSERT, written but for their commit.
#[derive(Debug)]
pub struct Drafted {
    collection: String,
    documents: Vec<(DocumentId, Draft)>,
    limits: WriteLimits,
}

/// Drafts an INSERT; `None` for one that is better carried out as a whole.
pub(crate) fn draft(
    insert: &Insert,
    environment: Environment<'_>,
) -> Result<Option<Drafted>, QueryError> {
    let (InsertSource::Documents(list), None) = (&insert.source, &insert.returning) else {
        return Ok(None);
    };
    // The other policies expect documents that are there.
    if !matches!(
        insert.conflict,
        ConflictPolicy::Fail | ConflictPolicy::Nothing
    ) {
        return Ok(None);
    }
    let new = written(list, environment)?;
    if new.len() > DRAFTED_DOCUMENTS_MAX {
        return Ok(None);
    }
    check_unique(&new)?;
    let schema = environment.context.write_schema(&insert.collection);
    let mut documents = Vec::with_capacity(new.len());
    for document in new {
        // What is refused here may be there already, which is then the reason.
        let Ok(draft) = Draft::new(&document.fields, &schema) else {
            return Ok(None);
        };
        documents.push((document.id, draft));
    }
    Ok(Some(Drafted {
        collection: insert.collection.name.clone(),
        documents,
        limits: WriteLimits::of(environment.context),
    }))
}

impl Drafted {
    /// Puts the documents into the target. `None`, and nothing is put, if one
    /// of them was ever there: then the statement is to be executed as a whole.
    ///
    /// # Errors
    /// A document is too large, or the target failed.
    pub fn insert(&self, target: &mut dyn Target) -> Result<Option<Outcome>, QueryError> {
        let mut writes = Writes::new(&self.collection, self.limits);
        let dot = target.dot();
        for (id, draft) in &self.documents {
            if target.state(&self.collection, id)?.is_some() {
                return Ok(None);
            }
            writes.add(id.clone(), draft.under(dot))?;
        }
        let mut outcome = Outcome::of(OutcomeKind::Mutation);
        writes.put(target, &mut outcome)?;
        Ok(Some(outcome))
    }
}
