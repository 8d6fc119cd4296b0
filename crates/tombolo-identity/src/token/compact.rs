//! A JSON Web Token in compact form: three parts of base64url, of which the
//! first names an algorithm that is allowed. Nothing of the second is read
//! before the third was checked.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use tombolo_document::{Object, Value, json};

use super::{TokenError, malformed};
use crate::fields::Fields;
use crate::quoted::Quoted;
use crate::webhook::TOKEN_BYTES_MAX;

/// Longest name of a key, in bytes.
pub(crate) const KEY_ID_BYTES_MAX: usize = 256;
/// Longest signature that is decoded, in bytes: RSA of 8192 bits.
const SIGNATURE_BYTES_MAX: usize = 1024;
/// Two numbers of P-256.
const FIXED_BYTES: usize = 64;

/// The ways to sign that count: all with a public key, none with a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Es256,
    Rs256,
    EdDsa,
}

impl Algorithm {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
            Self::EdDsa => "EdDSA",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        let all = [Self::Es256, Self::Rs256, Self::EdDsa];
        all.into_iter().find(|algorithm| algorithm.name() == name)
    }
}

/// The parts of a token. Nothing was checked.
pub(crate) struct Compact<'t> {
    pub(crate) algorithm: Algorithm,
    pub(crate) key_id: Option<String>,
    /// What the signature covers.
    pub(crate) signed: &'t [u8],
    pub(crate) signature: Vec<u8>,
    claims: &'t str,
}

impl<'t> Compact<'t> {
    pub(crate) fn parse(token: &'t str) -> Result<Self, TokenError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(malformed("it is too long"));
        }
        let parts: Vec<&str> = token.splitn(4, '.').collect();
        let [header, claims, signature] = parts[..] else {
            return Err(malformed("it has not three parts"));
        };
        let header = object(header, "its header is no JSON object in base64url")?;
        let fields = Fields::root(&header);
        // Extensions that must be understood, and none is.
        if fields.optional("crit").is_some() {
            return Err(malformed("its header asks for an extension"));
        }
        let named = fields.text("alg").map_err(TokenError::Claim)?;
        let found = Quoted::new(named);
        let algorithm = Algorithm::named(named).ok_or(TokenError::Algorithm { found })?;
        let key_id = match fields.optional("kid") {
            None => None,
            Some(Value::String(id)) if id.len() <= KEY_ID_BYTES_MAX => Some(id.clone()),
            Some(_) => return Err(malformed("its kid is no text, or too long")),
        };
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature);
        let signature = signature.map_err(|_| malformed("its signature is not base64url"))?;
        if signature.len() > SIGNATURE_BYTES_MAX {
            return Err(malformed("its signature is too long"));
        }
        let signed = token.rsplit_once('.').map_or("", |(signed, _)| signed);
        Ok(Self {
            algorithm,
            key_id,
            signed: signed.as_bytes(),
            signature,
            claims,
        })
    }

    /// For whoever has checked the signature.
    pub(crate) fn claims(&self) -> Result<Object, TokenError> {
        object(self.claims, "its claims are no JSON object in base64url")
    }
}

/// A JSON object; a repeated member makes it none.
fn object(encoded: &str, what: &'static str) -> Result<Object, TokenError> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(encoded);
    let bytes = bytes.map_err(|_| malformed(what))?;
    match json::parse(&bytes) {
        Ok(Value::Object(object)) => Ok(object),
        _ => Err(malformed(what)),
    }
}

/// Whether `signature`, two numbers of 32 bytes, is that of the point over `message`.
pub(crate) fn es256_signed(point: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
    signature.len() == FIXED_BYTES && key.verify(message, signature).is_ok()
}

/// The two numbers of an ECDSA signature in DER, each in 32 bytes.
pub(super) fn fixed_signature(der: &[u8]) -> Option<[u8; FIXED_BYTES]> {
    let (tag, length, rest) = (der.first()?, der.get(1)?, der.get(2..)?);
    if *tag != 0x30 || usize::from(*length) != rest.len() {
        return None;
    }
    let (first, rest) = integer(rest)?;
    let (second, rest) = integer(rest)?;
    let mut fixed = [0; FIXED_BYTES];
    fixed[..32].copy_from_slice(&first);
    fixed[32..].copy_from_slice(&second);
    rest.is_empty().then_some(fixed)
}

fn integer(der: &[u8]) -> Option<([u8; 32], &[u8])> {
    let length = usize::from(*der.get(1)?);
    let (number, rest) = der.get(2..)?.split_at_checked(length)?;
    let number = number.strip_prefix(&[0]).unwrap_or(number);
    let start = 32_usize.checked_sub(number.len())?;
    let mut fixed = [0; 32];
    fixed[start..].copy_from_slice(number);
    (der.first() == Some(&0x02)).then_some((fixed, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_in_der_becomes_two_numbers() {
        let der = [0x30, 8, 2, 2, 0, 0x80, 2, 2, 1, 2];
        let fixed = fixed_signature(&der).unwrap();
        assert_eq!((fixed[31], fixed[62], fixed[63]), (0x80, 1, 2));
        assert_eq!(fixed.iter().filter(|byte| **byte == 0).count(), 61);
        for cut in 0..der.len() {
            assert_eq!(fixed_signature(&der[..cut]), None);
        }
        assert_eq!(fixed_signature(&[0x30, 3, 3, 1, 1]), None);
    }
}
