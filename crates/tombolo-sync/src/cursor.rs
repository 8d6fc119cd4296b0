//! Cursors: how far a peer is in this store's change log, sealed by the store
//! that issues them, so that nobody else can make or move one.

use tombolo_document::bytes::{DecodeError, Reader, put_blob, put_text, put_varint};

use crate::view::{LogId, Position};

const VERSION: u8 = 1;
const TAIL: u8 = 0;
const CATCH_UP: u8 = 1;
const SEAL_BYTES: usize = 8;
/// Stands for a chain that was not known any more.
const CHAIN_UNKNOWN: [u8; 8] = [0; 8];

/// How far a peer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// The commit that it has, or will have when the catch-up ends.
    pub(crate) commit: u64,
    /// The start of the running hash there.
    pub(crate) chain: [u8; 8],
    /// The start of the scope's hash.
    pub(crate) scope: [u8; 8],
    /// The last document of a catch-up that goes on.
    pub(crate) after: Option<(String, Vec<u8>)>,
}

impl Cursor {
    /// Whether another chain stands at this commit now.
    pub(crate) fn contradicts(&self, chain: [u8; 16]) -> bool {
        self.chain != CHAIN_UNKNOWN && self.chain != first_8(&chain)
    }
}

/// What a store seals its cursors with. The secret is copied and restored with
/// the store, so that a copy recognises the cursors of its original.
#[derive(Clone)]
pub(crate) struct Sealer {
    secret: [u8; 32],
    log: LogId,
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sealer").field("log", &self.log).finish()
    }
}

impl Sealer {
    pub(crate) const fn new(secret: [u8; 32], log: LogId) -> Self {
        Self { secret, log }
    }

    /// Writes a cursor.
    pub(crate) fn seal(
        &self,
        position: Position,
        scope: &[u8; 16],
        after: Option<(&str, &[u8])>,
    ) -> Vec<u8> {
        let mut out = Vec::with_capacity(40);
        out.push(VERSION);
        put_varint(&mut out, position.commit);
        out.extend_from_slice(&first_8(&position.chain));
        out.extend_from_slice(&first_8(scope));
        match after {
            None => out.push(TAIL),
            Some((collection, id)) => {
                out.push(CATCH_UP);
                put_text(&mut out, collection);
                put_blob(&mut out, id);
            }
        }
        let seal = self.hash(&out);
        out.extend_from_slice(&seal);
        out
    }

    /// Reads a cursor; `None` if this store did not make it in this log.
    pub(crate) fn open(&self, bytes: &[u8]) -> Option<Cursor> {
        let (sealed, seal) = bytes.split_at_checked(bytes.len().checked_sub(SEAL_BYTES)?)?;
        // A peer that guesses a seal gains a catch-up, which it may have anyway.
        (self.hash(sealed) == *seal).then(|| read(sealed).ok())?
    }

    fn hash(&self, bytes: &[u8]) -> [u8; SEAL_BYTES] {
        let mut hasher = blake3::Hasher::new_keyed(&self.secret);
        hasher.update(&self.log.0);
        hasher.update(bytes);
        let mut seal = [0; SEAL_BYTES];
        hasher.finalize_xof().fill(&mut seal);
        seal
    }
}

fn read(bytes: &[u8]) -> Result<Cursor, DecodeError> {
    let mut reader = Reader::new(bytes);
    let version = reader.byte("cursor")?;
    if version != VERSION {
        return Err(DecodeError::UnknownVersion { version });
    }
    Ok(Cursor {
        commit: reader.varint("commit")?,
        chain: reader.array("chain")?,
        scope: reader.array("scope")?,
        after: match reader.byte("place")? {
            TAIL => None,
            _ => Some((
                reader.text("collection")?.to_owned(),
                reader.blob("id")?.to_vec(),
            )),
        },
    })
}

pub(crate) fn first_8(bytes: &[u8; 16]) -> [u8; 8] {
    let mut first = [0; 8];
    first.copy_from_slice(&bytes[..8]);
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    const POSITION: Position = Position {
        commit: 300,
        chain: [7; 16],
    };

    #[test]
    fn a_cursor_is_read_by_its_issuer_alone() {
        let issuer = Sealer::new([1; 32], LogId([2; 16]));
        let sealed = issuer.seal(POSITION, &[3; 16], Some(("cars", b"id")));
        let opened = issuer.open(&sealed).unwrap();
        assert_eq!(opened.commit, 300);
        assert_eq!(opened.after, Some(("cars".to_owned(), b"id".to_vec())));
        assert_eq!(Sealer::new([1; 32], LogId([9; 16])).open(&sealed), None);
        assert_eq!(Sealer::new([9; 32], LogId([2; 16])).open(&sealed), None);
    }

    #[test]
    fn a_cursor_with_any_bit_changed_is_no_cursor() {
        let issuer = Sealer::new([1; 32], LogId([2; 16]));
        let sealed = issuer.seal(POSITION, &[3; 16], None);
        for at in 0..sealed.len() {
            for bit in 0..8 {
                let mut changed = sealed.clone();
                changed[at] ^= 1 << bit;
                assert_eq!(issuer.open(&changed), None, "byte {at}");
            }
            assert_eq!(issuer.open(&sealed[..at]), None);
        }
    }
}
