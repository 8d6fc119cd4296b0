//! LIKE, ILIKE, SIMILAR TO and regular expressions. Matching takes time linear
//! in the text for each character of the pattern, whatever the pattern.

use std::cell::RefCell;
use std::collections::BTreeMap;

use regex::{Regex, RegexBuilder};

use crate::datum::Datum;
use crate::error::QueryError;
use crate::evaluate::Run;
use crate::expr::Flavour;

/// Longest pattern, in bytes.
pub(crate) const PATTERN_BYTES_MAX: usize = 4096;
/// Largest compiled regular expression, in bytes.
const COMPILED_BYTES_MAX: usize = 1 << 20;
/// Compiled patterns that one run keeps; the next one empties the cache.
const PATTERNS_KEPT: usize = 32;
/// Deepest nesting of a regular expression.
const PATTERN_NESTING_MAX: u32 = 64;

/// The patterns that a run has compiled. `None` is a pattern that is none.
#[derive(Default)]
pub(crate) struct Patterns {
    compiled: RefCell<BTreeMap<(String, String), Option<Regex>>>,
}

impl Patterns {
    /// The compiled regular expression, or `None` if it cannot be one.
    fn regex(&self, pattern: &str, flags: &str) -> Option<Regex> {
        let key = (pattern.to_owned(), flags.to_owned());
        if let Some(known) = self.compiled.borrow().get(&key) {
            return known.clone();
        }
        let compiled = compile(pattern, flags);
        let mut cache = self.compiled.borrow_mut();
        if cache.len() >= PATTERNS_KEPT {
            cache.clear();
        }
        cache.insert(key, compiled.clone());
        compiled
    }
}

/// Flags: i any case, c exact case, m lines, s dot takes line ends, x spaced.
fn compile(pattern: &str, flags: &str) -> Option<Regex> {
    if pattern.len() > PATTERN_BYTES_MAX {
        return None;
    }
    let mut builder = RegexBuilder::new(pattern);
    builder
        .size_limit(COMPILED_BYTES_MAX)
        .dfa_size_limit(COMPILED_BYTES_MAX)
        .nest_limit(PATTERN_NESTING_MAX);
    for flag in flags.chars() {
        match flag {
            'i' => builder.case_insensitive(true),
            'c' => builder.case_insensitive(false),
            'm' => builder.multi_line(true),
            's' => builder.dot_matches_new_line(true),
            'x' => builder.ignore_whitespace(true),
            _ => return None,
        };
    }
    builder.build().ok()
}

/// `regexp_like(text, pattern, flags)`; MISSING for a pattern that is none.
pub(crate) fn regexp_like<'a>(run: &Run<'_>, text: &str, pattern: &str, flags: &str) -> Datum<'a> {
    match run.patterns.regex(pattern, flags) {
        Some(regex) => Datum::Bool(regex.is_match(text)),
        None => Datum::Missing,
    }
}

/// A value, the pattern, and the escape character of LIKE and its relatives.
type Operands<'d> = (&'d Datum<'d>, &'d Datum<'d>, Option<&'d Datum<'d>>);

/// `value LIKE pattern ESCAPE character` and its relatives.
pub(crate) fn like<'a>(
    run: &Run<'_>,
    (value, pattern, escape): Operands<'_>,
    flavour: Flavour,
) -> Result<Datum<'a>, QueryError> {
    if value.is_missing() || pattern.is_missing() {
        return Ok(Datum::Missing);
    }
    if value.is_null() || pattern.is_null() {
        return Ok(Datum::Null);
    }
    let (Some(text), Some(pattern)) = (value.text(), pattern.text()) else {
        return Ok(Datum::Missing);
    };
    let escape = match escape.map(Datum::text) {
        None => None,
        Some(Some(escape)) if escape.chars().count() == 1 => escape.chars().next(),
        Some(_) => return Ok(Datum::Missing),
    };
    if pattern.len() > PATTERN_BYTES_MAX {
        return Err(QueryError::evaluation(format!(
            "the pattern has {} bytes and {PATTERN_BYTES_MAX} are allowed",
            pattern.len()
        )));
    }
    Ok(match flavour {
        Flavour::Like => Datum::Bool(matches(text, &pieces(pattern, escape), &|| {
            run.fuel.step()
        })?),
        Flavour::LikeAnyCase => {
            let pattern = pieces(&pattern.to_lowercase(), escape);
            Datum::Bool(matches(&text.to_lowercase(), &pattern, &|| {
                run.fuel.step()
            })?)
        }
        Flavour::Similar => regexp_like(run, text, &similar(pattern, escape), "s"),
    })
}

/// Whether a short text matches a LIKE pattern, in any case if the flavour says
/// so.
pub(crate) fn matches_name(name: &str, pattern: &str, flavour: Flavour) -> bool {
    let matched = match flavour {
        Flavour::LikeAnyCase => {
            let pattern = pieces(&pattern.to_lowercase(), None);
            matches(&name.to_lowercase(), &pattern, &|| Ok(()))
        }
        _ => matches(name, &pieces(pattern, None), &|| Ok(())),
    };
    matched.unwrap_or(false)
}

/// One character of a LIKE pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece {
    /// `%`
    Any,
    /// `_`
    One,
    Exactly(char),
}

fn pieces(pattern: &str, escape: Option<char>) -> Vec<Piece> {
    let mut pieces = Vec::with_capacity(pattern.len());
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        if Some(character) == escape {
            pieces.extend(characters.next().map(Piece::Exactly));
            continue;
        }
        pieces.push(match character {
            '%' => Piece::Any,
            '_' => Piece::One,
            exactly => Piece::Exactly(exactly),
        });
    }
    pieces
}

/// The start that every text matching this LIKE pattern has.
pub(crate) fn literal_prefix(pattern: &str, escape: Option<char>) -> String {
    let exact = |piece: &Piece| match piece {
        Piece::Exactly(character) => Some(*character),
        _ => None,
    };
    pieces(pattern, escape).iter().map_while(exact).collect()
}

/// Greedy with one place to go back to: the last `%`. Each way back is a step.
fn matches(
    text: &str,
    pieces: &[Piece],
    step: &dyn Fn() -> Result<(), QueryError>,
) -> Result<bool, QueryError> {
    let mut rest = text.chars();
    let mut at = 0;
    let mut retry: Option<(usize, std::str::Chars<'_>)> = None;
    loop {
        let before = rest.clone();
        let next = rest.next();
        match (pieces.get(at), next) {
            (Some(Piece::Any), _) => {
                at += 1;
                retry = Some((at, before.clone()));
                rest = before;
            }
            (Some(Piece::One), Some(_)) => at += 1,
            (Some(Piece::Exactly(wanted)), Some(found)) if *wanted == found => at += 1,
            (None, None) => return Ok(true),
            (_, next) => {
                step()?;
                let Some((piece, start)) = &mut retry else {
                    return Ok(false);
                };
                if next.is_none() || start.next().is_none() {
                    return Ok(false);
                }
                at = *piece;
                rest = start.clone();
            }
        }
    }
}

/// The regular expression of a SIMILAR TO pattern, which matches whole texts.
fn similar(pattern: &str, escape: Option<char>) -> String {
    let mut regex = String::from("^(?:");
    let mut characters = pattern.chars();
    let mut in_class = false;
    while let Some(character) = characters.next() {
        match character {
            _ if Some(character) == escape => {
                for escaped in characters.by_ref().take(1) {
                    regex.push_str(&regex::escape(escaped.encode_utf8(&mut [0; 4])));
                }
            }
            '[' if !in_class => {
                in_class = true;
                regex.push('[');
            }
            ']' => {
                in_class = false;
                regex.push(']');
            }
            '^' | '-' if in_class => regex.push(character),
            _ if in_class => regex.push_str(&regex::escape(character.encode_utf8(&mut [0; 4]))),
            '%' => regex.push_str(".*"),
            '_' => regex.push('.'),
            '|' | '(' | ')' | '*' | '+' | '?' | '{' | '}' => regex.push(character),
            _ => regex.push_str(&regex::escape(character.encode_utf8(&mut [0; 4]))),
        }
    }
    regex.push_str(")$");
    regex
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn like_patterns_match_as_documented() {
        for (text, pattern, expected) in [
            ("gearbox", "gear%", true),
            ("gearbox", "%box", true),
            ("gearbox", "g%r%x", true),
            ("gearbox", "g_arbo_", true),
            ("gearbox", "gear", false),
            ("", "%", true),
            ("", "_", false),
            ("aXbXc", "%X", false),
            ("naïve", "na_ve", true),
            ("aab", "%ab", true),
        ] {
            let matched = matches_name(text, pattern, Flavour::Like);
            assert_eq!(matched, expected, "{text} {pattern}");
        }
    }

    #[test]
    fn a_hostile_pattern_does_not_explode() {
        let text = "a".repeat(20_000);
        let pattern = format!("{}b", "%a".repeat(100));
        assert!(!matches_name(&text, &pattern, Flavour::Like));
    }

    #[test]
    fn the_prefix_ends_at_the_first_wildcard() {
        assert_eq!(literal_prefix("ab%c", None), "ab");
        assert_eq!(literal_prefix("a#%_", Some('#')), "a%");
    }
}
