//! The hashes of the chunks of an attachment, which any chunk can be checked by
//! alone once they were checked against the id.
//!
//! A chunk is a whole subtree of BLAKE3's tree over the content, and its hash
//! the chaining value of that subtree. Only [`Manifest::verify`] and
//! [`ManifestBuilder::finish`] make a [`Manifest`].

use blake3::Hasher;
use blake3::hazmat::{
    ChainingValue, HasherExt, Mode, merge_subtrees_non_root, merge_subtrees_root,
};

use super::{ATTACHMENT_BYTES_MAX, AttachmentId, CheckedChunk, ChunkCheck};

/// Bytes of each chunk but the last, which has at least one: a power of two of
/// BLAKE3's own chunks, so that every chunk is a subtree.
pub const CHUNK_BYTES: usize = 1024 * 1024;

/// Bytes of one hash of a manifest.
const HASH_BYTES: usize = 32;

/// How many chunks content of this length has.
#[must_use]
pub const fn chunk_count(length: u64) -> u64 {
    length.div_ceil(CHUNK_BYTES as u64)
}

/// Bytes of the chunk at `index` of content of this length; `None` if it has no
/// such chunk.
#[must_use]
pub const fn chunk_length(length: u64, index: u64) -> Option<usize> {
    if index >= chunk_count(length) {
        return None;
    }
    let left = length - index * CHUNK_BYTES as u64;
    if left < CHUNK_BYTES as u64 {
        Some(left as usize)
    } else {
        Some(CHUNK_BYTES)
    }
}

/// What the chunks of one attachment hash to; true for its id and its length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    id: AttachmentId,
    length: u64,
    /// One for each chunk; none if there is one chunk, which is checked by the id.
    chunks: Vec<ChainingValue>,
}

/// Bytes that are not the manifest of an attachment. The peer's fault, or the
/// disk's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// No attachment may be so long.
    #[error("an attachment of {length} bytes: {ATTACHMENT_BYTES_MAX} are allowed")]
    TooLong {
        /// The length that was claimed.
        length: u64,
    },
    /// As many bytes as no manifest of this length has.
    #[error("the manifest has {found} bytes, and {wanted} belong to that length")]
    WrongSize {
        /// Bytes that are there.
        found: usize,
        /// Bytes that belong there.
        wanted: u64,
    },
    /// The hashes do not lead to the id.
    #[error("the manifest does not belong to attachment {id}")]
    WrongHash {
        /// The id that was asked for.
        id: AttachmentId,
    },
}

/// Bytes that are not the chunk they were said to be. The peer's fault, or the
/// disk's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// There is no such chunk.
    #[error("chunk {index} of {count}")]
    OutOfRange {
        /// The chunk that was named.
        index: u64,
        /// How many there are.
        count: u64,
    },
    /// It has more or fewer bytes.
    #[error("chunk {index} has {found} bytes, and {wanted} belong there")]
    WrongLength {
        /// The chunk.
        index: u64,
        /// Its bytes.
        found: usize,
        /// The bytes that it must have.
        wanted: usize,
    },
    /// It holds something else.
    #[error("chunk {index} is not what the manifest says")]
    WrongHash {
        /// The chunk.
        index: u64,
    },
}

impl Manifest {
    /// The manifest that these bytes are, once they are known to lead to `id`.
    ///
    /// Content of one chunk or none has a manifest of no bytes. With more
    /// chunks the length is verified as far as their number; the last chunk
    /// verifies the rest.
    ///
    /// # Errors
    /// The length is above what is allowed, the bytes are more or fewer than
    /// belong to it, or they do not lead to the id.
    pub fn verify(bytes: &[u8], id: AttachmentId, length: u64) -> Result<Self, ManifestError> {
        if length > ATTACHMENT_BYTES_MAX {
            return Err(ManifestError::TooLong { length });
        }
        let wanted = Self::size(length);
        if bytes.len() as u64 != wanted {
            let found = bytes.len();
            return Err(ManifestError::WrongSize { found, wanted });
        }
        let (chunks, _) = bytes.as_chunks::<HASH_BYTES>();
        let manifest = Self {
            id,
            length,
            chunks: chunks.to_vec(),
        };
        if manifest.leads_to_id() {
            return Ok(manifest);
        }
        Err(ManifestError::WrongHash { id })
    }

    /// Bytes of the manifest of content of this length.
    #[must_use]
    pub const fn size(length: u64) -> u64 {
        match chunk_count(length) {
            0 | 1 => 0,
            count => count * HASH_BYTES as u64,
        }
    }

    /// The bytes that [`Manifest::verify`] takes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.chunks.as_flattened()
    }

    /// Whose manifest it is.
    #[must_use]
    pub const fn id(&self) -> AttachmentId {
        self.id
    }

    /// Bytes of the content.
    #[must_use]
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// How many chunks the content has.
    #[must_use]
    pub const fn chunk_count(&self) -> u64 {
        chunk_count(self.length)
    }

    /// Checks that `bytes` are the chunk at `index`.
    ///
    /// # Errors
    /// They are not, or there is no such chunk.
    pub fn check_chunk(&self, index: u64, bytes: &[u8]) -> Result<(), ChunkError> {
        self.check(index, bytes).map(|_| ())
    }

    /// As [`Manifest::check_chunk`], with the chunk as one that was checked.
    ///
    /// # Errors
    /// As for [`Manifest::check_chunk`].
    pub fn check<P: AsRef<[u8]>>(
        &self,
        index: u64,
        bytes: P,
    ) -> Result<CheckedChunk<P>, ChunkError> {
        let mut check = ChunkCheck::begin(index);
        check.take(bytes);
        check.finish(self)
    }

    /// What the chunk at `index` hashes to; `None` if there is no such chunk, or
    /// if it is the only one.
    pub(super) fn chunk_hash(&self, index: u64) -> Option<&ChainingValue> {
        let index = usize::try_from(index).ok();
        index.and_then(|index| self.chunks.get(index))
    }

    fn leads_to_id(&self) -> bool {
        match self.chunks.as_slice() {
            [] if self.length == 0 => AttachmentId::of(&[]) == self.id,
            // The one chunk that there is proves itself.
            [] => true,
            chunks => root(chunks) == self.id,
        }
    }
}

/// Makes the manifest of content that comes in pieces of any size.
#[derive(Debug, Clone)]
pub struct ManifestBuilder {
    done: Vec<ChainingValue>,
    chunk: Hasher,
    chunk_bytes: usize,
}

impl Default for ManifestBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl ManifestBuilder {
    /// A builder that was given nothing.
    #[must_use]
    pub fn new() -> Self {
        Self {
            done: Vec::new(),
            chunk: Hasher::new(),
            chunk_bytes: 0,
        }
    }

    /// Bytes that it was given.
    #[must_use]
    pub const fn length(&self) -> u64 {
        (self.done.len() * CHUNK_BYTES + self.chunk_bytes) as u64
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// The content is longer than [`ATTACHMENT_BYTES_MAX`]; nothing was taken.
    pub fn update(&mut self, mut bytes: &[u8]) -> Result<(), ManifestError> {
        let length = self.length() + bytes.len() as u64;
        if length > ATTACHMENT_BYTES_MAX {
            return Err(ManifestError::TooLong { length });
        }
        while !bytes.is_empty() {
            // A full chunk is closed when more comes: the last one may be the root.
            if self.chunk_bytes == CHUNK_BYTES {
                self.done.push(self.chunk.finalize_non_root());
                // A hasher that is reset keeps the offset at which it began.
                self.chunk = Hasher::new();
                let offset = (self.done.len() * CHUNK_BYTES) as u64;
                self.chunk.set_input_offset(offset);
                self.chunk_bytes = 0;
            }
            let taken = bytes.len().min(CHUNK_BYTES - self.chunk_bytes);
            self.chunk.update(&bytes[..taken]);
            self.chunk_bytes += taken;
            bytes = &bytes[taken..];
        }
        Ok(())
    }

    /// The manifest of all that it was given.
    #[must_use]
    pub fn finish(mut self) -> Manifest {
        let length = self.length();
        if self.done.is_empty() {
            return Manifest {
                id: AttachmentId::from_bytes(*self.chunk.finalize().as_bytes()),
                length,
                chunks: Vec::new(),
            };
        }
        self.done.push(self.chunk.finalize_non_root());
        Manifest {
            id: root(&self.done),
            length,
            chunks: self.done,
        }
    }
}

/// The id of content of at least two chunks.
fn root(chunks: &[ChainingValue]) -> AttachmentId {
    let (left, right) = chunks.split_at(left_chunks(chunks.len()));
    let hash = merge_subtrees_root(&subtree(left), &subtree(right), Mode::Hash);
    AttachmentId::from_bytes(*hash.as_bytes())
}

fn subtree(chunks: &[ChainingValue]) -> ChainingValue {
    if let [chunk] = chunks {
        return *chunk;
    }
    let (left, right) = chunks.split_at(left_chunks(chunks.len()));
    merge_subtrees_non_root(&subtree(left), &subtree(right), Mode::Hash)
}

/// The largest power of two below `count`, which is two or more: left subtrees
/// are complete.
const fn left_chunks(count: usize) -> usize {
    count.div_ceil(2).next_power_of_two()
}

#[cfg(test)]
#[path = "manifest_tests.rs"]
mod tests;
