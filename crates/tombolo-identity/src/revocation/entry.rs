//! One entry of a list of revocations: whom it names, and before which time a
//! certificate must have been made to be refused.

use tombolo_document::{Object, Value};
use tombolo_query::{Condition, QueryError};

use super::check_name;
use crate::fields::{FieldError, Fields, Problem};
use crate::identity::USER_ID_BYTES_MAX;
use crate::key::PeerPublicKey;
use crate::rules::{RULE_BYTES_MAX, RuleError};
use crate::verify::VerifiedPeer;

/// The fields that a filter may look at.
const FIELDS: &[&str] = &["issuedMs", "metadata", "peerKey", "provider", "userID"];

/// A DQL condition over an identity: `userID`, `peerKey`, `provider`,
/// `issuedMs`, and `metadata` with its parts.
#[derive(Debug, Clone, PartialEq)]
pub struct IdentityFilter(Condition);

impl IdentityFilter {
    /// Parses a condition.
    ///
    /// # Errors
    /// It is none, it looks at something else, or it looks at nothing, so that
    /// it would name everybody or nobody.
    pub fn parse(text: &str) -> Result<Self, RuleError> {
        let named = |source| RuleError::Filter { source };
        if text.len() > RULE_BYTES_MAX {
            let bytes = text.len();
            return Err(RuleError::FilterTooLong { bytes });
        }
        let condition = Condition::on_fields(text, FIELDS).map_err(named)?;
        if !condition.names_a_field() {
            let message = "it looks at no field of an identity, so it names everybody or nobody";
            return Err(named(QueryError::Evaluation(message.to_owned())));
        }
        Ok(Self(condition))
    }

    /// The text it was parsed from.
    #[must_use]
    pub fn text(&self) -> &str {
        self.0.text()
    }

    pub(super) const fn condition(&self) -> &Condition {
        &self.0
    }
}

/// Whom an entry names.
#[derive(Debug, Clone, PartialEq)]
pub enum Whom {
    /// Every device of a user.
    User(String),
    /// One device, by the shown form of its key.
    PeerKey(String),
    /// Everybody whose identity meets a condition.
    Filter(IdentityFilter),
}

/// One entry.
#[derive(Debug, Clone, PartialEq)]
pub struct Revocation {
    /// Whom it names.
    pub whom: Whom,
    /// Certificates made before this are refused, in unix milliseconds; later
    /// ones are good.
    pub issued_before_ms: u64,
}

/// Why a peer is cut off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RevokedBy {
    /// Its user is.
    User,
    /// The device is.
    PeerKey,
    /// A filter says so: its text.
    Filter(String),
}

impl Revocation {
    pub(super) fn read(fields: &Fields<'_>) -> Result<Self, FieldError> {
        fields.only(&["filter", "issuedBeforeMs", "peerKey", "userID"])?;
        let given = ["filter", "peerKey", "userID"].map(|name| fields.optional(name).is_some());
        let whom = match given {
            [true, false, false] => {
                let filter = IdentityFilter::parse(fields.text("filter")?);
                Whom::Filter(filter.map_err(|refused| Problem::Rule(refused).at("filter"))?)
            }
            [false, true, false] => Whom::PeerKey(fields.text("peerKey")?.to_owned()),
            [false, false, true] => Whom::User(fields.text("userID")?.to_owned()),
            _ => {
                let wanted = "entries with one of filter, peerKey and userID";
                return Err(Problem::OutOfRange { wanted }.at("entries"));
            }
        };
        let wanted = "a time in milliseconds";
        Ok(Self {
            whom,
            issued_before_ms: fields.number("issuedBeforeMs", (0, u64::MAX), wanted)?,
        })
    }

    pub(super) fn check(&self) -> Result<(), FieldError> {
        match &self.whom {
            Whom::User(user) => {
                check_name(user, USER_ID_BYTES_MAX).map_err(|problem| problem.at("userID"))
            }
            Whom::PeerKey(key) if !PeerPublicKey::is_shown_form(key) => {
                let wanted = "a peer key as it is shown: pk: and 44 characters";
                Err(Problem::OutOfRange { wanted }.at("peerKey"))
            }
            Whom::PeerKey(_) | Whom::Filter(_) => Ok(()),
        }
    }

    pub(super) fn to_value(&self) -> Value {
        let (name, text) = match &self.whom {
            Whom::User(user) => ("userID", user.as_str()),
            Whom::PeerKey(key) => ("peerKey", key.as_str()),
            Whom::Filter(filter) => ("filter", filter.text()),
        };
        Value::Object(Object::from([
            (name.to_owned(), Value::from(text)),
            (
                "issuedBeforeMs".to_owned(),
                Value::from_u64(self.issued_before_ms),
            ),
        ]))
    }
}

/// What a filter sees. A peer of a shared key has no user, provider or metadata.
pub(super) fn identity_object(peer: &VerifiedPeer) -> Object {
    let key = peer.peer_key().to_string();
    let mut object = Object::from([
        ("issuedMs".to_owned(), Value::from_u64(peer.issued_ms())),
        ("peerKey".to_owned(), Value::from(key)),
    ]);
    if let Some(identity) = peer.identity() {
        let metadata = Value::Object(identity.metadata().clone());
        object.insert("metadata".to_owned(), metadata);
        object.insert("provider".to_owned(), Value::from(identity.provider()));
        object.insert("userID".to_owned(), Value::from(identity.user_id()));
    }
    object
}
