//! System parameters: names, types, bounds and defaults. They belong to the
//! caller, are never stored here and start from their defaults each time.

use std::collections::BTreeMap;

use tombolo_document::{Object, Value, json};

use crate::error::QueryError;

/// What values a parameter takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bool,
    Integer { least: i64, most: i64 },
    Text,
    OneOf(&'static [&'static str]),
    Array,
    Map,
    SyncScopes,
}

/// One parameter: its name in lower case, its kind, its default as JSON.
struct Definition {
    name: &'static str,
    kind: Kind,
    default: &'static str,
}

const fn bool(name: &'static str, default: &'static str) -> Definition {
    Definition {
        name,
        kind: Kind::Bool,
        default,
    }
}

const fn integer(name: &'static str, default: &'static str, least: i64, most: i64) -> Definition {
    Definition {
        name,
        kind: Kind::Integer { least, most },
        default,
    }
}

const fn other(name: &'static str, kind: Kind, default: &'static str) -> Definition {
    Definition {
        name,
        kind,
        default,
    }
}

/// The largest number of seconds, hours, bytes or entries that is accepted.
const MOST: i64 = i64::MAX;

/// Sorted by name.
const DEFINITIONS: &[Definition] = &[
    integer("days_between_reaping", "1", 1, MOST),
    integer("document_size_hard_limit_bytes", "5242880", 1, MOST),
    integer("document_size_soft_limit_bytes", "262144", 1, MOST),
    integer("dql_concurrent_request_limit", "0", 0, MOST),
    integer("dql_concurrent_request_wait_timeout_ms", "60000", 0, MOST),
    other("dql_default_directives", Kind::Map, "{}"),
    bool("dql_enable_preview_mode", "false"),
    bool("dql_index_default_include_missing", "true"),
    other(
        "dql_object_default",
        Kind::OneOf(&["REGISTER", "MAP"]),
        "\"REGISTER\"",
    ),
    other("dql_request_history_qualifiers", Kind::Map, "{}"),
    integer("dql_request_history_size", "4096", 0, MOST),
    integer("dql_request_timeout_seconds", "0", 0, MOST),
    bool("dql_restrict_subscriptions", "true"),
    bool("dql_select_strict_mode", "true"),
    integer("dql_slow_request_warn_seconds", "60", 0, MOST),
    integer("dql_statement_cache_size", "4096", 0, MOST),
    bool("dql_strict_mode", "false"),
    bool("dql_use_legacy_projection", "true"),
    bool("enable_attachment_permission_checks", "false"),
    bool("enable_remote_query", "true"),
    other("example_array_parameter", Kind::Array, "[]"),
    bool("example_bool_parameter", "true"),
    integer("example_duration_parameter", "200", 0, MOST),
    other("example_map_parameter", Kind::Map, "{}"),
    integer("example_parameter", "42", 1, 1023),
    other("example_string_parameter", Kind::Text, "\"default\""),
    integer(
        "live_query_system_collection_refresh_interval",
        "500",
        1,
        MOST,
    ),
    integer("max_keys_per_request", "1024", 1, MOST),
    integer("tombstone_reap_batch_size", "10000", 1, MOST),
    bool("tombstone_ttl_enabled", "false"),
    integer("tombstone_ttl_hours", "168", 1, MOST),
    other("user_collection_sync_scopes", Kind::SyncScopes, "{}"),
];

/// The scopes that a collection may have, in their one spelling.
const SYNC_SCOPES: &[&str] = &["AllPeers", "BigPeerOnly", "SmallPeersOnly", "LocalPeerOnly"];

/// The values of all system parameters.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameters {
    values: BTreeMap<&'static str, Value>,
}

impl Default for Parameters {
    fn default() -> Self {
        let default = |definition: &Definition| {
            let value = json::parse(definition.default.as_bytes());
            (definition.name, value.unwrap_or_default())
        };
        Self {
            values: DEFINITIONS.iter().map(default).collect(),
        }
    }
}

/// A change of parameters that a statement asks for. The caller applies it with
/// [`Parameters::apply`] once the statement has succeeded.
#[derive(Debug, Clone, PartialEq)]
pub struct ParameterChange {
    values: BTreeMap<&'static str, Value>,
}

impl Parameters {
    /// The value of a parameter, null if there is none of this name.
    #[must_use]
    pub fn show(&self, name: &str) -> &Value {
        const NONE: &Value = &Value::Null;
        self.values.get(name).unwrap_or(NONE)
    }

    /// Whether a parameter is `true`.
    #[must_use]
    pub fn is_true(&self, name: &str) -> bool {
        *self.show(name) == Value::Bool(true)
    }

    /// The value of an integer parameter, zero for any other.
    #[must_use]
    pub fn integer(&self, name: &str) -> u64 {
        match self.show(name) {
            Value::Int(value) => u64::try_from(*value).unwrap_or(0),
            _ => 0,
        }
    }

    /// Takes over what ALTER SYSTEM asked for.
    pub fn apply(&mut self, change: &ParameterChange) {
        let values = change.values.iter();
        self.values
            .extend(values.map(|(name, value)| (*name, value.clone())));
    }

    /// Every parameter by name.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        self.values.iter().map(|(name, value)| (*name, value))
    }

    /// The parameter of this name as a row, or an error that names it.
    pub(crate) fn row(&self, name: &str) -> Result<Object, QueryError> {
        let definition = find(name)?;
        let value = self.show(definition.name).clone();
        Ok(Object::from([(definition.name.to_owned(), value)]))
    }

    /// Checks `name = value`, or a return to the default.
    ///
    /// # Errors
    /// There is no such parameter, or it does not take this value.
    pub fn change(name: &str, value: Option<Value>) -> Result<ParameterChange, QueryError> {
        let definition = find(name)?;
        let value = match value {
            Some(value) => definition.checked(value)?,
            None => Self::default().show(definition.name).clone(),
        };
        Ok(ParameterChange {
            values: BTreeMap::from([(definition.name, value)]),
        })
    }

    /// The return of every parameter to its default.
    #[must_use]
    pub fn reset() -> ParameterChange {
        ParameterChange {
            values: Self::default().values,
        }
    }
}

fn find(name: &str) -> Result<&'static Definition, QueryError> {
    let named = |definition: &&Definition| definition.name.eq_ignore_ascii_case(name);
    DEFINITIONS.iter().find(named).ok_or_else(|| {
        let names = DEFINITIONS.iter().map(|definition| definition.name);
        let hint = crate::parse::nearest(name, names)
            .map_or_else(String::new, |near| format!(": did you mean '{near}'?"));
        QueryError::evaluation(format!("unknown parameter '{name}'{hint}"))
    })
}

impl Definition {
    fn checked(&self, value: Value) -> Result<Value, QueryError> {
        let wrong = |wanted: &str| {
            QueryError::evaluation(format!("the parameter '{}' takes {wanted}", self.name))
        };
        match (self.kind, value) {
            (Kind::Bool, value @ Value::Bool(_))
            | (Kind::Text, value @ Value::String(_))
            | (Kind::Array, value @ Value::Array(_))
            | (Kind::Map, value @ Value::Object(_)) => Ok(value),
            (Kind::Integer { least, most }, Value::Int(value)) => {
                match (least..=most).contains(&value) {
                    true => Ok(Value::Int(value)),
                    false => Err(wrong(&format!("an integer from {least} to {most}"))),
                }
            }
            (Kind::OneOf(words), Value::String(text)) => {
                spelt(words, &text).ok_or_else(|| wrong(&format!("one of {}", words.join(", "))))
            }
            (Kind::SyncScopes, Value::Object(scopes)) => sync_scopes(scopes),
            (Kind::Bool, _) => Err(wrong("true or false")),
            (Kind::Integer { .. }, _) => Err(wrong("an integer")),
            (Kind::Text | Kind::OneOf(_), _) => Err(wrong("a string")),
            (Kind::Array, _) => Err(wrong("an array")),
            (Kind::Map | Kind::SyncScopes, _) => Err(wrong("an object")),
        }
    }
}

fn spelt(words: &[&str], text: &str) -> Option<Value> {
    let same = |word: &&&str| word.eq_ignore_ascii_case(text);
    words.iter().find(same).map(|word| Value::from(*word))
}

fn sync_scopes(scopes: Object) -> Result<Value, QueryError> {
    let check = |(collection, scope): (String, Value)| {
        if collection.starts_with("__") {
            return Err(QueryError::evaluation(format!(
                "the collection '{collection}' belongs to the system and has no sync scope to set"
            )));
        }
        match scope.as_str().and_then(|text| spelt(SYNC_SCOPES, text)) {
            Some(scope) => Ok((collection, scope)),
            None => Err(QueryError::evaluation(format!(
                "the sync scope of '{collection}' must be one of {}",
                SYNC_SCOPES.join(", ")
            ))),
        }
    };
    let checked: Result<Object, QueryError> = scopes.into_iter().map(check).collect();
    checked.map(Value::Object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_a_value_that_its_parameter_takes() {
        let defaults = Parameters::default();
        for definition in DEFINITIONS {
            let value = defaults.show(definition.name).clone();
            assert!(definition.checked(value).is_ok(), "{}", definition.name);
        }
        assert!(DEFINITIONS.is_sorted_by_key(|definition| definition.name));
    }

    #[test]
    fn a_number_is_taken_at_its_bounds_and_refused_beyond() {
        for (value, fits) in [(0, false), (1, true), (1023, true), (1024, false)] {
            let change = Parameters::change("EXAMPLE_PARAMETER", Some(Value::Int(value)));
            assert_eq!(change.is_ok(), fits, "{value}");
        }
    }

    #[test]
    fn an_unknown_parameter_is_named_with_its_neighbour() {
        let error = Parameters::change("dql_strict_mod", None)
            .unwrap_err()
            .to_string();
        assert_eq!(
            error,
            "unknown parameter 'dql_strict_mod': did you mean 'dql_strict_mode'?"
        );
    }
}
