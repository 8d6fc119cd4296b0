//! The shared key: whoever holds it is of the mesh, so it is wiped from memory,
//! never shown, and no error repeats a byte of it.

use std::fmt;

use base64::prelude::{BASE64_STANDARD, Engine};
use base64::{DecodeError, alphabet, engine};
use zeroize::Zeroizing;

use crate::der::Outline;
use crate::key::AuthorityKey;
use crate::signing::SigningPair;

/// Longest text that is looked at; a P-256 key takes 184 characters.
const TEXT_BYTES_MAX: usize = 16 * 1024;

/// How an operator gets a shared key.
const REMEDY: &str = "make one with: tombolo shared-key generate";

/// Padding may be missing, because copying by hand loses it.
const STANDARD: engine::GeneralPurpose = engine::GeneralPurpose::new(
    &alphabet::STANDARD,
    engine::GeneralPurposeConfig::new()
        .with_decode_padding_mode(engine::DecodePaddingMode::Indifferent),
);

/// Why a text is not a shared key. The operator's to mend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SharedKeyError {
    /// There is no text.
    #[error("the shared key is empty: {REMEDY}")]
    Empty,
    /// Too much text.
    #[error("the shared key has {bytes} characters, which no P-256 key needs: {REMEDY}")]
    TooLong {
        /// How many.
        bytes: usize,
    },
    /// A PEM file instead of its contents.
    #[error(
        "the shared key is PEM: leave out the lines with dashes and join the others, if it was made by openssl pkcs8 -topk8 -nocrypt, or {REMEDY}"
    )]
    Pem,
    /// White space inside.
    #[error("the shared key is broken into lines or has spaces inside: write it on one line")]
    ManyLines,
    /// A character that standard base64 does not have.
    #[error(
        "the shared key is not base64: character {position} does not belong there, only A-Z a-z 0-9 + / = do; {REMEDY}"
    )]
    NotBase64 {
        /// Which character, counted from 1.
        position: usize,
    },
    /// The text stops before the key does.
    #[error("the shared key is base64 of an impossible length: a character is missing or doubled")]
    Cut,
    /// Base64 of something else.
    #[error("the shared key is not a private key in PKCS#8 DER form: {REMEDY}")]
    NotPkcs8,
    /// Base64 of a SEC1 key.
    #[error(
        "the shared key is an EC key without PKCS#8 around it: convert it with openssl pkcs8 -topk8 -nocrypt -inform der -outform der"
    )]
    Sec1,
    /// Base64 of a public key.
    #[error("the shared key is a public key: the private one is needed; {REMEDY}")]
    PublicKey,
    /// A password guards it.
    #[error(
        "the shared key is encrypted: take the password off with openssl pkcs8 -inform der -outform der -nocrypt -topk8"
    )]
    Encrypted,
    /// An elliptic curve key of another curve.
    #[error("the shared key is of the curve {curve} and P-256 (prime256v1) is needed: {REMEDY}")]
    OtherCurve {
        /// Its name.
        curve: &'static str,
    },
    /// Another kind of key.
    #[error(
        "the shared key is a key of the kind {algorithm} and elliptic curve P-256 is needed: {REMEDY}"
    )]
    OtherAlgorithm {
        /// Its name.
        algorithm: &'static str,
    },
    /// The right form around numbers that are no key.
    #[error(
        "the shared key looks like a P-256 key, but its numbers do not fit: a character was changed; {REMEDY}"
    )]
    Damaged,
    /// The cryptographic library refused to make a key.
    #[error("a shared key could not be made: the operating system has no randomness to give")]
    Generation,
}

/// The private key of a mesh, which signs each device's leaf.
///
/// As text: standard base64 on one line of an unencrypted PKCS#8 DER P-256 key.
pub struct SharedKey {
    pair: SigningPair,
    public: AuthorityKey,
}

impl SharedKey {
    /// A new key, by the randomness of the cryptographic library.
    ///
    /// # Errors
    /// The system has no randomness.
    pub fn generate() -> Result<Self, SharedKeyError> {
        let pair = SigningPair::generate().map_err(|_| SharedKeyError::Generation)?;
        Self::from_pair(pair).ok_or(SharedKeyError::Generation)
    }

    /// Reads the text that [`SharedKey::to_base64`] gives and openssl makes.
    /// White space around it is ignored.
    ///
    /// # Errors
    /// [`SharedKeyError`], one variant for each mistake.
    pub fn parse(text: &str) -> Result<Self, SharedKeyError> {
        let text = text.trim();
        check_text(text)?;
        let der = Zeroizing::new(STANDARD.decode(text).map_err(not_base64)?);
        if der.starts_with(b"-----BEGIN") {
            return Err(SharedKeyError::Pem);
        }
        match Outline::of(&der) {
            Outline::P256Pkcs8 => Self::from_pkcs8(der).ok_or(SharedKeyError::Damaged),
            Outline::Encrypted => Err(SharedKeyError::Encrypted),
            Outline::Sec1 => Err(SharedKeyError::Sec1),
            Outline::PublicKey => Err(SharedKeyError::PublicKey),
            Outline::OtherCurve(curve) => Err(SharedKeyError::OtherCurve { curve }),
            Outline::OtherAlgorithm(algorithm) => Err(SharedKeyError::OtherAlgorithm { algorithm }),
            Outline::Unknown => Err(SharedKeyError::NotPkcs8),
        }
    }

    fn from_pkcs8(pkcs8: Zeroizing<Vec<u8>>) -> Option<Self> {
        Self::from_pair(SigningPair::read(pkcs8)?)
    }

    fn from_pair(pair: SigningPair) -> Option<Self> {
        let public = AuthorityKey::parse(pair.point()).ok()?;
        Some(Self { pair, public })
    }

    /// The key as text. Whoever reads it is of the mesh.
    #[must_use]
    pub fn to_base64(&self) -> Zeroizing<String> {
        Zeroizing::new(BASE64_STANDARD.encode(self.pair.pkcs8().as_slice()))
    }

    /// The public half, by which leaves are checked.
    #[must_use]
    pub fn public(&self) -> &AuthorityKey {
        &self.public
    }

    pub(crate) fn pair(&self) -> &SigningPair {
        &self.pair
    }
}

impl fmt::Debug for SharedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedKey(redacted)")
    }
}

fn check_text(text: &str) -> Result<(), SharedKeyError> {
    if text.is_empty() {
        return Err(SharedKeyError::Empty);
    }
    if text.len() > TEXT_BYTES_MAX {
        return Err(SharedKeyError::TooLong { bytes: text.len() });
    }
    if text.contains("-----BEGIN") {
        return Err(SharedKeyError::Pem);
    }
    if text.contains(char::is_whitespace) {
        return Err(SharedKeyError::ManyLines);
    }
    Ok(())
}

/// The position of the mistake without the character: it may be of the secret.
fn not_base64(error: DecodeError) -> SharedKeyError {
    match error {
        DecodeError::InvalidByte(offset, _) | DecodeError::InvalidLastSymbol(offset, _) => {
            SharedKeyError::NotBase64 {
                position: offset + 1,
            }
        }
        DecodeError::InvalidLength(_) | DecodeError::InvalidPadding => SharedKeyError::Cut,
    }
}
