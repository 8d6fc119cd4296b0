//! Arrays and objects.

use std::borrow::Cow;

use tombolo_document::{Object, Value, json};

use super::{Answer, Function, or_missing};
use crate::datum::Datum;
use crate::evaluate::Run;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("array_contains", (2, 2), array_contains),
    Function::new("array_contains_null", (1, 1), array_contains_null),
    Function::new("array_length", (1, 1), array_length),
    Function::new("object_keys", (1, 1), object_keys),
    Function::new("object_values", (1, 1), object_values),
    Function::new("object_length", (1, 1), object_length),
    Function::new("object_set", (3, 4), object_set),
    Function::new("object_unset", (2, 3), object_unset),
    Function::new("object_concat", (1, super::MANY), object_concat),
    Function::new("object_rename", (3, 3), object_rename),
    Function::new("object_size", (1, 1), object_size),
];

fn array_contains<'a>(_: &Run<'_>, arguments: Vec<Datum<'a>>) -> Answer<'a> {
    let items = or_missing!(arguments[0].items());
    let wanted = &arguments[1];
    if wanted.is_missing() {
        return Ok(Datum::Missing);
    }
    let found = items.iter().map(Datum::from).any(|item| {
        item.class() == wanted.class() && !item.is_null() && item.compare(wanted).is_eq()
    });
    Ok(Datum::Bool(found))
}

fn array_contains_null<'a>(_: &Run<'_>, arguments: Vec<Datum<'a>>) -> Answer<'a> {
    let items = or_missing!(arguments[0].items());
    Ok(Datum::Bool(items.contains(&Value::Null)))
}

fn array_length<'a>(_: &Run<'_>, arguments: Vec<Datum<'a>>) -> Answer<'a> {
    Ok(Datum::from_usize(or_missing!(arguments[0].items()).len()))
}

fn object_keys<'a>(_: &Run<'_>, arguments: Vec<Datum<'a>>) -> Answer<'a> {
    let members = or_missing!(arguments[0].members());
    let keys = members.keys().map(|key| Value::from(key.as_str()));
    Ok(Datum::Array(Cow::Owned(keys.collect())))
}

fn object_values<'a>(_: &Run<'_>, arguments: Vec<Datum<'a>>) -> Answer<'a> {
    let members = or_missing!(arguments[0].members());
    Ok(Datum::Array(Cow::Owned(
        members.values().cloned().collect(),
    )))
}

fn object_length<'a>(_: &Run<'_>, arguments: Vec<Datum<'a>>) -> Answer<'a> {
    Ok(Datum::from_usize(or_missing!(arguments[0].members()).len()))
}

/// An optional flag argument.
fn flag(value: Option<&Datum<'_>>) -> Option<bool> {
    match value {
        None => Some(false),
        Some(Datum::Bool(value)) => Some(*value),
        Some(_) => None,
    }
}

fn into_members(value: Datum<'_>) -> Option<Object> {
    match value {
        Datum::Object(members) => Some(members.into_owned()),
        _ => None,
    }
}

fn answer<'a>(members: Object) -> Answer<'a> {
    Ok(Datum::Object(Cow::Owned(members)))
}

/// `object_set(object, key, value, replace)`: an existing key is MISSING unless
/// replacing is allowed.
fn object_set<'a>(_: &Run<'_>, arguments: Vec<Datum<'a>>) -> Answer<'a> {
    let replace = or_missing!(flag(arguments.get(3)));
    let mut arguments = arguments.into_iter();
    let mut members = or_missing!(arguments.next().and_then(into_members));
    let Some(Datum::String(key)) = arguments.next() else {
        return Ok(Datum::Missing);
    };
    let value = or_missing!(arguments.next().and_then(Datum::into_value));
    if !replace && members.contains_key(key.as_ref()) {
        return Ok(Datum::Missing);
    }
    members.insert(key.into_owned(), value);
    answer(members)
}

/// `object_unset(object, key, ignore)`: an absent key is MISSING unless ignored.
fn object_unset<'a>(_: &Run<'_>, arguments: Vec<Datum<'a>>) -> Answer<'a> {
    let ignore = or_missing!(flag(arguments.get(2)));
    let mut arguments = arguments.into_iter();
    let mut members = or_missing!(arguments.next().and_then(into_members));
    let Some(Datum::String(key)) = arguments.next() else {
        return Ok(Datum::Missing);
    };
    if members.remove(key.as_ref()).is_none() && !ignore {
        return Ok(Datum::Missing);
    }
    answer(members)
}

/// Shallow; the last one wins.
fn object_concat<'a>(_: &Run<'_>, arguments: Vec<Datum<'a>>) -> Answer<'a> {
    let mut all = Object::new();
    for argument in arguments {
        all.extend(or_missing!(into_members(argument)));
    }
    answer(all)
}

fn object_rename<'a>(_: &Run<'_>, arguments: Vec<Datum<'a>>) -> Answer<'a> {
    let mut arguments = arguments.into_iter();
    let mut members = or_missing!(arguments.next().and_then(into_members));
    let (Some(Datum::String(old)), Some(Datum::String(new))) = (arguments.next(), arguments.next())
    else {
        return Ok(Datum::Missing);
    };
    let value = or_missing!(members.remove(old.as_ref()));
    members.insert(new.into_owned(), value);
    answer(members)
}

/// About how many bytes the value takes: those of its JSON text.
fn object_size<'a>(_: &Run<'_>, mut arguments: Vec<Datum<'a>>) -> Answer<'a> {
    let value = or_missing!(arguments.pop().and_then(Datum::into_value));
    Ok(Datum::from_usize(json::print(&value).len()))
}
