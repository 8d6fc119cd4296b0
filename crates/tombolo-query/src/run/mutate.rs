//! UPDATE, DELETE and EVICT: first pick the documents, then work on them.

use std::ops::ControlFlow;

use tombolo_document::{DocumentId, Dot, Edit, Kind, Schema};

use super::collect::{Window, sort_key};
use super::loops::{Level, Loops};
use super::write::{WriteLimits, Writes, refused};
use super::{Environment, returned, shown};
use crate::check::statement::{Change, Operation, Remove, Selection, Update};
use crate::datum::Datum;
use crate::error::QueryError;
use crate::evaluate::{Run, Scope, evaluate};
use crate::expr::Expr;
use crate::limits::{Budget, Limit};
use crate::outcome::{Outcome, OutcomeKind};
use crate::plan::{names_ids, usable_indexes};
use crate::row::{Document, id_of};
use crate::source::{Source, Target};

/// Bytes that a picked document costs besides its own.
const PICK_BYTES: usize = 96;

/// Sorting for fewer picks than this is not worth while.
const LOSERS_MIN: usize = 256;

/// A document that was picked, as it was.
struct Picked {
    key: Vec<u8>,
    id: Vec<u8>,
    document: Vec<u8>,
}

impl Picked {
    fn bytes(&self) -> usize {
        self.key.len() + self.id.len() + self.document.len() + PICK_BYTES
    }
}

/// What is kept of a picked document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keep {
    Document,
    /// Enough for EVICT, which may touch whole collections.
    Id,
}

/// The level of a mutation's only loop.
pub(crate) fn level<'s>(
    selection: &'s Selection,
    source: &dyn Source,
    environment: Environment<'_>,
) -> Result<Level<'s>, QueryError> {
    let filter = selection.filter.as_ref();
    let wanted = filter.is_some() && !names_ids(filter, 0);
    Ok(Level {
        term: &selection.term,
        schema: environment.context.write_schema(&selection.term.collection),
        indexes: usable_indexes(source, &selection.term, wanted)?,
        system: Vec::new(),
    })
}

/// The documents that a selection picks, in its order.
fn pick(
    selection: &Selection,
    source: &dyn Source,
    (keep, environment): (Keep, Environment<'_>),
) -> Result<Vec<Picked>, QueryError> {
    let run = environment.run;
    let window = Window::of(&selection.slice, run)?;
    let levels = [level(selection, source, environment)?];
    let schema = &levels[0].schema;
    let loops = Loops {
        source,
        levels: &levels,
        joins: &[],
        filter: selection.filter.as_ref(),
        options: environment.options,
        run,
        first: None,
    };
    let unsorted = selection.order.is_empty();
    let mut budget = Budget::new(run.limits.mutation_bytes, Limit::Mutation);
    let mut picked = Vec::new();
    let access = loops.access(0, &[])?;
    let name = &selection.term.collection.name;
    let full = |count: usize| unsorted && window.kept().is_some_and(|kept| count >= kept);
    if full(0) {
        return Ok(picked);
    }
    let _complete = super::scan::scan(source, name, &access, &run.limits, &mut |id, bytes| {
        run.fuel.step()?;
        let rows = [Some(Document::stored(id, bytes, schema)?)];
        let scope = Scope::row(run, &rows);
        if let Some(filter) = loops.filter
            && !evaluate(filter, &scope)?.is_true()
        {
            return Ok(ControlFlow::Continue(()));
        }
        let key = sort_key(&selection.order, &scope)?;
        let document = match keep {
            Keep::Document => bytes.to_vec(),
            Keep::Id => Vec::new(),
        };
        let document = Picked {
            key,
            id: id.to_vec(),
            document,
        };
        budget.take(document.bytes())?;
        picked.push(document);
        if !unsorted && let Some(kept) = window.kept() {
            drop_losers(&mut picked, kept, &mut budget);
        }
        Ok(match full(picked.len()) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        })
    })?;
    picked.sort_by(|left, right| left.key.cmp(&right.key));
    let limit = window.limit.unwrap_or(usize::MAX);
    Ok(picked.into_iter().skip(window.offset).take(limit).collect())
}

/// Forgets the documents that sort behind the first `kept`, once they are as
/// many as those.
fn drop_losers(picked: &mut Vec<Picked>, kept: usize, budget: &mut Budget) {
    if picked.len() < kept.saturating_mul(2).max(LOSERS_MIN) {
        return;
    }
    picked.sort_by(|left, right| left.key.cmp(&right.key));
    for loser in picked.drain(kept..) {
        budget.give_back(loser.bytes());
    }
}

/// Carries out an UPDATE.
pub(super) fn update(
    update: &Update,
    target: &mut dyn Target,
    environment: Environment<'_>,
) -> Result<Outcome, QueryError> {
    let picked = pick(&update.selection, &*target, (Keep::Document, environment))?;
    let collection = &update.selection.term.collection;
    let schema = environment.context.write_schema(collection);
    let mut writes = Writes::new(&collection.name, WriteLimits::of(environment.context));
    for document in picked {
        let id = id_of(&document.id)?;
        let rows = [Some(Document::stored(
            &document.id,
            &document.document,
            &schema,
        )?)];
        let scope = Scope::row(environment.run, &rows);
        let edit = Editing {
            id: &id,
            scope: &scope,
            schema: &schema,
        };
        if let Some(bytes) = edit.changed(&document.document, &update.changes, target.dot())? {
            writes.add(id, bytes)?;
        }
    }
    let items = returned(update.returning.as_ref(), writes.images(), environment)?;
    let mut outcome = Outcome::of(OutcomeKind::Mutation).with_items(items);
    writes.put(target, &mut outcome)?;
    Ok(outcome)
}

/// One document under change.
struct Editing<'e, 's> {
    id: &'e DocumentId,
    scope: &'e Scope<'s>,
    schema: &'e Schema,
}

impl<'s> Editing<'_, 's> {
    /// The bytes after all changes; expressions see the document as it was.
    fn changed(
        &self,
        document: &[u8],
        changes: &'s [Change],
        dot: Dot,
    ) -> Result<Option<Vec<u8>>, QueryError> {
        let fail = |error| refused(self.id, error);
        let mut edit = Edit::open(Some(document), dot).map_err(fail)?;
        for change in changes {
            let path = &change.path;
            match &change.operation {
                Operation::Set(value) => {
                    if let Some(value) = evaluate(value, self.scope)?.into_value() {
                        edit.set(path, &value, self.schema).map_err(fail)?;
                    }
                }
                Operation::Unset => edit.unset(path, self.schema).map_err(fail)?,
                Operation::Increment(by) => {
                    let by = self.integer(by, path)?;
                    edit.increment(path, Kind::Counter, by, self.schema)
                        .map_err(fail)?;
                }
                Operation::PnIncrement(by) => {
                    let by = self.integer(by, path)?;
                    edit.increment(path, Kind::PnCounter, by, self.schema)
                        .map_err(fail)?;
                }
                Operation::Restart(with) => {
                    let value = match with {
                        Some(with) => self.integer(with, path)?,
                        None => 0,
                    };
                    edit.restart(path, value, self.schema).map_err(fail)?;
                }
            }
        }
        edit.finish().map_err(fail)
    }

    /// A whole number for a counter; `2.0` is one.
    fn integer(&self, expr: &'s Expr, path: &[String]) -> Result<i64, QueryError> {
        match evaluate(expr, self.scope)? {
            Datum::Int(value) => Ok(value),
            Datum::Float(value) if value.fract() == 0.0 && value.abs() < 9e15 => Ok(value as i64),
            _ => Err(QueryError::Evaluation(format!(
                "expected the operand of counter {} in document {} to be an integer value",
                path.join("."),
                shown(self.id)
            ))),
        }
    }
}

/// Carries out a DELETE or EVICT.
pub(super) fn remove(
    remove: &Remove,
    target: &mut dyn Target,
    environment: Environment<'_>,
) -> Result<Outcome, QueryError> {
    let keep = match remove.evict && remove.returning.is_none() {
        true => Keep::Id,
        false => Keep::Document,
    };
    let picked = pick(&remove.selection, &*target, (keep, environment))?;
    let images = picked
        .iter()
        .map(|document| (document.id.as_slice(), document.document.as_slice()));
    let items = returned(remove.returning.as_ref(), images, environment)?;
    let mut outcome = Outcome::of(OutcomeKind::Mutation).with_items(items);
    let name = &remove.selection.term.collection.name;
    let dot = target.dot();
    for document in &picked {
        let id = id_of(&document.id)?;
        if remove.evict {
            target.evict(name, &id)?;
        } else if let Some(bytes) = buried(&id, &document.document, dot)? {
            target.put(name, &id, bytes)?;
        }
        outcome.mutated_document_ids.push(id.to_value());
    }
    Ok(outcome)
}

fn buried(id: &DocumentId, document: &[u8], dot: Dot) -> Result<Option<Vec<u8>>, QueryError> {
    let mut edit = Edit::open(Some(document), dot).map_err(|error| refused(id, error))?;
    edit.delete();
    edit.finish().map_err(|error| refused(id, error))
}

/// The loops of a mutation, for EXPLAIN.
pub(crate) fn loops<'s>(
    selection: &'s Selection,
    source: &'s dyn Source,
    levels: &'s [Level<'s>],
    (options, run): (&'s crate::plan::Options, &'s Run<'s>),
) -> Loops<'s> {
    Loops {
        source,
        levels,
        joins: &[],
        filter: selection.filter.as_ref(),
        options,
        run,
        first: None,
    }
}
