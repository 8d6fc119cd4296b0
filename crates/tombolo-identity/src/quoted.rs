//! Texts and times for people: what a stranger wrote, made harmless, and spans.

use std::fmt;

/// How much of a text from outside an error repeats, in characters.
const QUOTED_CHARS_MAX: usize = 80;

/// A text from outside: one line of visible ASCII, cut at 80 characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quoted(String);

impl Quoted {
    /// Escapes and cuts it.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let mut quoted: String = text
            .chars()
            .take(QUOTED_CHARS_MAX)
            .flat_map(char::escape_default)
            .collect();
        if text.chars().nth(QUOTED_CHARS_MAX).is_some() {
            quoted.push_str("...");
        }
        Self(quoted)
    }

    /// The escaped text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Quoted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Milliseconds for people, rounded down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(pub u64);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0 / 1000;
        match seconds {
            0..120 => write!(f, "{seconds} s"),
            120..7200 => write!(f, "{} min", seconds / 60),
            7200..172_800 => write!(f, "{} h", seconds / 3600),
            _ => write!(f, "{} days", seconds / 86_400),
        }
    }
}
