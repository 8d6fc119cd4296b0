//! Rows in, items out: grouping, HAVING, projection, DISTINCT, order and slice.
//! Rows are pushed; the answer to a push says whether more are wanted.

use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::ops::ControlFlow;

use tombolo_document::{Object, Value, order};

use super::aggregate::Accumulator;
use super::project::project;
use crate::check::statement::{Grouping, OrderKey, Shape, Slice, Term};
use crate::datum::{Datum, object_bytes};
use crate::error::QueryError;
use crate::evaluate::{GroupValues, Run, Scope, evaluate};
use crate::expr::Expr;
use crate::limits::{Budget, Limit};
use crate::row::Document;

/// Bytes that a kept row or group costs besides its values.
const ENTRY_BYTES: usize = 64;

/// OFFSET and LIMIT as numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    pub offset: usize,
    pub limit: Option<usize>,
}

impl Window {
    pub(crate) const ALL: Self = Self {
        offset: 0,
        limit: None,
    };

    /// Evaluates LIMIT and OFFSET.
    pub(crate) fn of<'a>(slice: &'a Slice, run: &'a Run<'a>) -> Result<Self, QueryError> {
        let count = |expr: &'a Option<Expr>, name: &str| match expr {
            None => Ok(None),
            Some(expr) => {
                let value = evaluate(expr, &Scope::constant(run))?;
                let count = value
                    .integer()
                    .and_then(|count| usize::try_from(count).ok());
                count.map(Some).ok_or_else(|| {
                    QueryError::evaluation(format!("{name} must be an integer from 0 up"))
                })
            }
        };
        Ok(Self {
            offset: count(&slice.offset, "OFFSET")?.unwrap_or(0),
            limit: count(&slice.limit, "LIMIT")?,
        })
    }

    /// How many rows must be kept to answer; `None` is all of them.
    pub(crate) fn kept(self) -> Option<usize> {
        Some(self.limit?.saturating_add(self.offset))
    }
}

/// How rows come in and items go out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Way {
    pub distinct: bool,
    pub window: Window,
    /// Rows come in the wanted order already.
    pub in_order: bool,
}

/// Makes the items of one answer.
pub(crate) struct Collector<'s> {
    shape: &'s Shape,
    terms: &'s [Term],
    run: &'s Run<'s>,
    /// Rows must be put in order here.
    sorts: bool,
    groups: BTreeMap<Vec<u8>, Group>,
    group_budget: Budget,
    output: Output,
}

struct Group {
    keys: Vec<Option<Value>>,
    accumulators: Vec<Accumulator>,
}

impl<'s> Collector<'s> {
    pub(crate) fn new(shape: &'s Shape, terms: &'s [Term], run: &'s Run<'s>, way: Way) -> Self {
        let limits = &run.limits;
        let sorts = !shape.order.is_empty() && !way.in_order;
        Self {
            shape,
            terms,
            run,
            sorts,
            groups: BTreeMap::new(),
            group_budget: Budget::new(limits.group_bytes, Limit::Group),
            output: Output {
                window: way.window,
                sorted: sorts,
                distinct: way.distinct.then(BTreeSet::new),
                distinct_budget: Budget::new(limits.distinct_bytes, Limit::Distinct),
                heap: BinaryHeap::new(),
                sort_budget: Budget::new(limits.sort_bytes, Limit::Sort),
                items: Vec::new(),
                result_budget: Budget::new(limits.result_bytes, Limit::Result),
                skipped: 0,
                sequence: 0,
            },
        }
    }

    /// Takes one row.
    pub(crate) fn push(
        &mut self,
        rows: &[Option<Document<'_>>],
    ) -> Result<ControlFlow<()>, QueryError> {
        let scope = Scope::row(self.run, rows);
        match &self.shape.grouping {
            Some(grouping) => {
                self.group(grouping, &scope)?;
                Ok(ControlFlow::Continue(()))
            }
            None => self.emit(&scope),
        }
    }

    /// Takes `rows` rows that nothing looks at, for `COUNT(*)` alone.
    pub(crate) fn push_count(&mut self, rows: u64) {
        if let Some(grouping) = &self.shape.grouping {
            let mut accumulators: Vec<_> =
                grouping.aggregates.iter().map(Accumulator::new).collect();
            accumulators
                .iter_mut()
                .for_each(|count| count.count_rows(rows));
            let group = Group {
                keys: Vec::new(),
                accumulators,
            };
            self.groups.insert(Vec::new(), group);
        }
    }

    fn group<'a>(&mut self, grouping: &'a Grouping, scope: &Scope<'a>) -> Result<(), QueryError> {
        let mut key = Vec::new();
        let mut keys = Vec::with_capacity(grouping.keys.len());
        for expr in &grouping.keys {
            let value = evaluate(expr, scope)?.into_value();
            order::append(&mut key, value.as_ref(), order::Direction::Ascending);
            keys.push(value);
        }
        let group = match self.groups.entry(key) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) => {
                self.group_budget
                    .take(entry.key().len() * 2 + ENTRY_BYTES)?;
                entry.insert(Group {
                    keys,
                    accumulators: grouping.aggregates.iter().map(Accumulator::new).collect(),
                })
            }
        };
        for (aggregate, accumulator) in grouping.aggregates.iter().zip(&mut group.accumulators) {
            match &aggregate.argument {
                None => accumulator.count_row(),
                Some(argument) => {
                    accumulator.add(evaluate(argument, scope)?, &mut self.group_budget)?;
                }
            }
        }
        Ok(())
    }

    /// Projects, orders and keeps one row or group.
    fn emit(&mut self, scope: &Scope<'_>) -> Result<ControlFlow<()>, QueryError> {
        let order = &self.shape.order;
        if !self.sorts {
            let item = project(&self.shape.columns, self.terms, scope)?;
            return self.output.append(item);
        }
        let early = !order.iter().any(|key| reads_output(&key.value));
        if early {
            let key = sort_key(order, scope)?;
            if self.output.distinct.is_none() && !self.output.would_keep(&key) {
                return Ok(ControlFlow::Continue(()));
            }
            let item = project(&self.shape.columns, self.terms, scope)?;
            return self.output.sort(key, item);
        }
        let item = project(&self.shape.columns, self.terms, scope)?;
        let with_output = Scope {
            output: Some(&item),
            ..*scope
        };
        let key = sort_key(order, &with_output)?;
        self.output.sort(key, item)
    }

    /// The items, in order.
    pub(crate) fn finish(mut self) -> Result<Vec<Value>, QueryError> {
        let shape = self.shape;
        if let Some(grouping) = &shape.grouping {
            let mut groups = std::mem::take(&mut self.groups);
            if groups.is_empty() && grouping.keys.is_empty() {
                let group = Group {
                    keys: Vec::new(),
                    accumulators: grouping.aggregates.iter().map(Accumulator::new).collect(),
                };
                groups.insert(Vec::new(), group);
            }
            for group in groups.into_values() {
                if self.finish_group(group)?.is_break() {
                    break;
                }
            }
        }
        Ok(self.output.finish())
    }

    fn finish_group(&mut self, group: Group) -> Result<ControlFlow<()>, QueryError> {
        let aggregates: Vec<_> = group
            .accumulators
            .into_iter()
            .map(Accumulator::finish)
            .collect();
        let scope = Scope {
            group: Some(GroupValues {
                keys: &group.keys,
                aggregates: &aggregates,
            }),
            ..Scope::constant(self.run)
        };
        if let Some(having) = &self.shape.having
            && !evaluate(having, &scope)?.is_true()
        {
            return Ok(ControlFlow::Continue(()));
        }
        self.emit(&scope)
    }
}

fn reads_output(expr: &Expr) -> bool {
    let mut reads = false;
    expr.walk(&mut |inside| reads |= matches!(inside, Expr::Output { .. }));
    reads
}

/// Bytes that sort as ORDER BY asks.
pub(crate) fn sort_key<'a>(
    order: &'a [OrderKey],
    scope: &Scope<'a>,
) -> Result<Vec<u8>, QueryError> {
    let mut bytes = Vec::with_capacity(order.len() * 16);
    for key in order {
        let value = evaluate(&key.value, scope)?;
        order::append(&mut bytes, Datum::into_value(value).as_ref(), key.direction);
    }
    Ok(bytes)
}

/// Items on their way out.
struct Output {
    window: Window,
    sorted: bool,
    distinct: Option<BTreeSet<Vec<u8>>>,
    distinct_budget: Budget,
    /// The rows that sort first, the last of them on top.
    heap: BinaryHeap<Sorted>,
    sort_budget: Budget,
    items: Vec<Value>,
    result_budget: Budget,
    skipped: usize,
    sequence: u64,
}

/// Ordered by key, then by arrival, so that sorting is stable.
struct Sorted {
    key: Vec<u8>,
    sequence: u64,
    item: Object,
    bytes: usize,
}

impl Output {
    fn is_new(&mut self, item: &Object) -> Result<bool, QueryError> {
        let Some(seen) = &mut self.distinct else {
            return Ok(true);
        };
        let mut key = Vec::new();
        for (name, value) in item {
            order::append(
                &mut key,
                Some(&Value::from(name.as_str())),
                order::Direction::Ascending,
            );
            order::append(&mut key, Some(value), order::Direction::Ascending);
        }
        if seen.contains(&key) {
            return Ok(false);
        }
        self.distinct_budget.take(key.len() + ENTRY_BYTES)?;
        seen.insert(key);
        Ok(true)
    }

    fn append(&mut self, item: Object) -> Result<ControlFlow<()>, QueryError> {
        if self.window.limit == Some(0) {
            return Ok(ControlFlow::Break(()));
        }
        if !self.is_new(&item)? {
            return Ok(ControlFlow::Continue(()));
        }
        if self.skipped < self.window.offset {
            self.skipped += 1;
            return Ok(ControlFlow::Continue(()));
        }
        self.result_budget.take(object_bytes(&item) + ENTRY_BYTES)?;
        self.items.push(Value::Object(item));
        let full = self
            .window
            .limit
            .is_some_and(|limit| self.items.len() >= limit);
        Ok(match full {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        })
    }

    /// Whether a row with this key could be among those that are kept.
    fn would_keep(&self, key: &[u8]) -> bool {
        match self.window.kept() {
            Some(kept) if self.heap.len() >= kept => self
                .heap
                .peek()
                .is_some_and(|last| key < last.key.as_slice()),
            _ => true,
        }
    }

    fn sort(&mut self, key: Vec<u8>, item: Object) -> Result<ControlFlow<()>, QueryError> {
        if self.window.limit == Some(0) {
            return Ok(ControlFlow::Break(()));
        }
        if !self.is_new(&item)? || !self.would_keep(&key) {
            return Ok(ControlFlow::Continue(()));
        }
        let bytes = key.len() + object_bytes(&item) + ENTRY_BYTES;
        if self.window.kept() == Some(self.heap.len())
            && let Some(last) = self.heap.pop()
        {
            self.sort_budget.give_back(last.bytes);
        }
        self.sort_budget.take(bytes)?;
        self.sequence += 1;
        self.heap.push(Sorted {
            key,
            sequence: self.sequence,
            item,
            bytes,
        });
        Ok(ControlFlow::Continue(()))
    }

    fn finish(self) -> Vec<Value> {
        if !self.sorted {
            return self.items;
        }
        let limit = self.window.limit.unwrap_or(usize::MAX);
        let rows = self.heap.into_sorted_vec().into_iter();
        let window = rows.skip(self.window.offset).take(limit);
        window.map(|row| Value::Object(row.item)).collect()
    }
}

impl PartialEq for Sorted {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Sorted {}

impl PartialOrd for Sorted {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Sorted {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let keys = self.key.cmp(&other.key);
        keys.then(self.sequence.cmp(&other.sequence))
    }
}
