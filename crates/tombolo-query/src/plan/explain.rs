//! EXPLAIN: the operators that a statement will go through, as they are run.

use tombolo_document::{Object, Value, json, order};

use super::{Access, KeySpan};
use crate::check::statement::{Action, InsertSource, Query, Selection, Shape, Slice};
use crate::error::QueryError;
use crate::run::{Environment, Level, Loops, counts_only, levels, mutation_level, mutation_loops};
use crate::source::{IndexDefinition, Source};

/// Most spans that a plan shows.
const SPANS_SHOWN_MAX: usize = 32;

/// An operator with named details.
fn operator(name: &str, details: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    let mut object = Object::from([("#operator".to_owned(), Value::from(name))]);
    object.extend(
        details
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value)),
    );
    Value::Object(object)
}

/// The plan of a statement, as one row.
pub(crate) fn explain(
    action: &Action,
    source: &dyn Source,
    environment: Environment<'_>,
) -> Result<Object, QueryError> {
    let children = match action {
        Action::Select(query) => select(query, source, environment)?,
        Action::Insert(insert) => {
            let mut children = match &insert.source {
                InsertSource::Select(query) => select(query, source, environment)?,
                _ => Vec::new(),
            };
            children.push(operator("insert", [collection(&insert.collection.name)]));
            children.extend(insert.returning.as_ref().map(|_| operator("returning", [])));
            children
        }
        Action::Update(update) => {
            let mut children = selection(&update.selection, source, environment)?;
            let name = &update.selection.term.collection.name;
            children.push(operator("update", [collection(name)]));
            children.extend(update.returning.as_ref().map(|_| operator("returning", [])));
            children
        }
        Action::Remove(remove) => {
            let mut children = selection(&remove.selection, source, environment)?;
            let name = if remove.evict { "evict" } else { "delete" };
            let place = collection(&remove.selection.term.collection.name);
            children.push(operator(name, [place]));
            children.extend(remove.returning.as_ref().map(|_| operator("returning", [])));
            children
        }
        Action::CreateIndex(create) => vec![operator(
            "createIndex",
            [
                collection(&create.collection),
                ("index", Value::from(create.name.as_str())),
            ],
        )],
        Action::DropIndex(drop) => vec![operator(
            "dropIndex",
            [
                collection(&drop.collection),
                ("index", Value::from(drop.name.as_str())),
            ],
        )],
        Action::AlterSet { .. } | Action::AlterReset { .. } | Action::Show { .. } => {
            return Err(QueryError::evaluation(
                "there is no plan for a statement about the system",
            ));
        }
    };
    let plan = operator("sequence", [("children", Value::Array(children))]);
    Ok(Object::from([("plan".to_owned(), plan)]))
}

fn collection(name: &str) -> (&'static str, Value) {
    ("collection", Value::from(name))
}

fn select(
    query: &Query,
    source: &dyn Source,
    environment: Environment<'_>,
) -> Result<Vec<Value>, QueryError> {
    let mut children = Vec::new();
    let mut in_order = false;
    if counts_only(query) {
        children.push(operator(
            "countScan",
            [collection(&query.terms[0].collection.name)],
        ));
    } else {
        let levels = levels(query, source, environment)?;
        let mut loops = Loops::of(query, source, &levels, environment.options, environment.run);
        in_order = loops.settle(query)?;
        for (at, level) in levels.iter().enumerate() {
            let access = match &loops.first {
                Some(first) => first.clone(),
                None => loops.access(at, &vec![None; at])?,
            };
            let read = reads(level, &access);
            match at.checked_sub(1) {
                None => children.extend(read),
                Some(join) => children.push(operator(
                    "nlJoin",
                    [
                        ("alias", Value::from(level.term.name.alias.as_str())),
                        ("outer", Value::Bool(query.joins[join].outer)),
                        ("children", Value::Array(read)),
                    ],
                )),
            }
        }
        children.extend(query.filter.as_ref().map(|_| operator("filter", [])));
    }
    shape(&query.shape, (query.distinct, in_order), &mut children);
    slice(&query.slice, &mut children);
    children.push(operator("finalProjection", []));
    Ok(children)
}

fn shape(shape: &Shape, (distinct, in_order): (bool, bool), children: &mut Vec<Value>) {
    if let Some(grouping) = &shape.grouping {
        let count = |length: usize| Value::from_u64(length as u64);
        children.push(operator(
            "group",
            [
                ("keys", count(grouping.keys.len())),
                ("aggregates", count(grouping.aggregates.len())),
            ],
        ));
        children.extend(shape.having.as_ref().map(|_| operator("filter", [])));
    }
    children.push(operator("projection", []));
    children.extend(distinct.then(|| operator("distinct", [])));
    if !shape.order.is_empty() && !in_order {
        children.push(operator("sort", []));
    }
}

fn slice(slice: &Slice, children: &mut Vec<Value>) {
    children.extend(slice.offset.as_ref().map(|_| operator("offset", [])));
    children.extend(slice.limit.as_ref().map(|_| operator("limit", [])));
}

fn selection(
    selection: &Selection,
    source: &dyn Source,
    environment: Environment<'_>,
) -> Result<Vec<Value>, QueryError> {
    let levels = [mutation_level(selection, source, environment)?];
    let parts = (environment.options, environment.run);
    let access = mutation_loops(selection, source, &levels, parts).access(0, &[])?;
    let mut children = reads(&levels[0], &access);
    children.extend(selection.filter.as_ref().map(|_| operator("filter", [])));
    if !selection.order.is_empty() {
        children.push(operator("sort", []));
    }
    slice(&selection.slice, &mut children);
    Ok(children)
}

/// The operators that read one collection.
fn reads(level: &Level<'_>, access: &Access) -> Vec<Value> {
    let mut children = vec![read(level, access)];
    if matches!(access, Access::Index { .. } | Access::Union(_)) {
        children.push(operator("fetch", []));
    }
    children
}

fn read(level: &Level<'_>, access: &Access) -> Value {
    let name = collection(&level.term.collection.name);
    match access {
        Access::Collection => operator("scan", [name]),
        Access::System => operator("scan", [name, ("namespace", Value::from("system"))]),
        Access::Ids(ids) => {
            let shown = ids.iter().take(SPANS_SHOWN_MAX);
            let ids: Vec<Value> = shown.map(tombolo_document::DocumentId::to_value).collect();
            operator("idScan", [name, ("ids", Value::Array(ids))])
        }
        Access::Index {
            index,
            spans,
            direction,
        } => operator(
            "indexScan",
            [
                name,
                ("covering", Value::Bool(false)),
                (
                    "reverse",
                    Value::Bool(*direction == order::Direction::Descending),
                ),
                ("desc", described(index, spans)),
            ],
        ),
        Access::Union(parts) => {
            let children = parts.iter().map(|part| read(level, part)).collect();
            operator("unionScan", [name, ("children", Value::Array(children))])
        }
    }
}

fn described(index: &IndexDefinition, spans: &[KeySpan]) -> Value {
    let shown = spans.iter().take(SPANS_SHOWN_MAX).map(|span| {
        Value::Object(Object::from([
            ("low".to_owned(), bound(&span.low, index)),
            ("high".to_owned(), bound(&span.high, index)),
        ]))
    });
    Value::Object(Object::from([
        ("index".to_owned(), Value::from(index.name.as_str())),
        ("spans".to_owned(), Value::Array(shown.collect())),
    ]))
}

/// The values of a bound, as JSON text, as far as it is made of whole values.
fn bound(key: &[u8], index: &IndexDefinition) -> Value {
    let mut rest = key.to_vec();
    let mut values = Vec::new();
    for part in &index.keys {
        let ascending: Vec<u8> = match part.direction {
            order::Direction::Ascending => rest.clone(),
            order::Direction::Descending => rest.iter().map(|byte| !byte).collect(),
        };
        let Some((value, after)) = order::read(&ascending) else {
            break;
        };
        rest = rest.split_off(rest.len() - after.len());
        values.push(Value::from(json::print(&value)));
    }
    Value::Array(values)
}
