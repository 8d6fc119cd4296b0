//! What the identity service answers a device: a challenge, a certificate with
//! all that belongs to it, or a refusal whose text tells nothing of the reason.

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use tombolo_document::{Object, Value, json};

use super::{LoginMessageError, TOKEN, read_object};
use crate::answer::CLIENT_INFO_BYTES_MAX;
use crate::challenge::{CHALLENGE_CHARS_MAX, Challenge};
use crate::fields::{FieldError, Fields, Problem};
use crate::identity::{USER_ID_BYTES_MAX, read_name};
use crate::key::AuthorityKey;
use crate::revocation::REVOCATIONS_BYTES_MAX;
use crate::trust::AUTHORITIES_MAX;
use crate::verify::LEAF_BYTES_MAX;

/// Longest reply of a login, in bytes: a full list of revocations and the rest.
pub const LOGIN_REPLY_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Longest token that a service issues, in bytes.
pub const ISSUED_TOKEN_BYTES_MAX: usize = 8 * 1024;
/// Longest code and text of a refusal, in bytes.
const REFUSAL_TEXT_BYTES_MAX: usize = 1024;
/// A challenge and its envelope.
const CHALLENGE_REPLY_BYTES_MAX: usize = CHALLENGE_CHARS_MAX + 256;

const CHALLENGE: &str = "challenge";
const CLIENT_INFO: &str = "clientInfo";
const REVOCATIONS: &str = "revocations";

/// The reply to a request for a challenge.
#[must_use]
pub fn render_challenge(challenge: &Challenge) -> Vec<u8> {
    let text = Value::from(challenge.to_text().as_str());
    object([(CHALLENGE, text)])
}

/// The challenge in such a reply. Members that are not known are left alone.
///
/// # Errors
/// It is too long, no object, or holds no challenge.
pub fn parse_challenge(body: &[u8]) -> Result<Challenge, LoginMessageError> {
    let object = read_object(body, CHALLENGE_REPLY_BYTES_MAX)?;
    let text = Fields::root(&object).text(CHALLENGE)?;
    Ok(Challenge::from_text(text)?)
}

/// What a device gets that may come in. Nothing of it is believed before it is
/// checked against the authorities, and these only because of the HTTPS server
/// that told them.
#[derive(Clone, PartialEq)]
pub struct LoginReply {
    /// The certificate in DER form.
    pub certificate: Vec<u8>,
    /// Whose certificates are to be trusted, the one that signs first.
    pub authorities: Vec<AuthorityKey>,
    /// When the certificate ends, in unix milliseconds.
    pub expires_ms: u64,
    /// Whom the provider recognized.
    pub user_id: String,
    /// The token, a secret: a JSON Web Token in compact form.
    pub token: String,
    /// What the provider wants the client to know; null for nothing.
    pub client_info: Value,
    /// The signed list of who is cut off, if there is one.
    pub revocations: Option<Vec<u8>>,
}

impl LoginReply {
    /// Reads the body of a reply with status 200. Members that are not known
    /// are left alone, so that an older device takes a newer service.
    ///
    /// # Errors
    /// A member that is missing, repeated, of another type or too long.
    pub fn parse(body: &[u8]) -> Result<Self, LoginMessageError> {
        let object = read_object(body, LOGIN_REPLY_BYTES_MAX)?;
        let fields = Fields::root(&object);
        let wanted = "a time in milliseconds";
        let revocations = match fields.optional(REVOCATIONS) {
            None => None,
            Some(_) => Some(bytes(&fields, REVOCATIONS, REVOCATIONS_BYTES_MAX)?),
        };
        Ok(Self {
            certificate: bytes(&fields, "certificate", LEAF_BYTES_MAX)?,
            authorities: read_authorities(fields.array("authorities")?)?,
            expires_ms: fields.number("expiresAt", (1, u64::MAX), wanted)?,
            user_id: read_name(&fields, "userID", USER_ID_BYTES_MAX)?,
            token: bounded(&fields, TOKEN, ISSUED_TOKEN_BYTES_MAX)?,
            client_info: read_client_info(&fields)?,
            revocations,
        })
    }

    /// The body of such a reply.
    #[must_use]
    pub fn render(&self) -> Vec<u8> {
        let authorities = self
            .authorities
            .iter()
            .map(|key| encoded(&key.to_spki_der()));
        let revocations = self.revocations.as_deref().map_or(Value::Null, encoded);
        object([
            ("authorities", Value::Array(authorities.collect())),
            ("certificate", encoded(&self.certificate)),
            (CLIENT_INFO, self.client_info.clone()),
            ("expiresAt", Value::from_u64(self.expires_ms)),
            (REVOCATIONS, revocations),
            (TOKEN, Value::from(self.token.as_str())),
            ("userID", Value::from(self.user_id.as_str())),
        ])
    }
}

impl fmt::Debug for LoginReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoginReply")
            .field("authorities", &self.authorities)
            .field("expires_ms", &self.expires_ms)
            .field("user_id", &self.user_id)
            .finish_non_exhaustive()
    }
}

/// What a device gets that may not come in.
#[derive(Debug, Clone, PartialEq)]
pub struct LoginRefusal {
    /// For machines; never changes its spelling.
    pub code: String,
    /// For people; the same whatever the reason was.
    pub message: String,
    /// What the provider wants the client to know; null for nothing.
    pub client_info: Value,
}

impl LoginRefusal {
    /// Reads the body of a reply with any other status.
    ///
    /// # Errors
    /// It is something else, such as a page of a proxy.
    pub fn parse(body: &[u8]) -> Result<Self, LoginMessageError> {
        let object = read_object(body, LOGIN_REPLY_BYTES_MAX)?;
        let fields = Fields::root(&object);
        let error = fields.object("error")?;
        Ok(Self {
            code: bounded(&error, "code", REFUSAL_TEXT_BYTES_MAX)?,
            message: bounded(&error, "message", REFUSAL_TEXT_BYTES_MAX)?,
            client_info: read_client_info(&fields)?,
        })
    }

    /// The body of such a reply.
    #[must_use]
    pub fn render(&self) -> Vec<u8> {
        let error = Object::from([
            ("code".to_owned(), Value::from(self.code.as_str())),
            ("message".to_owned(), Value::from(self.message.as_str())),
        ]);
        object([
            (CLIENT_INFO, self.client_info.clone()),
            ("error", Value::Object(error)),
        ])
    }
}

fn object<const N: usize>(members: [(&str, Value); N]) -> Vec<u8> {
    let members = members.map(|(name, value)| (name.to_owned(), value));
    json::print(&Value::Object(Object::from(members))).into_bytes()
}

fn encoded(bytes: &[u8]) -> Value {
    Value::from(BASE64_STANDARD.encode(bytes).as_str())
}

fn read_authorities(keys: &[Value]) -> Result<Vec<AuthorityKey>, FieldError> {
    let wrong = || {
        let wanted = "one to four public keys, each the base64 of its SubjectPublicKeyInfo";
        Problem::OutOfRange { wanted }.at("authorities")
    };
    if !(1..=AUTHORITIES_MAX).contains(&keys.len()) {
        return Err(wrong());
    }
    let key = |value: &Value| match value {
        Value::String(text) => {
            let der = BASE64_STANDARD.decode(text).ok()?;
            AuthorityKey::parse(&der).ok()
        }
        _ => None,
    };
    let keys: Option<Vec<_>> = keys.iter().map(key).collect();
    keys.ok_or_else(wrong)
}

fn read_client_info(fields: &Fields<'_>) -> Result<Value, FieldError> {
    let Some(info) = fields.optional(CLIENT_INFO) else {
        return Ok(Value::Null);
    };
    let bytes = json::print(info).len();
    if bytes > CLIENT_INFO_BYTES_MAX {
        let bytes_max = CLIENT_INFO_BYTES_MAX;
        return Err(Problem::TooLarge { bytes, bytes_max }.at(CLIENT_INFO));
    }
    Ok(info.clone())
}

fn bounded(fields: &Fields<'_>, name: &str, bytes_max: usize) -> Result<String, FieldError> {
    let text = fields.text(name)?;
    let bytes = text.len();
    if bytes > bytes_max {
        return Err(Problem::TooLarge { bytes, bytes_max }.at(fields.path(name)));
    }
    Ok(text.to_owned())
}

/// Standard base64 of at most so many bytes.
fn bytes(fields: &Fields<'_>, name: &str, bytes_max: usize) -> Result<Vec<u8>, FieldError> {
    let wanted = "standard base64";
    let decoded = BASE64_STANDARD.decode(fields.text(name)?);
    let decoded = decoded.map_err(|_| Problem::OutOfRange { wanted }.at(fields.path(name)))?;
    let bytes = decoded.len();
    if bytes > bytes_max {
        return Err(Problem::TooLarge { bytes, bytes_max }.at(fields.path(name)));
    }
    Ok(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Authority, ChallengeKey};

    fn reply() -> LoginReply {
        LoginReply {
            certificate: vec![1, 2, 3],
            authorities: vec![Authority::generate().unwrap().public().clone()],
            expires_ms: 1_795_000_000_000,
            user_id: "ada".to_owned(),
            token: "s3cret".to_owned(),
            client_info: Value::from("welcome"),
            revocations: Some(vec![9; 300]),
        }
    }

    /// The reply with one member replaced, or without it.
    fn with(name: &str, value: Option<Value>) -> Vec<u8> {
        let Value::Object(mut members) = json::parse(&reply().render()).unwrap() else {
            panic!("a reply is an object");
        };
        match value {
            Some(value) => members.insert(name.to_owned(), value),
            None => members.remove(name),
        };
        json::print(&Value::Object(members)).into_bytes()
    }

    #[test]
    fn what_the_service_answers_arrives() {
        let reply = reply();
        assert_eq!(LoginReply::parse(&reply.render()).unwrap(), reply);
        let bare = LoginReply {
            client_info: Value::Null,
            revocations: None,
            ..reply.clone()
        };
        assert_eq!(LoginReply::parse(&bare.render()).unwrap(), bare);
        assert!(!format!("{reply:?}").contains("s3cret"));
        let newer = with("later", Some(Value::Bool(true)));
        assert_eq!(LoginReply::parse(&newer).unwrap().token, reply.token);
    }

    #[test]
    fn a_challenge_and_a_refusal_arrive() {
        let challenge = ChallengeKey::new(&[1; 32]).challenge("db", [2; 16], 0);
        let challenge = challenge.unwrap();
        assert_eq!(
            parse_challenge(&render_challenge(&challenge)).unwrap(),
            challenge
        );
        assert_eq!(
            parse_challenge(b"{}").unwrap_err().field(),
            Some("challenge")
        );
        let refusal = LoginRefusal {
            code: "refused".to_owned(),
            message: "no".to_owned(),
            client_info: Value::Bool(true),
        };
        assert_eq!(LoginRefusal::parse(&refusal.render()).unwrap(), refusal);
        assert!(LoginRefusal::parse(b"<html>").is_err());
    }

    #[test]
    fn each_member_is_needed_and_checked() {
        for name in ["authorities", "certificate", "expiresAt", "token", "userID"] {
            for value in [
                None,
                Some(Value::Bool(true)),
                Some(Value::Array(Vec::new())),
            ] {
                let refused = LoginReply::parse(&with(name, value)).unwrap_err();
                assert_eq!(refused.field(), Some(name));
            }
        }
        let sized = |name: &str, bytes: usize| {
            LoginReply::parse(&with(name, Some(encoded(&vec![0; bytes]))))
        };
        for (name, bytes_max) in [
            ("certificate", LEAF_BYTES_MAX),
            (REVOCATIONS, REVOCATIONS_BYTES_MAX),
        ] {
            assert!(sized(name, bytes_max).is_ok());
            assert_eq!(sized(name, bytes_max + 1).unwrap_err().field(), Some(name));
        }
    }

    #[test]
    fn at_most_four_authorities_are_taken() {
        let key = || encoded(&Authority::generate().unwrap().public().to_spki_der());
        let of = |count: usize| {
            let keys = (0..count).map(|_| key()).collect();
            LoginReply::parse(&with("authorities", Some(Value::Array(keys))))
        };
        assert!(of(AUTHORITIES_MAX).is_ok());
        assert_eq!(
            of(AUTHORITIES_MAX + 1).unwrap_err().field(),
            Some("authorities")
        );
    }
}
