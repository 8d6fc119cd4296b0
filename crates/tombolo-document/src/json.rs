//! Values from JSON text and back.
//!
//! Stricter than JSON asks for: a repeated key is refused instead of silently
//! dropped, and so is a number that a 64-bit float cannot hold.

use std::fmt;

use base64::Engine as _;
use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::value::{MAX_DEPTH, Object, Value};

/// Text that is not one JSON value. Line and column count from one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} at line {line} column {column}")]
pub struct JsonError {
    /// The line of the first character that does not fit.
    pub line: usize,
    /// Its column in bytes.
    pub column: usize,
    /// What is wrong there.
    pub message: String,
}

/// Reads one JSON value that fills the whole text.
///
/// # Errors
/// Malformed JSON, a repeated key, a number out of range, or more than
/// [`MAX_DEPTH`] levels.
pub fn parse(text: &[u8]) -> Result<Value, JsonError> {
    serde_json::from_slice(text).map_err(|error| JsonError {
        line: error.line(),
        column: error.column(),
        message: without_position(&error),
    })
}

/// Writes the value as compact JSON. Binary becomes base64 text.
#[must_use]
pub fn print(value: &Value) -> String {
    serde_json::to_string(value).expect("invariant: values have string keys and finite numbers")
}

fn without_position(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Int(value) => serializer.serialize_i64(*value),
            Self::Uint(value) => serializer.serialize_u64(*value),
            Self::Float(value) => serializer.serialize_f64(*value),
            Self::String(value) => serializer.serialize_str(value),
            Self::Binary(value) => {
                serializer.serialize_str(&base64::engine::general_purpose::STANDARD.encode(value))
            }
            Self::Array(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    list.serialize_element(item)?;
                }
                list.end()
            }
            Self::Object(members) => {
                let mut map = serializer.serialize_map(Some(members.len()))?;
                for (key, value) in members {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Node { depth: 0 }.deserialize(deserializer)
    }
}

#[derive(Clone, Copy)]
struct Node {
    depth: usize,
}

impl Node {
    fn inside<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth >= MAX_DEPTH {
            return Err(E::custom(format_args!(
                "more than {MAX_DEPTH} nested levels"
            )));
        }
        Ok(Self {
            depth: self.depth + 1,
        })
    }
}

impl<'de> DeserializeSeed<'de> for Node {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Int(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from_u64(value))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Value::from_f64(value).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let inside = self.inside()?;
        let mut items = Vec::new();
        while let Some(item) = list.next_element_seed(inside)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let inside = self.inside()?;
        let mut members: Vec<(String, Value)> = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            // Told here where it stands, as far as names come in order.
            if members.last().is_some_and(|(last, _)| *last == name) {
                return Err(twice(&name));
            }
            members.push((name, map.next_value_seed(inside)?));
        }
        let members = Object::from_unsorted(members).map_err(|name| twice(&name))?;
        Ok(Value::Object(members))
    }
}

fn twice<E: serde::de::Error>(name: &str) -> E {
    E::custom(format_args!("the key {name:?} appears twice"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_survives_a_round_trip() {
        let text = r#"{"a":[1,2.5,null,true,"x\n"],"b":18446744073709551615,"c":-3}"#;
        assert_eq!(print(&parse(text.as_bytes()).unwrap()), text);
    }

    #[test]
    fn a_repeated_key_is_refused_with_its_position() {
        let error = parse(b"{\"a\": 1,\n \"a\": 2}").unwrap_err();
        assert_eq!(error.message, "the key \"a\" appears twice");
        assert_eq!(error.line, 2);
    }

    #[test]
    fn nesting_is_allowed_at_the_limit_and_refused_above() {
        let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert!(parse(nested(MAX_DEPTH - 1).as_bytes()).is_ok());
        assert!(parse(nested(MAX_DEPTH + 1).as_bytes()).is_err());
    }

    #[test]
    fn a_number_beyond_64_bits_is_a_float_or_refused() {
        assert_eq!(
            parse(b"18446744073709551616").unwrap(),
            Value::Float(18_446_744_073_709_551_616.0)
        );
        assert!(parse(b"1e999").is_err());
    }
}
