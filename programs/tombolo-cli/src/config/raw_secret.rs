//! A value that is a secret, as it was typed: the text itself, or where it is found.
//! It has a type of its own so that no `Debug` output ever shows one.

use std::fmt;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use zeroize::Zeroizing;

use super::raw::Placed;

/// A secret, or where it is.
pub(super) enum RawSecret {
    /// With `${NAME}` still in it.
    Typed(Zeroizing<String>),
    Elsewhere(RawElsewhere),
}

/// Where a secret is.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawElsewhere {
    #[serde(alias = "path")]
    pub(super) from_file: Placed<String>,
    pub(super) from_env: Placed<String>,
}

impl fmt::Debug for RawSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Typed(_) => formatter.write_str("Typed(redacted)"),
            Self::Elsewhere(place) => place.fmt(formatter),
        }
    }
}

struct Choose;

impl<'de> Visitor<'de> for Choose {
    type Value = RawSecret;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a text, { from_file: ... } or { from_env: ... }")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(RawSecret::Typed(Zeroizing::new(text.to_owned())))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        RawElsewhere::deserialize(MapAccessDeserializer::new(map)).map(RawSecret::Elsewhere)
    }
}

impl<'de> Deserialize<'de> for RawSecret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Choose)
    }
}
