//! INITIAL documents: seeds that are the same write wherever they are made.

use crate::actor::{Actor, Dot, SiteId, first_16};
use crate::decode::decode_document;
use crate::edit::{Edit, EditError};
use crate::id::DocumentId;
use crate::merge::{MergeError, merge};
use crate::schema::Schema;
use crate::stamp::Stamp;
use crate::value::Object;

/// Hash domain of INITIAL actors.
const INITIAL_DOMAIN: &str = "tombolo 2026-11 initial document";

/// An INITIAL document: the same bytes wherever it is written with the same
/// content. `existing` is the stored state; `None` comes back if that state
/// already shows a document or already saw this very write.
///
/// # Errors
/// As [`Edit::set_object`].
pub fn initial(
    collection: &str,
    id: &DocumentId,
    fields: &Object,
    schema: &Schema,
    existing: Option<&[u8]>,
) -> Result<Option<Vec<u8>>, EditError> {
    if let Some(state) = existing
        && decode_document(state)?.root.is_visible()
    {
        return Ok(None);
    }
    let write = |site: SiteId| -> Result<Vec<u8>, EditError> {
        let actor = Actor::new(site, Actor::INITIAL_EPOCH);
        let mut edit = Edit::open(None, Dot::new(actor, Stamp::ZERO))?;
        edit.set_object(fields, schema)?;
        Ok(edit.finish()?.unwrap_or_default())
    };
    let operation = write(SiteId([0; 16]))?;
    let mut hasher = blake3::Hasher::new_derive_key(INITIAL_DOMAIN);
    for part in [collection.as_bytes(), id.as_bytes(), &operation] {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    let document = write(SiteId(first_16(&hasher.finalize())))?;
    let Some(state) = existing else {
        return Ok(Some(document));
    };
    match merge(Some(state), &document) {
        Ok(merged) => Ok(merged.changed.then_some(merged.document)),
        Err(MergeError::TooManyActors) => Err(EditError::TooManyActors),
        Err(MergeError::Local(error) | MergeError::Remote(error)) => Err(EditError::Damaged(error)),
        Err(MergeError::BaseMissing) => Ok(None),
    }
}
