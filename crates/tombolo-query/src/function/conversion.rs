//! Types and conversions between them.

use tombolo_document::value::Number;
use tombolo_document::{Value, json};

use super::{Answer, Function, or_missing};
use crate::datum::{Class, Datum};
use crate::error::QueryError;
use crate::evaluate::Run;
use crate::limits::Limit;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("type", (1, 1), type_name),
    Function::new("json_type", (1, 1), json_type),
    Function::new("is_number", (1, 1), is_number),
    Function::new("is_string", (1, 1), is_string),
    Function::new("is_boolean", (1, 1), is_boolean),
    Function::new("cast", (2, 2), cast),
    Function::new("serialize_json", (1, 1), serialize_json),
    Function::new("deserialize_json", (1, 1), deserialize_json),
];

fn name_of(value: &Datum<'_>) -> &'static str {
    match value.class() {
        Class::Boolean => "boolean",
        Class::Number if matches!(value, Datum::Float(_)) => "float",
        Class::Number => "integer",
        Class::Binary => "binary",
        Class::String => "string",
        Class::Array => "array",
        Class::Object => "object",
        Class::Null => "null",
        Class::Missing => "missing",
    }
}

fn type_name<'a>(_: &Run<'_>, arguments: Vec<Datum<'a>>) -> Answer<'a> {
    Ok(Datum::from_str(name_of(&arguments[0])))
}

fn json_type<'a>(_: &Run<'_>, arguments: Vec<Datum<'a>>) -> Answer<'a> {
    Ok(Datum::from_str(match arguments[0].class() {
        Class::Number => "number",
        Class::Missing => "null",
        _ => name_of(&arguments[0]),
    }))
}

fn is_number<'a>(_: &Run<'_>, arguments: Vec<Datum<'a>>) -> Answer<'a> {
    Ok(is_class(&arguments[0], Class::Number))
}

fn is_string<'a>(_: &Run<'_>, arguments: Vec<Datum<'a>>) -> Answer<'a> {
    Ok(is_class(&arguments[0], Class::String))
}

fn is_boolean<'a>(_: &Run<'_>, arguments: Vec<Datum<'a>>) -> Answer<'a> {
    Ok(is_class(&arguments[0], Class::Boolean))
}

fn is_class<'a>(value: &Datum<'_>, class: Class) -> Datum<'a> {
    match value {
        Datum::Missing => Datum::Missing,
        Datum::Null => Datum::Null,
        _ => Datum::Bool(value.class() == class),
    }
}

/// A conversion that fails gives MISSING.
fn cast<'a>(_: &Run<'_>, arguments: Vec<Datum<'a>>) -> Answer<'a> {
    let [value, kind] = pair(arguments);
    if value.is_missing() || value.is_null() {
        return Ok(value);
    }
    let kind = or_missing!(kind.text()).to_ascii_lowercase();
    let converted = match kind.as_str() {
        "string" | "varchar" | "text" => to_text(&value),
        "integer" | "int" | "bigint" => to_integer(&value),
        "float" | "double" | "real" => to_float(&value),
        "boolean" | "bool" => to_boolean(&value),
        "binary" => match value {
            Datum::Binary(_) => return Ok(value),
            Datum::String(text) => Some(Value::Binary(text.into_owned().into_bytes())),
            _ => None,
        },
        _ => None,
    };
    Ok(converted.map_or(Datum::Missing, Datum::from))
}

fn pair(mut arguments: Vec<Datum<'_>>) -> [Datum<'_>; 2] {
    let second = arguments.pop().unwrap_or(Datum::Missing);
    let first = arguments.pop().unwrap_or(Datum::Missing);
    [first, second]
}

fn to_text(value: &Datum<'_>) -> Option<Value> {
    match value {
        Datum::String(text) => Some(Value::String(text.to_string())),
        Datum::Binary(bytes) => String::from_utf8(bytes.to_vec()).ok().map(Value::String),
        other => {
            let value = other.clone().into_value()?;
            Some(Value::String(json::print(&value)))
        }
    }
}

fn to_integer(value: &Datum<'_>) -> Option<Value> {
    match value {
        Datum::Int(_) | Datum::Uint(_) => value.clone().into_value(),
        Datum::Float(float) if float.abs() < 1.8e19 => {
            Some(Value::from_i128(float.trunc() as i128))
        }
        Datum::Bool(value) => Some(Value::Int(i64::from(*value))),
        Datum::String(text) => {
            let text = text.trim();
            let signed = text.parse::<i64>().map(Value::Int);
            signed
                .or_else(|_| text.parse::<u64>().map(Value::from_u64))
                .ok()
        }
        _ => None,
    }
}

fn to_float(value: &Datum<'_>) -> Option<Value> {
    let float = match (value, value.number()) {
        (_, Some(Number::Integer(integer))) => integer as f64,
        (_, Some(Number::Float(float))) => float,
        (Datum::String(text), _) => text.trim().parse().ok()?,
        (Datum::Bool(value), _) => f64::from(u8::from(*value)),
        _ => return None,
    };
    Value::from_f64(float)
}

fn to_boolean(value: &Datum<'_>) -> Option<Value> {
    match value {
        Datum::Bool(value) => Some(Value::Bool(*value)),
        Datum::String(text) if text.eq_ignore_ascii_case("true") => Some(Value::Bool(true)),
        Datum::String(text) if text.eq_ignore_ascii_case("false") => Some(Value::Bool(false)),
        Datum::Int(number) => Some(Value::Bool(*number != 0)),
        _ => None,
    }
}

fn serialize_json<'a>(run: &Run<'_>, mut arguments: Vec<Datum<'a>>) -> Answer<'a> {
    let value = or_missing!(arguments.pop().and_then(Datum::into_value));
    let text = json::print(&value);
    if text.len() > run.limits.value_bytes {
        return Err(QueryError::Limit(Limit::Value(run.limits.value_bytes)));
    }
    Ok(Datum::from(text))
}

fn deserialize_json<'a>(_: &Run<'_>, arguments: Vec<Datum<'a>>) -> Answer<'a> {
    let text = or_missing!(arguments[0].text());
    Ok(json::parse(text.as_bytes()).map_or(Datum::Missing, Datum::from))
}
