//! One line of the audit log: a JSON object whose last member is the hash of all before it and of the line before.
//! The hash covers the bytes as they are written, so that nobody needs our serializer to check it.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

/// Longest line that is written or understood, without its end.
pub(super) const LINE_BYTES_MAX: usize = 16 * 1024;

/// So that a hash of a chain is never one of anything else.
const CONTEXT: &str = "tombolo 2026-11 audit chain 1";
const HASH_MEMBER: &[u8] = br#","hash":""#;
const LINE_END: &[u8] = br#""}"#;
const HEX_CHARS: usize = 64;

/// The hash of a line.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct ChainHash([u8; 32]);

impl ChainHash {
    /// What comes before the first line.
    pub(super) const GENESIS: Self = Self([0; 32]);

    fn after(self, body: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
        hasher.update(&self.0).update(body);
        Self(*hasher.finalize().as_bytes())
    }

    pub(crate) fn from_hex(text: &str) -> Option<Self> {
        let is_lower = text.bytes().all(|byte| !byte.is_ascii_uppercase());
        let hash = blake3::Hash::from_hex(text).ok().filter(|_| is_lower)?;
        Some(Self(*hash.as_bytes()))
    }
}

impl fmt::Display for ChainHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}

impl fmt::Debug for ChainHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl Serialize for ChainHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ChainHash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::from_hex(&text)
            .ok_or_else(|| serde::de::Error::custom("not 64 lower-case hex digits"))
    }
}

/// How far a chain is: the number and the hash of its last line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position {
    pub(crate) sequence: u64,
    pub(crate) hash: ChainHash,
}

impl Position {
    /// Before the first line, which has number 1.
    pub(super) const START: Self = Self {
        sequence: 0,
        hash: ChainHash::GENESIS,
    };

    /// Reads what [`Position`] prints: the number, a colon, the hash.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let form = "write it as tombolo audit verify prints it: the number, a colon, 64 hex digits";
        let (sequence, hash) = text.split_once(':').ok_or(form)?;
        Ok(Self {
            sequence: sequence.parse().map_err(|_| form)?,
            hash: ChainHash::from_hex(hash).ok_or(form)?,
        })
    }
}

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.sequence, self.hash)
    }
}

/// What every line begins with.
#[derive(Serialize)]
struct Numbered<'a, T> {
    seq: u64,
    at: &'a str,
    #[serde(flatten)]
    content: &'a T,
}

/// Writes the next line behind `lines`, with its end, and gives the position it brings the chain to.
///
/// # Errors
/// It would be longer than [`LINE_BYTES_MAX`], or has no form in JSON. `lines` is as before.
pub(super) fn seal<T: Serialize>(
    lines: &mut Vec<u8>,
    before: Position,
    at: &str,
    content: &T,
) -> Result<Position, SealError> {
    let start = lines.len();
    let sequence = before.sequence + 1;
    let numbered = Numbered {
        seq: sequence,
        at,
        content,
    };
    if let Err(error) = serde_json::to_writer(&mut *lines, &numbered) {
        lines.truncate(start);
        return Err(SealError::NotJson(error));
    }
    let bytes = lines.len() - start + HASH_MEMBER.len() + HEX_CHARS + 1;
    if bytes > LINE_BYTES_MAX {
        lines.truncate(start);
        return Err(SealError::TooLong { bytes });
    }
    // The brace that ends the object stands behind the hash.
    lines.pop();
    let hash = before.hash.after(&lines[start..]);
    lines.extend_from_slice(HASH_MEMBER);
    lines.extend_from_slice(hash.to_string().as_bytes());
    lines.extend_from_slice(LINE_END);
    lines.push(b'\n');
    Ok(Position { sequence, hash })
}

/// Why a record has no line. Ours to mend: what goes into records is bounded before.
#[derive(Debug, thiserror::Error)]
pub(super) enum SealError {
    #[error("a record has no form in JSON: {0}")]
    NotJson(serde_json::Error),
    #[error("a record would have {bytes} bytes, at most {LINE_BYTES_MAX} are written")]
    TooLong { bytes: usize },
}

/// A line that has the form of one; whether it fits its chain is another question.
#[derive(Debug)]
pub(super) struct Line<'a> {
    body: &'a [u8],
    pub(super) sequence: u64,
    /// What it says that its hash is.
    pub(super) hash: ChainHash,
}

#[derive(Deserialize)]
struct Sequence {
    seq: u64,
}

impl<'a> Line<'a> {
    /// `text` is a line without its end. `None`: it has not the form of one.
    pub(super) fn parse(text: &'a [u8]) -> Option<Self> {
        let (body, hash) = split(text)?;
        let Sequence { seq } = serde_json::from_slice(text).ok()?;
        Some(Self {
            body,
            sequence: seq,
            hash,
        })
    }

    /// Whether its hash is that of its text behind a line with hash `before`.
    pub(super) fn follows(&self, before: ChainHash) -> bool {
        before.after(self.body) == self.hash
    }
}

fn split(text: &[u8]) -> Option<(&[u8], ChainHash)> {
    let rest = text.strip_suffix(LINE_END)?;
    let (rest, hex) = rest.split_at_checked(rest.len().checked_sub(HEX_CHARS)?)?;
    let hash = ChainHash::from_hex(std::str::from_utf8(hex).ok()?)?;
    Some((rest.strip_suffix(HASH_MEMBER)?, hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Content {
        kind: &'static str,
    }

    fn sealed(before: Position) -> (Vec<u8>, Position) {
        let mut lines = Vec::new();
        let content = Content { kind: "x" };
        let position = seal(&mut lines, before, "2026-11-22T00:00:00.000Z", &content).unwrap();
        (lines, position)
    }

    #[test]
    fn the_form_of_a_line_is_fixed() {
        let (lines, position) = sealed(Position::START);
        let text = String::from_utf8(lines).unwrap();
        let body = r#"{"seq":1,"at":"2026-11-22T00:00:00.000Z","kind":"x""#;
        let hash = GOLDEN;
        assert_eq!(text, format!("{body},\"hash\":\"{hash}\"}}\n"));
        assert_eq!(position.hash.to_string(), hash);
    }

    const GOLDEN: &str = "b5a2ee4b01ba8845c01877e76fede9c10dacc1a47df98d75cad3b29110d0d510";

    #[test]
    fn a_line_follows_the_one_before_it_and_no_other() {
        let (first, one) = sealed(Position::START);
        let (second, _) = sealed(one);
        let line = Line::parse(second.trim_ascii_end()).unwrap();
        assert_eq!(line.sequence, 2);
        assert!(line.follows(one.hash));
        assert!(!line.follows(ChainHash::GENESIS));
        assert!(
            Line::parse(first.trim_ascii_end())
                .unwrap()
                .follows(ChainHash::GENESIS)
        );
    }

    #[test]
    fn every_change_of_a_letter_is_noticed() {
        let (lines, _) = sealed(Position::START);
        let line = lines.trim_ascii_end();
        for index in 0..line.len() {
            let mut changed = line.to_vec();
            changed[index] ^= 1;
            let is_good =
                Line::parse(&changed).is_some_and(|line| line.follows(ChainHash::GENESIS));
            assert!(!is_good, "at {index}");
        }
    }

    #[test]
    fn a_record_that_is_too_long_leaves_nothing_behind() {
        let mut lines = b"before\n".to_vec();
        let long = "x".repeat(LINE_BYTES_MAX);
        let content = std::collections::BTreeMap::from([("kind", long)]);
        let refused = seal(&mut lines, Position::START, "", &content);
        assert!(matches!(refused, Err(SealError::TooLong { .. })));
        assert_eq!(lines, b"before\n");
    }
}
