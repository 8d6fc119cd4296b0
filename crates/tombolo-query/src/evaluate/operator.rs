//! Operators over data, with NULL and MISSING.

use std::cmp::Ordering;

use tombolo_document::value::Number;

use super::{Run, Scope, evaluate};
use crate::datum::{Class, Datum};
use crate::error::QueryError;
use crate::expr::{BinaryOperator, Expr};
use crate::limits::Limit;

/// MISSING if either is, else NULL if either is.
fn absent<'a>(left: &Datum<'_>, right: &Datum<'_>) -> Option<Datum<'a>> {
    if left.is_missing() || right.is_missing() {
        return Some(Datum::Missing);
    }
    (left.is_null() || right.is_null()).then_some(Datum::Null)
}

/// How two values of one class compare; MISSING or NULL where they do not.
pub(crate) fn compare(left: &Datum<'_>, right: &Datum<'_>) -> Result<Ordering, Datum<'static>> {
    if let Some(absent) = absent(left, right) {
        return Err(absent);
    }
    if left.class() != right.class() {
        return Err(Datum::Missing);
    }
    Ok(left.compare(right))
}

/// Whether two values are of one class and equal.
pub(super) fn equal(left: &Datum<'_>, right: &Datum<'_>) -> bool {
    compare(left, right) == Ok(Ordering::Equal)
}

pub(super) fn binary<'a>(
    operator: BinaryOperator,
    left: &Datum<'_>,
    right: &Datum<'_>,
) -> Datum<'a> {
    let holds: fn(Ordering) -> bool = match operator {
        BinaryOperator::Equal => Ordering::is_eq,
        BinaryOperator::NotEqual => Ordering::is_ne,
        BinaryOperator::Less => Ordering::is_lt,
        BinaryOperator::LessOrEqual => Ordering::is_le,
        BinaryOperator::Greater => Ordering::is_gt,
        BinaryOperator::GreaterOrEqual => Ordering::is_ge,
        BinaryOperator::Xor => return exclusive(left, right),
        _ => return arithmetic(operator, left, right),
    };
    compare(left, right).map_or_else(|absent| absent, |order| Datum::Bool(holds(order)))
}

fn exclusive<'a>(left: &Datum<'_>, right: &Datum<'_>) -> Datum<'a> {
    match (left, right) {
        (Datum::Bool(left), Datum::Bool(right)) => Datum::Bool(left != right),
        _ => absent(left, right).unwrap_or(Datum::Missing),
    }
}

/// Integers stay integers until 64 bits do not hold them; a division by zero is
/// NULL.
fn arithmetic<'a>(operator: BinaryOperator, left: &Datum<'_>, right: &Datum<'_>) -> Datum<'a> {
    if let Some(absent) = absent(left, right) {
        return absent;
    }
    let (Some(left), Some(right)) = (left.number(), right.number()) else {
        return Datum::Missing;
    };
    match (left, right) {
        (Number::Integer(left), Number::Integer(right)) => integers(operator, left, right),
        _ => floats(operator, as_float(left), as_float(right)),
    }
}

fn as_float(number: Number) -> f64 {
    match number {
        Number::Integer(integer) => integer as f64,
        Number::Float(float) => float,
    }
}

fn integers<'a>(operator: BinaryOperator, left: i128, right: i128) -> Datum<'a> {
    let result = match operator {
        BinaryOperator::Add => Some(left + right),
        BinaryOperator::Subtract => Some(left - right),
        BinaryOperator::Multiply => left.checked_mul(right),
        BinaryOperator::Divide if right == 0 => return Datum::Null,
        BinaryOperator::Divide => Some(left / right),
        BinaryOperator::Remainder if right == 0 => return Datum::Null,
        BinaryOperator::Remainder => Some(left % right),
        BinaryOperator::ShiftLeft => return shifted(left, right),
        BinaryOperator::ShiftRight => return shifted(left, -right),
        _ => None,
    };
    match result {
        Some(result) => Datum::from_number(Number::Integer(result)),
        None => floats(operator, left as f64, right as f64),
    }
}

/// Shifts within 64 signed bits; a negative distance shifts the other way.
fn shifted<'a>(value: i128, distance: i128) -> Datum<'a> {
    let Ok(value) = i64::try_from(value) else {
        return Datum::Missing;
    };
    let steps = distance.unsigned_abs();
    let result = match (
        distance >= 0,
        u32::try_from(steps).ok().filter(|steps| *steps < 64),
    ) {
        (true, Some(steps)) => value << steps,
        (true, None) => 0,
        (false, Some(steps)) => value >> steps,
        (false, None) => value >> 63,
    };
    Datum::Int(result)
}

fn floats<'a>(operator: BinaryOperator, left: f64, right: f64) -> Datum<'a> {
    let result = match operator {
        BinaryOperator::Add => left + right,
        BinaryOperator::Subtract => left - right,
        BinaryOperator::Multiply => left * right,
        BinaryOperator::Divide | BinaryOperator::Remainder if right == 0.0 => return Datum::Null,
        BinaryOperator::Divide => left / right,
        BinaryOperator::Remainder => left % right,
        _ => return Datum::Missing,
    };
    Datum::from_number(Number::Float(result))
}

pub(super) fn negate<'a>(value: &Datum<'_>) -> Datum<'a> {
    match value {
        Datum::Null => Datum::Null,
        _ => match value.number() {
            Some(Number::Integer(integer)) => Datum::from_number(Number::Integer(-integer)),
            Some(Number::Float(float)) => Datum::from_number(Number::Float(0.0 - float)),
            None => Datum::Missing,
        },
    }
}

pub(super) fn not<'a>(value: &Datum<'_>) -> Datum<'a> {
    match value {
        Datum::Bool(value) => Datum::Bool(!value),
        Datum::Null => Datum::Null,
        _ => Datum::Missing,
    }
}

/// AND: false before MISSING before NULL before true.
pub(super) fn all<'a>(items: &'a [Expr], scope: &Scope<'a>) -> Result<Datum<'a>, QueryError> {
    let mut result = Datum::Bool(true);
    for item in items {
        match evaluate(item, scope)? {
            Datum::Bool(false) => return Ok(Datum::Bool(false)),
            Datum::Bool(true) => {}
            Datum::Null if result.is_true() => result = Datum::Null,
            Datum::Null => {}
            _ => result = Datum::Missing,
        }
    }
    Ok(result)
}

/// OR: true before NULL before MISSING before false.
pub(super) fn any<'a>(items: &'a [Expr], scope: &Scope<'a>) -> Result<Datum<'a>, QueryError> {
    let mut result = Datum::Bool(false);
    for item in items {
        match evaluate(item, scope)? {
            Datum::Bool(true) => return Ok(Datum::Bool(true)),
            Datum::Bool(false) => {}
            Datum::Null => result = Datum::Null,
            _ if result.is_null() => {}
            _ => result = Datum::Missing,
        }
    }
    Ok(result)
}

pub(super) fn between<'a>(value: &Datum<'_>, low: &Datum<'_>, high: &Datum<'_>) -> Datum<'a> {
    let above = compare(value, low).map(Ordering::is_ge);
    let below = compare(value, high).map(Ordering::is_le);
    match (above, below) {
        (Ok(false), _) | (_, Ok(false)) => Datum::Bool(false),
        (Ok(true), Ok(true)) => Datum::Bool(true),
        (Err(Datum::Null), Ok(_) | Err(Datum::Null)) | (Ok(_), Err(Datum::Null)) => Datum::Null,
        _ => Datum::Missing,
    }
}

/// Strings joined; anything that is no string gives MISSING, NULL stays NULL.
pub(crate) fn concatenated<'a>(
    run: &Run<'_>,
    values: &[Datum<'_>],
) -> Result<Datum<'a>, QueryError> {
    if values.iter().any(Datum::is_missing) {
        return Ok(Datum::Missing);
    }
    if values.iter().any(Datum::is_null) {
        return Ok(Datum::Null);
    }
    if values.iter().any(|value| value.class() != Class::String) {
        return Ok(Datum::Missing);
    }
    let bytes: usize = values.iter().filter_map(Datum::text).map(str::len).sum();
    if bytes > run.limits.value_bytes {
        return Err(QueryError::Limit(Limit::Value(run.limits.value_bytes)));
    }
    let text: String = values.iter().filter_map(Datum::text).collect();
    Ok(Datum::from(text))
}
