//! One document as an expression sees it: the id from the key, the fields from
//! the encoded bytes, each read when it is asked for.

use std::borrow::Cow;

use tombolo_document::raw::{RawValue, Shape};
use tombolo_document::{
    DecodeError, DocumentId, DocumentView, FieldView, Lens, Object, Schema, Value, order,
};

use crate::check::names::ID;
use crate::datum::Datum;
use crate::error::QueryError;

/// A document in a row of a query.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Document<'a> {
    /// A stored one.
    Stored {
        id: &'a [u8],
        view: DocumentView<'a>,
        schema: &'a Schema,
    },
    /// A row of a system collection.
    Plain(&'a Object),
}

impl<'a> Document<'a> {
    /// Opens a stored document.
    pub(crate) fn stored(
        id: &'a [u8],
        bytes: &'a [u8],
        schema: &'a Schema,
    ) -> Result<Self, QueryError> {
        let view = DocumentView::new(bytes).map_err(damaged)?;
        Ok(Self::Stored { id, view, schema })
    }

    /// The field at the path, `_id` included.
    pub(crate) fn get(self, path: &[String]) -> Result<Datum<'a>, QueryError> {
        match self {
            Self::Plain(members) => {
                let first = members.get(&path[0]).map_or(Datum::Missing, Datum::from);
                Ok(first.at(&path[1..]))
            }
            Self::Stored { id, .. } if path[0] == ID => Ok(id_datum(id)?.at(&path[1..])),
            Self::Stored { view, schema, .. } => {
                let Some(field) = view.get(path, schema).map_err(damaged)? else {
                    return Ok(Datum::Missing);
                };
                let lens = path
                    .iter()
                    .fold(Lens::new(schema), |lens, step| lens.inside(step));
                field_datum(field, lens)
            }
        }
    }

    /// The id, or MISSING for rows without one.
    pub(crate) fn id(self) -> Result<Datum<'a>, QueryError> {
        match self {
            Self::Stored { id, .. } => id_datum(id),
            Self::Plain(members) => Ok(members.get(ID).map_or(Datum::Missing, Datum::from)),
        }
    }

    /// The whole document with its id.
    pub(crate) fn to_object(self) -> Result<Object, QueryError> {
        match self {
            Self::Plain(members) => Ok(members.clone()),
            Self::Stored { id, view, schema } => {
                let mut object = view.to_object(schema).map_err(damaged)?;
                object.insert(ID.to_owned(), id_value(id)?);
                Ok(object)
            }
        }
    }
}

/// A damaged document is our fault or the disk's.
pub(crate) fn damaged(error: DecodeError) -> QueryError {
    QueryError::Damaged(Box::new(error))
}

/// The id with these canonical bytes, as a value.
pub(crate) fn id_value(id: &[u8]) -> Result<Value, QueryError> {
    match order::read(id) {
        Some((value, [])) => Ok(value),
        _ => Err(QueryError::Damaged(Box::new(
            tombolo_document::IdError::NotCanonical,
        ))),
    }
}

/// The id that has these canonical bytes.
pub(crate) fn id_of(bytes: &[u8]) -> Result<DocumentId, QueryError> {
    DocumentId::from_bytes(bytes).map_err(|error| QueryError::Damaged(Box::new(error)))
}

fn id_datum<'a>(id: &[u8]) -> Result<Datum<'a>, QueryError> {
    id_value(id).map(Datum::from)
}

fn field_datum<'a>(field: FieldView<'a>, lens: Lens<'_>) -> Result<Datum<'a>, QueryError> {
    match field {
        FieldView::Value(raw) => Ok(raw_datum(raw)),
        FieldView::Counter(value) => Ok(Datum::from(Value::from_i128(value))),
        FieldView::Map(map) => Ok(Datum::from(map.to_value(lens).map_err(damaged)?)),
    }
}

/// Scalars stay borrowed; containers are decoded.
fn raw_datum(raw: RawValue<'_>) -> Datum<'_> {
    match raw.shape() {
        Shape::Null => Datum::Null,
        Shape::Bool(value) => Datum::Bool(value),
        Shape::Int(value) => Datum::Int(value),
        Shape::Uint(value) => Datum::Uint(value),
        Shape::Float(value) => Datum::Float(value),
        Shape::String(value) => Datum::String(Cow::Borrowed(value)),
        Shape::Binary(value) => Datum::Binary(Cow::Borrowed(value)),
        Shape::Array(_) | Shape::Object(_) => Datum::from(raw.to_value()),
    }
}
