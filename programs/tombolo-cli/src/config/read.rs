//! From YAML text to the raw structures, or to one problem with its place.
//! Input, nesting and aliases are bounded before anything is kept; no I/O happens here.

use serde_saphyr::budget::BudgetBreach;
use serde_saphyr::{DuplicateKeyPolicy, Error, Location, MergeKeyPolicy, Options};

use super::problem::{Place, Problem};
use super::raw::RawConfig;

/// A longer configuration is refused unread.
pub(crate) const CONFIG_BYTES_MAX: usize = 256 * 1024;
/// Deepest nesting of sections and lists.
const DEPTH_MAX: usize = 32;
/// Scalars, sections and lists together.
const NODES_MAX: usize = 16 * 1024;

/// Reads the text. Names and types are checked, meanings are not.
pub(super) fn read(text: &str) -> Result<RawConfig, Problem> {
    if text.len() > CONFIG_BYTES_MAX {
        let what = format!(
            "the configuration has {} bytes, at most {CONFIG_BYTES_MAX} are read",
            text.len()
        );
        return Err(Problem::new(
            "",
            Place::START,
            what,
            "split long lists into another system, or shorten them",
        ));
    }
    let mut path = String::new();
    let outcome =
        serde_saphyr::with_deserializer_from_str_with_options(text, options(), |deserializer| {
            serde_path_to_error::deserialize::<_, RawConfig>(deserializer).map_err(|error| {
                path = error.path().to_string();
                error.into_inner()
            })
        });
    outcome.map_err(|error| explain(&path, &error))
}

pub(super) fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_documents: 1,
            max_depth: DEPTH_MAX,
            max_nodes: NODES_MAX,
            max_events: 2 * NODES_MAX,
            max_aliases: 64,
            max_anchors: 64,
        },
        duplicate_keys: DuplicateKeyPolicy::Error,
        merge_keys: MergeKeyPolicy::Error,
        strict_booleans: true,
        with_snippet: false,
    }
}

fn explain(path: &str, error: &Error) -> Problem {
    let error = error.without_snippet();
    let place = error.location().map_or(Place::START, Place::from);
    let (what, remedy) = words(error);
    Problem::new(typed_path(path), place, what, remedy)
}

/// The path as the operator sees it: without the steps that carry the place of a value.
fn typed_path(path: &str) -> String {
    path.split('.')
        .filter(|step| !matches!(*step, "value" | "?" | ""))
        .collect::<Vec<_>>()
        .join(".")
}

/// What is wrong, and what to do.
fn words(error: &Error) -> (String, String) {
    match error {
        Error::SerdeUnknownField {
            field, expected, ..
        } => (
            format!("unknown key {field}"),
            format!("the keys here are {}", expected.join(", ")),
        ),
        Error::SerdeMissingField { field, .. } => (
            format!("{field} is missing"),
            format!("add {field} to this section"),
        ),
        Error::SerdeInvalidType {
            unexpected,
            expected,
            ..
        }
        | Error::SerdeInvalidValue {
            unexpected,
            expected,
            ..
        } => {
            // Only the kind of what was found: its text may be a secret.
            let kind: String = unexpected
                .chars()
                .take_while(|letter| !"`\"".contains(*letter))
                .collect();
            (
                format!(
                    "expected {}, found {}",
                    structure_name(expected),
                    kind.trim()
                ),
                String::new(),
            )
        }
        Error::InvalidScalar { ty, .. } => (format!("expected {}", scalar_name(ty)), String::new()),
        Error::InvalidBooleanStrict { .. } => ("expected true or false".to_owned(), String::new()),
        Error::Unexpected { expected, .. } => (
            format!("expected {}", structure_name(expected)),
            String::new(),
        ),
        Error::NullIntoString { .. } => ("expected a text, found null".to_owned(), String::new()),
        other => yaml_words(other),
    }
}

/// The same for what is wrong with the YAML itself.
fn yaml_words(error: &Error) -> (String, String) {
    let (what, remedy) = match error {
        Error::DuplicateMappingKey { .. } => (
            "the same key stands here twice",
            "remove one of them".to_owned(),
        ),
        Error::Eof { .. } => (
            "the configuration is empty",
            "write at least the section database".to_owned(),
        ),
        Error::Budget {
            breach: BudgetBreach::Documents { .. },
            ..
        } => (
            "a second YAML document begins here",
            "keep one document in the file".to_owned(),
        ),
        Error::Budget { .. } => (
            "the configuration is too deep or too large",
            format!("stay below {DEPTH_MAX} levels and {NODES_MAX} values"),
        ),
        Error::MergeKeyNotAllowed { .. } => (
            "YAML merge keys (<<) are not taken",
            "write the keys out".to_owned(),
        ),
        other => {
            let what = without_place(&other.to_string());
            return (what, "check the YAML syntax at this place".to_owned());
        }
    };
    (what.to_owned(), remedy)
}

fn scalar_name(type_name: &str) -> &str {
    match type_name {
        "u64" => "a whole number of 0 or more",
        "u16" => "a whole number from 0 to 65535",
        "bool" | "boolean" => "true or false",
        other => other,
    }
}

fn structure_name(expectation: &str) -> &str {
    match expectation {
        "mapping start" => "a section of keys and values",
        "sequence start" | "a sequence" => "a list",
        "string scalar" => "a text",
        raw if raw.starts_with("struct Raw") => "a section of keys and values",
        other => other,
    }
}

fn without_place(text: &str) -> String {
    text.split(" at line ")
        .next()
        .unwrap_or_default()
        .to_owned()
}

impl From<Location> for Place {
    fn from(location: Location) -> Self {
        Self {
            line: location.line(),
            column: location.column(),
        }
    }
}
