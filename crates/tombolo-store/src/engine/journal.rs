//! Mends the one torn journal tail that fjall refuses to open.
//!
//! The accident: a batch spans many pages, the power goes before its sync, and the disk has kept
//! its last page and lost one in the middle. Where the loss hits a header fjall sees the end of
//! the journal; where it hits a value alone it sees a wrong checksum and opens nothing at all,
//! though everything acknowledged is there. A batch with a wrong checksum that nothing follows
//! was never synced, for a sync covers all of it: it is cut off. Anything else is left alone,
//! since what follows a damaged batch may have been acknowledged.

use std::{
    fs::{self, OpenOptions},
    io,
    path::{Path, PathBuf},
};

use xxhash_rust::xxh3::Xxh3;

const START: u8 = 1;
const ITEM: u8 = 2;
const END: u8 = 3;
const TRAILER: [u8; 4] = *b"FJL\x03";

/// Item count and sequence number after the tag of a start.
const START_BYTES: usize = 12;

/// Cuts the newest journal in `place` before a last batch whose checksum is wrong. True if there
/// was one, so that opening is worth another try.
pub(super) fn mend_tail(place: &Path) -> io::Result<bool> {
    let Some(journal) = newest_journal(place)? else {
        return Ok(false);
    };
    let Some(length) = torn_at(&fs::read(&journal)?) else {
        return Ok(false);
    };
    let file = OpenOptions::new().write(true).open(&journal)?;
    file.set_len(length as u64)?;
    file.sync_all()?;
    Ok(true)
}

fn newest_journal(place: &Path) -> io::Result<Option<PathBuf>> {
    let mut newest: Option<(u64, PathBuf)> = None;
    for entry in fs::read_dir(place)? {
        let path = entry?.path();
        let is_journal = path.extension().is_some_and(|extension| extension == "jnl");
        let number = path
            .file_stem()
            .and_then(|stem| stem.to_str()?.parse().ok());
        if let (true, Some(number)) = (is_journal, number) {
            newest = newest.max(Some((number, path)));
        }
    }
    Ok(newest.map(|(_, path)| path))
}

/// Where the last batch begins, if its checksum is wrong and only zeros follow it.
fn torn_at(journal: &[u8]) -> Option<usize> {
    let mut rest = journal;
    loop {
        let begin = journal.len() - rest.len();
        let (is_whole, after) = take_batch(rest)?;
        if !is_whole {
            return after.iter().all(|byte| *byte == 0).then_some(begin);
        }
        rest = after;
    }
}

/// Whether the batch at the head has its right checksum, and what follows; `None` for no batch.
fn take_batch(bytes: &[u8]) -> Option<(bool, &[u8])> {
    let (&START, rest) = bytes.split_first()? else {
        return None;
    };
    let mut rest = rest.get(START_BYTES..)?;
    let mut hasher = Xxh3::new();
    loop {
        match *rest.first()? {
            ITEM => {
                let (item, after) = rest.split_at_checked(item_bytes(rest)?)?;
                hasher.update(item);
                rest = after;
            }
            END => {
                let (checksum, after) = rest[1..].split_first_chunk()?;
                let after = after.strip_prefix(&TRAILER)?;
                return Some((u64::from_le_bytes(*checksum) == hasher.digest(), after));
            }
            _ => return None,
        }
    }
}

/// Length of an item: tag, kind, compression, keyspace (8), key length (2), value length (4),
/// stored value length (4), key, stored value.
fn item_bytes(item: &[u8]) -> Option<usize> {
    const HEAD_BYTES: usize = 21;
    let head: &[u8; HEAD_BYTES] = item.first_chunk()?;
    let key = u16::from_le_bytes([head[11], head[12]]);
    let value = u32::from_le_bytes([head[17], head[18], head[19], head[20]]);
    HEAD_BYTES
        .checked_add(usize::from(key))?
        .checked_add(usize::try_from(value).ok()?)
}
