//! Strings. Positions and lengths count characters from zero, unless the name
//! says bytes.

use std::borrow::Cow;
use std::collections::BTreeSet;

use tombolo_document::Value;

use super::{Answer, Function, or_missing};
use crate::datum::Datum;
use crate::error::QueryError;
use crate::evaluate::{Run, concatenated};
use crate::limits::Limit;
use crate::pattern::regexp_like as matches_regex;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("concat", (1, super::MANY), concat),
    Function::new("contains", (2, 2), contains),
    Function::new("starts_with", (2, 2), starts_with),
    Function::new("ends_with", (2, 2), ends_with),
    Function::new("byte_length", (1, 1), byte_length),
    Function::new("char_length", (1, 1), char_length),
    Function::new("character_length", (1, 1), char_length),
    Function::new("lower", (1, 1), lower),
    Function::new("upper", (1, 1), upper),
    Function::new("substr", (2, 3), substr),
    Function::new("pos", (2, 2), pos),
    Function::new("position", (2, 2), pos),
    Function::new("split", (2, 2), split),
    Function::new("joinstr", (2, super::MANY), joinstr),
    Function::new("ltrim", (1, 2), ltrim),
    Function::new("rtrim", (1, 2), rtrim),
    Function::new("trim", (1, 2), trim),
    Function::new("lpad", (2, 3), lpad),
    Function::new("rpad", (2, 3), rpad),
    Function::new("repeat", (2, 2), repeat),
    Function::new("regexp_like", (2, 3), regexp_like),
];

/// Refuses a result longer than the limit before it is made.
fn within(run: &Run<'_>, bytes: usize) -> Result<(), QueryError> {
    if bytes > run.limits.value_bytes {
        return Err(QueryError::Limit(Limit::Value(run.limits.value_bytes)));
    }
    Ok(())
}

fn concat<'a>(run: &Run<'_>, arguments: Vec<Datum<'a>>) -> Answer<'a> {
    concatenated(run, &arguments)
}

fn contains<'a>(_: &Run<'_>, arguments: Vec<Datum<'a>>) -> Answer<'a> {
    Ok(about_two(&arguments, |text, part| text.contains(part)))
}

fn starts_with<'a>(_: &Run<'_>, arguments: Vec<Datum<'a>>) -> Answer<'a> {
    Ok(about_two(&arguments, |text, part| text.starts_with(part)))
}

fn ends_with<'a>(_: &Run<'_>, arguments: Vec<Datum<'a>>) -> Answer<'a> {
    Ok(about_two(&arguments, |text, part| text.ends_with(part)))
}

fn about_two<'a>(arguments: &[Datum<'a>], holds: fn(&str, &str) -> bool) -> Datum<'a> {
    match (arguments[0].text(), arguments[1].text()) {
        (Some(text), Some(part)) => Datum::Bool(holds(text, part)),
        _ => Datum::Missing,
    }
}

fn byte_length<'a>(_: &Run<'_>, arguments: Vec<Datum<'a>>) -> Answer<'a> {
    Ok(match &arguments[0] {
        Datum::String(text) => Datum::from_usize(text.len()),
        Datum::Binary(bytes) => Datum::from_usize(bytes.len()),
        _ => Datum::Missing,
    })
}

fn char_length<'a>(_: &Run<'_>, arguments: Vec<Datum<'a>>) -> Answer<'a> {
    let text = or_missing!(arguments[0].text());
    Ok(Datum::from_usize(text.chars().count()))
}

fn lower<'a>(_: &Run<'_>, arguments: Vec<Datum<'a>>) -> Answer<'a> {
    Ok(Datum::from(or_missing!(arguments[0].text()).to_lowercase()))
}

fn upper<'a>(_: &Run<'_>, arguments: Vec<Datum<'a>>) -> Answer<'a> {
    Ok(Datum::from(or_missing!(arguments[0].text()).to_uppercase()))
}

/// `substr(text, start, length)`: a negative start counts from the end.
fn substr<'a>(_: &Run<'_>, arguments: Vec<Datum<'a>>) -> Answer<'a> {
    let text = or_missing!(arguments[0].text());
    let start = or_missing!(arguments[1].integer());
    let length = match arguments.get(2) {
        None => usize::MAX,
        Some(length) => or_missing!(length.integer().and_then(|n| usize::try_from(n).ok())),
    };
    let start = match usize::try_from(start) {
        Ok(start) => start,
        Err(_) => {
            let back = usize::try_from(start.unsigned_abs()).unwrap_or(usize::MAX);
            or_missing!(text.chars().count().checked_sub(back))
        }
    };
    let part: String = text.chars().skip(start).take(length).collect();
    Ok(Datum::from(part))
}

/// The place of a part in a text, or -1.
fn pos<'a>(_: &Run<'_>, arguments: Vec<Datum<'a>>) -> Answer<'a> {
    let text = or_missing!(arguments[0].text());
    let part = or_missing!(arguments[1].text());
    Ok(match text.find(part) {
        Some(at) => Datum::from_usize(text[..at].chars().count()),
        None => Datum::Int(-1),
    })
}

fn split<'a>(run: &Run<'_>, arguments: Vec<Datum<'a>>) -> Answer<'a> {
    let text = or_missing!(arguments[0].text());
    let delimiter = or_missing!(arguments[1].text());
    within(run, text.len().saturating_mul(size_of::<Value>()))?;
    let parts: Vec<Value> = match delimiter {
        "" => text
            .chars()
            .map(|character| Value::from(character.to_string()))
            .collect(),
        delimiter => text.split(delimiter).map(Value::from).collect(),
    };
    Ok(Datum::Array(Cow::Owned(parts)))
}

/// `joinstr(separator, values...)`, arrays taken apart; what is no string is
/// left out.
fn joinstr<'a>(run: &Run<'_>, arguments: Vec<Datum<'a>>) -> Answer<'a> {
    let separator = or_missing!(arguments[0].text());
    let mut parts: Vec<&str> = Vec::new();
    for argument in &arguments[1..] {
        match argument {
            Datum::String(text) => parts.push(text),
            Datum::Array(items) => parts.extend(items.iter().filter_map(Value::as_str)),
            _ => {}
        }
    }
    let bytes: usize = parts.iter().map(|part| part.len()).sum();
    within(
        run,
        bytes.saturating_add(separator.len().saturating_mul(parts.len())),
    )?;
    Ok(Datum::from(parts.join(separator)))
}

fn ltrim<'a>(_: &Run<'_>, arguments: Vec<Datum<'a>>) -> Answer<'a> {
    Ok(trimmed(&arguments, (true, false)))
}

fn rtrim<'a>(_: &Run<'_>, arguments: Vec<Datum<'a>>) -> Answer<'a> {
    Ok(trimmed(&arguments, (false, true)))
}

fn trim<'a>(_: &Run<'_>, arguments: Vec<Datum<'a>>) -> Answer<'a> {
    Ok(trimmed(&arguments, (true, true)))
}

/// Without the given characters, or without white space, at the start and end.
fn trimmed<'a>(arguments: &[Datum<'a>], (start, end): (bool, bool)) -> Datum<'a> {
    let Some(text) = arguments[0].text() else {
        return Datum::Missing;
    };
    let characters: Option<BTreeSet<char>> = match arguments.get(1) {
        None => None,
        Some(Datum::String(characters)) => Some(characters.chars().collect()),
        Some(_) => return Datum::Missing,
    };
    let unwanted = |character: char| match &characters {
        Some(characters) => characters.contains(&character),
        None => character.is_whitespace(),
    };
    let mut rest = text;
    if start {
        rest = rest.trim_start_matches(unwanted);
    }
    if end {
        rest = rest.trim_end_matches(unwanted);
    }
    Datum::from(rest.to_owned())
}

fn lpad<'a>(run: &Run<'_>, arguments: Vec<Datum<'a>>) -> Answer<'a> {
    padded(run, &arguments, true)
}

fn rpad<'a>(run: &Run<'_>, arguments: Vec<Datum<'a>>) -> Answer<'a> {
    padded(run, &arguments, false)
}

/// Filled up to a length, or cut to it.
fn padded<'a>(run: &Run<'_>, arguments: &[Datum<'a>], before: bool) -> Answer<'a> {
    let text = or_missing!(arguments[0].text());
    let length = or_missing!(arguments[1].integer().and_then(|n| usize::try_from(n).ok()));
    let filling = match arguments.get(2) {
        None => " ",
        Some(filling) => or_missing!(filling.text()),
    };
    let present = text.chars().count();
    if present >= length || filling.is_empty() {
        return Ok(Datum::from(text.chars().take(length).collect::<String>()));
    }
    within(run, length.saturating_mul(4))?;
    let filling: String = filling.chars().cycle().take(length - present).collect();
    Ok(Datum::from(match before {
        true => filling + text,
        false => text.to_owned() + &filling,
    }))
}

fn repeat<'a>(run: &Run<'_>, arguments: Vec<Datum<'a>>) -> Answer<'a> {
    let text = or_missing!(arguments[0].text());
    let times = or_missing!(arguments[1].integer().and_then(|n| usize::try_from(n).ok()));
    within(run, text.len().saturating_mul(times))?;
    Ok(Datum::from(text.repeat(times)))
}

fn regexp_like<'a>(run: &Run<'_>, arguments: Vec<Datum<'a>>) -> Answer<'a> {
    let text = or_missing!(arguments[0].text());
    let pattern = or_missing!(arguments[1].text());
    let flags = match arguments.get(2) {
        None => "",
        Some(flags) => or_missing!(flags.text()),
    };
    Ok(matches_regex(run, text, pattern, flags))
}
