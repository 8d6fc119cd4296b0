//! What a node proves itself with: its leaf, made anew when half of its time is
//! over or the clock was set back. Nobody waits for a timer: each handshake asks.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::crypto::aws_lc_rs::sign::any_ecdsa_type;
use rustls::sign::{CertifiedKey, SigningKey};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tombolo_identity::{
    DatabaseIdError, IssueError, IssuedLeaf, LEAF_BACKDATE_MS, PeerPublicKey, SharedKey, Trust,
};

/// The time and the chance that a mesh needs from outside.
pub trait Surroundings: Send + Sync + 'static {
    /// Milliseconds since 1970.
    fn unix_ms(&self) -> u64;

    /// Any number; an even spread keeps dialers out of step with each other.
    fn random(&self) -> u64;
}

/// Why a node cannot prove itself. The operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// The peer key is none.
    #[error("the peer key is not a P-256 key in PKCS#8 form")]
    PeerKey,
    /// No certificate can name the database.
    #[error(transparent)]
    DatabaseId(#[from] DatabaseIdError),
}

/// A shared key, a device's own key and a database: one member of one mesh.
pub struct Credential {
    shared: SharedKey,
    signing: Arc<dyn SigningKey>,
    peer_key: PeerPublicKey,
    trust: Arc<Trust>,
    current: Mutex<Option<Arc<Leaf>>>,
}

/// A leaf in the form that TLS wants.
#[derive(Debug)]
pub(crate) struct Leaf {
    issued: IssuedLeaf,
    pub(crate) key: Arc<CertifiedKey>,
}

impl Leaf {
    /// Whether it is young enough to be shown at `now_ms`, and not from a future
    /// that a corrected clock took back.
    fn serves(&self, now_ms: u64) -> bool {
        let begin_ms = self.issued.issued_ms.saturating_sub(LEAF_BACKDATE_MS / 2);
        (begin_ms..self.issued.renew_ms()).contains(&now_ms)
    }
}

impl Credential {
    /// `peer_key_pkcs8` is the device's own P-256 key in PKCS#8 DER.
    ///
    /// # Errors
    /// The key is none, or no certificate can name the database.
    pub fn new(
        shared: SharedKey,
        peer_key_pkcs8: &[u8],
        database_id: &str,
    ) -> Result<Self, CredentialError> {
        let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(peer_key_pkcs8));
        let signing = any_ecdsa_type(&der).map_err(|_| CredentialError::PeerKey)?;
        let spki = signing.public_key().ok_or(CredentialError::PeerKey)?;
        let peer_key = PeerPublicKey::parse(&spki).map_err(|_| CredentialError::PeerKey)?;
        let trust = Arc::new(Trust::new(shared.public().clone(), database_id)?);
        Ok(Self {
            shared,
            signing,
            peer_key,
            trust,
            current: Mutex::new(None),
        })
    }

    /// Who this node is.
    #[must_use]
    pub fn peer_key(&self) -> &PeerPublicKey {
        &self.peer_key
    }

    /// The database.
    #[must_use]
    pub fn database_id(&self) -> &str {
        self.trust.database_id()
    }

    /// Whom this node trusts.
    pub(crate) fn trust(&self) -> Arc<Trust> {
        Arc::clone(&self.trust)
    }

    /// The leaf to show at `now_ms`, a new one if it is time.
    pub(crate) fn leaf(&self, now_ms: u64) -> Result<Arc<Leaf>, IssueError> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(leaf) = current.as_ref().filter(|leaf| leaf.serves(now_ms)) {
            return Ok(Arc::clone(leaf));
        }
        let leaf = Arc::new(self.issue(now_ms)?);
        *current = Some(Arc::clone(&leaf));
        Ok(leaf)
    }

    fn issue(&self, now_ms: u64) -> Result<Leaf, IssueError> {
        let issued = self
            .shared
            .issue(&self.peer_key, self.database_id(), now_ms)?;
        tracing::info!(
            target: "tombolo::mesh",
            peer_key = %self.peer_key,
            expires_ms = issued.expires_ms,
            "this node made a certificate for itself"
        );
        let chain = vec![CertificateDer::from(issued.der.clone())];
        let key = Arc::new(CertifiedKey::new(chain, Arc::clone(&self.signing)));
        Ok(Leaf { issued, key })
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential")
            .field("peer_key", &self.peer_key)
            .field("database_id", &self.database_id())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
    use tombolo_identity::LEAF_VALID_MS;

    use super::*;

    const NOW_MS: u64 = 1_795_000_000_000;

    fn credential() -> Credential {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        let pkcs8 = key.to_pkcs8v1().unwrap();
        Credential::new(SharedKey::generate().unwrap(), pkcs8.as_ref(), "db").unwrap()
    }

    #[test]
    fn a_leaf_is_made_anew_at_half_of_its_time() {
        let credential = credential();
        let issued_ms = |now_ms| credential.leaf(now_ms).unwrap().issued.issued_ms;
        let half_ms = LEAF_VALID_MS / 2;
        assert_eq!(issued_ms(NOW_MS), NOW_MS);
        assert_eq!(issued_ms(NOW_MS + half_ms - 1), NOW_MS);
        assert_eq!(issued_ms(NOW_MS + half_ms), NOW_MS + half_ms);
    }

    #[test]
    fn a_clock_that_is_set_back_gets_a_leaf_of_its_time() {
        let credential = credential();
        let issued_ms = |now_ms| credential.leaf(now_ms).unwrap().issued.issued_ms;
        assert_eq!(issued_ms(NOW_MS), NOW_MS);
        assert_eq!(issued_ms(NOW_MS - LEAF_BACKDATE_MS / 2), NOW_MS);
        let before_ms = NOW_MS - LEAF_BACKDATE_MS / 2 - 1;
        assert_eq!(issued_ms(before_ms), before_ms);
    }

    #[test]
    fn a_peer_key_that_is_none_is_refused() {
        let refused = Credential::new(SharedKey::generate().unwrap(), b"no key", "db");
        assert!(matches!(refused, Err(CredentialError::PeerKey)));
    }
}
