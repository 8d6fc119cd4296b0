//! Bytes that other parts keep beside the documents, in the same commits: sessions.
//!
//! The store never looks into them.

use crate::engine::Keyspace;

/// Where the bytes belong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sidecar {
    /// What a session remembers about its peer: cursors, refused documents.
    Sessions,
}

impl Sidecar {
    pub(crate) const fn keyspace(self) -> Keyspace {
        match self {
            Self::Sessions => Keyspace::Sessions,
        }
    }
}
