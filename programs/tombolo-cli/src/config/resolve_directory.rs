//! A directory by the ways in which it can be named; `persistence_dir` and the directories of logs share them.

use std::path::PathBuf;

use serde_saphyr::Location;

use super::meaning::Directory;
use super::raw::{Placed, RawPath, Spanned, WordOr};
use super::resolve::Findings;
use super::resolve_database::filled;

const FORMS: &str = "write from_current_exe, temp_dir, { path: ... } or { from_env: NAME }";

/// A key that holds a directory and nothing else. `path` is the key, for messages.
pub(super) fn directory(
    path: &str,
    raw: Spanned<WordOr<RawPath>>,
    findings: &mut Findings<'_>,
) -> Option<Directory> {
    match raw.value {
        WordOr::Word(word) => by_word(path, &word, raw.referenced, findings),
        WordOr::Given(RawPath {
            path: typed,
            from_env,
        }) => by_keys(path, raw.referenced, (typed, from_env), findings),
    }
}

/// A directory that is named by a single word.
pub(super) fn by_word(
    path: &str,
    word: &str,
    place: Location,
    findings: &mut Findings<'_>,
) -> Option<Directory> {
    match word {
        "from_current_exe" => Some(Directory::NextToExecutable),
        "temp_dir" => Some(Directory::Temporary),
        _ => {
            findings.refuse(path, place, "names no directory", FORMS);
            None
        }
    }
}

/// A directory that is named by the keys `path` and `from_env` of a section, which may have others beside them.
pub(super) fn by_keys(
    path: &str,
    place: Location,
    keys: (Placed<String>, Placed<String>),
    findings: &mut Findings<'_>,
) -> Option<Directory> {
    match keys {
        (Some(typed), None) => {
            let typed = filled(format!("{path}.path"), typed, findings);
            typed.map(|text| Directory::Path(text.into()))
        }
        (None, Some(name)) => {
            let path = format!("{path}.from_env");
            let name = filled(path.clone(), name, findings)?;
            let value = findings.outside.variable(&name);
            let Some(value) = value.filter(|value| !value.is_empty()) else {
                let what = format!("the environment variable {name} is not set");
                let remedy = "set it to a directory, or write { path: ... }";
                findings.refuse(path, place, what, remedy);
                return None;
            };
            Some(Directory::Path(PathBuf::from(value)))
        }
        _ => {
            let what = "needs exactly one of path and from_env";
            findings.refuse(path, place, what, FORMS);
            None
        }
    }
}
