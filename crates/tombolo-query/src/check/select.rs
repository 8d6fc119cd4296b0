//! Checks SELECT: terms, joins, grouping, projection and order.

use tombolo_document::order::Direction;

use super::call::has_aggregate;
use super::collection;
use super::expression::{Binder, Grouping as GroupBinding};
use super::names::{Names, TermName};
use super::statement::{Column, Grouping, Ids, Join, OrderKey, Query, Shape, Slice, Term};
use crate::expr::Expr;
use crate::parse::Failure;
use crate::span::Span;
use crate::syntax::{self, Expression, ExpressionKind, JoinKind, Projection, ProjectionKind};

/// Most collections that a SELECT may join to its first one.
pub(crate) const JOINS_MAX: usize = 10;

pub(crate) fn check(text: &str, select: &syntax::Select) -> Result<Query, Failure> {
    let ordered = loop_order(text, select)?;
    let names: Vec<TermName> = ordered.iter().map(|term| TermName::of(term)).collect();
    for (at, term) in ordered.iter().enumerate() {
        if names[..at].contains(&names[at]) {
            let span = term.alias.as_ref().unwrap_or(&term.collection.name).span;
            let message = format!("the name `{}` is used twice", names[at].alias);
            return Err(Names::none(text)
                .error(span, message)
                .with_hint("give one of them an alias with AS"));
        }
    }
    let visible = Names {
        text,
        terms: &names,
        outputs: &[],
    };
    let order = Order {
        keys: &select.order,
        group: &select.group,
        having: select.having.as_ref(),
    };
    Ok(Query {
        terms: ordered
            .iter()
            .map(|syntax| term(text, syntax))
            .collect::<Result<_, _>>()?,
        joins: joins(visible, select)?,
        filter: Binder::rows(visible).bind_optional(select.filter.as_ref())?,
        shape: shape(visible, &select.projection, &order)?,
        distinct: select.distinct.is_some(),
        slice: slice(text, &select.slice)?,
    })
}

/// The terms in the order of the nested loops: a RIGHT JOIN swaps its sides.
fn loop_order<'s>(
    text: &str,
    select: &'s syntax::Select,
) -> Result<Vec<&'s syntax::Term>, Failure> {
    let names = Names::none(text);
    if let Some(join) = select.joins.get(JOINS_MAX) {
        let message = format!("a statement joins at most {JOINS_MAX} collections");
        return Err(names.error(join.span, message));
    }
    let later = select.joins.iter().skip(1);
    if let Some(join) = later.into_iter().find(|join| join.kind == JoinKind::Right) {
        let message = "RIGHT OUTER join that isn't the first join is not supported";
        return Err(names
            .error(join.span, message)
            .with_hint("write the collections the other way round with LEFT JOIN"));
    }
    let mut terms: Vec<_> = std::iter::once(&select.term)
        .chain(select.joins.iter().map(|join| &join.term))
        .collect();
    if select
        .joins
        .first()
        .is_some_and(|join| join.kind == JoinKind::Right)
    {
        terms.swap(0, 1);
    }
    Ok(terms)
}

fn joins(names: Names<'_>, select: &syntax::Select) -> Result<Vec<Join>, Failure> {
    let bind = |(at, join): (usize, &syntax::Join)| {
        let known = Names {
            terms: &names.terms[..at + 2],
            ..names
        };
        Ok(Join {
            outer: join.kind != JoinKind::Inner,
            on: Binder::rows(known).bind(&join.on)?,
        })
    };
    select.joins.iter().enumerate().map(bind).collect()
}

/// A collection with its hints.
pub(crate) fn term(text: &str, syntax: &syntax::Term) -> Result<Term, Failure> {
    let mut constant = Binder::rows(Names::none(text));
    let ids = match &syntax.ids {
        None => None,
        Some(syntax::UseIds::Each(ids)) => Some(Ids::Each(constant.bind_all(ids)?)),
        Some(syntax::UseIds::List(list)) => Some(Ids::List(constant.bind(list)?)),
    };
    Ok(Term {
        collection: collection(text, &syntax.collection)?,
        name: TermName::of(syntax),
        ids,
        index: syntax.index.clone(),
        directives: syntax.directives.clone(),
    })
}

pub(crate) fn slice(text: &str, slice: &syntax::Slice) -> Result<Slice, Failure> {
    let mut constant = Binder::rows(Names::none(text));
    Ok(Slice {
        limit: constant.bind_optional(slice.limit.as_ref())?,
        offset: constant.bind_optional(slice.offset.as_ref())?,
    })
}

/// ORDER BY over single rows.
pub(crate) fn row_order(
    names: Names<'_>,
    keys: &[syntax::OrderKey],
) -> Result<Vec<OrderKey>, Failure> {
    bound_order(&mut Binder::rows(names), keys)
}

fn bound_order(
    binder: &mut Binder<'_>,
    keys: &[syntax::OrderKey],
) -> Result<Vec<OrderKey>, Failure> {
    let bind = |key: &syntax::OrderKey| {
        Ok(OrderKey {
            value: binder.bind(&key.value)?,
            direction: match key.descending {
                true => Direction::Descending,
                false => Direction::Ascending,
            },
        })
    };
    keys.iter().map(bind).collect()
}

/// The clauses around a projection.
pub(crate) struct Order<'s> {
    pub keys: &'s [syntax::OrderKey],
    pub group: &'s [Expression],
    pub having: Option<&'s Expression>,
}

/// Checks a projection with its grouping and order.
pub(crate) fn shape(
    names: Names<'_>,
    projection: &[Projection],
    order: &Order<'_>,
) -> Result<Shape, Failure> {
    check_stars(names, projection)?;
    let outputs: Vec<String> = projection
        .iter()
        .enumerate()
        .filter_map(|(at, column)| output_key(column, at))
        .collect();
    let values = projection.iter().filter_map(|column| match &column.kind {
        ProjectionKind::Value { value, .. } => Some(value),
        _ => None,
    });
    let ordered = order.keys.iter().map(|key| &key.value);
    let aggregated = values.chain(ordered).chain(order.having).any(has_aggregate);
    let mut rows = Binder::rows(names);
    if order.group.is_empty() && !aggregated && order.having.is_none() {
        let columns = columns(&mut rows, names, projection)?;
        rows.outputs(&outputs);
        let mut order = bound_order(&mut rows, order.keys)?;
        order
            .iter_mut()
            .for_each(|key| resolve_output(key, &columns));
        return Ok(Shape {
            grouping: None,
            having: None,
            columns,
            order,
        });
    }
    let keys = rows.bind_all(order.group)?;
    let mut groups = Binder::groups(
        names,
        GroupBinding {
            keys: &keys,
            aggregates: Vec::new(),
            complaint: String::new(),
        },
    );
    let columns = columns(&mut groups, names, projection)?;
    groups.complain("HAVING clause terms must depend only on group keys or aggregates");
    let having = groups.bind_optional(order.having)?;
    groups.complain("ORDER BY terms must depend only on group keys or aggregates");
    groups.outputs(&outputs);
    let mut order = bound_order(&mut groups, order.keys)?;
    order
        .iter_mut()
        .for_each(|key| resolve_output(key, &columns));
    let aggregates = groups.into_aggregates();
    Ok(Shape {
        grouping: Some(Grouping { keys, aggregates }),
        having,
        columns,
        order,
    })
}

/// Puts the expression of a column in the place of its name, so that a row can
/// be ordered before it is projected and an index may give the order.
fn resolve_output(key: &mut OrderKey, columns: &[Column]) {
    let Expr::Output { key: name, path } = &key.value else {
        return;
    };
    let named = columns.iter().rev().find_map(|column| match column {
        Column::Value { key, value } if key == name => Some(value),
        _ => None,
    });
    match named {
        Some(value) if path.is_empty() => key.value = value.clone(),
        Some(Expr::Field { term, path: start }) => {
            key.value = Expr::Field {
                term: *term,
                path: start.iter().chain(path).cloned().collect(),
            };
        }
        _ => {}
    }
}

fn check_stars(names: Names<'_>, projection: &[Projection]) -> Result<(), Failure> {
    let star = projection
        .iter()
        .find(|column| column.kind == ProjectionKind::All);
    match star {
        Some(star) if projection.len() > 1 => Err(names
            .error(
                star.span,
                "unqualified * with other projection elements is not supported",
            )
            .with_hint("write the alias before it: `alias.*`")),
        _ => Ok(()),
    }
}

fn columns(
    binder: &mut Binder<'_>,
    names: Names<'_>,
    projection: &[Projection],
) -> Result<Vec<Column>, Failure> {
    let grouped = |span: Span, what: &str| complaint(names.text, span, what);
    let bind = |(at, column): (usize, &Projection)| {
        binder.complain(grouped(column.span, "Projection"));
        Ok(match &column.kind {
            ProjectionKind::All => {
                binder.whole_rows(column.span)?;
                Column::All
            }
            ProjectionKind::AllOf(alias) => {
                binder.whole_rows(column.span)?;
                match names.term(&alias.text) {
                    Some(term) => Column::AllOf(term),
                    None => {
                        let message = format!("there is no collection or alias `{}`", alias.text);
                        return Err(names.error(alias.span, message));
                    }
                }
            }
            ProjectionKind::Without(path) => {
                Column::Without(path.iter().map(|step| step.text.clone()).collect())
            }
            ProjectionKind::Value { value, .. } => Column::Value {
                value: binder.bind(value)?,
                key: output_key(column, at).unwrap_or_default(),
            },
        })
    };
    projection.iter().enumerate().map(bind).collect()
}

fn complaint(text: &str, span: Span, what: &str) -> String {
    let quoted: String = text[span.start..span.end].chars().take(60).collect();
    format!("{what} \"{quoted}\" must depend only on group keys or aggregates")
}

/// The key of a projected value: alias, last step of a path, or `($n)`.
fn output_key(column: &Projection, at: usize) -> Option<String> {
    let ProjectionKind::Value { value, alias } = &column.kind else {
        return None;
    };
    if let Some(alias) = alias {
        return Some(alias.text.clone());
    }
    Some(match &value.kind {
        ExpressionKind::Path(steps) => steps[steps.len() - 1].text.clone(),
        _ => format!("(${})", at + 1),
    })
}

/// Whether the statement only counts the rows of one collection.
pub(crate) fn is_bare_count(query: &Query) -> bool {
    let Some(grouping) = &query.shape.grouping else {
        return false;
    };
    query.terms.len() == 1
        && query.filter.is_none()
        && query.terms[0].ids.is_none()
        && grouping.keys.is_empty()
        && grouping
            .aggregates
            .iter()
            .all(|aggregate| aggregate.argument.is_none())
}

/// The conditions that must all hold, taken apart.
pub(crate) fn conjuncts(filter: Option<&Expr>) -> Vec<&Expr> {
    match filter {
        None => Vec::new(),
        Some(Expr::And(items)) => items
            .iter()
            .flat_map(|item| conjuncts(Some(item)))
            .collect(),
        Some(single) => vec![single],
    }
}
