//! Reading and writing the primitives of every format: checked, bounded, never
//! panicking.
//!
//! Numbers are LEB128 with the shortest form required, so that equal content
//! has equal bytes.

/// Bytes that are not what the format says. The peer's or the disk's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end inside something.
    #[error("the bytes end at {at} inside {what}")]
    Truncated {
        /// What was being read.
        what: &'static str,
        /// The offset where bytes are missing.
        at: usize,
    },
    /// The bytes break a rule of the format.
    #[error("malformed {what} at byte {at}")]
    Malformed {
        /// Which rule.
        what: &'static str,
        /// The offset after the offending bytes.
        at: usize,
    },
    /// Written by a version of the format that this program does not know.
    #[error("format version {version} is unknown here: a newer program wrote this document")]
    UnknownVersion {
        /// The version found.
        version: u8,
    },
    /// The nesting exceeds `value::MAX_DEPTH`.
    #[error("the document nests too deeply")]
    TooDeep,
    /// More actors than `version::MAX_ACTORS`.
    #[error("the document names more than {max} actors", max = crate::version::MAX_ACTORS)]
    TooManyActors,
}

/// A cursor over borrowed bytes that cannot overrun them.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// A cursor before the first byte.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// How many bytes were read.
    #[must_use]
    pub const fn position(&self) -> usize {
        self.at
    }

    /// Whether all bytes were read.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.at == self.bytes.len()
    }

    /// The bytes that were not read yet.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    /// The error for a broken rule at this place.
    #[must_use]
    pub const fn malformed(&self, what: &'static str) -> DecodeError {
        DecodeError::Malformed { what, at: self.at }
    }

    /// Reads one byte.
    ///
    /// # Errors
    /// The bytes end here.
    #[inline]
    pub fn byte(&mut self, what: &'static str) -> Result<u8, DecodeError> {
        let byte = *self
            .bytes
            .get(self.at)
            .ok_or(DecodeError::Truncated { what, at: self.at })?;
        self.at += 1;
        Ok(byte)
    }

    /// Reads so many bytes.
    ///
    /// # Errors
    /// The bytes end before.
    #[inline]
    pub fn take(&mut self, length: usize, what: &'static str) -> Result<&'a [u8], DecodeError> {
        let taken = self
            .bytes
            .get(self.at..)
            .and_then(|rest| rest.get(..length))
            .ok_or(DecodeError::Truncated { what, at: self.at })?;
        self.at += length;
        Ok(taken)
    }

    /// Reads an array.
    ///
    /// # Errors
    /// The bytes end before.
    pub fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], DecodeError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N, what)?);
        Ok(array)
    }

    /// Reads a number in its shortest form.
    ///
    /// # Errors
    /// The bytes end before, or the form is longer than it must be.
    #[inline]
    pub fn varint(&mut self, what: &'static str) -> Result<u64, DecodeError> {
        let first = self.byte(what)?;
        if first < 0x80 {
            return Ok(u64::from(first));
        }
        self.long_varint(first, what)
    }

    #[cold]
    fn long_varint(&mut self, first: u8, what: &'static str) -> Result<u64, DecodeError> {
        let mut number = u64::from(first & 0x7F);
        for shift in (7..64).step_by(7) {
            let byte = self.byte(what)?;
            let bits = u64::from(byte & 0x7F);
            if shift == 63 && bits > 1 {
                return Err(self.malformed(what));
            }
            number |= bits << shift;
            if byte < 0x80 {
                return if byte == 0 {
                    Err(self.malformed(what))
                } else {
                    Ok(number)
                };
            }
        }
        Err(self.malformed(what))
    }

    /// A count of things that take at least one byte each, so that no count
    /// can ask for more memory than the bytes that are there.
    ///
    /// # Errors
    /// The bytes end before, or hold less than so many things.
    #[inline]
    pub fn count(&mut self, what: &'static str) -> Result<usize, DecodeError> {
        let count = self.varint(what)?;
        let left = self.bytes.len() - self.at;
        match usize::try_from(count) {
            Ok(count) if count <= left => Ok(count),
            _ => Err(self.malformed(what)),
        }
    }

    /// Reads bytes behind their length.
    ///
    /// # Errors
    /// The bytes end before.
    #[inline]
    pub fn blob(&mut self, what: &'static str) -> Result<&'a [u8], DecodeError> {
        let length = self.count(what)?;
        self.take(length, what)
    }

    /// Reads text behind its length.
    ///
    /// # Errors
    /// The bytes end before, or are not UTF-8.
    #[inline]
    pub fn text(&mut self, what: &'static str) -> Result<&'a str, DecodeError> {
        let bytes = self.blob(what)?;
        std::str::from_utf8(bytes).map_err(|_| self.malformed(what))
    }
}

/// Appends a number in its shortest form.
#[inline]
pub fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push((number as u8 & 0x7F) | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Appends bytes behind their length.
pub fn put_blob(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends text behind its length.
pub fn put_text(out: &mut Vec<u8>, text: &str) {
    put_blob(out, text.as_bytes());
}

/// Puts the length of everything after `start` in front of it.
pub(crate) fn put_length_before(out: &mut Vec<u8>, start: usize) {
    let length = out.len() - start;
    if length < 0x80 {
        return out.insert(start, length as u8);
    }
    let mut prefix = Vec::with_capacity(5);
    put_varint(&mut prefix, length as u64);
    out.splice(start..start, prefix);
}

/// Small numbers of either sign become small numbers.
pub(crate) const fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

/// Undoes [`zigzag`].
pub(crate) const fn unzigzag(number: u64) -> i64 {
    ((number >> 1) as i64) ^ -((number & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_survive_a_round_trip(number: u64, signed: i64) {
            let mut out = Vec::new();
            put_varint(&mut out, number);
            prop_assert_eq!(Reader::new(&out).varint("number"), Ok(number));
            prop_assert_eq!(unzigzag(zigzag(signed)), signed);
        }
    }

    #[test]
    fn a_number_in_a_longer_form_is_refused() {
        assert!(Reader::new(&[0x80, 0x00]).varint("number").is_err());
        assert!(Reader::new(&[0xFF; 10]).varint("number").is_err());
        assert!(Reader::new(&[0x80]).varint("number").is_err());
    }
}
