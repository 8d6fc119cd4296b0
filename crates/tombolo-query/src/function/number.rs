//! Numbers.

use tombolo_document::value::Number;

use super::{Answer, Function};
use crate::datum::Datum;
use crate::evaluate::Run;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("abs", (1, 1), abs),
    Function::new("ceil", (1, 1), ceil),
    Function::new("floor", (1, 1), floor),
];

fn abs<'a>(_: &Run<'_>, arguments: Vec<Datum<'a>>) -> Answer<'a> {
    let result = match arguments[0].number() {
        Some(Number::Integer(integer)) => Number::Integer(integer.abs()),
        Some(Number::Float(float)) => Number::Float(float.abs()),
        None => return Ok(Datum::Missing),
    };
    Ok(Datum::from_number(result))
}

fn ceil<'a>(_: &Run<'_>, arguments: Vec<Datum<'a>>) -> Answer<'a> {
    Ok(rounded(&arguments[0], f64::ceil))
}

fn floor<'a>(_: &Run<'_>, arguments: Vec<Datum<'a>>) -> Answer<'a> {
    Ok(rounded(&arguments[0], f64::floor))
}

/// Integers stay integers and floats stay floats.
fn rounded<'a>(value: &Datum<'a>, round: fn(f64) -> f64) -> Datum<'a> {
    match value.number() {
        Some(Number::Float(float)) => Datum::from_number(Number::Float(round(float))),
        Some(integer) => Datum::from_number(integer),
        None => Datum::Missing,
    }
}
