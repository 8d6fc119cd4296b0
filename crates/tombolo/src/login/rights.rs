//! What this device may write to peers. A local write outside of it is kept and
//! will not leave the device; whoever asks for strictness is refused instead.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use tombolo_document::{DocumentId, Value};
use tombolo_identity::Permissions;
use tombolo_query::{Outcome, WARNINGS_MAX};

use crate::error::ExecuteError;
use crate::statements::Prepared;

/// How much of a rule an error or a warning repeats, in characters.
const RULE_CHARS_MAX: usize = 200;

/// What becomes of a write that peers will not take from this device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outside {
    /// It is kept, with a warning.
    Warn,
    /// It is refused as a whole.
    Refuse,
}

/// The rights of the user that is logged in, if there is one.
#[derive(Default)]
pub(crate) struct OwnRights {
    permissions: RwLock<Option<Arc<Permissions>>>,
    /// Documents of local writes that were kept and will not be sent.
    withheld: AtomicU64,
}

impl OwnRights {
    pub(super) fn set(&self, permissions: Option<Permissions>) {
        let permissions = permissions.map(Arc::new);
        *self
            .permissions
            .write()
            .unwrap_or_else(PoisonError::into_inner) = permissions;
    }

    /// How many documents were written here since the start that peers will not
    /// take from this device; one that was written twice counts twice.
    pub(crate) fn withheld(&self) -> u64 {
        self.withheld.load(Ordering::Relaxed)
    }

    pub(crate) fn count(&self, documents: u64) {
        self.withheld.fetch_add(documents, Ordering::Relaxed);
    }

    /// Looks at what a statement wrote, and gives how many of its documents will
    /// not leave this device.
    pub(crate) fn judge(
        &self,
        statement: &Prepared,
        outcome: &mut Outcome,
        outside: Outside,
    ) -> Result<u64, ExecuteError> {
        if outcome.mutated_document_ids.is_empty() {
            return Ok(0);
        }
        let permissions = self.permissions.read();
        let permissions = permissions.unwrap_or_else(PoisonError::into_inner).clone();
        let Some(permissions) = permissions.filter(|held| !held.write.is_everything()) else {
            return Ok(0);
        };
        let Some(collection) = statement.0.shared_collection() else {
            return Ok(0);
        };
        let (mut count, mut warnings) = (0, Vec::new());
        for id in &outcome.mutated_document_ids {
            let key = DocumentId::from_value(id);
            if key.is_ok_and(|id| permissions.write.allows(collection, &id)) {
                continue;
            }
            if outside == Outside::Refuse {
                return Err(refusal(collection, id, &permissions));
            }
            count += 1;
            if warnings.len() < WARNINGS_MAX {
                warnings.push(warning(collection, id, &permissions));
            }
        }
        outcome.warnings_total += count as usize;
        let room = WARNINGS_MAX.saturating_sub(outcome.warnings.len());
        outcome.warnings.extend(warnings.into_iter().take(room));
        Ok(count)
    }
}

fn refusal(collection: &str, id: &Value, permissions: &Permissions) -> ExecuteError {
    ExecuteError::NotPermitted {
        collection: collection.to_owned(),
        id: cut(&tombolo_document::json::print(id)),
        rule: rule(collection, permissions),
    }
}

fn warning(collection: &str, id: &Value, permissions: &Permissions) -> String {
    format!(
        "the document {} of {collection} will not sync: this device may write {}",
        cut(&tombolo_document::json::print(id)),
        rule(collection, permissions)
    )
}

/// What may be written in a collection, for people.
fn rule(collection: &str, permissions: &Permissions) -> String {
    let queries = permissions.write.queries().unwrap_or_default();
    match queries.get(collection).filter(|texts| !texts.is_empty()) {
        None => format!("nothing in {collection}"),
        Some(texts) => format!("in {collection} only where {}", cut(&texts.join(" or "))),
    }
}

fn cut(text: &str) -> String {
    let mut kept: String = text.chars().take(RULE_CHARS_MAX).collect();
    if kept.len() < text.len() {
        kept.push_str("...");
    }
    kept
}
