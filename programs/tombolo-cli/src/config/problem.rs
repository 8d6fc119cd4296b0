//! What is wrong with a configuration, where, and what to do; with the line as it was typed and a caret.
//! The value of a key that holds a secret is never repeated.

use std::fmt;

/// Problems listed at once; the operator mends these first.
const PROBLEMS_MAX: usize = 50;
/// Longer lines of the file are cut in the excerpt.
const EXCERPT_CHARS_MAX: usize = 120;
/// Keys whose values are not shown.
const SECRET_KEYS: [&str; 8] = [
    "token",
    "key_b64",
    "api_key",
    "hmac_key",
    "secret",
    "password",
    "private_key",
    "url",
];

/// A place in the file, both counted from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) line: u64,
    pub(crate) column: u64,
}

impl Place {
    pub(crate) const START: Self = Self { line: 1, column: 1 };
}

/// One mistake of the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    path: String,
    place: Place,
    what: String,
    remedy: String,
}

impl Problem {
    pub(crate) fn new(
        path: impl Into<String>,
        place: impl Into<Place>,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            path: path.into(),
            place: place.into(),
            what: what.into(),
            remedy: remedy.into(),
        }
    }
}

/// Every mistake found in one configuration, in the order of the file, ready to print.
#[derive(Debug)]
pub(crate) struct ConfigError {
    text: String,
}

impl ConfigError {
    /// `file` is how the operator called it, `source` its text.
    pub(crate) fn new(file: &str, source: &str, mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| problem.place);
        let more = problems.len().saturating_sub(PROBLEMS_MAX);
        problems.truncate(PROBLEMS_MAX);
        let mut text = String::new();
        for problem in &problems {
            text.push_str(&report(file, source, problem));
        }
        if more > 0 {
            text.push_str(&format!("and {more} more\n"));
        }
        Self { text }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.text.trim_end())
    }
}

impl std::error::Error for ConfigError {}

fn report(file: &str, source: &str, problem: &Problem) -> String {
    let Problem {
        path,
        place: Place { line, column },
        what,
        remedy,
    } = problem;
    let subject = if path.is_empty() {
        String::new()
    } else {
        format!("{path}: ")
    };
    let mut text = format!("error: {subject}{what}\n  --> {file}:{line}:{column}\n");
    if let Some(excerpt) = excerpt(source, problem.place) {
        let margin = " ".repeat(line.to_string().len());
        let indent = " ".repeat(caret_indent(&excerpt, *column));
        text.push_str(&format!(
            "{margin} |\n{line} | {excerpt}\n{margin} | {indent}^\n"
        ));
    }
    if !remedy.is_empty() {
        text.push_str(&format!("  = help: {remedy}\n"));
    }
    text
}

fn caret_indent(excerpt: &str, column: u64) -> usize {
    let column = usize::try_from(column).unwrap_or(usize::MAX);
    column.saturating_sub(1).min(excerpt.chars().count())
}

fn excerpt(source: &str, place: Place) -> Option<String> {
    let index = usize::try_from(place.line).ok()?.checked_sub(1)?;
    let line = source.lines().nth(index)?;
    let shown = match secret_start(source, index) {
        None => line.to_owned(),
        Some(keep) => format!("{}…", line.get(..keep).unwrap_or_default()),
    };
    Some(shown.chars().take(EXCERPT_CHARS_MAX).collect())
}

/// Where the line at `index` starts to hold a secret, or the continuation of one, in bytes.
fn secret_start(source: &str, index: usize) -> Option<usize> {
    let lines: Vec<&str> = source.lines().take(index + 1).collect();
    let keyed = lines.iter().rposition(|line| line.contains(':'))?;
    let line = lines[keyed];
    let key_end = SECRET_KEYS
        .iter()
        .filter_map(|key| line.find(key).map(|start| start + key.len()))
        .min()?;
    let colon = line[key_end..].find(':')?;
    if keyed == index {
        Some(key_end + colon + 1)
    } else {
        Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(source: &str, line: u64, column: u64) -> String {
        let problem = Problem::new("a.b", Place { line, column }, "is wrong", "mend it");
        ConfigError::new("x.yaml", source, vec![problem]).to_string()
    }

    #[test]
    fn a_problem_names_file_line_column_path_and_remedy() {
        let expected =
            "error: a.b: is wrong\n  --> x.yaml:2:5\n  |\n2 |   b: 1\n  |     ^\n  = help: mend it";
        assert_eq!(shown("a:\n  b: 1\n", 2, 5), expected);
    }

    #[test]
    fn the_value_of_a_secret_key_is_not_repeated() {
        let source = "auth:\n  access_token: hunter2\n  api_key: >\n    hunter3\n";
        assert!(!shown(source, 2, 3).contains("hunter"));
        assert!(!shown(source, 4, 5).contains("hunter"));
    }

    #[test]
    fn a_place_outside_the_text_has_no_excerpt() {
        assert!(!shown("", 9, 9).contains(" | "));
    }

    #[test]
    fn problems_are_listed_in_the_order_of_the_file_up_to_the_limit() {
        let problems = (0..=PROBLEMS_MAX as u64).rev().map(|line| {
            Problem::new(
                "k",
                Place {
                    line: line + 1,
                    column: 1,
                },
                "w",
                "",
            )
        });
        let text = ConfigError::new("f", "", problems.collect()).to_string();
        assert!(text.starts_with("error: k: w\n  --> f:1:1"));
        assert!(text.ends_with("and 1 more"));
    }
}
