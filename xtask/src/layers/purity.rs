//! Source scan of the pure crates: time and randomness are arguments there, and files and sockets do not exist.
//! Comments and test modules are not scanned; a pure crate may read its golden files in tests.
//! It is a scan of words, not a compiler: it catches the accident, not the adversary.

use super::edges::PURE;
use crate::{Finding, SourceFile, Tree};

/// Module of the standard library, and what to do instead.
const MODULES: &[(&str, &str)] = &[
    ("env", "settings are arguments"),
    ("fs", "files belong to the engine and the program"),
    ("net", "sockets belong to the driver"),
    ("os", "the operating system belongs to the program"),
    ("path", "paths belong to the engine and the program"),
    ("process", "processes belong to the program"),
    ("thread", "the driver decides where work runs"),
];

/// Whole words, and what to do instead.
const WORDS: &[(&str, &str)] = &[
    ("SystemTime", "take `now` as an argument"),
    ("Instant", "take `now` as an argument"),
    ("getrandom", "take randomness as an argument"),
    ("rand", "take randomness as an argument"),
    ("OsRng", "take randomness as an argument"),
    ("thread_rng", "take randomness as an argument"),
    ("tokio", "the driver is the only asynchronous code"),
];

/// Fragments of calls, and what to do instead.
const FRAGMENTS: &[(&str, &str)] = &[
    ("::now(", "take `now` as an argument"),
    ("TimeZone::system(", "take the time zone as an argument"),
    ("RandomState::new(", "take the seed as an argument"),
];

/// Checks every source file of the pure crates.
pub fn check_purity(tree: &Tree) -> Vec<Finding> {
    let pure = |file: &&SourceFile| {
        file.has_extension("rs") && PURE.iter().any(|name| in_sources_of(&file.path, name))
    };
    tree.files
        .iter()
        .filter(pure)
        .flat_map(check_file)
        .collect()
}

fn in_sources_of(path: &str, crate_name: &str) -> bool {
    let prefix = format!("crates/{crate_name}/src/");
    path.starts_with(&prefix) && !path.ends_with("/tests.rs") && !path.contains("/tests/")
}

fn check_file(file: &SourceFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut grouped_import = false;
    for (number, line) in production_lines(&file.text) {
        grouped_import |= line.contains("std::{");
        for hint in broken(&line, grouped_import) {
            findings.push(Finding::new(&file.path, number, "pure", hint));
        }
        grouped_import &= !line.contains(';');
    }
    findings
}

fn broken(line: &str, grouped_import: bool) -> Vec<String> {
    let mut hints = Vec::new();
    for (module, instead) in MODULES {
        if line.contains(&format!("std::{module}::"))
            || line.contains(&format!("std::{module};"))
            || (grouped_import && has_word(line, module))
        {
            hints.push(format!("`std::{module}` in a pure crate: {instead}"));
        }
    }
    for (word, instead) in WORDS {
        if has_word(line, word) {
            hints.push(format!("`{word}` in a pure crate: {instead}"));
        }
    }
    for (fragment, instead) in FRAGMENTS {
        if line.contains(fragment) {
            hints.push(format!("`{fragment}` in a pure crate: {instead}"));
        }
    }
    hints
}

/// Numbered lines without comments, up to the test module, which the house style puts last.
fn production_lines(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut lines = text.lines().enumerate().peekable();
    while let Some((index, line)) = lines.next() {
        if line.trim() == "#[cfg(test)]" {
            match lines.peek().map(|(_, next)| next.trim()) {
                // A test module in a file of its own: only its declaration is skipped.
                Some(next) if next.starts_with("mod ") && next.ends_with(';') => lines.next(),
                Some(next) if next.starts_with("mod ") => break,
                _ => None,
            };
            continue;
        }
        let code = line.split("//").next().unwrap_or_default();
        found.push((index + 1, code.to_owned()));
    }
    found
}

fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(start, _)| {
        let before = line[..start].chars().next_back();
        let after = line[start + word.len()..].chars().next();
        !before.is_some_and(is_word_character) && !after.is_some_and(is_word_character)
    })
}

fn is_word_character(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}
