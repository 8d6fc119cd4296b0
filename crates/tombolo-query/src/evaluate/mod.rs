//! Evaluates expressions over one row. Wrong types give MISSING, never an
//! error; errors are missing arguments, limits and damage.

mod context;
mod operator;
mod range;

use std::borrow::Cow;

use tombolo_document::Object;

pub(crate) use context::{Frame, GroupValues, Run, Scope};
pub(crate) use operator::{compare, concatenated};

use crate::datum::{Datum, object_bytes, size_bytes};
use crate::error::QueryError;
use crate::expr::{Expr, State};
use crate::limits::Limit;
use crate::pattern;

/// What the expression gives in this scope.
pub(crate) fn evaluate<'a>(expr: &'a Expr, scope: &Scope<'a>) -> Result<Datum<'a>, QueryError> {
    scope.run.fuel.step()?;
    match expr {
        Expr::Literal(value) => Ok(Datum::from(value)),
        Expr::Parameter(name) => scope.run.argument(name),
        Expr::Field { term, path } => match scope.rows.get(*term) {
            Some(Some(document)) => document.get(path),
            _ => Ok(Datum::Missing),
        },
        Expr::Binary { operator, operands } => {
            let left = evaluate(&operands.0, scope)?;
            let right = evaluate(&operands.1, scope)?;
            Ok(operator::binary(*operator, &left, &right))
        }
        Expr::And(items) => operator::all(items, scope),
        Expr::Or(items) => operator::any(items, scope),
        Expr::Not(inside) => Ok(operator::not(&evaluate(inside, scope)?)),
        Expr::GroupKey(at) => Ok(scope.group_value(*at)),
        Expr::Aggregate(at) => Ok(scope.aggregate_value(*at)),
        _ => evaluate_form(expr, scope),
    }
}

/// The rarer forms, apart to keep the stack of the common ones small.
fn evaluate_form<'a>(expr: &'a Expr, scope: &Scope<'a>) -> Result<Datum<'a>, QueryError> {
    match expr {
        Expr::Document(term) => match scope.rows.get(*term) {
            Some(Some(document)) => Ok(Datum::Object(Cow::Owned(document.to_object()?))),
            _ => Ok(Datum::Missing),
        },
        Expr::CompositeId(aliases) => composite_id(aliases, scope),
        Expr::Variable { up, name, path } => Ok(scope.variable(*up, *name).at(path)),
        Expr::Output { key, path } => Ok(scope.output_value(key).at(path)),
        Expr::Negate(inside) => Ok(operator::negate(&evaluate(inside, scope)?)),
        Expr::Concatenate(items) => concatenation(items, scope),
        Expr::Between(operands) => {
            let value = evaluate(&operands.0, scope)?;
            let low = evaluate(&operands.1, scope)?;
            let high = evaluate(&operands.2, scope)?;
            Ok(operator::between(&value, &low, &high))
        }
        Expr::In(operands) => contained(&operands.0, &operands.1, scope),
        Expr::Is { value, state } => {
            let value = evaluate(value, scope)?;
            Ok(Datum::Bool(match state {
                State::Null => value.is_null(),
                State::Missing => value.is_missing(),
            }))
        }
        Expr::Like {
            operands,
            escape,
            flavour,
        } => {
            let value = evaluate(&operands.0, scope)?;
            let wanted = evaluate(&operands.1, scope)?;
            let escape = match escape {
                Some(escape) => Some(evaluate(escape, scope)?),
                None => None,
            };
            pattern::like(scope.run, (&value, &wanted, escape.as_ref()), *flavour)
        }
        Expr::Case { .. } => case(expr, scope),
        Expr::Call {
            function,
            arguments,
        } => {
            let mut values = Vec::with_capacity(arguments.len());
            for argument in arguments {
                values.push(evaluate(argument, scope)?);
            }
            bounded(scope.run, (function.body)(scope.run, values)?)
        }
        Expr::Array(items) => bounded(scope.run, array(items, scope)?),
        Expr::Object(members) => bounded(scope.run, object(members, scope)?),
        _ => range::evaluate_range(expr, scope),
    }
}

/// Refuses a new array or object above the limit: nested ranges could double one
/// at every level of an expression.
fn bounded<'a>(run: &Run<'_>, value: Datum<'a>) -> Result<Datum<'a>, QueryError> {
    let bytes = match &value {
        Datum::Array(Cow::Owned(items)) => items.iter().map(size_bytes).sum(),
        Datum::Object(Cow::Owned(members)) => object_bytes(members),
        _ => 0,
    };
    match bytes > run.limits.value_bytes {
        true => Err(QueryError::Limit(Limit::Value(run.limits.value_bytes))),
        false => Ok(value),
    }
}

fn composite_id<'a>(aliases: &[String], scope: &Scope<'a>) -> Result<Datum<'a>, QueryError> {
    let mut ids = Object::new();
    for (alias, document) in aliases.iter().zip(scope.rows) {
        let Some(document) = document else { continue };
        if let Some(id) = document.id()?.into_value() {
            ids.insert(alias.clone(), id);
        }
    }
    Ok(Datum::from(tombolo_document::Value::Object(ids)))
}

fn concatenation<'a>(items: &'a [Expr], scope: &Scope<'a>) -> Result<Datum<'a>, QueryError> {
    let mut values = Vec::with_capacity(items.len());
    for item in items {
        values.push(evaluate(item, scope)?);
    }
    concatenated(scope.run, &values)
}

/// `value IN list`. A literal list is not built when one of its items matches.
fn contained<'a>(
    value: &'a Expr,
    list: &'a Expr,
    scope: &Scope<'a>,
) -> Result<Datum<'a>, QueryError> {
    let value = evaluate(value, scope)?;
    if value.is_missing() || value.is_null() {
        return Ok(value);
    }
    if let Expr::Array(items) = list {
        for item in items {
            if operator::equal(&value, &evaluate(item, scope)?) {
                return Ok(Datum::Bool(true));
            }
        }
        return Ok(Datum::Bool(false));
    }
    let list = evaluate(list, scope)?;
    let Some(items) = list.items() else {
        return Ok(match list {
            Datum::Null => Datum::Null,
            _ => Datum::Missing,
        });
    };
    for item in items {
        scope.run.fuel.step()?;
        if operator::equal(&value, &Datum::from(item)) {
            return Ok(Datum::Bool(true));
        }
    }
    Ok(Datum::Bool(false))
}

fn case<'a>(expr: &'a Expr, scope: &Scope<'a>) -> Result<Datum<'a>, QueryError> {
    let Expr::Case {
        subject,
        branches,
        otherwise,
    } = expr
    else {
        return Ok(Datum::Missing);
    };
    let subject = match subject {
        Some(subject) => Some(evaluate(subject, scope)?),
        None => None,
    };
    for (when, then) in branches {
        let when = evaluate(when, scope)?;
        let taken = match &subject {
            Some(subject) => operator::equal(subject, &when),
            None => when.is_true(),
        };
        if taken {
            return evaluate(then, scope);
        }
    }
    match otherwise {
        Some(otherwise) => evaluate(otherwise, scope),
        None => Ok(Datum::Null),
    }
}

/// MISSING items are left out.
fn array<'a>(items: &'a [Expr], scope: &Scope<'a>) -> Result<Datum<'a>, QueryError> {
    let mut values = Vec::with_capacity(items.len());
    for item in items {
        values.extend(evaluate(item, scope)?.into_value());
    }
    Ok(Datum::Array(Cow::Owned(values)))
}

/// Members whose key is no string or whose value is MISSING are left out.
fn object<'a>(members: &'a [(Expr, Expr)], scope: &Scope<'a>) -> Result<Datum<'a>, QueryError> {
    let mut values = Object::new();
    for (key, value) in members {
        let key = evaluate(key, scope)?;
        let value = evaluate(value, scope)?.into_value();
        if let (Datum::String(key), Some(value)) = (key, value) {
            values.insert(key.into_owned(), value);
        }
    }
    Ok(Datum::Object(Cow::Owned(values)))
}
