//! The small parts that every stored record is made of: version byte, varints, whole numbers.
//!
//! Reading never panics and never allocates on the word of the bytes.

use crate::StoreError;

/// The version that this release writes at the head of every record.
pub(crate) const RECORD_VERSION: u8 = 1;

/// Appends seven bits a byte, least first, with the high bit on all but the last.
pub(crate) fn put_varint(out: &mut impl Extend<u8>, mut value: u64) {
    while value >= 0x80 {
        out.extend([value as u8 | 0x80]);
        value >>= 7;
    }
    out.extend([value as u8]);
}

/// Appends a length and the bytes.
pub(crate) fn put_bytes(out: &mut impl Extend<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend(bytes.iter().copied());
}

/// Walks over one stored record.
pub(crate) struct RecordReader<'a> {
    record: &'static str,
    rest: &'a [u8],
}

impl<'a> RecordReader<'a> {
    /// Opens a record of the kind named `record`, whose version must be known here.
    pub(crate) fn open(record: &'static str, bytes: &'a [u8]) -> Result<Self, StoreError> {
        let mut reader = Self {
            record,
            rest: bytes,
        };
        match reader.byte()? {
            RECORD_VERSION => Ok(reader),
            found if found > RECORD_VERSION => Err(StoreError::NewerFormat { record, found }),
            _ => Err(reader.damaged()),
        }
    }

    /// Opens a part of a record that has no version of its own.
    pub(crate) const fn within(record: &'static str, bytes: &'a [u8]) -> Self {
        Self {
            record,
            rest: bytes,
        }
    }

    pub(crate) fn byte(&mut self) -> Result<u8, StoreError> {
        let (first, rest) = self.rest.split_first().ok_or(self.damaged())?;
        self.rest = rest;
        Ok(*first)
    }

    pub(crate) fn varint(&mut self) -> Result<u64, StoreError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(self.damaged())
    }

    pub(crate) fn number<T: TryFrom<u64>>(&mut self) -> Result<T, StoreError> {
        let value = self.varint()?;
        T::try_from(value).map_err(|_| self.damaged())
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], StoreError> {
        let (first, rest) = self.rest.split_first_chunk().ok_or(self.damaged())?;
        self.rest = rest;
        Ok(*first)
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], StoreError> {
        let length = self.number::<usize>()?;
        let (first, rest) = self.rest.split_at_checked(length).ok_or(self.damaged())?;
        self.rest = rest;
        Ok(first)
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, StoreError> {
        let bytes = self.bytes()?;
        std::str::from_utf8(bytes).map_err(|_| self.damaged())
    }

    /// What is left, for a record that ends in bytes without a length.
    pub(crate) const fn rest(self) -> &'a [u8] {
        self.rest
    }

    /// Whether nothing is left.
    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The end of a record that must have nothing left.
    pub(crate) fn close(self) -> Result<(), StoreError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(self.damaged())
        }
    }

    pub(crate) const fn damaged(&self) -> StoreError {
        StoreError::DamagedRecord {
            record: self.record,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_round_trip_and_a_longer_one_is_refused() {
        for value in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            let mut bytes = vec![RECORD_VERSION];
            put_varint(&mut bytes, value);
            let mut reader = RecordReader::open("test", &bytes).unwrap();
            assert_eq!(reader.varint().unwrap(), value);
            reader.close().unwrap();
        }
        let mut long = vec![RECORD_VERSION];
        long.extend([0xff; 9]);
        long.push(2);
        assert!(RecordReader::open("test", &long).unwrap().varint().is_err());
    }

    #[test]
    fn a_newer_version_is_told_from_a_damaged_one() {
        let newer = RecordReader::open("test", &[RECORD_VERSION + 1])
            .err()
            .unwrap();
        assert!(matches!(
            newer,
            StoreError::NewerFormat {
                record: "test",
                found: 2
            }
        ));
        let damaged = RecordReader::open("test", &[0]).err().unwrap();
        assert!(matches!(
            damaged,
            StoreError::DamagedRecord { record: "test" }
        ));
        assert!(RecordReader::open("test", &[]).is_err());
    }

    #[test]
    fn a_length_beyond_the_record_is_refused() {
        let bytes = [RECORD_VERSION, 0xff, 0xff, 0xff, 0xff, 0x0f, 1];
        assert!(RecordReader::open("test", &bytes).unwrap().bytes().is_err());
    }
}
