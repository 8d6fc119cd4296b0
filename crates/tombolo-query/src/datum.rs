//! What an expression gives: MISSING, or a value borrowed where possible.

use std::borrow::Cow;
use std::cmp::Ordering;

use tombolo_document::value::Number;
use tombolo_document::{Object, Value};

/// Bytes that one kept value costs besides its text.
const VALUE_BYTES: usize = 32;

/// A value or its absence.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Datum<'a> {
    Missing,
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    String(Cow<'a, str>),
    Binary(Cow<'a, [u8]>),
    Array(Cow<'a, [Value]>),
    Object(Cow<'a, Object>),
}

/// What compares with what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    Boolean,
    Number,
    Binary,
    String,
    Array,
    Object,
    Null,
    Missing,
}

impl<'a> Datum<'a> {
    pub(crate) fn from_str(text: &'a str) -> Self {
        Self::String(Cow::Borrowed(text))
    }

    pub(crate) fn from_usize(number: usize) -> Self {
        Self::from(Value::from_u64(number as u64))
    }

    /// The number, or MISSING where a float is not finite.
    pub(crate) fn from_number(number: Number) -> Self {
        match number {
            Number::Integer(integer) => Self::from(Value::from_i128(integer)),
            Number::Float(float) => Value::from_f64(float).map_or(Self::Missing, Self::from),
        }
    }

    pub(crate) fn class(&self) -> Class {
        match self {
            Self::Missing => Class::Missing,
            Self::Null => Class::Null,
            Self::Bool(_) => Class::Boolean,
            Self::Int(_) | Self::Uint(_) | Self::Float(_) => Class::Number,
            Self::String(_) => Class::String,
            Self::Binary(_) => Class::Binary,
            Self::Array(_) => Class::Array,
            Self::Object(_) => Class::Object,
        }
    }

    pub(crate) fn is_missing(&self) -> bool {
        matches!(self, Self::Missing)
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    pub(crate) fn is_true(&self) -> bool {
        matches!(self, Self::Bool(true))
    }

    pub(crate) fn number(&self) -> Option<Number> {
        match *self {
            Self::Int(number) => Some(Number::Integer(i128::from(number))),
            Self::Uint(number) => Some(Number::Integer(i128::from(number))),
            Self::Float(number) => Some(Number::Float(number)),
            _ => None,
        }
    }

    /// The integer, unless it is a float or does not fit.
    pub(crate) fn integer(&self) -> Option<i64> {
        match *self {
            Self::Int(number) => Some(number),
            _ => None,
        }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn items(&self) -> Option<&[Value]> {
        match self {
            Self::Array(items) => Some(items),
            _ => None,
        }
    }

    pub(crate) fn members(&self) -> Option<&Object> {
        match self {
            Self::Object(members) => Some(members),
            _ => None,
        }
    }

    /// The owned value, or `None` for MISSING.
    pub(crate) fn into_value(self) -> Option<Value> {
        Some(match self {
            Self::Missing => return None,
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(value),
            Self::Int(value) => Value::Int(value),
            Self::Uint(value) => Value::Uint(value),
            Self::Float(value) => Value::Float(value),
            Self::String(value) => Value::String(value.into_owned()),
            Self::Binary(value) => Value::Binary(value.into_owned()),
            Self::Array(value) => Value::Array(value.into_owned()),
            Self::Object(value) => Value::Object(value.into_owned()),
        })
    }

    /// What lies at the path inside, MISSING where there is nothing.
    pub(crate) fn at(self, path: &[String]) -> Self {
        path.iter().fold(self, |inside, step| match inside {
            Self::Object(Cow::Borrowed(members)) => {
                members.get(step).map_or(Self::Missing, Self::from)
            }
            Self::Object(Cow::Owned(mut members)) => {
                members.remove(step).map_or(Self::Missing, Self::from)
            }
            _ => Self::Missing,
        })
    }

    /// The cross-type order, MISSING last.
    pub(crate) fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Bool(left), Self::Bool(right)) => left.cmp(right),
            (Self::String(left), Self::String(right)) => left.as_bytes().cmp(right.as_bytes()),
            (Self::Binary(left), Self::Binary(right)) => left.cmp(right),
            (Self::Array(left), Self::Array(right)) => compare_items(left, right),
            (Self::Object(left), Self::Object(right)) => compare_members(left, right),
            _ => match (self.number(), other.number()) {
                (Some(left), Some(right)) => left.compare(right),
                _ => self.class().cmp(&other.class()),
            },
        }
    }
}

impl From<Value> for Datum<'_> {
    fn from(value: Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(value),
            Value::Int(value) => Self::Int(value),
            Value::Uint(value) => Self::Uint(value),
            Value::Float(value) => Self::Float(value),
            Value::String(value) => Self::String(Cow::Owned(value)),
            Value::Binary(value) => Self::Binary(Cow::Owned(value)),
            Value::Array(value) => Self::Array(Cow::Owned(value)),
            Value::Object(value) => Self::Object(Cow::Owned(value)),
        }
    }
}

impl<'a> From<&'a Value> for Datum<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Int(value) => Self::Int(*value),
            Value::Uint(value) => Self::Uint(*value),
            Value::Float(value) => Self::Float(*value),
            Value::String(value) => Self::String(Cow::Borrowed(value)),
            Value::Binary(value) => Self::Binary(Cow::Borrowed(value)),
            Value::Array(value) => Self::Array(Cow::Borrowed(value)),
            Value::Object(value) => Self::Object(Cow::Borrowed(value)),
        }
    }
}

impl From<bool> for Datum<'_> {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<String> for Datum<'_> {
    fn from(value: String) -> Self {
        Self::String(Cow::Owned(value))
    }
}

fn compare_items(left: &[Value], right: &[Value]) -> Ordering {
    let unequal = left
        .iter()
        .zip(right)
        .map(|(ours, theirs)| ours.compare(theirs))
        .find(|order| order.is_ne());
    unequal.unwrap_or_else(|| left.len().cmp(&right.len()))
}

fn compare_members(left: &Object, right: &Object) -> Ordering {
    let unequal = left
        .iter()
        .zip(right)
        .map(|((our_key, ours), (their_key, theirs))| {
            our_key.cmp(their_key).then_with(|| ours.compare(theirs))
        })
        .find(|order| order.is_ne());
    unequal.unwrap_or_else(|| left.len().cmp(&right.len()))
}

/// About how many bytes a kept value takes.
pub(crate) fn size_bytes(value: &Value) -> usize {
    VALUE_BYTES
        + match value {
            Value::String(text) => text.len(),
            Value::Binary(bytes) => bytes.len(),
            Value::Array(items) => items.iter().map(size_bytes).sum(),
            Value::Object(members) => object_bytes(members),
            _ => 0,
        }
}

/// About how many bytes the members of an object take.
pub(crate) fn object_bytes(members: &Object) -> usize {
    members
        .iter()
        .map(|(key, member)| VALUE_BYTES + key.len() + size_bytes(member))
        .sum()
}
