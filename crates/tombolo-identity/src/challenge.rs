//! The proof that a device holds its peer key: a challenge that the service
//! makes without remembering it, the device's signature over it, and what the
//! service may believe afterwards. Each step is made only by the one before.

use std::fmt;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use crate::database::{DATABASE_ID_BYTES_MAX, DatabaseIdError, check_database_id};
use crate::key::PeerPublicKey;
use crate::reader::Reader;
use crate::signing::PeerKeyPair;

/// How long a challenge may be answered: two minutes.
pub const CHALLENGE_VALID_MS: u64 = 2 * 60 * 1000;
/// Longest text of a challenge or of a signed challenge, in characters.
pub const CHALLENGE_CHARS_MAX: usize = 1024;
/// Longest challenge that a device signs, in bytes: room for later versions.
pub const CHALLENGE_BYTES_MAX: usize = 512;
/// Length of the random part of a challenge, in bytes.
pub const NONCE_BYTES: usize = 16;

/// What the service's code over a challenge covers first.
const CODE_DOMAIN: &[u8] = b"tombolo 2026-11 challenge of the identity service\0";
/// What a device's signature covers first: it can stand for nothing else.
const SIGNATURE_DOMAIN: &[u8] = b"tombolo 2026-11 answer to a challenge by a peer key\0";
/// First byte of both forms.
const VERSION: u8 = 1;
const CODE_BYTES: usize = 32;
const POINT_BYTES: usize = 65;
/// An ECDSA signature of P-256 in DER is never longer, in bytes.
const SIGNATURE_BYTES_MAX: usize = 72;

/// Why a login is refused before anybody asks who the user is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The bytes are no signed challenge. The device's fault.
    #[error("the signed challenge is malformed: {what}")]
    Malformed {
        /// What is wrong.
        what: &'static str,
    },
    /// The service did not make this challenge, or it was changed.
    #[error(
        "the challenge is not of this service or was altered: ask /_ditto/auth/challenge for a new one"
    )]
    Altered,
    /// It was made for another database.
    #[error("the challenge is for another database than the login: use one database id for both")]
    ForeignDatabase,
    /// Its time is over.
    #[error("the challenge expired {ago_ms} ms ago: ask for a new one and answer it at once")]
    Expired {
        /// For how long, in milliseconds.
        ago_ms: u64,
    },
    /// It was made later than now, so the service's clock went back.
    #[error("the challenge is from {ahead_ms} ms ahead: the clock of the service was set back")]
    FromAhead {
        /// How far, in milliseconds.
        ahead_ms: u64,
    },
    /// The signature is not that of the peer key beside it.
    #[error("the challenge was not signed by the peer key that the device claims")]
    WrongKey,
}

const fn malformed(what: &'static str) -> ProofError {
    ProofError::Malformed { what }
}

/// The service's secret behind its challenges. One that is lost costs the
/// challenges that are out.
pub struct ChallengeKey(hmac::Key);

impl ChallengeKey {
    /// From 32 random bytes.
    #[must_use]
    pub fn new(random: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, random))
    }

    /// Makes a challenge for one database from 16 random bytes at `now_ms`
    /// (unix milliseconds).
    ///
    /// # Errors
    /// No certificate can name the database.
    pub fn challenge(
        &self,
        database_id: &str,
        nonce: [u8; NONCE_BYTES],
        now_ms: u64,
    ) -> Result<Challenge, DatabaseIdError> {
        check_database_id(database_id)?;
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&nonce);
        bytes.extend_from_slice(&now_ms.to_be_bytes());
        let expires_ms = now_ms.saturating_add(CHALLENGE_VALID_MS);
        bytes.extend_from_slice(&expires_ms.to_be_bytes());
        bytes.push(database_id.len() as u8);
        bytes.extend_from_slice(database_id.as_bytes());
        let code = hmac::sign(&self.0, &[CODE_DOMAIN, &bytes].concat());
        bytes.extend_from_slice(code.as_ref());
        Ok(Challenge { bytes })
    }

    /// Checks a device's answer for `database_id` at `now_ms`. That a challenge
    /// is used once is for the caller to see to, by [`ProvenPeerKey::nonce`].
    ///
    /// # Errors
    /// [`ProofError`], one variant for each way to be refused. The signature is
    /// looked at last, because it costs most.
    pub fn prove(
        &self,
        signed: SignedChallenge,
        database_id: &str,
        now_ms: u64,
    ) -> Result<ProvenPeerKey, ProofError> {
        let terms = self.check_code(&signed.challenge)?;
        if terms.database_id != database_id {
            return Err(ProofError::ForeignDatabase);
        }
        terms.check_time(now_ms)?;
        let message = message(&signed.challenge.bytes);
        if !signed.peer_key.signed(&message, &signed.signature) {
            return Err(ProofError::WrongKey);
        }
        Ok(ProvenPeerKey {
            database_id: database_id.to_owned(),
            nonce: terms.nonce,
            challenge_expires_ms: terms.expires_ms,
            peer_key: signed.peer_key,
        })
    }

    fn check_code<'c>(&self, challenge: &'c Challenge) -> Result<Terms<'c>, ProofError> {
        let end = challenge.bytes.len().checked_sub(CODE_BYTES);
        let end = end.ok_or(malformed("the challenge is too short"))?;
        let (covered, code) = challenge.bytes.split_at(end);
        let message = [CODE_DOMAIN, covered].concat();
        hmac::verify(&self.0, &message, code).map_err(|_| ProofError::Altered)?;
        Terms::read(covered).ok_or(malformed("the challenge is of another version"))
    }
}

impl fmt::Debug for ChallengeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChallengeKey(redacted)")
    }
}

/// What a challenge says, for its maker alone.
struct Terms<'c> {
    nonce: [u8; NONCE_BYTES],
    issued_ms: u64,
    expires_ms: u64,
    database_id: &'c str,
}

impl<'c> Terms<'c> {
    fn read(covered: &'c [u8]) -> Option<Self> {
        let mut reader = Reader::new(covered);
        if reader.array::<1>()? != [VERSION] {
            return None;
        }
        let nonce = reader.array()?;
        let issued_ms = u64::from_be_bytes(reader.array()?);
        let expires_ms = u64::from_be_bytes(reader.array()?);
        let [length] = reader.array()?;
        let database_id = std::str::from_utf8(reader.take(usize::from(length))?).ok()?;
        let whole = reader.rest().is_empty() && database_id.len() <= DATABASE_ID_BYTES_MAX;
        whole.then_some(Self {
            nonce,
            issued_ms,
            expires_ms,
            database_id,
        })
    }

    fn check_time(&self, now_ms: u64) -> Result<(), ProofError> {
        if now_ms >= self.expires_ms {
            let ago_ms = now_ms - self.expires_ms;
            return Err(ProofError::Expired { ago_ms });
        }
        if now_ms < self.issued_ms {
            let ahead_ms = self.issued_ms - now_ms;
            return Err(ProofError::FromAhead { ahead_ms });
        }
        Ok(())
    }
}

/// What the service asks a device to sign. Opaque to the device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    bytes: Vec<u8>,
}

impl Challenge {
    /// As the service sends it: base64url without padding.
    #[must_use]
    pub fn to_text(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(&self.bytes)
    }

    /// As the device gets it. Nothing of it is believed or understood.
    ///
    /// # Errors
    /// The text is no base64url, or too long.
    pub fn from_text(text: &str) -> Result<Self, ProofError> {
        let bytes = decode(text)?;
        if bytes.is_empty() || bytes.len() > CHALLENGE_BYTES_MAX {
            return Err(malformed("the challenge is of an impossible length"));
        }
        Ok(Self { bytes })
    }

    /// Signs it on the device.
    ///
    /// # Errors
    /// The key cannot sign, which is our fault and not the device's.
    pub fn sign(self, key: &PeerKeyPair) -> Result<SignedChallenge, ProofError> {
        let signature = key.sign(&message(&self.bytes));
        Ok(SignedChallenge {
            signature: signature.ok_or(malformed("the peer key cannot sign"))?,
            peer_key: key.public().clone(),
            challenge: self,
        })
    }
}

/// A challenge and a device's signature over it, which nobody has checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedChallenge {
    challenge: Challenge,
    peer_key: PeerPublicKey,
    signature: Vec<u8>,
}

impl SignedChallenge {
    /// As the device sends it: base64url without padding.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(self.peer_key.as_bytes());
        let length = self.challenge.bytes.len() as u16;
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(&self.challenge.bytes);
        bytes.extend_from_slice(&self.signature);
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    /// As the service gets it. Nothing of it is believed.
    ///
    /// # Errors
    /// The text has another form.
    pub fn from_text(text: &str) -> Result<Self, ProofError> {
        let bytes = decode(text)?;
        let mut reader = Reader::new(&bytes);
        if reader.array() != Some([VERSION]) {
            return Err(malformed("it is empty or of another version"));
        }
        let key = reader.array::<POINT_BYTES>();
        let key = key.ok_or(malformed("it ends within the peer key"))?;
        let cut = malformed("it ends within the challenge");
        let length = u16::from_be_bytes(reader.array().ok_or(cut)?);
        let challenge = reader.take(usize::from(length)).ok_or(cut)?.to_vec();
        let signature = reader.rest().to_vec();
        if challenge.len() > CHALLENGE_BYTES_MAX || signature.len() > SIGNATURE_BYTES_MAX {
            return Err(malformed("it is too long"));
        }
        let peer_key = PeerPublicKey::parse(&key);
        Ok(Self {
            challenge: Challenge { bytes: challenge },
            peer_key: peer_key.map_err(|_| malformed("its peer key is no point of P-256"))?,
            signature,
        })
    }
}

/// A peer key whose holder has just answered a challenge for one database.
/// Only [`ChallengeKey::prove`] makes one.
#[derive(Debug)]
pub struct ProvenPeerKey {
    peer_key: PeerPublicKey,
    database_id: String,
    nonce: [u8; NONCE_BYTES],
    challenge_expires_ms: u64,
}

impl ProvenPeerKey {
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

    /// What a caller remembers until [`Self::challenge_expires_ms`], so that a
    /// challenge is used once.
    #[must_use]
    pub fn nonce(&self) -> &[u8; NONCE_BYTES] {
        &self.nonce
    }

    /// From when on the challenge is refused as expired, in unix milliseconds.
    #[must_use]
    pub fn challenge_expires_ms(&self) -> u64 {
        self.challenge_expires_ms
    }

    pub(crate) fn into_parts(self) -> (PeerPublicKey, String) {
        (self.peer_key, self.database_id)
    }
}

fn message(challenge: &[u8]) -> Vec<u8> {
    [SIGNATURE_DOMAIN, challenge].concat()
}

fn decode(text: &str) -> Result<Vec<u8>, ProofError> {
    if text.len() > CHALLENGE_CHARS_MAX {
        return Err(malformed("it is too long"));
    }
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(text);
    bytes.map_err(|_| malformed("it is not base64url without padding"))
}
