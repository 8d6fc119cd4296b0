//! Bytes with a bound, compressed where that helps. The unpacked length is
//! announced, checked against the caller's bound and never exceeded.

use zstd::bulk::{compress, decompress};

use crate::reader::Reader;

const PLAIN: u8 = 0;
const ZSTD: u8 = 1;
/// Level of the compressor: certificates are made seldom and read often.
const LEVEL: i32 = 9;
/// Below this, compressing is not tried, in bytes.
const COMPRESSED_FROM: usize = 512;
/// A length of the unpacked bytes, before compressed ones.
const LENGTH_BYTES: usize = 4;

/// The shorter of both forms: a byte for the form, then the bytes.
pub(crate) fn pack(bytes: &[u8]) -> Vec<u8> {
    if bytes.len() >= COMPRESSED_FROM
        && let Ok(short) = compress(bytes, LEVEL)
        && short.len() + LENGTH_BYTES < bytes.len()
    {
        let length = (bytes.len() as u32).to_be_bytes();
        return [&[ZSTD][..], &length, &short].concat();
    }
    [&[PLAIN][..], bytes].concat()
}

/// Gives the bytes back if they are `bytes_max` at most, and `None` for
/// anything that [`pack`] never gives.
pub(crate) fn unpack(packed: &[u8], bytes_max: usize) -> Option<Vec<u8>> {
    let mut reader = Reader::new(packed);
    match reader.array()? {
        [PLAIN] => {
            let bytes = reader.rest();
            (bytes.len() <= bytes_max).then(|| bytes.to_vec())
        }
        [ZSTD] => {
            let length = u32::from_be_bytes(reader.array()?) as usize;
            if length > bytes_max {
                return None;
            }
            let bytes = decompress(reader.rest(), length).ok()?;
            (bytes.len() == length).then_some(bytes)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_is_unpacked_up_to_the_bound() {
        for length in [0, 1, 511, 512, 10_000] {
            let bytes = vec![b'x'; length];
            let packed = pack(&bytes);
            assert!(packed.len() <= 1 + length);
            assert_eq!(unpack(&packed, length), Some(bytes));
            if length > 0 {
                assert_eq!(unpack(&packed, length - 1), None);
            }
        }
    }

    #[test]
    fn a_bomb_is_refused_by_its_announced_and_by_its_true_length() {
        let mut bomb = pack(&vec![0; 1 << 20]);
        assert!(bomb.len() < 1024);
        assert_eq!(unpack(&bomb, 64 * 1024), None);
        bomb[1..5].copy_from_slice(&100_u32.to_be_bytes());
        assert_eq!(unpack(&bomb, 64 * 1024), None);
    }

    #[test]
    fn other_bytes_are_refused() {
        for bytes in [
            &[][..],
            &[2, 0],
            &[1],
            &[1, 0, 0, 0],
            &[1, 0, 0, 0, 9, 1, 2],
        ] {
            assert_eq!(unpack(bytes, 100), None);
        }
        let mut shorter = pack(&[b'x'; 1000]);
        shorter[4] ^= 1;
        assert_eq!(unpack(&shorter, 2000), None);
    }
}
