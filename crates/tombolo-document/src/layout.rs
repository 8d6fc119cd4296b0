//! The constants that the encoder, the decoder and the view share.
//!
//! `docs/formats/document.md` is normative; a change here is a new version.

use crate::bytes::{DecodeError, Reader, put_varint};
use crate::stamp::Stamp;

/// The format version, in the low four bits of the first byte.
pub(crate) const VERSION: u8 = 1;
pub(crate) const VERSION_MASK: u8 = 0x0F;
/// The bytes extend a base vector.
pub(crate) const DELTA: u8 = 0x10;
/// Actors are numbers that both peers agreed on.
pub(crate) const INTERNED: u8 = 0x20;
/// A table of removal vectors follows the commits.
pub(crate) const HAS_REMOVALS: u8 = 0x40;
/// The document itself was removed.
pub(crate) const ROOT_REMOVED: u8 = 0x80;

/// A field's header: kinds in the low five bits, by number.
pub(crate) const NODE_REMOVALS: u8 = 0x20;
/// Several kinds show; their order follows.
pub(crate) const NODE_ORDER: u8 = 0x40;

pub(crate) const COUNTER_RESTART: u8 = 1;
pub(crate) const COUNTER_FLOOR: u8 = 2;
pub(crate) const COUNTER_BASES: u8 = 4;

pub(crate) const BASE_ABSENT: u64 = 0;
pub(crate) const BASE_SAME: u64 = 1;
pub(crate) const BASE_OTHER: u64 = 2;

/// A map with this many fields or more has a table of their offsets.
pub(crate) const WIDE_MAP: usize = 32;
/// Bytes of one offset in that table.
pub(crate) const OFFSET_BYTES: usize = 4;

/// Appends a stamp as its age before the newest millisecond of the document.
pub(crate) fn put_stamp(out: &mut Vec<u8>, newest_ms: u64, stamp: Stamp) {
    let age = newest_ms - stamp.millis();
    let counter = u64::from(stamp.counter());
    put_varint(out, age << 1 | u64::from(counter != 0));
    if counter != 0 {
        put_varint(out, counter);
    }
}

/// Reads a stamp that [`put_stamp`] wrote.
pub(crate) fn take_stamp(reader: &mut Reader<'_>, newest_ms: u64) -> Result<Stamp, DecodeError> {
    let age = reader.varint("stamp")?;
    let millis = newest_ms
        .checked_sub(age >> 1)
        .ok_or_else(|| reader.malformed("stamp"))?;
    let counter = if age & 1 == 0 {
        0
    } else {
        let counter = reader.varint("stamp counter")?;
        match u16::try_from(counter) {
            Ok(counter @ 1..) => counter,
            _ => return Err(reader.malformed("stamp counter")),
        }
    };
    Ok(Stamp::new(millis, counter))
}
