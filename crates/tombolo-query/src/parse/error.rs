//! Errors that teach: where the text stopped making sense, what was expected
//! there and what the writer may have meant.

use std::fmt;

use crate::span::Span;

/// Longest piece of the text that an excerpt shows, in characters.
const EXCERPT_CHARACTERS_MAX: usize = 100;

/// Text that is not a statement. The caller's fault.
///
/// `Display` gives one line; [`ParseError::render`] adds the excerpt with a
/// caret under the place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    /// The line, from one.
    pub line: usize,
    /// The column in characters, from one.
    pub column: usize,
    /// The bytes of the text that do not fit.
    pub span: Span,
    /// What was expected and what was found.
    pub message: String,
    /// What the writer may have meant.
    pub hint: Option<String>,
    excerpt: String,
    caret: Caret,
}

/// Boxed, so that a result in the recursive parser stays small on the stack.
pub(crate) type Failure = Box<ParseError>;

/// What to underline, in characters of the excerpt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Caret {
    start: usize,
    width: usize,
}

impl ParseError {
    /// An error at `span` of `text`.
    pub(crate) fn new(text: &str, span: Span, message: impl Into<String>) -> Self {
        let start = floor_boundary(text, span.start);
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let line = text[line_start..line_end].trim_end_matches('\r');
        let before = text[line_start..start].chars().count();
        let end = floor_boundary(text, span.end.clamp(start, line_end));
        let skipped = before.saturating_sub(EXCERPT_CHARACTERS_MAX / 2);
        let excerpt: String = line
            .chars()
            .skip(skipped)
            .take(EXCERPT_CHARACTERS_MAX)
            .map(|character| if character == '\t' { ' ' } else { character })
            .collect();
        let room = EXCERPT_CHARACTERS_MAX - (before - skipped).min(EXCERPT_CHARACTERS_MAX - 1);
        Self {
            line: text[..line_start].matches('\n').count() + 1,
            column: before + 1,
            span,
            message: message.into(),
            hint: None,
            excerpt,
            caret: Caret {
                start: before - skipped,
                width: text[start..end].chars().count().clamp(1, room),
            },
        }
    }

    /// The same error with a hint.
    pub(crate) fn with_hint(mut self: Box<Self>, hint: impl Into<String>) -> Failure {
        self.hint = Some(hint.into());
        self
    }

    /// The error on several lines: message, the line of the text, a caret under
    /// the place, and the hint.
    #[must_use]
    pub fn render(&self) -> String {
        let number = self.line.to_string();
        let gutter = " ".repeat(number.len());
        let indent = " ".repeat(self.caret.start);
        let caret = "^".repeat(self.caret.width);
        let mut text = format!(
            "{self}\n{gutter} |\n{number} | {}\n{gutter} | {indent}{caret}",
            self.excerpt
        );
        if let Some(hint) = &self.hint {
            text.push_str(&format!("\nhint: {hint}"));
        }
        text
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} at line {}, column {}",
            self.message, self.line, self.column
        )
    }
}

impl std::error::Error for ParseError {}

fn floor_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// The candidate that a misspelt word was probably meant to be.
pub(crate) fn nearest<'c>(
    word: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    let word = word.to_ascii_lowercase();
    let length = word.chars().count();
    if length > 40 {
        return None;
    }
    let allowed = match length {
        0..=2 => 0,
        3..=5 => 1,
        _ => 2,
    };
    candidates
        .into_iter()
        .map(|candidate| (distance(&word, &candidate.to_ascii_lowercase()), candidate))
        .filter(|(distance, _)| (1..=allowed).contains(distance))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Edits between two words, a swap of neighbours counting as one.
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().collect();
    let right: Vec<char> = right.chars().collect();
    let width = right.len() + 1;
    let mut table = vec![0; (left.len() + 1) * width];
    for (column, distance) in table.iter_mut().enumerate().take(width) {
        *distance = column;
    }
    for row in 1..=left.len() {
        table[row * width] = row;
        for column in 1..width {
            let same = left[row - 1] == right[column - 1];
            let replaced = table[(row - 1) * width + column - 1] + usize::from(!same);
            let removed = table[(row - 1) * width + column] + 1;
            let added = table[row * width + column - 1] + 1;
            let mut best = replaced.min(removed).min(added);
            let swapped = row > 1
                && column > 1
                && left[row - 1] == right[column - 2]
                && left[row - 2] == right[column - 1];
            if swapped {
                best = best.min(table[(row - 2) * width + column - 2] + 1);
            }
            table[row * width + column] = best;
        }
    }
    table[left.len() * width + right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_stands_under_the_place_on_its_line() {
        let error = ParseError::new("SELECT é,\n  x WHERE", Span::new(15, 20), "no");
        let error = Box::new(error).with_hint("h");
        assert_eq!(
            error.render(),
            "no at line 2, column 5\n  |\n2 |   x WHERE\n  |     ^^^^^\nhint: h"
        );
    }

    #[test]
    fn an_excerpt_of_a_long_line_is_cut_around_the_place() {
        let text = format!("{}?{}", "a".repeat(5000), "b".repeat(5000));
        let error = ParseError::new(&text, Span::new(5000, 10_001), "no");
        assert!(error.render().len() < 500);
        assert_eq!(error.column, 5001);
    }

    #[test]
    fn near_words_are_found_and_far_ones_are_not() {
        assert_eq!(nearest("SELEC", ["SELECT", "INSERT"]), Some("SELECT"));
        assert_eq!(nearest("FORM", ["FROM"]), Some("FROM"));
        assert_eq!(nearest("banana", ["SELECT", "INSERT"]), None);
    }
}
