//! The authority of a fleet: the key of the identity service, which signs the
//! leaves of those who logged in. It makes no leaf from anything but
//! [`IdentityData`], which nobody gets without a proof and a grant.

use std::fmt;

use tombolo_document::Value;
use zeroize::Zeroizing;

use crate::identity::{Identity, IdentityData};
use crate::key::{AuthorityKey, PeerPublicKey};
use crate::leaf::{Blank, IssueError, IssuedLeaf};
use crate::refresh;
use crate::signing::{PrivateKeyError, SigningPair};

/// The private key of an identity service. Whoever has it can let anybody in.
pub struct Authority {
    pair: SigningPair,
    public: AuthorityKey,
}

impl Authority {
    /// A new key, by the randomness of the cryptographic library.
    ///
    /// # Errors
    /// The system has no randomness.
    pub fn generate() -> Result<Self, PrivateKeyError> {
        Self::from_pair(SigningPair::generate()?)
    }

    /// From unencrypted PKCS#8 DER.
    ///
    /// # Errors
    /// The bytes are something else than a P-256 key in that form.
    pub fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, PrivateKeyError> {
        Self::from_pair(SigningPair::from_pkcs8(pkcs8)?)
    }

    fn from_pair(pair: SigningPair) -> Result<Self, PrivateKeyError> {
        let public = AuthorityKey::parse(pair.point()).map_err(|_| PrivateKeyError::Damaged)?;
        Ok(Self { pair, public })
    }

    /// The key as PKCS#8 DER, for the one file that keeps it.
    #[must_use]
    pub fn to_pkcs8(&self) -> Zeroizing<Vec<u8>> {
        self.pair.pkcs8().clone()
    }

    /// The public half, by which leaves and revocations are checked.
    #[must_use]
    pub fn public(&self) -> &AuthorityKey {
        &self.public
    }

    /// Makes the certificate of a device that logged in, at `now_ms` (unix
    /// milliseconds). It ends when the provider said.
    ///
    /// # Errors
    /// The clock is impossible, the certificate would be too large, or the
    /// library failed.
    pub fn issue(&self, data: IdentityData, now_ms: u64) -> Result<Certificate, IssueError> {
        let identity = data.identity.encode(now_ms).ok_or(IssueError::TooLarge)?;
        let expires_ms = now_ms.saturating_add(data.expiration_s.saturating_mul(1000));
        let blank = Blank {
            peer_key: &data.peer_key,
            database_id: &data.database_id,
            issuer: "Tombolo identity service",
            identity: Some(identity),
        };
        let leaf = blank.sign(&self.pair, now_ms, expires_ms)?;
        Ok(Certificate {
            leaf,
            peer_key: data.peer_key,
            database_id: data.database_id,
            identity: data.identity,
            client_info: data.client_info,
        })
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        self.pair.sign(message)
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authority({:?}, redacted)", self.public)
    }
}

/// A certificate that an authority signed. Only [`Authority::issue`] makes one.
#[derive(Debug)]
pub struct Certificate {
    leaf: IssuedLeaf,
    peer_key: PeerPublicKey,
    database_id: String,
    identity: Identity,
    client_info: Value,
}

impl Certificate {
    /// The certificate in DER form; the chain is this alone.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.leaf.der
    }

    /// Who holds the key.
    #[must_use]
    pub fn peer_key(&self) -> &PeerPublicKey {
        &self.peer_key
    }

    /// For which database.
    #[must_use]
    pub fn database_id(&self) -> &str {
        &self.database_id
    }

    /// Who it is and what it may.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// When it was made, in unix milliseconds.
    #[must_use]
    pub fn issued_ms(&self) -> u64 {
        self.leaf.issued_ms
    }

    /// When it ends, in unix milliseconds, on a whole second.
    #[must_use]
    pub fn expires_ms(&self) -> u64 {
        self.leaf.expires_ms
    }

    /// When the device should ask for the next one, in unix milliseconds:
    /// somewhere after half of its life, by `random`.
    #[must_use]
    pub fn refresh_ms(&self, random: u64) -> u64 {
        refresh::refresh_ms(self.issued_ms(), self.expires_ms(), random)
    }

    /// What the provider wants the client to know; null for nothing.
    #[must_use]
    pub fn client_info(&self) -> &Value {
        &self.client_info
    }
}
