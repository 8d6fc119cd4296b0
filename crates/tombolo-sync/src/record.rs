//! What a session leaves in the store, beside the documents: keys and records.
//!
//! docs/formats/wire.md holds the bytes. They are written in the commits that
//! they speak of, and read when the next session begins.

use tombolo_document::DocumentId;
use tombolo_document::bytes::{DecodeError, Reader, put_blob, put_text, put_varint};
use tombolo_identity::PeerPublicKey;

use crate::view::LogId;
use crate::wire::Refusal;

const VERSION: u8 = 1;

/// The key of the secret that seals this store's cursors.
pub const SECRET_KEY: &[u8] = b"k";

/// The key of the list of revocations that is held.
pub const REVOCATIONS_KEY: &[u8] = b"v";

/// The record of a signed list of revocations.
#[must_use]
pub fn revocations(list: &[u8]) -> Vec<u8> {
    [&[VERSION], list].concat()
}

/// The signed list in a record; `None` for a record of another version.
#[must_use]
pub fn read_revocations(record: &[u8]) -> Option<&[u8]> {
    record.strip_prefix(&[VERSION])
}

/// What the keys of [`cursor_key`] begin with.
pub const CURSOR_PREFIX: &[u8] = b"c";
/// What the keys of [`acknowledged_key`] begin with.
pub const ACKNOWLEDGED_PREFIX: &[u8] = b"o";

/// The key of the record of how far this store is in a peer's log.
#[must_use]
pub fn cursor_key(peer: &PeerPublicKey) -> Vec<u8> {
    [CURSOR_PREFIX, peer.as_bytes()].concat()
}

/// The key of the record of how far a peer is in this store's log.
#[must_use]
pub fn acknowledged_key(peer: &PeerPublicKey) -> Vec<u8> {
    [ACKNOWLEDGED_PREFIX, peer.as_bytes()].concat()
}

/// What the keys of a peer's refused documents begin with.
#[must_use]
pub fn refused_prefix(peer: &PeerPublicKey) -> Vec<u8> {
    let mut key = vec![b'r'];
    put_blob(&mut key, peer.as_bytes());
    key
}

/// The key of one refused document.
#[must_use]
pub fn refused_key(peer: &PeerPublicKey, collection: &str, id: &DocumentId) -> Vec<u8> {
    let mut key = refused_prefix(peer);
    put_text(&mut key, collection);
    key.extend_from_slice(id.as_bytes());
    key
}

/// The document that a key of a refused one names.
pub(crate) fn read_refused_key(
    prefix: &[u8],
    key: &[u8],
) -> Result<(String, DocumentId), DecodeError> {
    let mut reader = Reader::new(key.get(prefix.len()..).unwrap_or_default());
    let collection = reader.text("collection")?.to_owned();
    let id = DocumentId::from_bytes(reader.rest()).map_err(|_| reader.malformed("document id"))?;
    Ok((collection, id))
}

/// How far this store is in a peer's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CursorRecord {
    /// The peer's log.
    pub theirs: LogId,
    /// This store's log when the record was written: after an eviction it has
    /// another, and the cursor tells of documents that are gone.
    pub ours: LogId,
    /// When a change last came from the peer, in unix milliseconds.
    pub received_ms: u64,
    /// The cursor, in bytes that only the peer understands; empty if there is
    /// none to continue.
    pub cursor: Vec<u8>,
}

impl CursorRecord {
    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        out.extend_from_slice(&self.theirs.0);
        out.extend_from_slice(&self.ours.0);
        put_varint(&mut out, self.received_ms);
        put_blob(&mut out, &self.cursor);
        out
    }

    /// Reads a record.
    ///
    /// # Errors
    /// It is damaged, or of a newer version.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = open(bytes)?;
        Ok(Self {
            theirs: LogId(reader.array("log id")?),
            ours: LogId(reader.array("log id")?),
            received_ms: reader.varint("time")?,
            cursor: reader.blob("cursor")?.to_vec(),
        })
    }
}

/// The record of what a peer has acknowledged.
#[must_use]
pub fn acknowledged(commit: u64) -> Vec<u8> {
    let mut out = vec![VERSION];
    put_varint(&mut out, commit);
    out
}

/// Reads [`acknowledged`].
///
/// # Errors
/// It is damaged, or of a newer version.
pub fn read_acknowledged(bytes: &[u8]) -> Result<u64, DecodeError> {
    open(bytes)?.varint("commit")
}

/// Why a document was refused, and from when on it may be asked for again (unix
/// milliseconds; zero: time alone changes nothing).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// Why.
    pub reason: Refusal,
    /// From when on to ask again.
    pub again_from_ms: u64,
}

impl Refused {
    /// The peer may not write it, or this side may not read it.
    pub const NOT_PERMITTED: Self = Self {
        reason: Refusal::Permission,
        again_from_ms: 0,
    };

    /// The record's bytes.
    #[must_use]
    pub fn encode(self) -> Vec<u8> {
        let mut out = vec![VERSION, self.reason as u8];
        put_varint(&mut out, self.again_from_ms);
        out
    }

    /// Reads a record.
    ///
    /// # Errors
    /// It is damaged, or of a newer version.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = open(bytes)?;
        let reason = Refusal::from_byte(reader.byte("reason")?);
        Ok(Self {
            reason: reason.ok_or(reader.malformed("reason"))?,
            again_from_ms: reader.varint("time")?,
        })
    }
}

fn open(bytes: &[u8]) -> Result<Reader<'_>, DecodeError> {
    let mut reader = Reader::new(bytes);
    match reader.byte("version")? {
        VERSION => Ok(reader),
        version => Err(DecodeError::UnknownVersion { version }),
    }
}
