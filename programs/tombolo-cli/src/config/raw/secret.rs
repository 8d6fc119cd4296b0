//! A value that is a secret, as it was typed: the text itself, or where it is found.
//! It has a type of its own so that no `Debug` output ever shows one.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use zeroize::Zeroizing;

use super::Placed;
use super::schema::{exactly_one, path_of_file};

/// A secret, or where it is.
pub(crate) enum RawSecret {
    /// With `${NAME}` still in it.
    Typed(Zeroizing<String>),
    Elsewhere(RawElsewhere),
}

/// Where a secret is: exactly one of both.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SecretElsewhere", transform = path_of_file, transform = exactly_one)]
pub(crate) struct RawElsewhere {
    /// The file that holds it, and nothing else but white space; absolute, or relative to this file. If others can read it, the node says so.
    #[serde(alias = "path")]
    pub(crate) from_file: Placed<String>,
    /// The environment variable that holds it.
    pub(crate) from_env: Placed<String>,
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
