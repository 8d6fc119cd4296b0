//! The nested loops of a SELECT: one level for each collection.

use std::borrow::Cow;
use std::ops::ControlFlow;
use std::rc::Rc;

use tombolo_document::{Object, Schema};

use super::scan::scan;
use crate::check::select::conjuncts;
use crate::check::statement::{Join, Namespace, Query, Term};
use crate::error::QueryError;
use crate::evaluate::{Run, Scope, evaluate};
use crate::expr::Expr;
use crate::plan::{Access, Options, Planner};
use crate::row::Document;
use crate::source::{IndexDefinition, Source};

/// What a level needs besides the rows before it.
pub(crate) struct Level<'s> {
    pub term: &'s Term,
    pub schema: Schema,
    pub indexes: Vec<Rc<IndexDefinition>>,
    /// The rows of a system collection.
    pub system: Vec<Object>,
}

/// The loops over all levels.
pub(crate) struct Loops<'s> {
    pub source: &'s dyn Source,
    pub levels: &'s [Level<'s>],
    pub joins: &'s [Join],
    pub filter: Option<&'s Expr>,
    pub options: &'s Options,
    pub run: &'s Run<'s>,
    /// How the first collection is read, if that is settled.
    pub first: Option<Access>,
}

/// Takes a complete row.
pub(crate) type Sink<'k> =
    &'k mut dyn FnMut(&[Option<Document<'_>>]) -> Result<ControlFlow<()>, QueryError>;

impl<'s> Loops<'s> {
    /// The loops of a query.
    pub(crate) fn of(
        query: &'s Query,
        source: &'s dyn Source,
        levels: &'s [Level<'s>],
        options: &'s Options,
        run: &'s Run<'s>,
    ) -> Self {
        Self {
            source,
            levels,
            joins: &query.joins,
            filter: query.filter.as_ref(),
            options,
            run,
            first: None,
        }
    }

    /// Settles how the first collection is read; gives whether its documents
    /// then come in the order of the query.
    pub(crate) fn settle(&mut self, query: &Query) -> Result<bool, QueryError> {
        if self.levels.len() > 1 || query.shape.grouping.is_some() {
            return Ok(false);
        }
        let order = &query.shape.order;
        let limited = query.slice.limit.is_some();
        let rows = Scope::row(self.run, &[]);
        let filters = conjuncts(self.filter);
        let plan = self
            .planner(0)
            .plan_ordered(&filters, &rows, (order, limited))?;
        self.first = Some(plan.access);
        Ok(plan.in_order)
    }

    fn planner(&self, at: usize) -> Planner<'_> {
        let level = &self.levels[at];
        Planner {
            term: level.term,
            at,
            schema: &level.schema,
            indexes: &level.indexes,
            options: self.options,
        }
    }

    /// Pushes every row that passes the filter.
    pub(crate) fn run(&self, sink: Sink<'_>) -> Result<(), QueryError> {
        self.level(&[], sink).map(drop)
    }

    /// The way to read the collection at `at`, the rows before it given.
    pub(crate) fn access(
        &self,
        at: usize,
        outer: &[Option<Document<'_>>],
    ) -> Result<Access, QueryError> {
        let filters: Vec<&Expr> = match at {
            0 => conjuncts(self.filter),
            _ => conjuncts(Some(&self.joins[at - 1].on)),
        };
        self.planner(at)
            .plan(&filters, &Scope::row(self.run, outer))
    }

    fn level(
        &self,
        outer: &[Option<Document<'_>>],
        sink: Sink<'_>,
    ) -> Result<ControlFlow<()>, QueryError> {
        let at = outer.len();
        if at == self.levels.len() {
            return match self.holds(self.filter, outer)? {
                true => sink(outer),
                false => Ok(ControlFlow::Continue(())),
            };
        }
        let access = match &self.first {
            Some(first) if at == 0 => Cow::Borrowed(first),
            _ => Cow::Owned(self.access(at, outer)?),
        };
        let join = at.checked_sub(1).map(|at| &self.joins[at]);
        let mut matched = false;
        let flow = self.documents(at, &access, &mut |document| {
            self.run.fuel.step()?;
            if at == 0 {
                return self.level(&[Some(document)], sink);
            }
            let mut rows = Vec::with_capacity(at + 1);
            rows.extend_from_slice(outer);
            rows.push(Some(document));
            if let Some(join) = join
                && !self.holds(Some(&join.on), &rows)?
            {
                return Ok(ControlFlow::Continue(()));
            }
            matched = true;
            self.level(&rows, sink)
        })?;
        let lonely = join.is_some_and(|join| join.outer) && !matched && flow.is_continue();
        if !lonely {
            return Ok(flow);
        }
        let mut rows = outer.to_vec();
        rows.push(None);
        self.level(&rows, sink)
    }

    fn holds(
        &self,
        filter: Option<&Expr>,
        rows: &[Option<Document<'_>>],
    ) -> Result<bool, QueryError> {
        match filter {
            Some(filter) => Ok(evaluate(filter, &Scope::row(self.run, rows))?.is_true()),
            None => Ok(true),
        }
    }

    fn documents(
        &self,
        at: usize,
        access: &Access,
        each: &mut dyn FnMut(Document<'_>) -> Result<ControlFlow<()>, QueryError>,
    ) -> Result<ControlFlow<()>, QueryError> {
        let level = &self.levels[at];
        if level.term.collection.namespace == Namespace::System {
            for row in &level.system {
                if each(Document::Plain(row))?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            return Ok(ControlFlow::Continue(()));
        }
        let name = &level.term.collection.name;
        scan(
            self.source,
            name,
            access,
            &self.run.limits,
            &mut |id, bytes| each(Document::stored(id, bytes, &level.schema)?),
        )
    }
}
