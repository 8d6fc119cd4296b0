//! Names in back-ticks in the documents that describe the code: each must exist in the code.
//! A span that reads like a path, a crate, a type, a function or a field is looked up; anything else is left alone.
//! So a document that outlives what it describes fails in the ordinary test run.

use std::collections::BTreeSet;

use super::documents::prose_lines;
use crate::{Finding, Tree};

/// Documents whose names are promises.
const CHECKED: &[&str] = &[
    "docs/ARCHITECTURE.md",
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "docs/operate/production-checklist.md",
];

/// Names of the standard library and of outside crates that the documents may use.
const OUTSIDE: &[&str] = &[
    "BTreeMap",
    "HashMap",
    "Arc",
    "Vec",
    "Result",
    "Option",
    "PostgreSQL",
    "JavaScript",
];

/// Checks the back-ticked names of the checked documents.
pub fn check_names(tree: &Tree) -> Vec<Finding> {
    let words = Words::of(tree);
    let mut findings = Vec::new();
    for file in tree
        .files
        .iter()
        .filter(|file| CHECKED.contains(&file.path.as_str()))
    {
        for (number, line) in prose_lines(&file.text) {
            for span in line
                .split('`')
                .skip(1)
                .step_by(2)
                .filter(|span| !words.know(span))
            {
                findings.push(Finding::new(
                    &file.path,
                    number,
                    "drift",
                    format!("`{span}` does not exist in the tree"),
                ));
            }
        }
    }
    findings
}

/// Everything a document may name.
struct Words<'tree> {
    tree: &'tree Tree,
    words: BTreeSet<&'tree str>,
    crates: BTreeSet<&'tree str>,
}

impl<'tree> Words<'tree> {
    fn of(tree: &'tree Tree) -> Self {
        let code = tree.files.iter().filter(|file| !file.has_extension("md"));
        let words = code
            .flat_map(|file| {
                file.text
                    .split(|character: char| !is_word_character(character))
            })
            .collect();
        let manifests = tree
            .files
            .iter()
            .filter(|file| file.path.ends_with("Cargo.toml"));
        let names = manifests
            .flat_map(|file| file.text.lines())
            .filter_map(|line| line.strip_prefix("name = \""));
        Self {
            tree,
            words,
            crates: names.map(|name| name.trim_end_matches('"')).collect(),
        }
    }

    fn know(&self, span: &str) -> bool {
        let span = span.trim_end_matches("()").trim_end_matches('/');
        if span.contains([' ', '"', '{', '<', '(', '$', '*', '=', ',', ':']) && !span.contains("::")
        {
            return true;
        }
        match Kind::of(span) {
            Kind::Path => self.tree.paths.contains(span),
            Kind::Crate => self.crates.contains(span),
            Kind::Item => span.split("::").all(|step| self.knows_step(step)),
            Kind::Prose => true,
        }
    }

    fn knows_step(&self, step: &str) -> bool {
        self.words.contains(step) || OUTSIDE.contains(&step)
    }
}

enum Kind {
    Path,
    Crate,
    Item,
    Prose,
}

impl Kind {
    fn of(span: &str) -> Self {
        let first = span.chars().next().unwrap_or(' ');
        let camel = first.is_uppercase()
            && span.chars().any(char::is_lowercase)
            && span.chars().all(is_word_character);
        let snake = span.contains('_')
            && span.chars().all(|character| {
                character.is_ascii_lowercase() || character.is_ascii_digit() || character == '_'
            });
        if span.contains("::") || camel || snake {
            Self::Item
        } else if span.starts_with("tombolo-") && !span.contains(['/', '.']) {
            Self::Crate
        } else if is_path(span) {
            Self::Path
        } else {
            Self::Prose
        }
    }
}

fn is_path(span: &str) -> bool {
    let inside =
        span.contains('/') && !span.starts_with(['/', '.', '~', '-']) && !span.contains("://");
    let file = [".rs", ".md", ".toml", ".yaml"]
        .iter()
        .any(|ending| span.ends_with(ending))
        && span.chars().next().is_some_and(char::is_alphanumeric);
    inside || file
}

fn is_word_character(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}
