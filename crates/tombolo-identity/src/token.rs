//! Tokens: the one that the service issues beside each certificate, and the
//! checking of those of an OpenID provider in `token/provider.rs`. A token is
//! made from a certificate alone and names what it says by a hash, so that no
//! token allows more than the certificate it came with.
//! `docs/formats/identity.md` has the claims.

mod compact;
mod provider;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use tombolo_document::{Object, Value, json};

use crate::authority::{Authority, Certificate};
use crate::database::DATABASE_ID_BYTES_MAX;
use crate::fields::{FieldError, Fields, Problem};
use crate::identity::{PROVIDER_BYTES_MAX, USER_ID_BYTES_MAX, read_name};
use crate::jwks::key_id;
use crate::leaf::IssueError;
use crate::quoted::Quoted;
use crate::trust::Trust;
use crate::verify::VerifiedPeer;
use compact::fixed_signature;

pub(crate) use compact::{Algorithm, Compact, KEY_ID_BYTES_MAX, es256_signed};
pub use provider::{Grants, ProviderTokenError, TokenRules, check_provider_token};

/// How far the clock of an issuer may be ahead, in seconds; an end is an end.
pub const TOKEN_SKEW_S: u64 = 60;
/// The latest time in a token: the last second of the year 9999.
const TIME_S_MAX: u64 = 253_402_300_799;
const TIME: &str = "a whole number of seconds since 1970";

/// Why a token is refused. Whoever presents it is at fault, or the clock; the
/// text is for the operator and repeats no part of the token but names.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// It is no token in compact form.
    #[error("the token is malformed: {what}")]
    Malformed {
        /// What is wrong.
        what: &'static str,
    },
    /// It is not signed in one of the ways that count.
    #[error("the token's algorithm {found} is not one of ES256, RS256 and EdDSA")]
    Algorithm {
        /// What it names: escaped and cut.
        found: Quoted,
    },
    /// No key of the set is the one that it names.
    #[error("the token names the key {found}, which is not in the key set")]
    UnknownKey {
        /// The name, or what stands for none: escaped and cut.
        found: Quoted,
    },
    /// The signature is not that of the key.
    #[error("the token was signed by another key, or altered")]
    Signature,
    /// A claim is wrong.
    #[error("the token's claim {0}")]
    Claim(#[from] FieldError),
    /// Its time is over.
    #[error("the token expired {ago_s} s ago")]
    Expired {
        /// For how long, in seconds.
        ago_s: u64,
    },
    /// Its time has not come.
    #[error("the token begins in {wait_s} s: one of the two clocks is wrong")]
    NotYetValid {
        /// How long to wait, in seconds.
        wait_s: u64,
    },
    /// Somebody else issued it.
    #[error("the token is of another issuer")]
    ForeignIssuer,
    /// It was issued for somebody else.
    #[error("the token is for another audience")]
    ForeignAudience,
    /// It is for another database.
    #[error("the token is for another database")]
    ForeignDatabase,
}

const fn malformed(what: &'static str) -> TokenError {
    TokenError::Malformed { what }
}

impl Authority {
    /// Makes the token that goes with a certificate: the same holder, the same
    /// times, and the hash of what the certificate says.
    ///
    /// # Errors
    /// The library failed.
    pub fn issue_token(&self, certificate: &Certificate) -> Result<String, IssueError> {
        let identity = certificate.identity();
        let digest = identity.digest(certificate.issued_ms());
        let text = |text: &str| Value::from(text);
        let members = [
            ("databaseID", text(certificate.database_id())),
            ("exp", Value::from_u64(certificate.expires_ms() / 1000)),
            ("iat", Value::from_u64(certificate.issued_ms() / 1000)),
            ("identityHash", text(&BASE64_URL_SAFE_NO_PAD.encode(digest))),
            ("peerKey", text(&certificate.peer_key().to_string())),
            ("provider", text(identity.provider())),
            ("sub", text(identity.user_id())),
        ];
        let members = members.map(|(name, value)| (name.to_owned(), value));
        let claims = json::print(&Value::Object(Object::from(members)));
        let header = format!(
            r#"{{"alg":"ES256","kid":"{}","typ":"JWT"}}"#,
            key_id(self.public())
        );
        let encode = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
        let signed = format!("{}.{}", encode(&header), encode(&claims));
        let signature = self.sign(signed.as_bytes());
        let signature = signature.and_then(|der| fixed_signature(&der));
        let signature = signature.ok_or(IssueError::Encoding)?;
        Ok(format!(
            "{signed}.{}",
            BASE64_URL_SAFE_NO_PAD.encode(signature)
        ))
    }
}

/// A token of this service that was checked. Only [`IssuedToken::verify`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuedToken {
    user_id: String,
    provider: String,
    peer_key: String,
    identity_hash: String,
    database_id: String,
    expires_s: u64,
}

impl IssuedToken {
    /// Checks a token at `now_ms` (unix milliseconds): one of the trusted
    /// authorities signed it for the trusted database, and its time is now.
    ///
    /// # Errors
    /// [`TokenError`], one variant for each way to be refused. No claim is read
    /// before the signature was checked.
    pub fn verify(trust: &Trust, token: &str, now_ms: u64) -> Result<Self, TokenError> {
        let compact = Compact::parse(token)?;
        if compact.algorithm != Algorithm::Es256 {
            let found = Quoted::new(compact.algorithm.name());
            return Err(TokenError::Algorithm { found });
        }
        let named = compact.key_id.as_deref().unwrap_or_default();
        let mut authorities = trust.authorities().iter();
        let key = authorities.find(|key| key_id(key) == named);
        let found = Quoted::new(named);
        let key = key.ok_or(TokenError::UnknownKey { found })?;
        if !es256_signed(key.as_bytes(), compact.signed, &compact.signature) {
            return Err(TokenError::Signature);
        }
        let claims = compact.claims()?;
        let token = Self::read(&Fields::root(&claims))?;
        if token.database_id != trust.database_id() {
            return Err(TokenError::ForeignDatabase);
        }
        check_times(&Fields::root(&claims), now_ms)?;
        Ok(token)
    }

    fn read(fields: &Fields<'_>) -> Result<Self, FieldError> {
        fields.only(&[
            "databaseID",
            "exp",
            "iat",
            "identityHash",
            "peerKey",
            "provider",
            "sub",
        ])?;
        fields.number("iat", (0, TIME_S_MAX), TIME)?;
        let identity_hash = fields.text("identityHash")?.to_owned();
        if identity_hash.len() != 43 {
            let wanted = "43 characters of base64url";
            return Err(Problem::OutOfRange { wanted }.at("identityHash"));
        }
        Ok(Self {
            user_id: read_name(fields, "sub", USER_ID_BYTES_MAX)?,
            provider: read_name(fields, "provider", PROVIDER_BYTES_MAX)?,
            peer_key: fields.text("peerKey")?.to_owned(),
            identity_hash,
            database_id: read_name(fields, "databaseID", DATABASE_ID_BYTES_MAX)?,
            expires_s: fields.number("exp", (1, TIME_S_MAX), TIME)?,
        })
    }

    /// Whom it is for.
    #[must_use]
    pub fn user_id(&self) -> &str {
        &self.user_id
    }

    /// When it ends, in unix seconds.
    #[must_use]
    pub fn expires_s(&self) -> u64 {
        self.expires_s
    }

    /// Whether it was issued with the certificate of `peer`: the same device,
    /// user and provider, and permissions that nobody changed.
    #[must_use]
    pub fn belongs_to(&self, peer: &VerifiedPeer) -> bool {
        let Some(identity) = peer.identity() else {
            return false;
        };
        let digest = identity.digest(peer.issued_ms());
        self.peer_key == peer.peer_key().to_string()
            && self.user_id == identity.user_id()
            && self.provider == identity.provider()
            && self.database_id == peer.database_id()
            && self.identity_hash == BASE64_URL_SAFE_NO_PAD.encode(digest)
    }
}

/// `exp` must be there; `nbf` and `iat` count if they are. All are whole numbers.
fn check_times(fields: &Fields<'_>, now_ms: u64) -> Result<u64, TokenError> {
    let now_s = now_ms / 1000;
    let expires_s = fields.number("exp", (1, TIME_S_MAX), TIME)?;
    if now_s >= expires_s {
        let ago_s = now_s - expires_s;
        return Err(TokenError::Expired { ago_s });
    }
    for name in ["nbf", "iat"] {
        if fields.optional(name).is_none() {
            continue;
        }
        let begin_s = fields.number(name, (0, TIME_S_MAX), TIME)?;
        if begin_s > now_s.saturating_add(TOKEN_SKEW_S) {
            let wait_s = begin_s - now_s;
            return Err(TokenError::NotYetValid { wait_s });
        }
    }
    Ok(expires_s)
}
