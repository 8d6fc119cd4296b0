//! Private keys: a P-256 pair from PKCS#8 and what it signs. Each role has its
//! own type around it. A pair is wiped from memory, never shown, and no error
//! repeats a byte of it.

use std::fmt;

use aws_lc_rs::digest;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use zeroize::Zeroizing;

use crate::der::Outline;
use crate::key::PeerPublicKey;

/// Why bytes are not a private key. The operator's to mend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PrivateKeyError {
    /// Something else than an unencrypted P-256 key in PKCS#8.
    #[error(
        "a P-256 private key in unencrypted PKCS#8 DER form is needed, and this is {found}: make one with openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -outform der"
    )]
    OtherForm {
        /// What it is.
        found: &'static str,
    },
    /// The right form around numbers that are no key.
    #[error("the private key has the right form and its numbers do not fit: it is damaged")]
    Damaged,
    /// The cryptographic library refused to make a key.
    #[error("no private key could be made: the operating system has no randomness to give")]
    Generation,
}

/// A P-256 pair and the bytes it was read from.
pub(crate) struct SigningPair {
    pair: EcdsaKeyPair,
    pkcs8: Zeroizing<Vec<u8>>,
}

impl SigningPair {
    pub(crate) fn generate() -> Result<Self, PrivateKeyError> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING);
        let document = pair.and_then(|pair| pair.to_pkcs8v1());
        let document = document.map_err(|_| PrivateKeyError::Generation)?;
        let pkcs8 = Zeroizing::new(document.as_ref().to_vec());
        Self::read(pkcs8).ok_or(PrivateKeyError::Generation)
    }

    /// From PKCS#8 DER, with a name for whatever else the bytes are.
    pub(crate) fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, PrivateKeyError> {
        let found = match Outline::of(pkcs8) {
            Outline::P256Pkcs8 => {
                let pkcs8 = Zeroizing::new(pkcs8.to_vec());
                return Self::read(pkcs8).ok_or(PrivateKeyError::Damaged);
            }
            Outline::Encrypted => "encrypted",
            Outline::Sec1 => "an EC key without PKCS#8 around it",
            Outline::PublicKey => "a public key",
            Outline::OtherCurve(_) => "a key of another curve",
            Outline::OtherAlgorithm(_) => "a key of another kind",
            Outline::Unknown if pkcs8.starts_with(b"-----BEGIN") => "PEM",
            Outline::Unknown => "something else",
        };
        Err(PrivateKeyError::OtherForm { found })
    }

    /// The bytes have the outline of a key; whether they are one is seen here.
    pub(crate) fn read(pkcs8: Zeroizing<Vec<u8>>) -> Option<Self> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &pkcs8).ok()?;
        Some(Self { pair, pkcs8 })
    }

    pub(crate) fn pkcs8(&self) -> &Zeroizing<Vec<u8>> {
        &self.pkcs8
    }

    /// The uncompressed point of the public half.
    pub(crate) fn point(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    /// Signs with ECDSA over SHA-256; the signature is DER.
    pub(crate) fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let digest = digest::digest(&digest::SHA256, message);
        let signature = self.pair.sign_digest(&digest).ok()?;
        Some(signature.as_ref().to_vec())
    }
}

/// A device's own key. It answers challenges and never leaves the device.
pub struct PeerKeyPair {
    pair: SigningPair,
    public: PeerPublicKey,
}

impl PeerKeyPair {
    /// From the device's key as PKCS#8 DER.
    ///
    /// # Errors
    /// The bytes are not an unencrypted P-256 key.
    pub fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, PrivateKeyError> {
        let pair = SigningPair::from_pkcs8(pkcs8)?;
        let public = PeerPublicKey::parse(pair.point()).map_err(|_| PrivateKeyError::Damaged)?;
        Ok(Self { pair, public })
    }

    /// Who the device is.
    #[must_use]
    pub fn public(&self) -> &PeerPublicKey {
        &self.public
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        self.pair.sign(message)
    }
}

impl fmt::Debug for PeerKeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerKeyPair({}, redacted)", self.public)
    }
}
