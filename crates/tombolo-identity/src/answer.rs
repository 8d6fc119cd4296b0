//! What an identity provider answered: a grant or a refusal, and never a grant
//! by default. Whatever is malformed refuses the login, is named to the
//! operator, and is nothing that the client learns of.

use tombolo_document::json::{self, JsonError};
use tombolo_document::{Object, Value};

use crate::fields::{FieldError, Fields, Problem, type_of};
use crate::identity::{
    Identity, PROVIDER_BYTES_MAX, USER_ID_BYTES_MAX, check_name, read_metadata, read_name,
    read_permissions,
};
use crate::key::PeerPublicKey;
use crate::quoted::Quoted;
use crate::rules::Permissions;

/// A longer answer is refused unread, in bytes.
pub const ANSWER_BYTES_MAX: usize = 256 * 1024;
/// Most `clientInfo`, as JSON, in bytes.
pub const CLIENT_INFO_BYTES_MAX: usize = 64 * 1024;
/// Longest time that a provider may grant, in seconds: the most that 32 bits hold.
pub const EXPIRATION_S_MAX: u64 = u32::MAX as u64;
/// The provider whose token all devices share, for development.
pub const PLAYGROUND_PROVIDER: &str = "__playgroundProvider";
/// How long a playground login is good for, in seconds: a week and some hours.
pub const PLAYGROUND_EXPIRATION_S: u64 = 630_000;

const AUTHENTICATED: &str = "authenticated";
/// The spelling of many samples.
const AUTHENTICATE: &str = "authenticate";

/// Why an answer is refused, and the login with it. The provider's fault; its
/// text is for the operator's log and repeats no value of the answer.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// Too many bytes.
    #[error("the provider's answer has {bytes} bytes and {ANSWER_BYTES_MAX} are allowed")]
    TooLarge {
        /// How many.
        bytes: usize,
    },
    /// It is no JSON, or JSON with a repeated key.
    #[error("the provider's answer is no JSON: {message} at line {line} column {column}")]
    Json {
        /// The line, from one.
        line: usize,
        /// The column in bytes, from one.
        column: usize,
        /// What is wrong there: escaped and cut.
        message: Quoted,
    },
    /// It is JSON and no object.
    #[error("the provider's answer is {found} and must be an object")]
    NotAnObject {
        /// What it is.
        found: &'static str,
    },
    /// A field is wrong.
    #[error("the provider's answer is refused: {0}")]
    Field(#[from] FieldError),
}

impl AnswerError {
    /// The field that is to blame, if there is one.
    #[must_use]
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::Field(error) => Some(&error.field),
            _ => None,
        }
    }

    /// What the client is told, whatever was wrong.
    #[must_use]
    pub const fn client_text(&self) -> &'static str {
        "the identity provider gave no answer that can be used: tell the operator of this service"
    }
}

impl From<JsonError> for AnswerError {
    fn from(error: JsonError) -> Self {
        Self::Json {
            line: error.line,
            column: error.column,
            message: Quoted::new(&error.message),
        }
    }
}

/// What a provider answered.
#[derive(Debug)]
pub enum ProviderAnswer {
    /// The user may come in.
    Granted(Box<Granted>),
    /// The user may not.
    Refused {
        /// What the provider wants the client to know; null for nothing.
        client_info: Value,
    },
}

/// A grant: who, what, and for how long. Made by [`ProviderAnswer::parse`] and
/// [`Granted::playground`] alone.
#[derive(Debug)]
pub struct Granted {
    pub(crate) identity: Identity,
    pub(crate) expiration_s: u64,
    pub(crate) client_info: Value,
}

impl Granted {
    /// Who and what.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// For how long, in seconds.
    #[must_use]
    pub fn expiration_s(&self) -> u64 {
        self.expiration_s
    }

    /// The grant of the playground: everything, for a user that is the device.
    /// Whether the token is the right one is for the caller to compare, with
    /// [`crate::tokens_match`].
    #[must_use]
    pub fn playground(peer_key: &PeerPublicKey) -> Self {
        Self {
            identity: Identity {
                user_id: peer_key.to_string(),
                provider: PLAYGROUND_PROVIDER.to_owned(),
                permissions: Permissions::everything(),
                remote_query: true,
                metadata: Object::default(),
            },
            expiration_s: PLAYGROUND_EXPIRATION_S,
            client_info: Value::Null,
        }
    }
}

impl ProviderAnswer {
    /// Reads the body of an answer of the provider called `provider`.
    ///
    /// # Errors
    /// Any field that the answer needs and that is missing, of another type or
    /// out of range; a repeated key; a contradiction; a rule that is none.
    pub fn parse(body: &[u8], provider: &str) -> Result<Self, AnswerError> {
        if body.len() > ANSWER_BYTES_MAX {
            let bytes = body.len();
            return Err(AnswerError::TooLarge { bytes });
        }
        match json::parse(body)? {
            Value::Object(object) => Self::from_object(&object, provider),
            other => Err(AnswerError::NotAnObject {
                found: type_of(&other),
            }),
        }
    }

    /// Like [`ProviderAnswer::parse`], of an object that was made in place.
    ///
    /// # Errors
    /// The same.
    pub fn from_object(object: &Object, provider: &str) -> Result<Self, AnswerError> {
        let fields = Fields::root(object);
        let authenticated = read_authenticated(&fields)?;
        let client_info = read_client_info(&fields)?;
        if !authenticated {
            return Ok(Self::Refused { client_info });
        }
        let wanted = "a whole number of seconds from 1 to 4294967295";
        let expiration_s = fields.number("expirationSeconds", (1, EXPIRATION_S_MAX), wanted)?;
        Ok(Self::Granted(Box::new(Granted {
            identity: read_identity(&fields, provider)?,
            expiration_s,
            client_info,
        })))
    }
}

fn read_identity(fields: &Fields<'_>, provider: &str) -> Result<Identity, FieldError> {
    check_name(provider, PROVIDER_BYTES_MAX).map_err(|problem| problem.at("provider"))?;
    let metadata = fields.optional_object("identityServiceMetadata")?;
    let signed_info = fields.optional_object("identityServiceSignedInfo")?;
    let (permissions, remote_query) = read_permissions(&fields.object("permissions")?)?;
    Ok(Identity {
        user_id: read_name(fields, "userID", USER_ID_BYTES_MAX)?,
        provider: provider.to_owned(),
        metadata: read_metadata(metadata.or(signed_info).as_ref())?,
        permissions,
        remote_query,
    })
}

/// Either spelling, or both if they agree.
fn read_authenticated(fields: &Fields<'_>) -> Result<bool, FieldError> {
    let Some(other) = fields.optional_boolean(AUTHENTICATE)? else {
        return fields.boolean(AUTHENTICATED);
    };
    let named = fields.optional_boolean(AUTHENTICATED)?;
    if named.is_some_and(|named| named != other) {
        let other = AUTHENTICATED;
        return Err(Problem::Contradiction { other }.at(AUTHENTICATE));
    }
    Ok(other)
}

/// `userInfo` is what older samples call it.
fn read_client_info(fields: &Fields<'_>) -> Result<Value, FieldError> {
    for name in ["clientInfo", "userInfo"] {
        let Some(info) = fields.optional(name) else {
            continue;
        };
        let bytes = json::print(info).len();
        if bytes > CLIENT_INFO_BYTES_MAX {
            let bytes_max = CLIENT_INFO_BYTES_MAX;
            return Err(Problem::TooLarge { bytes, bytes_max }.at(name));
        }
        return Ok(info.clone());
    }
    Ok(Value::Null)
}
