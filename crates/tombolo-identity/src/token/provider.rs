//! A token of an OpenID provider, checked in place against its key set, and
//! what its claims grant. It says nothing that a webhook could not, and is read
//! by the same rules: whatever is malformed refuses the login.

use tombolo_document::{Object, Value};

use super::{Compact, TokenError, check_times};
use crate::answer::{AnswerError, EXPIRATION_S_MAX, ProviderAnswer};
use crate::fields::{FieldError, Fields, Problem, type_of};
use crate::jwks::KeySet;
use crate::quoted::Quoted;

/// Most audiences of one token.
const AUDIENCES_MAX: usize = 64;

/// Where a user's permissions come from.
#[derive(Debug, Clone)]
pub enum Grants {
    /// A claim of this name holds the object that a webhook would answer as
    /// `permissions`.
    Claim(String),
    /// Everybody gets this one.
    Fixed(Object),
}

/// What tokens of a provider must say, and what they grant.
#[derive(Debug, Clone)]
pub struct TokenRules {
    /// Who must have issued them, exactly.
    pub issuer: String,
    /// For whom they must be, exactly; it may be one of several.
    pub audience: String,
    /// The claim that names the user; `sub` is usual.
    pub user_claim: String,
    /// What they grant.
    pub grants: Grants,
    /// A claim with an object that every peer is told, if there is one.
    pub metadata_claim: Option<String>,
    /// For how long a login is good, in seconds; `None` for as long as the token.
    pub session_s: Option<u64>,
}

/// Why a token is no grant.
#[derive(Debug, thiserror::Error)]
pub enum ProviderTokenError {
    /// It is not believed: the user's fault.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// It is believed and grants nothing that can be used: the provider's fault.
    #[error(transparent)]
    Answer(#[from] AnswerError),
}

/// Checks a token of the provider called `provider` at `now_ms` (unix
/// milliseconds), and gives what it grants.
///
/// # Errors
/// [`ProviderTokenError`], one variant for each way to be refused. No claim is
/// read before the signature was checked.
pub fn check_provider_token(
    token: &str,
    provider: &str,
    keys: &KeySet,
    rules: &TokenRules,
    now_ms: u64,
) -> Result<ProviderAnswer, ProviderTokenError> {
    let compact = Compact::parse(token)?;
    let named = compact.key_id.as_deref();
    let signed = keys.signed(
        (compact.algorithm, named),
        compact.signed,
        &compact.signature,
    );
    match signed {
        Some(true) => {}
        Some(false) => return Err(TokenError::Signature.into()),
        None => {
            let found = Quoted::new(named.unwrap_or("of no name"));
            return Err(TokenError::UnknownKey { found }.into());
        }
    }
    let claims = compact.claims()?;
    let fields = Fields::root(&claims);
    if fields.text("iss").map_err(TokenError::Claim)? != rules.issuer {
        return Err(TokenError::ForeignIssuer.into());
    }
    if !is_audience(&fields, &rules.audience).map_err(TokenError::Claim)? {
        return Err(TokenError::ForeignAudience.into());
    }
    let expires_s = check_times(&fields, now_ms)?;
    let answer = answer(&fields, rules, expires_s - now_ms / 1000).map_err(TokenError::Claim)?;
    Ok(ProviderAnswer::from_object(&answer, provider)?)
}

/// A text, or an array of texts.
fn is_audience(fields: &Fields<'_>, audience: &str) -> Result<bool, FieldError> {
    let Some(Value::Array(found)) = fields.optional("aud") else {
        return Ok(fields.text("aud")? == audience);
    };
    let wanted = "a text or at most 64 of them";
    if found.len() > AUDIENCES_MAX {
        return Err(Problem::OutOfRange { wanted }.at("aud"));
    }
    let mut is_one = false;
    for value in found {
        let Value::String(text) = value else {
            let found = type_of(value);
            return Err(Problem::WrongType { found, wanted }.at("aud"));
        };
        is_one |= text == audience;
    }
    Ok(is_one)
}

/// The same as a webhook would have answered.
fn answer(fields: &Fields<'_>, rules: &TokenRules, left_s: u64) -> Result<Object, FieldError> {
    let permissions = match &rules.grants {
        Grants::Fixed(permissions) => permissions.clone(),
        Grants::Claim(name) => fields.object(name)?.inner().clone(),
    };
    let metadata = match &rules.metadata_claim {
        None => None,
        Some(name) => fields.optional_object(name)?,
    };
    let metadata = metadata.map_or(Value::Null, |metadata| {
        Value::Object(metadata.inner().clone())
    });
    let expiration_s = rules.session_s.unwrap_or(left_s.min(EXPIRATION_S_MAX));
    let user_id = fields.text(&rules.user_claim)?;
    let members = [
        ("authenticated", Value::Bool(true)),
        ("expirationSeconds", Value::from_u64(expiration_s)),
        ("identityServiceMetadata", metadata),
        ("permissions", Value::Object(permissions)),
        ("userID", Value::from(user_id)),
    ];
    Ok(Object::from(
        members.map(|(name, value)| (name.to_owned(), value)),
    ))
}
