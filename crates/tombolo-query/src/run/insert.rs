//! INSERT: documents from expressions or from a SELECT, by conflict policy.

use std::borrow::Cow;
use std::collections::BTreeSet;

use tombolo_document::{DocumentId, Edit, IdError, Object, Schema, Value, initial};

use super::write::{WriteLimits, Writes, refused};
use super::{Environment, returned, select, shown};
use crate::check::names::ID;
use crate::check::statement::{ConflictPolicy, Insert, InsertSource};
use crate::datum::Datum;
use crate::error::QueryError;
use crate::evaluate::{Scope, evaluate};
use crate::expr::Expr;
use crate::outcome::{Outcome, OutcomeKind};
use crate::source::Target;

/// A document and its id; arguments are not copied.
pub(super) struct New<'a> {
    pub(super) id: DocumentId,
    pub(super) fields: Cow<'a, Object>,
}

/// Carries out an INSERT.
pub(super) fn insert(
    insert: &Insert,
    target: &mut dyn Target,
    environment: Environment<'_>,
) -> Result<Outcome, QueryError> {
    let documents = match &insert.source {
        InsertSource::Documents(list) | InsertSource::Initial(list) => written(list, environment)?,
        InsertSource::Select(query) => select::select(query, &*target, environment)?
            .into_iter()
            .map(|row| from_row(row, environment))
            .collect::<Result<_, _>>()?,
    };
    check_unique(&documents)?;
    let schema = environment.context.write_schema(&insert.collection);
    let name = &insert.collection.name;
    let mut writes = Writes::new(name, WriteLimits::of(environment.context));
    for document in documents {
        environment.run.fuel.step()?;
        let state = target.state(name, &document.id)?;
        let bytes = match &insert.source {
            InsertSource::Initial(_) => initial::initial(
                name,
                &document.id,
                &document.fields,
                &schema,
                state.as_deref(),
            )
            .map_err(|error| refused(&document.id, error))?,
            _ => merged(
                insert.conflict,
                &document,
                &schema,
                (state.as_deref(), target.dot()),
            )?,
        };
        if let Some(bytes) = bytes {
            writes.add(document.id, bytes)?;
        }
    }
    let items = returned(insert.returning.as_ref(), writes.images(), environment)?;
    let mut outcome = Outcome::of(OutcomeKind::Mutation).with_items(items);
    writes.put(target, &mut outcome)?;
    Ok(outcome)
}

/// The documents of DOCUMENTS: an array stands for many.
pub(super) fn written<'s>(
    list: &'s [Expr],
    environment: Environment<'s>,
) -> Result<Vec<New<'s>>, QueryError> {
    let mut documents = Vec::with_capacity(list.len());
    for expr in list {
        match evaluate(expr, &Scope::constant(environment.run))? {
            Datum::Object(fields) => documents.push(identified(fields, environment)?),
            Datum::Array(Cow::Borrowed(items)) => {
                for item in items {
                    let fields = item.as_object().ok_or_else(no_document)?;
                    documents.push(identified(Cow::Borrowed(fields), environment)?);
                }
            }
            Datum::Array(Cow::Owned(items)) => {
                for item in items {
                    documents.push(from_row(item, environment)?);
                }
            }
            _ => return Err(no_document()),
        }
    }
    Ok(documents)
}

fn no_document() -> QueryError {
    QueryError::evaluation("a document is an object: pass one, or an array of them")
}

fn from_row<'s>(row: Value, environment: Environment<'_>) -> Result<New<'s>, QueryError> {
    match row {
        Value::Object(fields) => identified(Cow::Owned(fields), environment),
        _ => Err(no_document()),
    }
}

/// Finds the id of a document, or makes one.
fn identified<'s>(
    fields: Cow<'s, Object>,
    environment: Environment<'_>,
) -> Result<New<'s>, QueryError> {
    let id = match fields.get(ID) {
        Some(id) => DocumentId::from_value(id)?,
        None => generated((environment.context.random)())?,
    };
    Ok(New { id, fields })
}

/// A random id in the form of a UUID, version 4.
fn generated(mut random: [u8; 16]) -> Result<DocumentId, IdError> {
    random[6] = random[6] & 0x0F | 0x40;
    random[8] = random[8] & 0x3F | 0x80;
    let mut text = String::with_capacity(36);
    for (at, byte) in random.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    DocumentId::from_value(&Value::String(text))
}

pub(super) fn check_unique(documents: &[New<'_>]) -> Result<(), QueryError> {
    if documents.len() < 2 {
        return Ok(());
    }
    let mut ids = BTreeSet::new();
    for document in documents {
        if !ids.insert(&document.id) {
            return Err(QueryError::Evaluation(format!(
                "Expected unique document identifiers: {} is given twice",
                shown(&document.id)
            )));
        }
    }
    Ok(())
}

/// The bytes after writing one document; `None` if nothing is to be written.
fn merged(
    policy: ConflictPolicy,
    document: &New<'_>,
    schema: &Schema,
    (state, dot): (Option<&[u8]>, tombolo_document::Dot),
) -> Result<Option<Vec<u8>>, QueryError> {
    let fail = |error| refused(&document.id, error);
    let mut edit = Edit::open(state, dot).map_err(fail)?;
    let policy = match edit.is_visible() {
        true => policy,
        false => ConflictPolicy::Update,
    };
    match policy {
        ConflictPolicy::Nothing => return Ok(None),
        ConflictPolicy::Fail => {
            return Err(QueryError::Conflict {
                id: shown(&document.id),
            });
        }
        ConflictPolicy::Update => edit.set_object(&document.fields, schema).map_err(fail)?,
        ConflictPolicy::UpdateLocalDiff => {
            if !edit.set_differing(&document.fields, schema).map_err(fail)? {
                return Ok(None);
            }
        }
    }
    edit.finish().map_err(fail)
}
