//! Document ids: one canonical byte form for every value that may be an id.

use crate::order;
use crate::value::{MAX_DEPTH, Value};

/// Longest canonical form of an id, in bytes.
pub const MAX_ID_BYTES: usize = 4096;

/// Why a value cannot be a document id. The caller's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The id is null.
    #[error("Null document ID not allowed: give _id a value or leave it out")]
    Null,
    /// The id is or holds a float.
    #[error("Floats are not supported in document IDs: use an integer or a string")]
    Float,
    /// The id is or holds binary.
    #[error("Binary is not supported in document IDs: use a string")]
    Binary,
    /// The id is too long.
    #[error("the document ID takes {bytes} bytes and {MAX_ID_BYTES} are allowed")]
    TooLong {
        /// Its canonical length.
        bytes: usize,
    },
    /// The id nests too deeply.
    #[error("the document ID nests more than {MAX_DEPTH} levels")]
    TooDeep,
    /// The bytes are not the canonical form of an id. The peer's or the disk's
    /// fault.
    #[error("the bytes are not a document ID in canonical form")]
    NotCanonical,
}

/// A string, integer, boolean, array or object, as its order-preserving key.
///
/// Two ids are equal if and only if their bytes are; the order of an object's
/// keys does not matter. Ids sort as their values do.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DocumentId(Box<[u8]>);

impl DocumentId {
    /// The id with this value.
    ///
    /// # Errors
    /// Null, floats and binary are refused, and so is an id that is too long.
    pub fn from_value(value: &Value) -> Result<Self, IdError> {
        if *value == Value::Null {
            return Err(IdError::Null);
        }
        check(value, 0)?;
        let key = order::key(value);
        if key.len() > MAX_ID_BYTES {
            return Err(IdError::TooLong { bytes: key.len() });
        }
        Ok(Self(key.into_boxed_slice()))
    }

    /// The id with these canonical bytes.
    ///
    /// # Errors
    /// Bytes that [`DocumentId::as_bytes`] never gives.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, IdError> {
        if bytes.len() <= MAX_ID_BYTES && order::is_plain_text(bytes) {
            return Ok(Self(bytes.into()));
        }
        let (value, rest) = order::read(bytes).ok_or(IdError::NotCanonical)?;
        let id = Self::from_value(&value)?;
        if !rest.is_empty() || id.as_bytes() != bytes {
            return Err(IdError::NotCanonical);
        }
        Ok(id)
    }

    /// The canonical bytes: self-delimiting and in the order of the values.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The value that users see as `_id`.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let (value, _) = order::read(&self.0).expect("invariant: an id holds a canonical key");
        value
    }
}

impl std::fmt::Debug for DocumentId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&crate::json::print(&self.to_value()))
    }
}

fn check(value: &Value, depth: usize) -> Result<(), IdError> {
    if depth > MAX_DEPTH {
        return Err(IdError::TooDeep);
    }
    match value {
        Value::Float(_) => Err(IdError::Float),
        Value::Binary(_) => Err(IdError::Binary),
        Value::Array(items) => items.iter().try_for_each(|item| check(item, depth + 1)),
        Value::Object(members) => members
            .values()
            .try_for_each(|member| check(member, depth + 1)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::json::parse;

    fn id(text: &str) -> Result<DocumentId, IdError> {
        DocumentId::from_value(&parse(text.as_bytes()).unwrap())
    }

    proptest! {
        #[test]
        fn bytes_are_an_id_only_if_its_value_has_them(
            text in "[a-c\0é]{0,4}",
            place in any::<prop::sample::Index>(),
            byte in prop::option::of(any::<u8>()),
        ) {
            let mut bytes = DocumentId::from_value(&Value::from(text.as_str())).unwrap().0.to_vec();
            if let Some(byte) = byte {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
            match DocumentId::from_bytes(&bytes) {
                Ok(id) => {
                    let again = DocumentId::from_value(&id.to_value()).unwrap();
                    prop_assert_eq!(again.as_bytes(), bytes);
                }
                Err(_) => prop_assert!(byte.is_some()),
            }
        }
    }

    #[test]
    fn the_order_of_an_objects_keys_does_not_matter() {
        assert_eq!(id(r#"{"s":"x","o":"y"}"#), id(r#"{"o":"y","s":"x"}"#));
    }

    #[test]
    fn every_accepted_kind_survives_its_bytes() {
        for text in [
            r#""a\u0000b""#,
            "7",
            "-9223372036854775808",
            "18446744073709551615",
            "true",
            "[1,[2]]",
            r#"{"a":null}"#,
        ] {
            let id = id(text).unwrap();
            assert_eq!(DocumentId::from_bytes(id.as_bytes()), Ok(id.clone()));
            assert_eq!(id.to_value(), parse(text.as_bytes()).unwrap());
        }
    }

    #[test]
    fn floats_and_null_are_refused() {
        assert_eq!(id("1.5"), Err(IdError::Float));
        assert_eq!(id("[1.5]"), Err(IdError::Float));
        assert_eq!(id("null"), Err(IdError::Null));
    }

    #[test]
    fn an_id_is_allowed_at_the_longest_and_refused_above() {
        let longest = Value::String("x".repeat(MAX_ID_BYTES - 3));
        assert!(DocumentId::from_value(&longest).is_ok());
        let longer = Value::String("x".repeat(MAX_ID_BYTES - 2));
        assert_eq!(
            DocumentId::from_value(&longer),
            Err(IdError::TooLong {
                bytes: MAX_ID_BYTES + 1
            })
        );
    }
}
