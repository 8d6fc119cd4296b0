//! What a node goes by at one moment, and what one link was made with: so that
//! a link can be judged anew when certificates, authorities or revocations move.

use std::sync::Arc;

use tombolo_identity::{Revocations, RevokedBy, Trust, VerifiedPeer, VerifyError, verify_leaf};

use crate::leaf::Leaf;
use crate::refusal::HandshakeError;

/// What a node shows and whom it trusts, as of one moment.
#[derive(Debug, Clone)]
pub(crate) struct Standing {
    pub(crate) trust: Arc<Trust>,
    pub(crate) revocations: Option<Arc<Revocations>>,
    pub(crate) leaf: Arc<Leaf>,
    /// Another number after each change of any of them but time.
    pub(crate) serial: u64,
}

/// What a link was made with.
#[derive(Debug)]
pub(crate) struct Basis {
    pub(crate) peer: VerifiedPeer,
    /// The peer's certificate as it was shown.
    pub(crate) certificate: Vec<u8>,
    /// This node's own.
    pub(crate) leaf: Arc<Leaf>,
    /// Of the standing that it was judged by.
    pub(crate) serial: u64,
}

/// Why a peer's certificate is refused.
#[derive(Debug, Clone)]
pub(crate) enum Refused {
    Certificate(VerifyError),
    Revoked(RevokedBy),
}

impl From<Refused> for HandshakeError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Certificate(error) => error.into(),
            Refused::Revoked(by) => Self::Revoked(by),
        }
    }
}

impl Standing {
    /// Judges what a peer shows.
    pub(crate) fn examine(
        &self,
        certificate: &[u8],
        others: &[impl AsRef<[u8]>],
        now_ms: u64,
    ) -> Result<VerifiedPeer, Refused> {
        let peer =
            verify_leaf(&self.trust, certificate, others, now_ms).map_err(Refused::Certificate)?;
        match self.revoked(&peer) {
            Some(by) => Err(Refused::Revoked(by)),
            None => Ok(peer),
        }
    }

    /// Whether this node may show its certificate at `now_ms`.
    pub(crate) fn check_own(&self, now_ms: u64) -> Result<(), HandshakeError> {
        let holder = self.leaf.holder(now_ms)?;
        match holder.and_then(|holder| self.revoked(holder)) {
            Some(by) => Err(HandshakeError::OwnRevoked(by)),
            None => Ok(()),
        }
    }

    /// Whether a link may go on, by everything that may have moved since.
    pub(crate) fn judge(&self, basis: &Basis, now_ms: u64) -> Result<(), HandshakeError> {
        self.check_own(now_ms)?;
        self.judge_time(basis, now_ms)?;
        let none: &[&[u8]] = &[];
        self.examine(&basis.certificate, none, now_ms)?;
        if self.leaf.grants_as(&basis.leaf) {
            Ok(())
        } else {
            Err(HandshakeError::Renewed)
        }
    }

    /// Whether a link may go on, as far as time goes.
    pub(crate) fn judge_time(&self, basis: &Basis, now_ms: u64) -> Result<(), HandshakeError> {
        if let Some(ago_ms) = now_ms.checked_sub(basis.peer.expires_ms()) {
            return Err(VerifyError::Expired { ago_ms }.into());
        }
        if now_ms < basis.leaf.expires_ms {
            return Ok(());
        }
        // The peer ends it too; with a newer certificate it is made anew.
        self.leaf.holder(now_ms)?;
        Err(HandshakeError::Renewed)
    }

    fn revoked(&self, peer: &VerifiedPeer) -> Option<RevokedBy> {
        self.revocations.as_ref()?.is_revoked(peer)
    }
}
