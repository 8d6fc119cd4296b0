//! Keys and records of the store, byte for byte as docs/formats/store.md tells.
//!
//! Nothing here reads or writes; each function turns a value into bytes or back.

use smallvec::SmallVec;
use tombolo_document::{Stamp, VersionVector, merge};

use crate::{
    StoreError,
    arrival::{Arrivals, Origin},
    codec::{RECORD_VERSION, RecordReader, put_varint},
    engine::{KeyRange, StoredBytes},
};

/// Bytes of the numbers that begin keys.
const NUMBER_BYTES: usize = 4;
const COMMIT_BYTES: usize = 8;

const LIVE: u8 = 1;

/// The key of a document, and the range of all of a collection.
pub(crate) fn document_key(collection: u32, id: &[u8]) -> StoredBytes {
    StoredBytes::joined(&collection.to_be_bytes(), id)
}

pub(crate) fn collection_range(collection: u32) -> KeyRange {
    KeyRange::prefix(&collection.to_be_bytes())
}

/// The id within a document key.
pub(crate) fn id_of(document_key: &[u8]) -> &[u8] {
    document_key.get(NUMBER_BYTES..).unwrap_or_default()
}

/// The key of a commit's head in the change log.
pub(crate) const fn head_key(commit: u64) -> [u8; COMMIT_BYTES] {
    commit.to_be_bytes()
}

/// The key of a touched document in the change log.
pub(crate) fn change_key(commit: u64, document_key: &[u8]) -> StoredBytes {
    StoredBytes::joined(&head_key(commit), document_key)
}

/// The change log after `commit`.
pub(crate) fn changes_after(commit: u64) -> KeyRange {
    let start = commit.checked_add(1).map(head_key);
    // Nothing follows the greatest number: a range that is turned round is an empty one.
    match start {
        Some(start) => KeyRange {
            start: start.to_vec(),
            end: None,
        },
        None => KeyRange::between(head_key(commit), head_key(commit)),
    }
}

/// What a key of the change log is about.
pub(crate) enum LogKey<'a> {
    Head {
        commit: u64,
    },
    Change {
        commit: u64,
        collection: u32,
        id: &'a [u8],
    },
}

pub(crate) fn read_log_key(key: &[u8]) -> Result<LogKey<'_>, StoreError> {
    let damaged = StoreError::DamagedRecord { record: "change" };
    let (commit, rest) = key.split_first_chunk().ok_or(damaged.clone())?;
    let commit = u64::from_be_bytes(*commit);
    if rest.is_empty() {
        return Ok(LogKey::Head { commit });
    }
    let (collection, id) = rest.split_first_chunk().ok_or(damaged)?;
    Ok(LogKey::Change {
        commit,
        collection: u32::from_be_bytes(*collection),
        id,
    })
}

/// A stored document, borrowed.
pub(crate) struct DocumentRecord<'a> {
    pub(crate) live: bool,
    notes: &'a [u8],
    pub(crate) document: &'a [u8],
}

impl<'a> DocumentRecord<'a> {
    const KIND: &'static str = "document";

    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, StoreError> {
        let mut reader = RecordReader::open(Self::KIND, bytes)?;
        let live = reader.byte()? & LIVE != 0;
        let notes = reader.bytes()?;
        Ok(Self {
            live,
            notes,
            document: reader.rest(),
        })
    }

    pub(crate) fn vector(&self) -> Result<VersionVector, StoreError> {
        merge::version_vector(self.document).map_err(StoreError::DamagedDocument)
    }

    pub(crate) fn arrivals(&self, vector: &VersionVector) -> Result<Arrivals, StoreError> {
        let mut reader = RecordReader::within(Self::KIND, self.notes);
        let arrivals = Arrivals::decode(&mut reader, vector)?;
        reader.close()?;
        Ok(arrivals)
    }

    pub(crate) fn write(
        live: bool,
        arrivals: &Arrivals,
        vector: &VersionVector,
        document: &[u8],
    ) -> StoredBytes {
        let live = if live { LIVE } else { 0 };
        let mut front = SmallVec::<[u8; 64]>::from_slice(&[RECORD_VERSION, live]);
        let at = front.len();
        arrivals.encode(&mut front, vector);
        let mut length = SmallVec::<[u8; 8]>::new();
        put_varint(&mut length, (front.len() - at) as u64);
        front.insert_from_slice(at, &length);
        StoredBytes::joined(&front, document)
    }
}

/// A document in the change log: what stands beside its key, with the remote log that all of the
/// document came from, if there is one.
pub(crate) fn change_record(from: Option<Origin>) -> Vec<u8> {
    let mut out = vec![RECORD_VERSION];
    if let Some(Origin(number)) = from {
        put_varint(&mut out, u64::from(number));
    }
    out
}

/// Reads what [`change_record`] wrote.
pub(crate) fn read_change(value: &[u8]) -> Result<Option<Origin>, StoreError> {
    let mut reader = RecordReader::open("change", value)?;
    if reader.is_empty() {
        return Ok(None);
    }
    let from = Origin(reader.number()?);
    reader.close()?;
    Ok(Some(from))
}

/// A commit in the change log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HeadRecord {
    /// The commit before it; numbers between were given to commits that changed nothing.
    pub(crate) previous: u64,
    /// How many documents it touched.
    pub(crate) touched: u64,
    /// The stamp of the transaction, which no other device repeats: without it a restored store
    /// that writes the same documents again would get the chain that it lost.
    pub(crate) stamp: Stamp,
    /// Hash of the keys it wrote into the log.
    pub(crate) digest: [u8; 16],
    /// Hash of the chain before it, its number, its stamp and its digest.
    pub(crate) chain: [u8; 16],
}

impl HeadRecord {
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, StoreError> {
        let mut reader = RecordReader::open("commit", bytes)?;
        let head = Self {
            previous: reader.varint()?,
            touched: reader.varint()?,
            stamp: Stamp::from_bits(reader.varint()?),
            digest: reader.array()?,
            chain: reader.array()?,
        };
        reader.close()?;
        Ok(head)
    }

    pub(crate) fn write(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(60);
        out.push(RECORD_VERSION);
        put_varint(&mut out, self.previous);
        put_varint(&mut out, self.touched);
        put_varint(&mut out, self.stamp.bits());
        out.extend_from_slice(&self.digest);
        out.extend_from_slice(&self.chain);
        out
    }
}

/// Index entries end in the document's id, whose length is their value.
pub(crate) fn index_record(id: &[u8]) -> Vec<u8> {
    let mut out = vec![RECORD_VERSION];
    put_varint(&mut out, id.len() as u64);
    out
}

/// Divides an index entry's key, without the index number, into field keys and id.
pub(crate) fn read_index_entry<'a>(
    key: &'a [u8],
    value: &[u8],
) -> Result<(&'a [u8], &'a [u8]), StoreError> {
    let mut reader = RecordReader::open("index", value)?;
    let id_bytes = reader.number::<usize>()?;
    let fields = key.get(NUMBER_BYTES..).ok_or(reader.damaged())?;
    let middle = fields.len().checked_sub(id_bytes).ok_or(reader.damaged())?;
    Ok(fields.split_at(middle))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_the_log_has_nothing_after_it() {
        assert!(changes_after(u64::MAX).is_empty());
        assert_eq!(changes_after(4).start, head_key(5));
    }

    #[test]
    fn golden_bytes_of_a_change() {
        assert_eq!(change_record(None), [1]);
        assert_eq!(change_record(Some(Origin(300))), [1, 0xac, 2]);
        assert_eq!(read_change(&[1]).unwrap(), None);
        assert_eq!(read_change(&[1, 0xac, 2]).unwrap(), Some(Origin(300)));
        assert!(read_change(&[1, 0xac, 2, 0]).is_err());
    }

    #[test]
    fn golden_bytes_of_a_commit_head() {
        let head = HeadRecord {
            previous: 300,
            touched: 2,
            stamp: Stamp::from_bits(5),
            digest: [7; 16],
            chain: [9; 16],
        };
        let bytes = head.write();
        assert_eq!(bytes[..5], [1, 0xac, 2, 2, 5]);
        assert_eq!(
            (bytes[5..21].to_vec(), bytes[21..].to_vec()),
            (vec![7; 16], vec![9; 16])
        );
        assert_eq!(HeadRecord::read(&bytes).unwrap(), head);
        assert!(HeadRecord::read(&bytes[..36]).is_err());
    }

    #[test]
    fn an_index_entry_gives_its_id_back() {
        let key = [&[0, 0, 0, 9][..], b"fields", b"id"].concat();
        let (fields, id) = read_index_entry(&key, &index_record(b"id")).unwrap();
        assert_eq!((fields, id), (&b"fields"[..], &b"id"[..]));
        assert!(read_index_entry(&key[..4], &index_record(b"id")).is_err());
    }
}
