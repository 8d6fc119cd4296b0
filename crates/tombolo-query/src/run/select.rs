//! SELECT: plans and runs the loops, and shapes the rows.

use std::ops::ControlFlow;

use tombolo_document::Value;

use super::collect::{Collector, Way, Window};
use super::loops::{Level, Loops};
use super::{Environment, system};
use crate::check::select::is_bare_count;
use crate::check::statement::{Namespace, Query, Returning};
use crate::error::QueryError;
use crate::plan::{Access, names_ids, usable_indexes};
use crate::row::Document;
use crate::source::Source;

/// The items of a SELECT.
pub(super) fn select<'s>(
    query: &'s Query,
    source: &'s dyn Source,
    environment: Environment<'s>,
) -> Result<Vec<Value>, QueryError> {
    let run = environment.run;
    let window = Window::of(&query.slice, run)?;
    let mut way = Way {
        distinct: query.distinct,
        window,
        in_order: false,
    };
    if counts_only(query) {
        let mut collector = Collector::new(&query.shape, &query.terms, run, way);
        collector.push_count(source.count(&query.terms[0].collection.name)?);
        return collector.finish();
    }
    let levels = levels(query, source, environment)?;
    let mut loops = Loops::of(query, source, &levels, environment.options, run);
    check_joins(query, &loops)?;
    way.in_order = loops.settle(query)?;
    let mut collector = Collector::new(&query.shape, &query.terms, run, way);
    loops.run(&mut |rows| collector.push(rows))?;
    collector.finish()
}

/// Whether the number of documents is all that the query wants.
pub(crate) fn counts_only(query: &Query) -> bool {
    is_bare_count(query) && query.terms[0].collection.namespace == Namespace::Default
}

/// The levels of a query's loops.
pub(crate) fn levels<'s>(
    query: &'s Query,
    source: &dyn Source,
    environment: Environment<'_>,
) -> Result<Vec<Level<'s>>, QueryError> {
    let mut levels = Vec::with_capacity(query.terms.len());
    for (at, term) in query.terms.iter().enumerate() {
        let filter = match at {
            0 => query.filter.as_ref(),
            _ => Some(&query.joins[at - 1].on),
        };
        let ordered = at == 0 && !query.shape.order.is_empty();
        let wanted = (filter.is_some() || ordered) && !names_ids(filter, at);
        levels.push(Level {
            term,
            schema: environment.context.read_schema(&term.collection),
            indexes: usable_indexes(source, term, wanted)?,
            system: match term.collection.namespace {
                Namespace::Default => Vec::new(),
                Namespace::System => {
                    system::rows(&term.collection.name, source, environment.context)?
                }
            },
        });
    }
    Ok(levels)
}

/// Refuses a join that would scan its inner collection for every row, unless
/// the statement asks for it.
fn check_joins(query: &Query, loops: &Loops<'_>) -> Result<(), QueryError> {
    for (at, term) in query.terms.iter().enumerate().skip(1) {
        let unknown = vec![None; at];
        let scans = loops.access(at, &unknown)? == Access::Collection;
        if scans && term.index.as_deref() != Some("") {
            return Err(QueryError::Evaluation(format!(
                "Joining to \"{}\" disallowed without appropriate index support. Please run ADVISE for recommendations.",
                term.name.alias
            )));
        }
    }
    Ok(())
}

/// The items that a projection makes of given documents.
pub(super) fn shaped<'d>(
    returning: &Returning,
    documents: impl IntoIterator<Item = (&'d [u8], &'d [u8])>,
    environment: Environment<'_>,
) -> Result<Vec<Value>, QueryError> {
    let schema = environment
        .context
        .write_schema(&returning.terms[0].collection);
    let mut collector = Collector::new(
        &returning.shape,
        &returning.terms,
        environment.run,
        Way {
            distinct: false,
            window: Window::ALL,
            in_order: false,
        },
    );
    for (id, bytes) in documents {
        let document = Document::stored(id, bytes, &schema)?;
        if collector.push(&[Some(document)])? == ControlFlow::Break(()) {
            break;
        }
    }
    collector.finish()
}
