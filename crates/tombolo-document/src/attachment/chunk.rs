//! A chunk that is checked while its parts come, so that each byte is hashed
//! once and never copied together. Only [`ChunkCheck::finish`] makes a
//! [`CheckedChunk`], which whoever stores it need not hash again.

use blake3::Hasher;
use blake3::hazmat::HasherExt;

use super::{ATTACHMENT_BYTES_MAX, AttachmentId, CHUNK_BYTES, ChunkError, Manifest, chunk_length};

/// Parts of a chunk as they come, from its beginning.
#[derive(Debug, Clone)]
pub struct ChunkCheck<P> {
    index: u64,
    hasher: Hasher,
    bytes: usize,
    parts: Vec<P>,
}

/// The bytes of a chunk of an attachment, as its manifest says.
#[derive(Debug, Clone)]
pub struct CheckedChunk<P> {
    attachment: AttachmentId,
    index: u64,
    parts: Vec<P>,
}

impl<P: AsRef<[u8]>> ChunkCheck<P> {
    /// A check of the chunk at `index`, of which nothing came yet.
    #[must_use]
    pub fn begin(index: u64) -> Self {
        let offset = index.checked_mul(CHUNK_BYTES as u64);
        let offset = offset.filter(|offset| *offset < ATTACHMENT_BYTES_MAX);
        let mut hasher = Hasher::new();
        // One that no attachment has is refused at the end, whatever its hash is.
        hasher.set_input_offset(offset.unwrap_or(0));
        Self {
            index,
            hasher,
            bytes: 0,
            parts: Vec::new(),
        }
    }

    /// Bytes that came.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes the next bytes. What is beyond the length of a chunk is kept and
    /// refused at the end, so the caller bounds how much that can be.
    pub fn take(&mut self, part: P) {
        let bytes = part.as_ref();
        let within = CHUNK_BYTES.saturating_sub(self.bytes).min(bytes.len());
        // A hasher that began at an offset takes no more than its subtree.
        self.hasher.update(&bytes[..within]);
        self.bytes += bytes.len();
        self.parts.push(part);
    }

    /// Checks that all that came is the chunk.
    ///
    /// # Errors
    /// It is not, or there is no such chunk.
    pub fn finish(self, manifest: &Manifest) -> Result<CheckedChunk<P>, ChunkError> {
        let Self {
            index,
            hasher,
            bytes,
            parts,
        } = self;
        let Some(wanted) = chunk_length(manifest.length(), index) else {
            let count = manifest.chunk_count();
            return Err(ChunkError::OutOfRange { index, count });
        };
        if bytes != wanted {
            let found = bytes;
            return Err(ChunkError::WrongLength {
                index,
                found,
                wanted,
            });
        }
        let is_right = match manifest.chunk_hash(index) {
            Some(hash) => hasher.finalize_non_root() == *hash,
            // The one chunk that there is.
            None => hasher.finalize() == *manifest.id().as_bytes(),
        };
        if !is_right {
            return Err(ChunkError::WrongHash { index });
        }
        Ok(CheckedChunk {
            attachment: manifest.id(),
            index,
            parts,
        })
    }
}

impl<P: AsRef<[u8]>> CheckedChunk<P> {
    /// Whose chunk it is.
    #[must_use]
    pub const fn attachment(&self) -> AttachmentId {
        self.attachment
    }

    /// Which chunk.
    #[must_use]
    pub const fn index(&self) -> u64 {
        self.index
    }

    /// Its bytes, one part behind the other.
    pub fn parts(&self) -> impl Iterator<Item = &[u8]> {
        self.parts.iter().map(AsRef::as_ref)
    }

    /// How many bytes it has.
    #[must_use]
    pub fn length(&self) -> usize {
        self.parts().map(<[u8]>::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attachment::ManifestBuilder;

    fn content(length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        Hasher::new().finalize_xof().fill(&mut bytes);
        bytes
    }

    fn manifest_of(content: &[u8]) -> Manifest {
        let mut builder = ManifestBuilder::new();
        builder.update(content).unwrap();
        builder.finish()
    }

    fn check(
        manifest: &Manifest,
        index: u64,
        bytes: &[u8],
        part: usize,
    ) -> Result<CheckedChunk<Vec<u8>>, ChunkError> {
        let mut check = ChunkCheck::begin(index);
        for part in bytes.chunks(part) {
            check.take(part.to_vec());
        }
        check.finish(manifest)
    }

    #[test]
    fn a_chunk_proves_itself_however_it_is_cut() {
        for length in [1, 70_000, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES] {
            let content = content(length);
            let manifest = manifest_of(&content);
            for (index, chunk) in (0..).zip(content.chunks(CHUNK_BYTES)) {
                for part in [999, 65_536, CHUNK_BYTES] {
                    let checked = check(&manifest, index, chunk, part).unwrap();
                    assert_eq!(checked.attachment(), manifest.id());
                    assert_eq!((checked.index(), checked.length()), (index, chunk.len()));
                    assert!(checked.parts().flatten().eq(chunk));
                }
            }
        }
    }

    #[test]
    fn no_other_bytes_are_the_chunk() {
        let content = content(2 * CHUNK_BYTES + 5);
        let manifest = manifest_of(&content);
        let (first, rest) = content.split_at(CHUNK_BYTES);
        let mut changed = first.to_vec();
        changed[CHUNK_BYTES - 1] ^= 1;
        let wrong = |index, bytes| check(&manifest, index, bytes, 65_536).unwrap_err();
        let hash = ChunkError::WrongHash { index: 0 };
        assert_eq!(wrong(0, &changed), hash);
        assert_eq!(wrong(0, &rest[..CHUNK_BYTES]), hash);
        for (index, bytes, wanted) in [
            (0, &first[1..], CHUNK_BYTES),
            (0, &content[..CHUNK_BYTES + 1], CHUNK_BYTES),
            (0, &content[..], CHUNK_BYTES),
            (2, first, 5),
            (2, &[], 5),
        ] {
            let found = bytes.len();
            let length = ChunkError::WrongLength {
                index,
                found,
                wanted,
            };
            assert_eq!(wrong(index, bytes), length);
        }
        for index in [3, u64::MAX] {
            let beyond = ChunkError::OutOfRange { index, count: 3 };
            assert_eq!(wrong(index, first), beyond);
        }
    }
}
