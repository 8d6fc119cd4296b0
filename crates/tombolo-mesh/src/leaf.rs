//! This node's own certificate in the form that TLS wants: one that it signed
//! for itself with a shared key, or one that an identity service gave it.

use std::sync::Arc;

use rustls::sign::{CertifiedKey, SigningKey};
use rustls_pki_types::CertificateDer;
use tombolo_identity::{
    IssuedLeaf, LEAF_BACKDATE_MS, OwnLeaf, Permissions, VerifiedPeer, VerifyError,
};

use crate::refusal::HandshakeError;

/// A leaf to be shown to peers.
#[derive(Debug)]
pub(crate) struct Leaf {
    pub(crate) key: Arc<CertifiedKey>,
    /// What this node may read and write under it.
    pub(crate) permissions: Permissions,
    pub(crate) expires_ms: u64,
    origin: Origin,
}

#[derive(Debug)]
enum Origin {
    SharedKey(IssuedLeaf),
    Service(Box<OwnLeaf>),
}

impl Leaf {
    pub(crate) fn of_shared_key(issued: IssuedLeaf, signing: &Arc<dyn SigningKey>) -> Self {
        Self {
            key: with_key(issued.der.clone(), signing),
            permissions: Permissions::everything(),
            expires_ms: issued.expires_ms,
            origin: Origin::SharedKey(issued),
        }
    }

    pub(crate) fn of_service(own: OwnLeaf, der: Vec<u8>, signing: &Arc<dyn SigningKey>) -> Self {
        Self {
            key: with_key(der, signing),
            permissions: own.permissions().clone(),
            expires_ms: own.expires_ms(),
            origin: Origin::Service(Box::new(own)),
        }
    }

    /// Whether a leaf that this node makes itself is young enough to be shown at
    /// `now_ms`, and not from a future that a corrected clock took back.
    pub(crate) fn serves(&self, now_ms: u64) -> bool {
        let Origin::SharedKey(issued) = &self.origin else {
            return true;
        };
        let begin_ms = issued.issued_ms.saturating_sub(LEAF_BACKDATE_MS / 2);
        (begin_ms..issued.renew_ms()).contains(&now_ms)
    }

    /// This node as its peers see it; `None` under a shared key, where it makes
    /// a new leaf in time.
    pub(crate) fn holder(&self, now_ms: u64) -> Result<Option<&VerifiedPeer>, HandshakeError> {
        let Origin::Service(own) = &self.origin else {
            return Ok(None);
        };
        own.at(now_ms).map(Some).map_err(|error| match error {
            VerifyError::NotYetValid { wait_ms } => HandshakeError::OwnNotYetValid { wait_ms },
            VerifyError::Expired { ago_ms } => HandshakeError::OwnExpired { ago_ms },
            other => HandshakeError::Certificate(other),
        })
    }

    /// Whether it names the same user with the same rules, so that links that
    /// were made with the one need not be made anew with the other.
    pub(crate) fn grants_as(&self, other: &Self) -> bool {
        self.user_id() == other.user_id() && self.permissions == other.permissions
    }

    fn user_id(&self) -> Option<&str> {
        match &self.origin {
            Origin::SharedKey(_) => None,
            Origin::Service(own) => own.user_id(),
        }
    }

    #[cfg(test)]
    pub(crate) fn issued_ms(&self) -> u64 {
        match &self.origin {
            Origin::SharedKey(issued) => issued.issued_ms,
            Origin::Service(own) => own.issued_ms(),
        }
    }
}

fn with_key(der: Vec<u8>, signing: &Arc<dyn SigningKey>) -> Arc<CertifiedKey> {
    let chain = vec![CertificateDer::from(der)];
    Arc::new(CertifiedKey::new(chain, Arc::clone(signing)))
}
