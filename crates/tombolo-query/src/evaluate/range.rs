//! ANY, EVERY, ARRAY and OBJECT: expressions that go through a collection.

use std::borrow::Cow;

use tombolo_document::{Object, Value};

use super::{Frame, Scope, evaluate};
use crate::datum::{Datum, size_bytes};
use crate::error::QueryError;
use crate::expr::{Expr, ExprRange, Quantifier};
use crate::limits::{Budget, Limit};

/// One of the four, in this scope.
pub(super) fn evaluate_range<'a>(
    expr: &'a Expr,
    scope: &Scope<'a>,
) -> Result<Datum<'a>, QueryError> {
    match expr {
        Expr::Quantified {
            quantifier,
            range,
            condition,
        } => quantified(*quantifier, range, condition, scope),
        Expr::ArrayFor { item, range } => array(item, range, scope),
        Expr::ObjectFor { member, range } => object(member, range, scope),
        _ => Ok(Datum::Missing),
    }
}

fn quantified<'a>(
    quantifier: Quantifier,
    range: &'a ExprRange,
    condition: &'a Expr,
    scope: &Scope<'a>,
) -> Result<Datum<'a>, QueryError> {
    let source = evaluate(&range.source, scope)?;
    if let Some(absent) = unusable(&source) {
        return Ok(absent);
    }
    let mut met = false;
    let mut failed = false;
    each(&source, range.deep, scope, &mut |inner| {
        let holds = evaluate(condition, inner)?.is_true();
        met |= holds;
        failed |= !holds;
        Ok(match quantifier {
            Quantifier::Any => !met,
            Quantifier::Every | Quantifier::AnyAndEvery => !failed,
        })
    })?;
    Ok(Datum::Bool(match quantifier {
        Quantifier::Any => met,
        Quantifier::Every => !failed,
        Quantifier::AnyAndEvery => met && !failed,
    }))
}

fn array<'a>(
    item: &'a Expr,
    range: &'a ExprRange,
    scope: &Scope<'a>,
) -> Result<Datum<'a>, QueryError> {
    let source = evaluate(&range.source, scope)?;
    if let Some(absent) = unusable(&source) {
        return Ok(absent);
    }
    let mut items = Vec::new();
    let mut budget = Budget::new(scope.run.limits.value_bytes, Limit::Value);
    each(&source, range.deep, scope, &mut |inner| {
        if wanted(range, inner)?
            && let Some(value) = evaluate(item, inner)?.into_value()
        {
            budget.take(size_bytes(&value))?;
            items.push(value);
        }
        Ok(true)
    })?;
    Ok(Datum::Array(Cow::Owned(items)))
}

fn object<'a>(
    member: &'a (Expr, Expr),
    range: &'a ExprRange,
    scope: &Scope<'a>,
) -> Result<Datum<'a>, QueryError> {
    let source = evaluate(&range.source, scope)?;
    if let Some(absent) = unusable(&source) {
        return Ok(absent);
    }
    let mut members = Object::new();
    let mut budget = Budget::new(scope.run.limits.value_bytes, Limit::Value);
    each(&source, range.deep, scope, &mut |inner| {
        if wanted(range, inner)? {
            let key = evaluate(&member.0, inner)?;
            let value = evaluate(&member.1, inner)?.into_value();
            if let (Datum::String(key), Some(value)) = (key, value) {
                budget.take(key.len() + size_bytes(&value))?;
                members.insert(key.into_owned(), value);
            }
        }
        Ok(true)
    })?;
    Ok(Datum::Object(Cow::Owned(members)))
}

fn wanted(range: &ExprRange, inner: &Scope<'_>) -> Result<bool, QueryError> {
    match &range.condition {
        Some(condition) => Ok(evaluate(condition, inner)?.is_true()),
        None => Ok(true),
    }
}

/// MISSING stays MISSING, a scalar is NULL; arrays and objects can be gone
/// through.
fn unusable<'a>(source: &Datum<'_>) -> Option<Datum<'a>> {
    match source {
        Datum::Array(_) | Datum::Object(_) => None,
        Datum::Missing => Some(Datum::Missing),
        _ => Some(Datum::Null),
    }
}

/// Called with the scope of one item; false ends the walk.
type Visit<'v> = &'v mut dyn FnMut(&Scope<'_>) -> Result<bool, QueryError>;

fn each(
    source: &Datum<'_>,
    deep: bool,
    scope: &Scope<'_>,
    visit: Visit<'_>,
) -> Result<bool, QueryError> {
    match source {
        Datum::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                if !one(Datum::from_usize(at), item, (deep, scope), visit)? {
                    return Ok(false);
                }
            }
        }
        Datum::Object(members) => {
            for (key, item) in members.iter() {
                if !one(Datum::from_str(key), item, (deep, scope), visit)? {
                    return Ok(false);
                }
            }
        }
        _ => {}
    }
    Ok(true)
}

fn one(
    name: Datum<'_>,
    item: &Value,
    (deep, scope): (bool, &Scope<'_>),
    visit: Visit<'_>,
) -> Result<bool, QueryError> {
    scope.run.fuel.step()?;
    let frame = Frame {
        item: Datum::from(item),
        name,
        outer: scope.frame,
    };
    let inner = Scope {
        frame: Some(&frame),
        ..*scope
    };
    if !visit(&inner)? {
        return Ok(false);
    }
    match item {
        Value::Array(_) | Value::Object(_) if deep => each(&Datum::from(item), deep, scope, visit),
        _ => Ok(true),
    }
}
