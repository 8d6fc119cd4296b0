//! Choices between values.

use super::{Answer, Function};
use crate::datum::Datum;
use crate::evaluate::{Run, compare};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("coalesce", (1, super::MANY), coalesce),
    Function::new("ifmissingornull", (1, super::MANY), coalesce),
    Function::new("nvl", (2, 3), nvl),
    Function::new("ifmissing", (1, super::MANY), if_missing),
    Function::new("ifnull", (1, super::MANY), if_null),
    Function::new("ismissing", (1, 1), is_missing),
    Function::new("isnull", (1, 1), is_null),
    Function::new("ismissingornull", (1, 1), is_missing_or_null),
    Function::new("nullif", (2, 2), null_if),
    Function::new("missingif", (2, 2), missing_if),
    Function::new("decode", (3, super::MANY), decode),
];

fn is_absent(value: &Datum<'_>) -> bool {
    value.is_missing() || value.is_null()
}

fn coalesce<'a>(_: &Run<'_>, arguments: Vec<Datum<'a>>) -> Answer<'a> {
    let present = arguments.into_iter().find(|value| !is_absent(value));
    Ok(present.unwrap_or(Datum::Null))
}

/// `nvl(value, otherwise)` or `nvl(value, if present, otherwise)`.
fn nvl<'a>(_: &Run<'_>, mut arguments: Vec<Datum<'a>>) -> Answer<'a> {
    let absent = is_absent(&arguments[0]);
    let at = match arguments.len() {
        2 => usize::from(absent),
        _ if absent => 2,
        _ => 1,
    };
    Ok(arguments.swap_remove(at))
}

/// The first that is not MISSING; NULL counts.
fn if_missing<'a>(_: &Run<'_>, arguments: Vec<Datum<'a>>) -> Answer<'a> {
    let present = arguments.into_iter().find(|value| !value.is_missing());
    Ok(present.unwrap_or(Datum::Null))
}

/// The first that is not NULL; MISSING counts and stops.
fn if_null<'a>(_: &Run<'_>, arguments: Vec<Datum<'a>>) -> Answer<'a> {
    let present = arguments.into_iter().find(|value| !value.is_null());
    Ok(present.unwrap_or(Datum::Null))
}

fn is_missing<'a>(_: &Run<'_>, arguments: Vec<Datum<'a>>) -> Answer<'a> {
    Ok(Datum::Bool(arguments[0].is_missing()))
}

fn is_null<'a>(_: &Run<'_>, arguments: Vec<Datum<'a>>) -> Answer<'a> {
    Ok(match arguments[0] {
        Datum::Missing => Datum::Missing,
        ref value => Datum::Bool(value.is_null()),
    })
}

fn is_missing_or_null<'a>(_: &Run<'_>, arguments: Vec<Datum<'a>>) -> Answer<'a> {
    Ok(Datum::Bool(is_absent(&arguments[0])))
}

fn null_if<'a>(_: &Run<'_>, arguments: Vec<Datum<'a>>) -> Answer<'a> {
    Ok(unless_equal(arguments, Datum::Null))
}

fn missing_if<'a>(_: &Run<'_>, arguments: Vec<Datum<'a>>) -> Answer<'a> {
    Ok(unless_equal(arguments, Datum::Missing))
}

fn unless_equal<'a>(mut arguments: Vec<Datum<'a>>, equal: Datum<'a>) -> Datum<'a> {
    match compare(&arguments[0], &arguments[1]) {
        Ok(order) if order.is_eq() => equal,
        _ => arguments.swap_remove(0),
    }
}

/// `decode(value, case, result, ..., default)`: cases match by type and value,
/// NULL and MISSING match themselves.
fn decode<'a>(_: &Run<'_>, arguments: Vec<Datum<'a>>) -> Answer<'a> {
    let mut arguments = arguments.into_iter();
    let value = arguments.next().unwrap_or(Datum::Missing);
    loop {
        let Some(case) = arguments.next() else {
            return Ok(Datum::Null);
        };
        let Some(result) = arguments.next() else {
            return Ok(case);
        };
        if value.class() == case.class() && value.compare(&case).is_eq() {
            return Ok(result);
        }
    }
}
