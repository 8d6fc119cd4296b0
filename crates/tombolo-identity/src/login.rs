//! What a device and the identity service say to each other over HTTP, as
//! bytes: the request of a login here, the replies in `login/reply.rs`. Both
//! sides parse with the same limits, and nothing here believes what it read.
//! `docs/formats/identity.md` has the members.

mod reply;

use std::fmt;

use tombolo_document::json::{self, JsonError};
use tombolo_document::{Object, Value};
use zeroize::{Zeroize, Zeroizing};

use crate::challenge::{ProofError, SignedChallenge};
use crate::database::{DATABASE_ID_BYTES_MAX, check_database_id};
use crate::fields::{FieldError, Fields, Problem, type_of};
use crate::identity::{PROVIDER_BYTES_MAX, check_name};
use crate::quoted::Quoted;
use crate::webhook::TOKEN_BYTES_MAX;

pub use reply::{
    ISSUED_TOKEN_BYTES_MAX, LOGIN_REPLY_BYTES_MAX, LoginRefusal, LoginReply, parse_challenge,
    render_challenge,
};

/// Where a service gives challenges: GET.
pub const CHALLENGE_PATH: &str = "/_ditto/auth/challenge";
/// Where it takes logins: POST.
pub const LOGIN_PATH: &str = "/_ditto/auth/login";
/// Where it tells whose certificates to trust: GET, PEM.
pub const CA_PATH: &str = "/_ditto/auth/ca";
/// Where it tells how to check its tokens: GET, a JSON Web Key Set.
pub const JWKS_PATH: &str = "/_ditto/auth/jwks";
/// Where it tells who is cut off: GET, a signed list.
pub const REVOCATIONS_PATH: &str = "/_ditto/auth/revocations";
/// Longest body of a login, in bytes: a token with many escapes and the rest.
pub const LOGIN_REQUEST_BYTES_MAX: usize = 64 * 1024;

const TOKEN: &str = "token";

/// Why a message of a login is refused. The fault of whoever sent it; a device
/// may be told, because it repeats no value.
#[derive(Debug, thiserror::Error)]
pub enum LoginMessageError {
    /// Too many bytes.
    #[error("it has {bytes} bytes and {bytes_max} are allowed")]
    TooLarge {
        /// How many.
        bytes: usize,
        /// How many there may be.
        bytes_max: usize,
    },
    /// It is no JSON, or JSON with a repeated key.
    #[error("it is no JSON: {message} at line {line} column {column}")]
    Json {
        /// The line, from one.
        line: usize,
        /// The column in bytes, from one.
        column: usize,
        /// What is wrong there: escaped and cut.
        message: Quoted,
    },
    /// It is JSON and no object.
    #[error("it is {found} and must be an object")]
    NotAnObject {
        /// What it is.
        found: &'static str,
    },
    /// A member is wrong.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// The challenge is none.
    #[error("challenge: {0}")]
    Challenge(#[from] ProofError),
}

impl LoginMessageError {
    /// The member that is to blame, if there is one.
    #[must_use]
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::Field(error) => Some(&error.field),
            Self::Challenge(_) => Some("challenge"),
            _ => None,
        }
    }
}

impl From<JsonError> for LoginMessageError {
    fn from(error: JsonError) -> Self {
        Self::Json {
            line: error.line,
            column: error.column,
            message: Quoted::new(&error.message),
        }
    }
}

/// What a device sends to log in. Whoever holds one knows nothing of its sender.
pub struct LoginRequest {
    /// For which database.
    pub database_id: String,
    /// Who is to recognize the user.
    pub provider: String,
    /// What the provider will recognize; a secret.
    pub token: Zeroizing<String>,
    /// That the device holds its key, which nobody has checked.
    pub challenge: SignedChallenge,
}

impl LoginRequest {
    /// Reads the body of a login.
    ///
    /// # Errors
    /// A member that is missing, unknown, repeated, of another type or too long;
    /// two database ids that differ; a challenge of another form.
    pub fn parse(body: &[u8]) -> Result<Self, LoginMessageError> {
        let mut object = read_object(body, LOGIN_REQUEST_BYTES_MAX)?;
        let token = take_token(&mut object);
        let fields = Fields::root(&object);
        fields.only(&["appID", "challenge", "databaseID", "provider", TOKEN])?;
        if token.len() > TOKEN_BYTES_MAX {
            let (bytes, bytes_max) = (token.len(), TOKEN_BYTES_MAX);
            return Err(Problem::TooLarge { bytes, bytes_max }.at(TOKEN).into());
        }
        // Missing and of another type are told apart by what is left in its place.
        fields.text(TOKEN)?;
        let provider = fields.text("provider")?;
        check_name(provider, PROVIDER_BYTES_MAX).map_err(|problem| problem.at("provider"))?;
        Ok(Self {
            database_id: read_database_id(&fields)?,
            provider: provider.to_owned(),
            token,
            challenge: SignedChallenge::from_text(fields.text("challenge")?)?,
        })
    }

    /// The body of a login. It holds the token, so it is wiped when dropped.
    #[must_use]
    pub fn render(&self) -> Zeroizing<Vec<u8>> {
        let challenge = self.challenge.to_text();
        let members = [
            ("challenge", challenge.as_str()),
            ("databaseID", &self.database_id),
            ("provider", &self.provider),
            (TOKEN, &self.token),
        ];
        let members = members.map(|(name, text)| (name.to_owned(), Value::from(text)));
        let mut body = Value::Object(Object::from(members));
        let bytes = Zeroizing::new(json::print(&body).into_bytes());
        if let Value::Object(members) = &mut body {
            drop(take_token(members));
        }
        bytes
    }
}

impl fmt::Debug for LoginRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoginRequest")
            .field("database_id", &self.database_id)
            .field("provider", &self.provider)
            .finish_non_exhaustive()
    }
}

/// Either name of the database, or both if they agree.
fn read_database_id(fields: &Fields<'_>) -> Result<String, FieldError> {
    let legacy = fields.optional("appID").is_some();
    let current = fields.optional("databaseID").is_some();
    let name = if legacy && !current {
        "appID"
    } else {
        "databaseID"
    };
    let database_id = fields.text(name)?;
    if legacy && fields.text("appID")? != database_id {
        let other = "databaseID";
        return Err(Problem::Contradiction { other }.at("appID"));
    }
    check_database_id(database_id).map_err(|_| {
        let bytes = database_id.len();
        let bytes_max = DATABASE_ID_BYTES_MAX;
        let wanted = "the id of a database";
        match bytes {
            0 => Problem::OutOfRange { wanted }.at(name),
            _ => Problem::TooLarge { bytes, bytes_max }.at(name),
        }
    })?;
    Ok(database_id.to_owned())
}

/// The token moves out before anything can fail, so that it is wiped however
/// the rest ends; an empty text stays.
fn take_token(object: &mut Object) -> Zeroizing<String> {
    let Some(Value::String(token)) = object.get_mut(TOKEN) else {
        return Zeroizing::default();
    };
    let taken = Zeroizing::new(token.clone());
    token.zeroize();
    taken
}

fn read_object(bytes: &[u8], bytes_max: usize) -> Result<Object, LoginMessageError> {
    if bytes.len() > bytes_max {
        let bytes = bytes.len();
        return Err(LoginMessageError::TooLarge { bytes, bytes_max });
    }
    match json::parse(bytes)? {
        Value::Object(object) => Ok(object),
        other => Err(LoginMessageError::NotAnObject {
            found: type_of(&other),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Authority, ChallengeKey, PeerKeyPair};

    fn signed() -> String {
        let device = PeerKeyPair::from_pkcs8(&Authority::generate().unwrap().to_pkcs8()).unwrap();
        let challenge = ChallengeKey::new(&[1; 32]).challenge("db", [2; 16], 0);
        challenge.unwrap().sign(&device).unwrap().to_text()
    }

    fn refused(members: &str) -> String {
        let body = format!(r#"{{"provider":"p","challenge":"{}",{members}}}"#, signed());
        LoginRequest::parse(body.as_bytes())
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn what_a_device_sends_arrives() {
        let request = LoginRequest {
            database_id: "db".to_owned(),
            provider: "my-auth".to_owned(),
            token: Zeroizing::new("s3cr\"et\n".to_owned()),
            challenge: SignedChallenge::from_text(&signed()).unwrap(),
        };
        let read = LoginRequest::parse(&request.render()).unwrap();
        assert_eq!(read.database_id, "db");
        assert_eq!(read.provider, "my-auth");
        assert_eq!(read.token, request.token);
        assert_eq!(read.challenge, request.challenge);
        let shown = format!("{read:?}");
        assert!(
            !shown.contains("s3cr") && shown.contains("my-auth"),
            "{shown}"
        );
    }

    #[test]
    fn the_older_name_of_the_database_counts_if_both_agree() {
        let of = |members: &str| {
            let body = format!(
                r#"{{"provider":"p","token":"t","challenge":"{}",{members}}}"#,
                signed()
            );
            LoginRequest::parse(body.as_bytes()).map(|request| request.database_id)
        };
        assert_eq!(of(r#""appID":"a""#).unwrap(), "a");
        assert_eq!(of(r#""appID":"a","databaseID":"a""#).unwrap(), "a");
        let refused = of(r#""appID":"a","databaseID":"b""#).unwrap_err();
        assert_eq!(refused.to_string(), "appID: it contradicts databaseID");
        let refused = of(r#""appID":7,"databaseID":"b""#).unwrap_err();
        assert_eq!(refused.field(), Some("appID"));
    }

    #[test]
    fn t12_a_repeated_key_is_refused() {
        let refused = refused(r#""token":"t","appID":"a","appID":"a""#);
        assert!(refused.starts_with("it is no JSON: "), "{refused}");
        assert!(refused.contains("appID"), "{refused}");
    }

    #[test]
    fn whatever_is_wrong_is_named_and_never_repeated() {
        let cases = [
            (
                r#""databaseID":"db""#,
                "token: it is missing and must be a text",
            ),
            (
                r#""databaseID":"db","token":["s3cret"]"#,
                "token: it is an array and must be a text",
            ),
            (
                r#""token":"s3cret""#,
                "databaseID: it is missing and must be a text",
            ),
            (
                r#""databaseID":"","token":"t""#,
                "databaseID: it must be the id of a database",
            ),
            (
                r#""databaseID":"db","token":"s3cret","role":"x""#,
                "role: it is not known here and could change what is allowed: remove it",
            ),
        ];
        for (members, wanted) in cases {
            let refused = refused(members);
            assert_eq!(refused, wanted);
            assert!(!refused.contains("s3cret"));
        }
    }

    #[test]
    fn each_limit_holds_at_and_above_it() {
        let of = |provider: usize, token: usize, challenge: &str| {
            let body = format!(
                r#"{{"databaseID":"db","provider":"{}","token":"{}","challenge":"{challenge}"}}"#,
                "p".repeat(provider),
                "t".repeat(token),
            );
            LoginRequest::parse(body.as_bytes())
                .map(drop)
                .map_err(|error| error.field().map(str::to_owned))
        };
        let challenge = signed();
        assert_eq!(of(PROVIDER_BYTES_MAX, TOKEN_BYTES_MAX, &challenge), Ok(()));
        let named = |field: &str| Err(Some(field.to_owned()));
        assert_eq!(of(PROVIDER_BYTES_MAX + 1, 1, &challenge), named("provider"));
        assert_eq!(of(0, 1, &challenge), named("provider"));
        assert_eq!(of(1, TOKEN_BYTES_MAX + 1, &challenge), named("token"));
        assert_eq!(of(1, 1, &"a".repeat(1025)), named("challenge"));
        assert_eq!(of(1, LOGIN_REQUEST_BYTES_MAX, &challenge), Err(None));
    }
}
