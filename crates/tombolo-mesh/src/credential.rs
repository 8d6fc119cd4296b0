//! What a node proves itself with: a leaf that it makes for itself under a shared
//! key, anew when half of its time is over or the clock was set back, or one that
//! an identity service gave it. Beside it: whom it trusts, and who is revoked.
//! Nobody waits for a timer: each handshake asks for what holds now.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use rustls::crypto::aws_lc_rs::sign::any_ecdsa_type;
use rustls::sign::SigningKey;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::sync::watch;
use tombolo_identity::{
    AdoptError, Adoption, DatabaseIdError, OwnLeaf, PeerPublicKey, Permissions, Revocations,
    RevocationsError, SharedKey, Trust, VerifyError,
};

use crate::leaf::Leaf;
use crate::refusal::HandshakeError;
use crate::standing::Standing;

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
    /// What the service gave is no certificate of this fleet.
    #[error("the certificate for this node is refused: {0}; log in again")]
    Certificate(#[source] VerifyError),
    /// The certificate is for another device.
    #[error(
        "the certificate is for the peer key {theirs} and this node has {ours}: credentials of another device were copied here; log in again"
    )]
    OtherPeerKey {
        /// This node's.
        ours: PeerPublicKey,
        /// The certificate's.
        theirs: PeerPublicKey,
    },
    /// The certificate is of the shared key.
    #[error(
        "the certificate was signed by the shared key and by no identity service: log in, or use the shared key itself"
    )]
    SelfSigned,
    /// The new authorities are those of another database.
    #[error("this node is of the database {ours:?} and the certificate is for {theirs:?}")]
    OtherDatabase {
        /// This node's.
        ours: String,
        /// The new one.
        theirs: String,
    },
    /// A node with a shared key makes its own certificates.
    #[error(
        "this node has a shared key and makes its own certificates: stop sync before it takes one of an identity service"
    )]
    HasSharedKey,
}

/// Why a list of revocations is not taken.
#[derive(Debug, thiserror::Error)]
pub enum RevocationsRefused {
    /// Nobody's fault: there is a shared key alone, and that signs no list.
    #[error(
        "this node trusts no identity service, so it cannot tell who signed the revocations: they are left alone"
    )]
    NoAuthority,
    /// It is none of this fleet. The fault of whoever sent it.
    #[error(transparent)]
    Unreadable(#[from] RevocationsError),
    /// It is older than the one that is held.
    #[error(transparent)]
    Older(#[from] AdoptError),
}

/// One member of one mesh: a device's own key, a database, and a shared key or
/// a certificate. It is shared by all who ask it or renew it.
pub struct Credential {
    signing: Arc<dyn SigningKey>,
    peer_key: PeerPublicKey,
    database_id: String,
    state: Mutex<State>,
    renewals: watch::Sender<u64>,
    revoked: watch::Sender<u64>,
}

struct State {
    membership: Membership,
    trust: Arc<Trust>,
    revocations: Option<Arc<Revocations>>,
    /// The list as peers are told of it, if they can check it.
    told: Option<Bytes>,
    serial: u64,
}

enum Membership {
    SharedKey(SharedKey, Option<Arc<Leaf>>),
    Certified(Arc<Leaf>),
}

impl Credential {
    /// A member by a shared key. `peer_key_pkcs8` is the device's own P-256 key
    /// in PKCS#8 DER.
    ///
    /// # Errors
    /// The key is none, or no certificate can name the database.
    pub fn new(
        shared: SharedKey,
        peer_key_pkcs8: &[u8],
        database_id: &str,
    ) -> Result<Self, CredentialError> {
        let (signing, peer_key) = read_key(peer_key_pkcs8)?;
        let trust = Trust::new(shared.public().clone(), database_id)?;
        let membership = Membership::SharedKey(shared, None);
        Ok(Self::of(signing, peer_key, membership, trust))
    }

    /// A member by a certificate (DER) that an identity service gave it, and
    /// who trusts the authorities that came with it. Its time is not looked at
    /// here but in each handshake.
    ///
    /// # Errors
    /// The key is none, or the certificate is not one for it by `trust`.
    pub fn certified(
        certificate_der: Vec<u8>,
        peer_key_pkcs8: &[u8],
        trust: Trust,
    ) -> Result<Self, CredentialError> {
        let (signing, peer_key) = read_key(peer_key_pkcs8)?;
        let leaf = read_leaf(certificate_der, (&signing, &peer_key), &trust)?;
        let membership = Membership::Certified(Arc::new(leaf));
        Ok(Self::of(signing, peer_key, membership, trust))
    }

    fn of(
        signing: Arc<dyn SigningKey>,
        peer_key: PeerPublicKey,
        membership: Membership,
        trust: Trust,
    ) -> Self {
        Self {
            signing,
            peer_key,
            database_id: trust.database_id().to_owned(),
            state: Mutex::new(State {
                membership,
                trust: Arc::new(trust),
                revocations: None,
                told: None,
                serial: 0,
            }),
            renewals: watch::Sender::new(0),
            revoked: watch::Sender::new(0),
        }
    }

    /// Takes a new certificate and its authorities for all handshakes from here
    /// on. A mesh ends the links that were made under other rules, or with peers
    /// that these authorities did not sign, so that they are made anew.
    ///
    /// # Errors
    /// As for [`Credential::certified`], or this member has a shared key or
    /// another database; nothing changed then.
    pub fn renew(&self, certificate_der: Vec<u8>, trust: Trust) -> Result<(), CredentialError> {
        if trust.database_id() != self.database_id {
            return Err(CredentialError::OtherDatabase {
                ours: self.database_id.clone(),
                theirs: trust.database_id().to_owned(),
            });
        }
        let leaf = read_leaf(certificate_der, (&self.signing, &self.peer_key), &trust)?;
        let mut state = self.state();
        let Membership::Certified(current) = &mut state.membership else {
            return Err(CredentialError::HasSharedKey);
        };
        let expires_ms = leaf.expires_ms;
        *current = Arc::new(leaf);
        state.told = state.revocations.as_ref().and_then(|held| {
            let readable = Revocations::decode(held.as_bytes(), &trust).is_ok();
            readable.then(|| Bytes::copy_from_slice(held.as_bytes()))
        });
        state.trust = Arc::new(trust);
        state.serial += 1;
        drop(state);
        tracing::info!(target: "tombolo::mesh", peer_key = %self.peer_key, expires_ms, "this node has a new certificate");
        self.renewals.send_modify(|count| *count += 1);
        Ok(())
    }

    /// Takes a signed list of revocations if it is newer than the one that is
    /// held. A mesh then ends the links of whom it names. To keep it on a disk
    /// is the caller's business.
    ///
    /// # Errors
    /// It is older, or none of an authority that is trusted.
    pub fn adopt_revocations(&self, bytes: &[u8]) -> Result<Adoption, RevocationsRefused> {
        let (trust, held) = {
            let state = self.state();
            (Arc::clone(&state.trust), state.revocations.clone())
        };
        // Every peer tells of the same list, so most offers end here.
        if held.is_some_and(|held| held.as_bytes() == bytes) {
            return Ok(Adoption::Unchanged);
        }
        if trust.authorities().is_empty() {
            return Err(RevocationsRefused::NoAuthority);
        }
        let offered = Revocations::decode(bytes, &trust)?;
        let mut state = self.state();
        let adoption = match &mut state.revocations {
            none @ None => {
                *none = Some(Arc::new(offered));
                Adoption::Newer
            }
            Some(held) => Arc::make_mut(held).adopt(offered)?,
        };
        let Some(held) = state.revocations.clone() else {
            return Ok(adoption);
        };
        let has_moved = adoption != Adoption::Unchanged && held.as_bytes() == bytes;
        if has_moved {
            state.told = Some(Bytes::copy_from_slice(bytes));
            state.serial += 1;
        }
        drop(state);
        if has_moved {
            self.revoked.send_replace(held.version());
        }
        let (version, entries) = (held.version(), held.entries().len());
        match adoption {
            Adoption::Newer => {
                tracing::info!(target: "tombolo::mesh", version, entries, "revocations were taken");
            }
            Adoption::Conflict => {
                tracing::error!(target: "tombolo::mesh", version, "two lists of revocations have one version: an authority's key was copied, or its service restored from a backup; sign a new list");
            }
            Adoption::Unchanged => {}
        }
        Ok(adoption)
    }

    /// The list that is held.
    #[must_use]
    pub fn revocations(&self) -> Option<Arc<Revocations>> {
        self.state().revocations.clone()
    }

    /// The list as peers are to be told of it; `None` without one, or if the
    /// authorities of today did not sign it.
    #[must_use]
    pub fn revocations_told(&self) -> Option<Bytes> {
        self.state().told.clone()
    }

    /// The version of the list that is held, zero for none; notified whenever
    /// another list is.
    #[must_use]
    pub fn revocation_changes(&self) -> watch::Receiver<u64> {
        self.revoked.subscribe()
    }

    /// Notified after each [`Credential::renew`].
    #[must_use]
    pub fn renewals(&self) -> watch::Receiver<u64> {
        self.renewals.subscribe()
    }

    /// Who this node is.
    #[must_use]
    pub fn peer_key(&self) -> &PeerPublicKey {
        &self.peer_key
    }

    /// The database.
    #[must_use]
    pub fn database_id(&self) -> &str {
        &self.database_id
    }

    /// What this node may read and write; everything, under a shared key.
    #[must_use]
    pub fn permissions(&self) -> Permissions {
        match &self.state().membership {
            Membership::SharedKey(..) => Permissions::everything(),
            Membership::Certified(leaf) => leaf.permissions.clone(),
        }
    }

    /// When this node's certificate ends, in unix milliseconds; `None` under a
    /// shared key, where it makes the next one itself.
    #[must_use]
    pub fn expires_ms(&self) -> Option<u64> {
        match &self.state().membership {
            Membership::SharedKey(..) => None,
            Membership::Certified(leaf) => Some(leaf.expires_ms),
        }
    }

    /// What holds at `now_ms`, with a new leaf if it is time for one.
    pub(crate) fn standing(&self, now_ms: u64) -> Result<Standing, HandshakeError> {
        let mut state = self.state();
        let leaf = match &mut state.membership {
            Membership::Certified(leaf) => Arc::clone(leaf),
            Membership::SharedKey(_, Some(leaf)) if leaf.serves(now_ms) => Arc::clone(leaf),
            Membership::SharedKey(shared, current) => {
                let issued = shared.issue(&self.peer_key, &self.database_id, now_ms)?;
                tracing::info!(
                    target: "tombolo::mesh",
                    peer_key = %self.peer_key,
                    expires_ms = issued.expires_ms,
                    "this node made a certificate for itself"
                );
                let leaf = Leaf::of_shared_key(issued, &self.signing);
                Arc::clone(current.insert(Arc::new(leaf)))
            }
        };
        Ok(Standing {
            trust: Arc::clone(&state.trust),
            revocations: state.revocations.clone(),
            leaf,
            serial: state.serial,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is an assignment of what was checked before.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read_key(pkcs8: &[u8]) -> Result<(Arc<dyn SigningKey>, PeerPublicKey), CredentialError> {
    let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pkcs8));
    let signing = any_ecdsa_type(&der).map_err(|_| CredentialError::PeerKey)?;
    let spki = signing.public_key().ok_or(CredentialError::PeerKey)?;
    let peer_key = PeerPublicKey::parse(&spki).map_err(|_| CredentialError::PeerKey)?;
    Ok((signing, peer_key))
}

fn read_leaf(
    der: Vec<u8>,
    (signing, peer_key): (&Arc<dyn SigningKey>, &PeerPublicKey),
    trust: &Trust,
) -> Result<Leaf, CredentialError> {
    let own = OwnLeaf::read(trust, &der).map_err(CredentialError::Certificate)?;
    if own.user_id().is_none() {
        return Err(CredentialError::SelfSigned);
    }
    if own.peer_key() != peer_key {
        return Err(CredentialError::OtherPeerKey {
            ours: peer_key.clone(),
            theirs: own.peer_key().clone(),
        });
    }
    Ok(Leaf::of_service(own, der, signing))
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
mod tests;
