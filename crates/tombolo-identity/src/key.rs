//! Public keys: P-256 points, checked to lie on the curve. Each role has its
//! own type, so that a device is never taken for the authority that signs it.

use std::fmt;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ParsedPublicKey, UnparsedPublicKey};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

/// Length of an uncompressed P-256 point: a tag and two coordinates.
const POINT_BYTES: usize = 65;
/// What stands before the point in a `SubjectPublicKeyInfo` of a P-256 key.
const SPKI_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// Why bytes are not a public key. The fault of whoever sent them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Neither an uncompressed point nor a `SubjectPublicKeyInfo` around one.
    #[error(
        "{bytes} bytes are not a P-256 public key: give the uncompressed point of 65 bytes or its SubjectPublicKeyInfo"
    )]
    Form {
        /// How many bytes there were.
        bytes: usize,
    },
    /// The coordinates lie beside the curve.
    #[error("the P-256 public key is not a point of the curve")]
    OffCurve,
}

/// An uncompressed point that lies on the curve.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Point([u8; POINT_BYTES]);

impl Point {
    fn parse(bytes: &[u8]) -> Result<Self, KeyError> {
        let form = KeyError::Form { bytes: bytes.len() };
        let bytes = bytes.strip_prefix(&SPKI_PREFIX).unwrap_or(bytes);
        let point: [u8; POINT_BYTES] = bytes.try_into().map_err(|_| form)?;
        if point[0] != 0x04 {
            return Err(form);
        }
        ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).map_err(|_| KeyError::OffCurve)?;
        Ok(Self(point))
    }

    /// Whether `signature` (ECDSA with SHA-256, DER) is this key's over `message`.
    fn signed(&self, message: &[u8], signature: &[u8]) -> bool {
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &self.0);
        key.verify(message, signature).is_ok()
    }

    /// 33 bytes: the parity of y, then x.
    fn compressed(&self) -> [u8; 33] {
        let mut short = [0; 33];
        short[0] = 0x02 | (self.0[POINT_BYTES - 1] & 1);
        short[1..].copy_from_slice(&self.0[1..33]);
        short
    }
}

/// The public half of a device's key: who a peer is.
///
/// Shown as `pk:` and 44 characters of base64url, the compressed point.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerPublicKey(Point);

impl PeerPublicKey {
    /// From an uncompressed point of 65 bytes or a `SubjectPublicKeyInfo`.
    ///
    /// # Errors
    /// Any other bytes, another curve, or a point beside the curve.
    pub fn parse(bytes: &[u8]) -> Result<Self, KeyError> {
        Point::parse(bytes).map(Self)
    }

    /// Whether a text has the form that keys are shown in; the point may still
    /// lie beside the curve, so that the text is nobody's.
    #[must_use]
    pub fn is_shown_form(text: &str) -> bool {
        let encoded = text.strip_prefix("pk:");
        let short = encoded.and_then(|encoded| BASE64_URL_SAFE_NO_PAD.decode(encoded).ok());
        short.is_some_and(|short| short.len() == 33 && matches!(short[0], 2 | 3))
    }

    /// The uncompressed point, 65 bytes: what the site id is derived from.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0.0
    }

    /// The key as a DER `SubjectPublicKeyInfo`, 91 bytes.
    #[must_use]
    pub fn to_spki_der(&self) -> Vec<u8> {
        [SPKI_PREFIX.as_slice(), self.as_bytes()].concat()
    }

    pub(crate) fn signed(&self, message: &[u8], signature: &[u8]) -> bool {
        self.0.signed(message, signature)
    }
}

impl fmt::Display for PeerPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("pk:")?;
        f.write_str(&BASE64_URL_SAFE_NO_PAD.encode(self.0.compressed()))
    }
}

impl fmt::Debug for PeerPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The public half of the key that signs leaves: whom a mesh trusts.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct AuthorityKey(Point);

impl AuthorityKey {
    /// From an uncompressed point of 65 bytes or a `SubjectPublicKeyInfo`.
    ///
    /// # Errors
    /// Any other bytes, another curve, or a point beside the curve.
    pub fn parse(bytes: &[u8]) -> Result<Self, KeyError> {
        Point::parse(bytes).map(Self)
    }

    /// The uncompressed point, 65 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0.0
    }

    /// The key as a DER `SubjectPublicKeyInfo`, 91 bytes.
    #[must_use]
    pub fn to_spki_der(&self) -> Vec<u8> {
        [SPKI_PREFIX.as_slice(), self.as_bytes()].concat()
    }

    pub(crate) fn signed(&self, message: &[u8], signature: &[u8]) -> bool {
        self.0.signed(message, signature)
    }
}

impl fmt::Debug for AuthorityKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthorityKey(")?;
        f.write_str(&BASE64_URL_SAFE_NO_PAD.encode(self.0.compressed()))?;
        f.write_str(")")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SharedKey;

    fn key() -> PeerPublicKey {
        PeerPublicKey::parse(SharedKey::generate().unwrap().public().as_bytes()).unwrap()
    }

    #[test]
    fn both_forms_give_the_same_key() {
        let key = key();
        assert_eq!(PeerPublicKey::parse(key.as_bytes()), Ok(key.clone()));
        assert_eq!(PeerPublicKey::parse(&key.to_spki_der()), Ok(key));
    }

    #[test]
    fn the_shown_form_is_short_and_plain() {
        let shown = key().to_string();
        assert_eq!(shown.len(), 47);
        assert!(shown.starts_with("pk:A"), "{shown}");
    }

    #[test]
    fn other_bytes_are_refused() {
        let key = key();
        let mut off = key.as_bytes().to_vec();
        off[64] ^= 1;
        assert_eq!(PeerPublicKey::parse(&off), Err(KeyError::OffCurve));
        let mut tag = key.as_bytes().to_vec();
        tag[0] = 0x05;
        for wrong in [&tag[..], &[], &key.as_bytes()[..64], &[0; 66]] {
            let refused = KeyError::Form { bytes: wrong.len() };
            assert_eq!(PeerPublicKey::parse(wrong), Err(refused));
        }
    }
}
