//! Keys whose byte order is the order of values.
//!
//! Index entries and document ids use these bytes; `docs/formats/document.md`
//! holds their layout. A key is self-delimiting: none is a prefix of another,
//! so keys can stand one after another and be inverted for descending order.

use crate::value::{MAX_DEPTH, Number, Object, Value};

const END: u8 = 0x00;
const FALSE: u8 = 0x10;
const TRUE: u8 = 0x11;
const NUMBER: u8 = 0x20;
const BINARY: u8 = 0x30;
const STRING: u8 = 0x40;
const ARRAY: u8 = 0x50;
const OBJECT: u8 = 0x60;
const NULL: u8 = 0x70;
const MISSING: u8 = 0x78;

/// Written after a zero byte inside text, to tell it from the end.
const ESCAPE: u8 = 0xFF;
/// What the remainder of a rounded integer is added to.
const REMAINDER_BIAS: i128 = 0x8000;

/// Which way a key sorts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// Smallest first.
    #[default]
    Ascending,
    /// Greatest first: each byte is inverted.
    Descending,
}

/// Appends the key of `value`, or of MISSING for `None`.
pub fn append(key: &mut Vec<u8>, value: Option<&Value>, direction: Direction) {
    let start = key.len();
    match value {
        Some(value) => append_value(key, value),
        None => key.push(MISSING),
    }
    if direction == Direction::Descending {
        for byte in &mut key[start..] {
            *byte = !*byte;
        }
    }
}

/// The ascending key of one value.
#[must_use]
pub fn key(value: &Value) -> Vec<u8> {
    let mut key = Vec::with_capacity(16);
    append_value(&mut key, value);
    key
}

/// Appends the part of a string's ascending key that every longer string with
/// this prefix shares: the lower bound of a prefix search.
pub fn append_string_prefix(key: &mut Vec<u8>, prefix: &str) {
    key.push(STRING);
    append_escaped(key, prefix.as_bytes());
}

fn append_value(key: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => key.push(NULL),
        Value::Bool(false) => key.push(FALSE),
        Value::Bool(true) => key.push(TRUE),
        Value::Int(number) => append_number(key, Number::Integer(i128::from(*number))),
        Value::Uint(number) => append_number(key, Number::Integer(i128::from(*number))),
        Value::Float(number) => append_number(key, Number::Float(*number)),
        Value::String(text) => append_text(key, STRING, text.as_bytes()),
        Value::Binary(bytes) => append_text(key, BINARY, bytes),
        Value::Array(items) => {
            key.push(ARRAY);
            for item in items {
                append_value(key, item);
            }
            key.push(END);
        }
        Value::Object(members) => {
            key.push(OBJECT);
            for (name, member) in members {
                append_text(key, STRING, name.as_bytes());
                append_value(key, member);
            }
            key.push(END);
        }
    }
}

/// An integer is its nearest float and what the rounding left over, so that
/// integers and floats sort among each other by exact value.
fn append_number(key: &mut Vec<u8>, number: Number) {
    let (float, remainder) = match number {
        Number::Float(float) => (float, 0),
        Number::Integer(integer) => {
            let float = integer as f64;
            (float, integer - float as i128)
        }
    };
    let bits = (float + 0.0).to_bits();
    let ordered = if bits >> 63 == 1 {
        !bits
    } else {
        bits | 1 << 63
    };
    key.push(NUMBER);
    key.extend_from_slice(&ordered.to_be_bytes());
    key.extend_from_slice(&((remainder + REMAINDER_BIAS) as u16).to_be_bytes());
}

fn append_text(key: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    key.push(tag);
    append_escaped(key, bytes);
    key.extend_from_slice(&[END, END]);
}

fn append_escaped(key: &mut Vec<u8>, bytes: &[u8]) {
    let mut parts = bytes.split(|&byte| byte == END);
    key.extend_from_slice(parts.next().unwrap_or_default());
    for part in parts {
        key.extend_from_slice(&[END, ESCAPE]);
        key.extend_from_slice(part);
    }
}

/// Whether this is the key of a string in which nothing is escaped, as most are.
pub(crate) fn is_plain_text(key: &[u8]) -> bool {
    match key {
        [STRING, text @ .., END, END] => !text.contains(&END) && str::from_utf8(text).is_ok(),
        _ => false,
    }
}

/// Reads one ascending key. Numbers come back as integers where they are whole
/// and fit 64 bits. `None` for bytes that [`append`] never writes.
#[must_use]
pub fn read(key: &[u8]) -> Option<(Value, &[u8])> {
    read_value(key, 0)
}

fn read_value(key: &[u8], depth: usize) -> Option<(Value, &[u8])> {
    let (&tag, rest) = key.split_first()?;
    if depth > MAX_DEPTH {
        return None;
    }
    match tag {
        NULL => Some((Value::Null, rest)),
        FALSE => Some((Value::Bool(false), rest)),
        TRUE => Some((Value::Bool(true), rest)),
        NUMBER => read_number(rest),
        BINARY => read_text(rest).map(|(bytes, rest)| (Value::Binary(bytes), rest)),
        STRING => read_string(rest).map(|(text, rest)| (Value::String(text), rest)),
        ARRAY => read_array(rest, depth),
        OBJECT => read_object(rest, depth),
        _ => None,
    }
}

fn read_array(mut rest: &[u8], depth: usize) -> Option<(Value, &[u8])> {
    let mut items = Vec::new();
    loop {
        if let Some(after) = rest.strip_prefix(&[END]) {
            return Some((Value::Array(items), after));
        }
        let (item, after) = read_value(rest, depth + 1)?;
        items.push(item);
        rest = after;
    }
}

fn read_object(mut rest: &[u8], depth: usize) -> Option<(Value, &[u8])> {
    let mut members = Object::new();
    loop {
        if let Some(after) = rest.strip_prefix(&[END]) {
            return Some((Value::Object(members), after));
        }
        let (name, after) = read_string(rest.strip_prefix(&[STRING])?)?;
        let (member, after) = read_value(after, depth + 1)?;
        if members
            .last_key_value()
            .is_some_and(|(last, _)| *last >= name)
        {
            return None;
        }
        members.insert(name, member);
        rest = after;
    }
}

fn read_number(key: &[u8]) -> Option<(Value, &[u8])> {
    let (bits, rest) = key.split_first_chunk::<8>()?;
    let (remainder, rest) = rest.split_first_chunk::<2>()?;
    let ordered = u64::from_be_bytes(*bits);
    let bits = if ordered >> 63 == 1 {
        ordered & !(1 << 63)
    } else {
        !ordered
    };
    let float = f64::from_bits(bits);
    let remainder = i128::from(u16::from_be_bytes(*remainder)) - REMAINDER_BIAS;
    let whole = float.fract() == 0.0 && float.abs() < 1e20;
    let value = match (whole, remainder) {
        (true, _) => Value::from_i128(float as i128 + remainder),
        (false, 0) => Value::from_f64(float)?,
        (false, _) => return None,
    };
    Some((value, rest))
}

fn read_string(key: &[u8]) -> Option<(String, &[u8])> {
    let (bytes, rest) = read_text(key)?;
    Some((String::from_utf8(bytes).ok()?, rest))
}

fn read_text(key: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut bytes = Vec::new();
    let mut rest = key;
    loop {
        let at = rest.iter().position(|&byte| byte == END)?;
        bytes.extend_from_slice(&rest[..at]);
        let mark = *rest.get(at + 1)?;
        rest = &rest[at + 2..];
        match mark {
            END => return Some((bytes, rest)),
            ESCAPE => bytes.push(END),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::any_value;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn keys_sort_as_values_do(left in any_value(), right in any_value()) {
            prop_assert_eq!(key(&left).cmp(&key(&right)), left.compare(&right));
        }

        #[test]
        fn descending_keys_sort_the_other_way(left in any_value(), right in any_value()) {
            let inverted = |value| {
                let mut key = Vec::new();
                append(&mut key, Some(value), Direction::Descending);
                key
            };
            prop_assert_eq!(inverted(&left).cmp(&inverted(&right)), right.compare(&left));
        }

        #[test]
        fn a_key_reads_back_as_an_equal_value(value in any_value()) {
            let bytes = key(&value);
            let (back, rest) = read(&bytes).unwrap();
            prop_assert!(rest.is_empty());
            prop_assert!(back.compare(&value).is_eq());
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = read(&bytes);
        }
    }

    #[test]
    fn missing_sorts_after_everything() {
        let mut missing = Vec::new();
        append(&mut missing, None, Direction::Ascending);
        assert!(missing > key(&Value::Null));
    }

    #[test]
    fn a_prefix_bounds_every_string_that_starts_with_it() {
        let mut bound = Vec::new();
        append_string_prefix(&mut bound, "ab");
        assert!(key(&Value::from("ab")).starts_with(&bound));
        assert!(key(&Value::from("abc")).starts_with(&bound));
        assert!(!key(&Value::from("ac")).starts_with(&bound));
    }
}
