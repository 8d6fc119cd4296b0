//! Sets of public keys as JSON Web Key Sets: an OpenID provider's, by which its
//! tokens are checked, and the service's own, by which others check its tokens.
//! A key that no allowed algorithm uses is left out of a set, never guessed at.

use std::fmt;

use aws_lc_rs::digest;
use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey,
};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use tombolo_document::{Object, Value, json};

use crate::fields::{FieldError, Fields, Problem, type_of};
use crate::key::AuthorityKey;
use crate::quoted::Quoted;
use crate::token::{Algorithm, KEY_ID_BYTES_MAX, es256_signed};

/// Longest set that is read, in bytes.
pub const JWKS_BYTES_MAX: usize = 256 * 1024;
/// Most keys of a set.
pub const JWKS_KEYS_MAX: usize = 64;
/// Fewest and most bytes of an RSA modulus: 2048 and 8192 bits.
const MODULUS_BYTES: std::ops::RangeInclusive<usize> = 256..=1024;

/// Why a set of keys cannot be used. The provider's to mend, or the operator's.
#[derive(Debug, thiserror::Error)]
pub enum KeySetError {
    /// Too many bytes.
    #[error("the key set has {bytes} bytes and {JWKS_BYTES_MAX} are allowed")]
    TooLarge {
        /// How many.
        bytes: usize,
    },
    /// It is no JSON object, or has a repeated key.
    #[error("the key set is no JSON object: {message} at line {line} column {column}")]
    Json {
        /// The line, from one.
        line: usize,
        /// The column in bytes, from one.
        column: usize,
        /// What is wrong there: escaped and cut.
        message: Quoted,
    },
    /// A member is wrong.
    #[error("the key set is refused: {0}")]
    Field(#[from] FieldError),
    /// Nothing in it can check a token.
    #[error("the key set has no key for ES256, RS256 or EdDSA: give the provider's public keys")]
    NoKey,
}

/// The keys of a provider that can check a token. There is at least one.
#[derive(Debug, Clone)]
pub struct KeySet(Vec<Key>);

#[derive(Debug, Clone)]
struct Key {
    id: Option<String>,
    public: Public,
}

#[derive(Clone)]
enum Public {
    P256(Vec<u8>),
    Ed25519(Vec<u8>),
    Rsa { n: Vec<u8>, e: Vec<u8> },
}

impl fmt::Debug for Public {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.algorithm().name())
    }
}

impl KeySet {
    /// Reads a JSON Web Key Set.
    ///
    /// # Errors
    /// It is too large, no set, holds a private key, or has no key that can
    /// check a token.
    pub fn parse(bytes: &[u8]) -> Result<Self, KeySetError> {
        if bytes.len() > JWKS_BYTES_MAX {
            let bytes = bytes.len();
            return Err(KeySetError::TooLarge { bytes });
        }
        let object = match json::parse(bytes) {
            Ok(Value::Object(object)) => object,
            Ok(_) => Object::new(),
            Err(error) => {
                return Err(KeySetError::Json {
                    line: error.line,
                    column: error.column,
                    message: Quoted::new(&error.message),
                });
            }
        };
        let entries = Fields::root(&object).array("keys")?;
        if entries.len() > JWKS_KEYS_MAX {
            let wanted = "at most 64 keys";
            return Err(Problem::OutOfRange { wanted }.at("keys").into());
        }
        let mut keys = Vec::new();
        for entry in entries {
            let Value::Object(entry) = entry else {
                let (found, wanted) = (type_of(entry), "an object");
                return Err(Problem::WrongType { found, wanted }.at("keys").into());
            };
            keys.extend(Key::read(&Fields::root(entry))?);
        }
        if keys.is_empty() {
            return Err(KeySetError::NoKey);
        }
        Ok(Self(keys))
    }

    /// Whether the key that a token names made `signature` over `message`;
    /// `None` if no key is that one. A token that names none is checked with
    /// the only key of its kind, and with none if there are several.
    pub(crate) fn signed(
        &self,
        (algorithm, id): (Algorithm, Option<&str>),
        message: &[u8],
        signature: &[u8],
    ) -> Option<bool> {
        let of_kind = self
            .0
            .iter()
            .filter(|key| key.public.algorithm() == algorithm);
        let mut named = of_kind.filter(|key| id.is_none() || key.id.as_deref() == id);
        let (first, second) = (named.next()?, named.next());
        if second.is_some() {
            return None;
        }
        Some(first.public.signed(message, signature))
    }
}

impl Key {
    /// `None` for a key that is meant for something else.
    fn read(fields: &Fields<'_>) -> Result<Option<Self>, FieldError> {
        if ["d", "k"]
            .iter()
            .any(|name| fields.optional(name).is_some())
        {
            let wanted = "a set of public keys; it holds a private or secret one";
            return Err(Problem::OutOfRange { wanted }.at("keys"));
        }
        let kind = fields.text("kty")?;
        let text = |name| {
            fields.optional(name).and_then(|value| match value {
                Value::String(text) => Some(text.as_str()),
                _ => None,
            })
        };
        if text("use").is_some_and(|purpose| purpose != "sig") {
            return Ok(None);
        }
        let public = match (kind, text("crv")) {
            ("EC", Some("P-256")) => Public::p256(&bytes(fields, "x")?, &bytes(fields, "y")?)?,
            ("OKP", Some("Ed25519")) => Public::Ed25519(bytes(fields, "x")?),
            ("RSA", _) => Public::rsa(bytes(fields, "n")?, bytes(fields, "e")?)?,
            _ => return Ok(None),
        };
        let declared = text("alg");
        if declared.is_some_and(|name| name != public.algorithm().name()) {
            return Ok(None);
        }
        let id = text("kid").map(str::to_owned);
        if id.as_ref().is_some_and(|id| id.len() > KEY_ID_BYTES_MAX) {
            let wanted = "a name of at most 256 bytes";
            return Err(Problem::OutOfRange { wanted }.at("kid"));
        }
        Ok(Some(Self { id, public }))
    }
}

impl Public {
    fn p256(x: &[u8], y: &[u8]) -> Result<Self, FieldError> {
        let point = [&[4][..], x, y].concat();
        let parsed = ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &point);
        let wanted = "a point of P-256";
        parsed.map_err(|_| Problem::OutOfRange { wanted }.at("x"))?;
        Ok(Self::P256(point))
    }

    fn rsa(n: Vec<u8>, e: Vec<u8>) -> Result<Self, FieldError> {
        let is_plain = MODULUS_BYTES.contains(&n.len()) && n.first() != Some(&0);
        if !is_plain || e.is_empty() || e.len() > 8 {
            let wanted = "an RSA modulus of 2048 to 8192 bits with a short exponent";
            return Err(Problem::OutOfRange { wanted }.at("n"));
        }
        Ok(Self::Rsa { n, e })
    }

    const fn algorithm(&self) -> Algorithm {
        match self {
            Self::P256(_) => Algorithm::Es256,
            Self::Ed25519(_) => Algorithm::EdDsa,
            Self::Rsa { .. } => Algorithm::Rs256,
        }
    }

    fn signed(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::P256(point) => es256_signed(point, message, signature),
            Self::Ed25519(key) => {
                let key = UnparsedPublicKey::new(&ED25519, key);
                key.verify(message, signature).is_ok()
            }
            Self::Rsa { n, e } => {
                let key = PublicKeyComponents { n, e };
                let verified = key.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature);
                verified.is_ok()
            }
        }
    }
}

/// Base64url of a member that must be there.
fn bytes(fields: &Fields<'_>, name: &str) -> Result<Vec<u8>, FieldError> {
    let decoded = BASE64_URL_SAFE_NO_PAD.decode(fields.text(name)?);
    let wanted = "base64url without padding";
    decoded.map_err(|_| Problem::OutOfRange { wanted }.at(fields.path(name)))
}

/// The two coordinates as a JSON Web Key has them.
fn coordinates(key: &AuthorityKey) -> (String, String) {
    let (x, y) = key.as_bytes()[1..].split_at(32);
    let encode = |bytes| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    (encode(x), encode(y))
}

/// The name of an authority's key in tokens and key sets: the thumbprint of
/// RFC 7638, 43 characters of base64url.
#[must_use]
pub fn key_id(key: &AuthorityKey) -> String {
    let (x, y) = coordinates(key);
    let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
    let digest = digest::digest(&digest::SHA256, canonical.as_bytes());
    BASE64_URL_SAFE_NO_PAD.encode(digest)
}

/// The key set by which the tokens of these authorities are checked.
#[must_use]
pub fn render_jwks(keys: &[AuthorityKey]) -> String {
    let key = |key: &AuthorityKey| {
        let (x, y) = coordinates(key);
        let kid = key_id(key);
        format!(
            r#"{{"alg":"ES256","crv":"P-256","kid":"{kid}","kty":"EC","use":"sig","x":"{x}","y":"{y}"}}"#
        )
    };
    let keys: Vec<String> = keys.iter().map(key).collect();
    format!(r#"{{"keys":[{}]}}"#, keys.join(","))
}
