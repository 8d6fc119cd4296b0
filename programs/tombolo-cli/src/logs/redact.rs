//! The last line of defence before logs leave the machine: what looks like a secret is struck out.
//! The node writes none into its logs; an older version, a library or a foreign file might have.

use std::io::{self, BufRead, BufReader, Read};

const REDACTED: &str = "[redacted]";
/// Longest piece that is looked at at once; a longer line is looked at in pieces.
const PIECE_BYTES_MAX: u64 = 64 * 1024;
/// Words after which a secret stands.
const INTRODUCTIONS: [&str; 2] = ["bearer", "basic"];
const KEY_LINE: &str = "PRIVATE KEY-----";
/// What every JSON Web Token begins with.
const TOKEN_START: &str = "eyJ";

/// A text without what looks like a secret.
pub(super) struct Redacting<R> {
    reader: BufReader<R>,
    shown: Vec<u8>,
    /// How much of `shown` was read.
    at: usize,
    is_in_key: bool,
}

impl<R: Read> Redacting<R> {
    pub(super) fn new(reader: R) -> Self {
        Self {
            reader: BufReader::with_capacity(64 * 1024, reader),
            shown: Vec::new(),
            at: 0,
            is_in_key: false,
        }
    }

    /// Reads the next line. Bytes that are no text are shown as such.
    fn refill(&mut self) -> io::Result<()> {
        let mut line = Vec::new();
        (&mut self.reader)
            .take(PIECE_BYTES_MAX)
            .read_until(b'\n', &mut line)?;
        let text = String::from_utf8_lossy(&line);
        self.at = 0;
        self.shown.clear();
        if text.contains(KEY_LINE) || self.is_in_key {
            self.is_in_key = !text.contains("-----END");
            self.shown.extend_from_slice(b"[redacted]\n");
        } else {
            self.shown.extend_from_slice(redacted(&text).as_bytes());
        }
        if line.is_empty() {
            self.shown.clear();
        }
        Ok(())
    }
}

impl<R: Read> Read for Redacting<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if self.at == self.shown.len() {
            self.refill()?;
        }
        let count = bytes.len().min(self.shown.len() - self.at);
        bytes[..count].copy_from_slice(&self.shown[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

fn redacted(line: &str) -> String {
    let is_word = |letter: char| letter.is_ascii_alphanumeric() || "+/=_-.$~".contains(letter);
    let mut shown = String::with_capacity(line.len());
    let mut rest = line;
    let mut is_introduced = false;
    while let Some(first) = rest.chars().next() {
        if !is_word(first) {
            shown.push(first);
            rest = &rest[first.len_utf8()..];
            // A secret stands behind its introduction with nothing but blanks between.
            is_introduced &= first == ' ';
            continue;
        }
        let end = rest.find(|letter| !is_word(letter)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        let is_secret = is_introduced || is_token(word);
        shown.push_str(if is_secret { REDACTED } else { word });
        is_introduced = INTRODUCTIONS
            .iter()
            .any(|name| word.eq_ignore_ascii_case(name));
        rest = after;
    }
    shown
}

/// Three parts, of which the first two are JSON in base64.
fn is_token(word: &str) -> bool {
    word.starts_with(TOKEN_START) && word.matches('.').count() >= 2
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let mut shown = String::new();
        Redacting::new(text.as_bytes())
            .read_to_string(&mut shown)
            .unwrap();
        shown
    }

    #[test]
    fn what_looks_like_a_secret_is_struck_out_and_the_rest_stays() {
        let same = "{\"seq\":1,\"peer\":\"pk:AbC\",\"hash\":\"00ff\"}\nbasic words stay? no\n";
        assert_eq!(shown(same).lines().next(), same.lines().next());
        assert_eq!(
            shown("authorization: Bearer abc123=\n"),
            "authorization: Bearer [redacted]\n"
        );
        assert_eq!(shown("\"eyJhbGci.eyJzdWIi.c2ln\","), "\"[redacted]\",");
        let key = "a\n-----BEGIN PRIVATE KEY-----\nMIG\n-----END PRIVATE KEY-----\nb\n";
        assert_eq!(shown(key), "a\n[redacted]\n[redacted]\n[redacted]\nb\n");
    }
}
