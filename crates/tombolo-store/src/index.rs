//! The keys under which an index holds a document.
//!
//! A key that would be longer than the limit is cut; the reader then computes the whole key from
//! the document, so that a cut one never hides a document nor shows one out of its span.

use std::borrow::Cow;

use tombolo_document::{DocumentId, DocumentView, Lens, Schema, Value, edit::ID_FIELD, order};
use tombolo_query::source::{IndexDefinition, IndexKey};

use crate::{StoreError, catalog::StoredIndex};

/// Longest part of an index entry that comes from fields, in bytes. Documents that agree in so
/// many bytes of their fields come in the order of their ids.
pub(crate) const INDEX_KEY_BYTES_MAX: usize = 32 * 1024;

/// Indexes hold what a read sees that declares nothing.
static INFERRED: Schema = Schema::INFERRED;

/// The key of a document in an index: number, fields, id.
pub(crate) fn entry_key(
    index: &StoredIndex,
    id: &[u8],
    document: &[u8],
) -> Result<Vec<u8>, StoreError> {
    let mut fields = whole_key(&index.definition, id, document)?;
    fields.truncate(INDEX_KEY_BYTES_MAX);
    Ok([&index.number.to_be_bytes()[..], &fields, id].concat())
}

/// The keys of all the index's fields, one behind the other.
pub(crate) fn whole_key(
    index: &IndexDefinition,
    id: &[u8],
    document: &[u8],
) -> Result<Vec<u8>, StoreError> {
    let view = DocumentView::new(document).map_err(StoreError::DamagedDocument)?;
    let mut key = Vec::with_capacity(64);
    for field in &index.keys {
        let value = field_value(field, id, view)?;
        order::append(&mut key, value.as_ref(), field.direction);
    }
    Ok(key)
}

/// What an undeclared read of the field shows; `None` for MISSING.
fn field_value(
    field: &IndexKey,
    id: &[u8],
    view: DocumentView<'_>,
) -> Result<Option<Value>, StoreError> {
    if field.path.first().is_some_and(|name| name == ID_FIELD) {
        let id = DocumentId::from_bytes(id)
            .map_err(|_| StoreError::DamagedRecord { record: "document" })?;
        let value = id.to_value();
        return Ok(member(&value, &field.path[1..]).map(Cow::into_owned));
    }
    let found = view
        .get(&field.path, &INFERRED)
        .map_err(StoreError::DamagedDocument)?;
    let lens = field
        .path
        .iter()
        .fold(Lens::new(&INFERRED), |lens, name| lens.inside(name));
    let value = found.map(|found| found.to_value(lens)).transpose();
    value.map_err(StoreError::DamagedDocument)
}

fn member<'v>(value: &'v Value, path: &[String]) -> Option<Cow<'v, Value>> {
    path.iter()
        .try_fold(value, |value, name| match value {
            Value::Object(members) => members.get(name),
            _ => None,
        })
        .map(Cow::Borrowed)
}
