//! Answers that are kept in the commits of what they tell, so that a request which comes again gets the same one.
//!
//! They stay on this device: no peer and no statement ever sees them. docs/formats/store.md has the bytes.

use std::{ops::ControlFlow, time::Duration};

use crate::{
    Snapshot, StoreError,
    codec::{RECORD_VERSION, RecordReader, put_varint},
    engine::{Direction, KeyRange, Keyspace, StoredBytes},
    reads::Reads,
    transaction::Transaction,
};

/// How long an answer is kept.
pub const ANSWER_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
/// Most bytes of one answer; a longer one is refused, and with it what it tells.
pub const ANSWER_BYTES_MAX: usize = 256 * 1024;
/// Most answers, and bytes of them, that are kept for all owners together.
pub const ANSWERS_MAX: Answers = Answers {
    count: 4_194_304,
    bytes: 1024 * 1024 * 1024,
};
/// The same for one owner, so that nobody takes the place of all others: twelve a second, day and night.
pub const ANSWERS_OWNER_MAX: Answers = Answers {
    count: 1_048_576,
    bytes: 256 * 1024 * 1024,
};

/// Answers whose time is over are removed so many at a time, by those that are kept. More than one, so that they
/// are caught up with; while there is no room, as many as it takes.
const REMOVED_AT_ONCE: usize = 8;

const ANSWER: &[u8] = b"ak";
const ENDING: &[u8] = b"at";
const SUM: &[u8] = b"as";
const FIRST: &[u8] = b"af";
const OWNER_SUM: &[u8] = b"ao";
const KIND: &str = "answer";

/// What names a request that may come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnswerKey {
    owner: [u8; 16],
    name: [u8; 32],
    request: [u8; 32],
}

impl AnswerKey {
    /// `owner` is who asks, `name` what they call the request, and `request` all parts of it that must be the same.
    /// Only hashes of them are kept.
    pub fn new(owner: &[u8], name: &[u8], request: &[&[u8]]) -> Self {
        let owner: [u8; 16] = hash("tombolo 2026-11 answer owner", &[owner]);
        Self {
            owner,
            name: hash("tombolo 2026-11 answer name", &[&owner, name]),
            request: hash("tombolo 2026-11 answer request", request),
        }
    }
}

/// What is kept under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeptAnswer {
    /// The answer to this request.
    Same(Vec<u8>),
    /// The answer to another request of the same owner, under the same name.
    OfOther,
}

/// How many answers, and how many bytes of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    /// Answers.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Transaction<'_> {
    /// The answer that is kept under this key, as this transaction sees it; none whose time is over.
    ///
    /// # Errors
    /// The engine failed, or the record is damaged.
    pub fn kept_answer(&self, key: &AnswerKey) -> Result<Option<KeptAnswer>, StoreError> {
        let Some(record) = self.get(Keyspace::Meta, &answer_key(&key.name))? else {
            return Ok(None);
        };
        let kept = Record::read(&record)?;
        Ok((kept.ends_ms > self.now_ms).then(|| {
            if kept.request == key.request {
                KeptAnswer::Same(kept.answer.to_vec())
            } else {
                KeptAnswer::OfOther
            }
        }))
    }

    /// Keeps the answer to a request for [`ANSWER_LIFETIME`], in the commit of this transaction.
    ///
    /// # Errors
    /// [`StoreError::AnswerTooLarge`] beyond [`ANSWER_BYTES_MAX`], [`StoreError::AnswersFull`] beyond
    /// [`ANSWERS_MAX`] and [`ANSWERS_OWNER_MAX`]; the transaction should be undone then.
    pub fn keep_answer(&mut self, key: &AnswerKey, answer: &[u8]) -> Result<(), StoreError> {
        let bytes = answer.len();
        if bytes > ANSWER_BYTES_MAX {
            return Err(StoreError::AnswerTooLarge { bytes });
        }
        if let Some(ended) = self.get(Keyspace::Meta, &answer_key(&key.name))? {
            let ends_ms = Record::read(&ended)?.ends_ms;
            remove(self, ends_ms, &key.name)?;
        }
        let added = Answers {
            count: 1,
            bytes: bytes as u64,
        };
        let now_ms = self.now_ms;
        let mut removed = remove_first(self, now_ms, REMOVED_AT_ONCE)?;
        while let Some(full) = full(self, key, added)? {
            if removed == 0 {
                return Err(full);
            }
            removed = remove_first(self, now_ms, REMOVED_AT_ONCE)?;
        }
        let lifetime = u64::try_from(ANSWER_LIFETIME.as_millis()).unwrap_or(u64::MAX);
        let ends_ms = self.now_ms.saturating_add(lifetime);
        let record = Record {
            ends_ms,
            owner: key.owner,
            request: key.request,
            answer,
        };
        let value = Some(record.write().into());
        self.set(Keyspace::Meta, answer_key(&key.name), value)?;
        let value = Some(vec![RECORD_VERSION].into());
        self.set(Keyspace::Meta, ending_key(ends_ms, &key.name), value)?;
        for sum in [SUM.to_vec(), owner_key(key.owner)] {
            let held = sum_at(self, &sum)?;
            set_sum(self, sum, held.plus(added))?;
        }
        if ends_ms < first_ms(self)? {
            // The clock went back.
            set_first_ms(self, ends_ms)?;
        }
        Ok(())
    }
}

impl Transaction<'_> {
    /// Removes answers whether their time is over or not, at most so many, and gives how many it were.
    ///
    /// # Errors
    /// The engine failed, or a record is damaged.
    pub fn forget_answers(&mut self, max: usize) -> Result<usize, StoreError> {
        remove_first(self, u64::MAX, max)
    }
}

impl Snapshot {
    /// All answers that are kept, also those whose time is over.
    ///
    /// # Errors
    /// The engine failed, or the record is damaged.
    pub fn answers(&self) -> Result<Answers, StoreError> {
        sum_at(self, SUM)
    }
}

impl Answers {
    const fn plus(self, other: Self) -> Self {
        Self {
            count: self.count.saturating_add(other.count),
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }

    const fn minus(self, other: Self) -> Self {
        Self {
            count: self.count.saturating_sub(other.count),
            bytes: self.bytes.saturating_sub(other.bytes),
        }
    }

    const fn fits(self, max: Self) -> bool {
        self.count <= max.count && self.bytes <= max.bytes
    }
}

/// Why there is no room, if there is none.
fn full(
    transaction: &Transaction<'_>,
    key: &AnswerKey,
    added: Answers,
) -> Result<Option<StoreError>, StoreError> {
    let is_own = !sum_at(transaction, &owner_key(key.owner))?
        .plus(added)
        .fits(ANSWERS_OWNER_MAX);
    let is_full = !sum_at(transaction, SUM)?.plus(added).fits(ANSWERS_MAX);
    if !is_own && !is_full {
        return Ok(None);
    }
    let first = endings(transaction, u64::MAX, 1)?;
    let ends_ms = first.first().map_or(0, |(ends_ms, _)| *ends_ms);
    Ok(Some(StoreError::AnswersFull {
        is_own,
        ends_in: Duration::from_millis(ends_ms.saturating_sub(transaction.now_ms)),
    }))
}

/// Removes some of the answers that end up to a moment, the oldest first, and tells how many.
fn remove_first(
    transaction: &mut Transaction<'_>,
    last_ms: u64,
    max: usize,
) -> Result<usize, StoreError> {
    let ended = endings(transaction, last_ms, max)?;
    for (ends_ms, name) in &ended {
        remove(transaction, *ends_ms, name)?;
    }
    if let Some((ends_ms, _)) = ended.last() {
        set_first_ms(transaction, *ends_ms)?;
    }
    Ok(ended.len())
}

/// The first answers to end, up to `last_ms`.
fn endings(
    transaction: &Transaction<'_>,
    last_ms: u64,
    max: usize,
) -> Result<Vec<(u64, [u8; 32])>, StoreError> {
    // What was removed lies before the start, so that it need not be passed over again.
    let range = KeyRange {
        start: ending_key(first_ms(transaction)?, &[]),
        end: KeyRange::prefix(&ending_key(last_ms, &[])).end,
    };
    let (mut found, mut damaged) = (Vec::new(), false);
    transaction.scan_bytes(Keyspace::Meta, &range, Direction::Forward, &mut |key, _| {
        match read_ending(key) {
            Some(ending) => found.push(ending),
            None => damaged = true,
        }
        if damaged || found.len() == max {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    })?;
    if damaged {
        return Err(StoreError::DamagedRecord { record: KIND });
    }
    Ok(found)
}

/// Removes one answer and all that is counted of it.
fn remove(
    transaction: &mut Transaction<'_>,
    ends_ms: u64,
    name: &[u8; 32],
) -> Result<(), StoreError> {
    let key = answer_key(name);
    let damaged = StoreError::DamagedRecord { record: KIND };
    let bytes = transaction.get(Keyspace::Meta, &key)?.ok_or(damaged)?;
    let record = Record::read(&bytes)?;
    let removed = Answers {
        count: 1,
        bytes: record.answer.len() as u64,
    };
    for sum in [SUM.to_vec(), owner_key(record.owner)] {
        let held = sum_at(transaction, &sum)?;
        set_sum(transaction, sum, held.minus(removed))?;
    }
    transaction.set(Keyspace::Meta, key, None)?;
    transaction.set(Keyspace::Meta, ending_key(ends_ms, name), None)
}

fn sum_at(reads: &impl Reads, key: &[u8]) -> Result<Answers, StoreError> {
    let Some(record) = reads.get(Keyspace::Meta, key)? else {
        return Ok(Answers::default());
    };
    let mut reader = RecordReader::open(KIND, &record)?;
    let sum = Answers {
        count: reader.varint()?,
        bytes: reader.varint()?,
    };
    reader.close()?;
    Ok(sum)
}

fn set_sum(
    transaction: &mut Transaction<'_>,
    key: Vec<u8>,
    sum: Answers,
) -> Result<(), StoreError> {
    let record = (sum.count > 0).then(|| {
        let mut out = vec![RECORD_VERSION];
        put_varint(&mut out, sum.count);
        put_varint(&mut out, sum.bytes);
        out.into()
    });
    transaction.set(Keyspace::Meta, key, record)
}

/// No answer ends before this moment.
fn first_ms(reads: &impl Reads) -> Result<u64, StoreError> {
    let Some(record) = reads.get(Keyspace::Meta, FIRST)? else {
        return Ok(0);
    };
    let mut reader = RecordReader::open(KIND, &record)?;
    let first_ms = reader.varint()?;
    reader.close()?;
    Ok(first_ms)
}

fn set_first_ms(transaction: &mut Transaction<'_>, first_ms: u64) -> Result<(), StoreError> {
    let mut record = vec![RECORD_VERSION];
    put_varint(&mut record, first_ms);
    transaction.set(Keyspace::Meta, FIRST, Some(record.into()))
}

fn answer_key(name: &[u8; 32]) -> StoredBytes {
    StoredBytes::joined(ANSWER, name)
}

fn owner_key(owner: [u8; 16]) -> Vec<u8> {
    [OWNER_SUM, &owner].concat()
}

fn ending_key(ends_ms: u64, name: &[u8]) -> Vec<u8> {
    [ENDING, &ends_ms.to_be_bytes(), name].concat()
}

fn read_ending(key: &[u8]) -> Option<(u64, [u8; 32])> {
    let (ends_ms, name) = key.strip_prefix(ENDING)?.split_first_chunk()?;
    Some((u64::from_be_bytes(*ends_ms), name.try_into().ok()?))
}

/// A kept answer, borrowed.
struct Record<'a> {
    /// Unix milliseconds.
    ends_ms: u64,
    owner: [u8; 16],
    request: [u8; 32],
    answer: &'a [u8],
}

impl<'a> Record<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, StoreError> {
        let mut reader = RecordReader::open(KIND, bytes)?;
        Ok(Self {
            ends_ms: reader.varint()?,
            owner: reader.array()?,
            request: reader.array()?,
            answer: reader.rest(),
        })
    }

    fn write(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64 + self.answer.len());
        out.push(RECORD_VERSION);
        put_varint(&mut out, self.ends_ms);
        out.extend_from_slice(&self.owner);
        out.extend_from_slice(&self.request);
        out.extend_from_slice(self.answer);
        out
    }
}

/// A hash of parts, none of which can pass for a piece of another.
fn hash<const N: usize>(domain: &str, parts: &[&[u8]]) -> [u8; N] {
    let mut hasher = blake3::Hasher::new_derive_key(domain);
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    let mut hash = [0; N];
    hasher.finalize_xof().fill(&mut hash);
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_bytes_of_an_answer() {
        let record = Record {
            ends_ms: 300,
            owner: [7; 16],
            request: [9; 32],
            answer: b"done",
        };
        let bytes = record.write();
        assert_eq!(bytes[..3], [1, 0xac, 2]);
        assert_eq!(bytes[3..51], [[7; 16], [9; 16], [9; 16]].concat());
        assert_eq!(&bytes[51..], b"done");
        let read = Record::read(&bytes).unwrap();
        assert_eq!((read.ends_ms, read.answer), (300, &b"done"[..]));
        assert!(Record::read(&bytes[..50]).is_err());
        assert_eq!(read_ending(&ending_key(5, &[3; 32])), Some((5, [3; 32])));
        assert_eq!(read_ending(&ending_key(5, &[3; 31])), None);
    }

    #[test]
    fn no_two_requests_have_one_key() {
        let key = |owner: &str, name: &str, request: &[&[u8]]| {
            AnswerKey::new(owner.as_bytes(), name.as_bytes(), request)
        };
        let first = key("a", "bc", &[b"d", b"ef"]);
        assert_eq!(first, key("a", "bc", &[b"d", b"ef"]));
        assert_ne!(first.name, key("ab", "c", &[]).name);
        assert_ne!(first.request, key("a", "bc", &[b"de", b"f"]).request);
        assert_eq!(first.name, key("a", "bc", &[]).name);
    }
}
