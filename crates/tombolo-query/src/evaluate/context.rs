//! What an expression may look at: arguments, time, the row, the group, and the
//! variables of the ranges around it.

use tombolo_document::{Object, Value};

use crate::datum::Datum;
use crate::error::QueryError;
use crate::limits::{Fuel, Limits};
use crate::pattern::Patterns;
use crate::row::Document;

/// One run of a statement.
pub(crate) struct Run<'a> {
    pub arguments: &'a Object,
    pub now_ms: u64,
    pub limits: Limits,
    /// `SELECT *` gives the bare document and not one below its alias.
    pub bare_star: bool,
    pub fuel: Fuel<'a>,
    pub patterns: Patterns,
}

impl<'a> Run<'a> {
    /// The argument called `name`.
    pub(crate) fn argument(&self, name: &str) -> Result<Datum<'a>, QueryError> {
        match self.arguments.get(name) {
            Some(value) => Ok(Datum::from(value)),
            None => Err(QueryError::evaluation(format!(
                "Parameter {name} was not provided: pass it in the arguments"
            ))),
        }
    }
}

/// Where an expression is evaluated.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a> {
    pub run: &'a Run<'a>,
    /// One document for each term, `None` where an outer join found none.
    pub rows: &'a [Option<Document<'a>>],
    pub group: Option<GroupValues<'a>>,
    /// The projected row, for ORDER BY.
    pub output: Option<&'a Object>,
    pub frame: Option<&'a Frame<'a>>,
}

/// Keys and aggregates of one group; `None` inside is MISSING.
#[derive(Clone, Copy)]
pub(crate) struct GroupValues<'a> {
    pub keys: &'a [Option<Value>],
    pub aggregates: &'a [Option<Value>],
}

/// The variables of one range, and those around it.
pub(crate) struct Frame<'a> {
    pub item: Datum<'a>,
    pub name: Datum<'a>,
    pub outer: Option<&'a Frame<'a>>,
}

impl<'a> Scope<'a> {
    /// A scope without a row.
    pub(crate) fn constant(run: &'a Run<'a>) -> Self {
        Self::row(run, &[])
    }

    /// A scope over one row.
    pub(crate) fn row(run: &'a Run<'a>, rows: &'a [Option<Document<'a>>]) -> Self {
        Self {
            run,
            rows,
            group: None,
            output: None,
            frame: None,
        }
    }

    pub(super) fn variable(&self, up: usize, name: bool) -> Datum<'a> {
        let mut frame = self.frame;
        for _ in 0..up {
            frame = frame.and_then(|frame| frame.outer);
        }
        match frame {
            Some(frame) if name => frame.name.clone(),
            Some(frame) => frame.item.clone(),
            None => Datum::Missing,
        }
    }

    pub(super) fn group_value(&self, at: usize) -> Datum<'a> {
        slot(self.group.map(|group| group.keys), at)
    }

    pub(super) fn aggregate_value(&self, at: usize) -> Datum<'a> {
        slot(self.group.map(|group| group.aggregates), at)
    }

    pub(super) fn output_value(&self, key: &str) -> Datum<'a> {
        let value = self.output.and_then(|output| output.get(key));
        value.map_or(Datum::Missing, Datum::from)
    }
}

fn slot<'a>(values: Option<&'a [Option<Value>]>, at: usize) -> Datum<'a> {
    match values.and_then(|values| values.get(at)) {
        Some(Some(value)) => Datum::from(value),
        _ => Datum::Missing,
    }
}
