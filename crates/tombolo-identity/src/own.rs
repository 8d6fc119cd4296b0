//! A node's own certificate, as it came from an identity service: it says what the
//! node may do, also to a clock that is wrong, so it is read without one.

use crate::key::PeerPublicKey;
use crate::rules::Permissions;
use crate::trust::Trust;
use crate::verify::{Times, VerifiedPeer, VerifyError, examine};

/// A certificate of this node's own. It was checked in everything but its time.
#[derive(Debug, Clone)]
pub struct OwnLeaf {
    peer: VerifiedPeer,
    times: Times,
}

impl OwnLeaf {
    /// Reads what the service gave, as every peer with the same trust will.
    ///
    /// # Errors
    /// [`VerifyError`], but for those about time.
    pub fn read(trust: &Trust, der: &[u8]) -> Result<Self, VerifyError> {
        let (peer, times) = examine(trust, der, 0, None)?;
        Ok(Self { peer, times })
    }

    /// This node as its peers see it, at `now_ms` (unix milliseconds).
    ///
    /// # Errors
    /// The certificate has run out or is not valid yet.
    pub fn at(&self, now_ms: u64) -> Result<&VerifiedPeer, VerifyError> {
        self.times.check(now_ms)?;
        Ok(&self.peer)
    }

    /// For whose key it is.
    #[must_use]
    pub fn peer_key(&self) -> &PeerPublicKey {
        self.peer.peer_key()
    }

    /// What this node may read and write.
    #[must_use]
    pub fn permissions(&self) -> &Permissions {
        self.peer.permissions()
    }

    /// Whom the service recognized; `None` for a leaf of a shared key.
    #[must_use]
    pub fn user_id(&self) -> Option<&str> {
        self.peer.user_id()
    }

    /// When it was made, in unix milliseconds.
    #[must_use]
    pub fn issued_ms(&self) -> u64 {
        self.peer.issued_ms()
    }

    /// When it ends, in unix milliseconds.
    #[must_use]
    pub fn expires_ms(&self) -> u64 {
        self.times.end_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::leaf::{LEAF_BACKDATE_MS, LEAF_VALID_MS};
    use crate::secret::SharedKey;
    use crate::signing::PeerKeyPair;

    #[test]
    fn it_is_read_at_any_time_and_holds_in_its_own() {
        let now_ms = 1_795_000_000_000;
        let shared = SharedKey::generate().unwrap();
        let device = PeerKeyPair::from_pkcs8(&crate::Authority::generate().unwrap().to_pkcs8());
        let device = device.unwrap();
        let trust = Trust::new(shared.public().clone(), "db").unwrap();
        let leaf = shared.issue(device.public(), "db", now_ms).unwrap();
        let own = OwnLeaf::read(&trust, &leaf.der).unwrap();
        assert_eq!(own.peer_key(), device.public());
        assert_eq!(own.issued_ms(), now_ms);
        let end_ms = now_ms + LEAF_VALID_MS;
        assert!(own.at(now_ms - LEAF_BACKDATE_MS).is_ok() && own.at(end_ms - 1).is_ok());
        let ago_ms = 5;
        let expired = VerifyError::Expired { ago_ms };
        assert_eq!(own.at(end_ms + 5).unwrap_err(), expired);
        let wait_ms = 5;
        let early = VerifyError::NotYetValid { wait_ms };
        assert_eq!(own.at(now_ms - LEAF_BACKDATE_MS - 5).unwrap_err(), early);
        let elsewhere = Trust::new(shared.public().clone(), "x").unwrap();
        let refused = OwnLeaf::read(&elsewhere, &leaf.der);
        assert!(matches!(refused, Err(VerifyError::WrongDatabase { .. })));
    }
}
