//! What may cross one link, from the permissions of its two ends. A filter is
//! the meeting of both: it never allows what one of them forbids.

use tombolo_document::DocumentId;

use crate::rules::Permissions;

/// Hash domain of [`Filter::fingerprint`].
const FINGERPRINT_DOMAIN: &str = "tombolo 2026-11 filter between two peers";

/// How much of a collection somebody may read or write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// No document.
    Nothing,
    /// Some documents, by their ids.
    Some,
    /// Every document.
    Everything,
}

/// What may cross one link in both directions.
#[derive(Debug, Clone)]
pub struct Filter {
    local: Permissions,
    remote: Permissions,
}

impl Filter {
    /// The filter of a link between this node and a peer.
    #[must_use]
    pub fn between(local: &Permissions, remote: &Permissions) -> Self {
        Self {
            local: local.clone(),
            remote: remote.clone(),
        }
    }

    /// Whether a document may go to the peer: the peer may read it, and takes it
    /// from us because we may write it.
    #[must_use]
    pub fn may_send(&self, collection: &str, id: &DocumentId) -> bool {
        self.remote.read.allows(collection, id) && self.local.write.allows(collection, id)
    }

    /// Whether a document may be taken from the peer: the peer may write it, and
    /// we may read it.
    #[must_use]
    pub fn accepts(&self, collection: &str, id: &DocumentId) -> bool {
        self.remote.write.allows(collection, id) && self.local.read.allows(collection, id)
    }

    /// How much of a collection the peer may read, if we hold and may write it.
    #[must_use]
    pub fn reads_collection(&self, collection: &str) -> Reach {
        self.remote.read.reach(collection)
    }

    /// 128 bits that change when the rules of either side do. Equal rules have
    /// equal fingerprints; the two ends of a link have different ones.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 16] {
        let mut hasher = blake3::Hasher::new_derive_key(FINGERPRINT_DOMAIN);
        for side in [&self.local, &self.remote] {
            side.read.digest(&mut hasher);
            side.write.digest(&mut hasher);
        }
        let mut first = [0; 16];
        first.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        first
    }
}
