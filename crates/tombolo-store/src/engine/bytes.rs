//! Bytes that an engine hands out: shared, immutable, cheap to clone.
//!
//! The type hides the byte slice of the default engine, so that a read from it copies nothing.

use std::{borrow::Borrow, ops::Deref};

use byteview::ByteView;

/// Immutable bytes behind a reference count; up to about twenty of them are held inline.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoredBytes(fjall::Slice);

impl StoredBytes {
    pub(super) fn from_slice(slice: fjall::Slice) -> Self {
        Self(slice)
    }

    /// Two parts, one behind the other.
    pub(crate) fn joined(front: &[u8], back: &[u8]) -> Self {
        Self(fjall::Slice::from(ByteView::fused(front, back)))
    }

    pub(super) fn to_slice(&self) -> fjall::Slice {
        self.0.clone()
    }
}

impl Deref for StoredBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for StoredBytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Sound because both sides compare and hash as byte strings.
impl Borrow<[u8]> for StoredBytes {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl From<&[u8]> for StoredBytes {
    fn from(bytes: &[u8]) -> Self {
        Self(fjall::Slice::from(bytes))
    }
}

impl From<Vec<u8>> for StoredBytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(fjall::Slice::from(bytes))
    }
}

impl<const N: usize> From<[u8; N]> for StoredBytes {
    fn from(bytes: [u8; N]) -> Self {
        Self(fjall::Slice::from(bytes.as_slice()))
    }
}
