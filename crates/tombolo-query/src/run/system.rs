//! The system collections that the query engine fills itself; the others come
//! from the caller.

use tombolo_document::order::Direction;
use tombolo_document::{Object, Value};

use crate::check::names::ID;
use crate::context::Context;
use crate::error::QueryError;
use crate::source::{IndexDefinition, Source};

/// The rows of `system:name`.
pub(super) fn rows(
    name: &str,
    source: &dyn Source,
    context: &Context<'_>,
) -> Result<Vec<Object>, QueryError> {
    if let Some(rows) = context.system.rows(name) {
        return Ok(rows);
    }
    match name {
        "dual" => Ok(vec![Object::new()]),
        "indexes" | "dql_indexes" => Ok(source.indexes(None)?.iter().map(index_row).collect()),
        "collections" => Ok(collections(source, |name| !name.starts_with("__"))?),
        "all_collections" => Ok(collections(source, |_| true)?),
        _ => Err(QueryError::Evaluation(format!(
            "there is no system collection `{name}`"
        ))),
    }
}

fn collections(source: &dyn Source, shown: fn(&str) -> bool) -> Result<Vec<Object>, QueryError> {
    let names = source.collections()?;
    let row = |name: String| {
        Object::from([
            (ID.to_owned(), Value::from(name.as_str())),
            ("name".to_owned(), Value::from(name)),
        ])
    };
    Ok(names
        .into_iter()
        .filter(|name| shown(name))
        .map(row)
        .collect())
}

/// An index as `system:indexes` shows it.
pub(super) fn index_row(index: &IndexDefinition) -> Object {
    let fields = index.keys.iter().map(|key| {
        let direction = match key.direction {
            Direction::Ascending => "asc",
            Direction::Descending => "desc",
        };
        let path = key.path.iter().map(|step| Value::from(step.as_str()));
        Value::Object(Object::from([
            ("direction".to_owned(), Value::from(direction)),
            ("key".to_owned(), Value::Array(path.collect())),
        ]))
    });
    let id = format!("{}.{}", index.collection, index.name);
    Object::from([
        (ID.to_owned(), Value::from(id)),
        (
            "collection".to_owned(),
            Value::from(index.collection.as_str()),
        ),
        ("fields".to_owned(), Value::Array(fields.collect())),
    ])
}
