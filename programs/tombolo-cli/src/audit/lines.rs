//! Reads the lines of an audit file one after another, whatever is in it, in bounded memory.
//! Bytes that are no lines are counted and hashed, so that a start can say in the chain what it found.

use std::io::{self, BufRead, BufReader, Read};

use super::line::LINE_BYTES_MAX;

/// A file as lines.
pub(super) struct Lines<R> {
    reader: BufReader<R>,
    /// The bytes of the line, with its end if it has one.
    text: Vec<u8>,
}

/// What stands next in a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Something short enough to be a line: see [`Lines::text`].
    Text,
    /// Something longer, which was added to the torn bytes.
    TooLong,
    /// Nothing: the file ends.
    End,
}

impl<R: Read> Lines<R> {
    pub(super) fn new(reader: R) -> Self {
        Self {
            reader: BufReader::with_capacity(64 * 1024, reader),
            text: Vec::new(),
        }
    }

    /// Reads on to the next end of a line.
    ///
    /// # Errors
    /// The file cannot be read, or is no gzip.
    pub(super) fn advance(&mut self, torn: &mut Torn) -> io::Result<Found> {
        self.text.clear();
        let mut is_too_long = false;
        loop {
            let found = self.reader.fill_buf()?;
            if found.is_empty() {
                break;
            }
            let end = found.iter().position(|byte| *byte == b'\n');
            let taken = &found[..end.map_or(found.len(), |at| at + 1)];
            let bytes = taken.len();
            if !is_too_long && self.text.len() + bytes > LINE_BYTES_MAX + 1 {
                is_too_long = true;
                torn.add(&self.text);
                self.text.clear();
            }
            match is_too_long {
                true => torn.add(taken),
                false => self.text.extend_from_slice(taken),
            }
            self.reader.consume(bytes);
            if end.is_some() {
                break;
            }
        }
        Ok(match (is_too_long, self.text.is_empty()) {
            (true, _) => Found::TooLong,
            (false, true) => Found::End,
            (false, false) => Found::Text,
        })
    }

    /// The last line, with its end if it has one.
    pub(super) fn raw(&self) -> &[u8] {
        &self.text
    }

    /// The last line without its end.
    pub(super) fn text(&self) -> &[u8] {
        self.text.strip_suffix(b"\n").unwrap_or(&self.text)
    }
}

/// Bytes that are no lines, as the writer and the verifier count them.
#[derive(Debug, Default)]
pub(super) struct Torn {
    hasher: blake3::Hasher,
    pub(super) bytes: u64,
    pub(super) has_end: bool,
}

impl Torn {
    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.bytes += bytes.len() as u64;
        self.has_end = bytes.ends_with(b"\n");
    }

    /// `None`: nothing was torn.
    pub(super) fn hash(&self) -> Option<String> {
        (self.bytes > 0).then(|| self.hasher.finalize().to_hex().to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_short_long_and_unended_are_told_apart_and_counted() {
        let at_limit = vec![b'a'; LINE_BYTES_MAX];
        let above = vec![b'b'; 5 * LINE_BYTES_MAX];
        let file = [&at_limit[..], b"\n", &above, b"\n", b"end"].concat();
        let mut lines = Lines::new(&file[..]);
        let mut torn = Torn::default();
        assert_eq!(lines.advance(&mut torn).unwrap(), Found::Text);
        assert_eq!(lines.text(), at_limit);
        assert_eq!(torn.bytes, 0);
        assert_eq!(lines.advance(&mut torn).unwrap(), Found::TooLong);
        assert_eq!(torn.bytes, above.len() as u64 + 1);
        assert!(torn.has_end);
        let hash = blake3::hash(&[&above[..], b"\n"].concat());
        assert_eq!(torn.hash(), Some(hash.to_hex().to_string()));
        assert_eq!(lines.advance(&mut torn).unwrap(), Found::Text);
        assert_eq!((lines.raw(), lines.text()), (&b"end"[..], &b"end"[..]));
        assert_eq!(lines.advance(&mut torn).unwrap(), Found::End);
    }
}
