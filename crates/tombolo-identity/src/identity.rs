//! What a certificate says of its holder besides the key: user, provider,
//! permissions and metadata. `docs/formats/certificate.md` has the bytes.

use std::collections::BTreeMap;

use aws_lc_rs::digest;
use tombolo_document::{Object, Value, json};

use crate::answer::Granted;
use crate::challenge::ProvenPeerKey;
use crate::fields::{FieldError, Fields, Problem, type_of};
use crate::key::PeerPublicKey;
use crate::packed;
use crate::rules::{Permissions, RuleSyntax, Rules};

/// Longest user id, in bytes.
pub const USER_ID_BYTES_MAX: usize = 256;
/// Longest name of a provider, in bytes.
pub const PROVIDER_BYTES_MAX: usize = 128;
/// Most metadata of the identity service, as JSON, in bytes: every peer of a
/// mesh is told of it.
pub const METADATA_BYTES_MAX: usize = 4096;
/// Most bytes of an identity before it is packed.
pub const IDENTITY_BYTES_MAX: usize = 64 * 1024;

/// Who a certificate is for and what it allows. An identity that exists is
/// within its limits, and its rules are parsed.
#[derive(Debug, Clone, PartialEq)]
pub struct Identity {
    pub(crate) user_id: String,
    pub(crate) provider: String,
    pub(crate) permissions: Permissions,
    pub(crate) remote_query: bool,
    pub(crate) metadata: Object,
}

impl Identity {
    /// Whom the provider recognized.
    #[must_use]
    pub fn user_id(&self) -> &str {
        &self.user_id
    }

    /// Which provider did.
    #[must_use]
    pub fn provider(&self) -> &str {
        &self.provider
    }

    /// What its holder may read and write.
    #[must_use]
    pub fn permissions(&self) -> &Permissions {
        &self.permissions
    }

    /// Whether its holder may run queries on other peers: it was granted, and
    /// nothing is hidden from it.
    #[must_use]
    pub fn may_query_remotely(&self) -> bool {
        self.remote_query && self.permissions.read.is_everything()
    }

    /// What the provider wants every peer to know of the user.
    #[must_use]
    pub fn metadata(&self) -> &Object {
        &self.metadata
    }

    /// The packed form for a certificate made at `issued_ms`.
    pub(crate) fn encode(&self, issued_ms: u64) -> Option<Vec<u8>> {
        let text = self.text(issued_ms);
        (text.len() <= IDENTITY_BYTES_MAX).then(|| packed::pack(text.as_bytes()))
    }

    /// Names what a certificate made at `issued_ms` says: SHA-256 of its JSON
    /// before it is packed.
    pub(crate) fn digest(&self, issued_ms: u64) -> [u8; 32] {
        let digest = digest::digest(&digest::SHA256, self.text(issued_ms).as_bytes());
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest.as_ref());
        bytes
    }

    fn text(&self, issued_ms: u64) -> String {
        json::print(&Value::Object(Object::from([
            ("issuedMs".to_owned(), Value::from_u64(issued_ms)),
            ("metadata".to_owned(), Value::Object(self.metadata.clone())),
            ("permissions".to_owned(), self.permissions_value()),
            ("provider".to_owned(), Value::from(self.provider.as_str())),
            ("userID".to_owned(), Value::from(self.user_id.as_str())),
        ])))
    }

    fn permissions_value(&self) -> Value {
        Value::Object(Object::from([
            ("qlVersion".to_owned(), Value::Int(1)),
            ("read".to_owned(), rules_value(&self.permissions.read)),
            ("remoteQuery".to_owned(), Value::Bool(self.remote_query)),
            ("write".to_owned(), rules_value(&self.permissions.write)),
        ]))
    }

    /// An identity and the time it was issued, from the packed form; `None` for
    /// anything that [`Identity::encode`] never gives.
    pub(crate) fn decode(bytes: &[u8]) -> Option<(Self, u64)> {
        let text = packed::unpack(bytes, IDENTITY_BYTES_MAX)?;
        let Value::Object(object) = json::parse(&text).ok()? else {
            return None;
        };
        Self::read(&Fields::root(&object)).ok()
    }

    fn read(fields: &Fields<'_>) -> Result<(Self, u64), FieldError> {
        fields.only(&["issuedMs", "metadata", "permissions", "provider", "userID"])?;
        let issued_ms = fields.number("issuedMs", (0, u64::MAX), "a time in milliseconds")?;
        let permissions = fields.object("permissions")?;
        let (permissions, remote_query) = read_permissions(&permissions)?;
        let identity = Self {
            user_id: read_name(fields, "userID", USER_ID_BYTES_MAX)?,
            provider: read_name(fields, "provider", PROVIDER_BYTES_MAX)?,
            metadata: read_metadata(fields.optional_object("metadata")?.as_ref())?,
            permissions,
            remote_query,
        };
        Ok((identity, issued_ms))
    }
}

/// What a provider granted to the holder of a proven key. Only
/// [`ProvenPeerKey::grant`] makes one.
#[derive(Debug)]
pub struct IdentityData {
    pub(crate) peer_key: PeerPublicKey,
    pub(crate) database_id: String,
    pub(crate) identity: Identity,
    pub(crate) expiration_s: u64,
    pub(crate) client_info: Value,
}

impl IdentityData {
    /// Who it is and what it may.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Who holds the key.
    #[must_use]
    pub fn peer_key(&self) -> &PeerPublicKey {
        &self.peer_key
    }

    /// For how long, in seconds.
    #[must_use]
    pub fn expiration_s(&self) -> u64 {
        self.expiration_s
    }
}

impl ProvenPeerKey {
    /// Joins what a provider granted to the key that asked for it.
    #[must_use]
    pub fn grant(self, granted: Granted) -> IdentityData {
        let (peer_key, database_id) = self.into_parts();
        IdentityData {
            peer_key,
            database_id,
            identity: granted.identity,
            expiration_s: granted.expiration_s,
            client_info: granted.client_info,
        }
    }
}

/// A name from outside: not empty, bounded, without control characters.
pub(crate) fn read_name(
    fields: &Fields<'_>,
    name: &str,
    bytes_max: usize,
) -> Result<String, FieldError> {
    let text = fields.text(name)?;
    check_name(text, bytes_max).map_err(|problem| problem.at(fields.path(name)))?;
    Ok(text.to_owned())
}

pub(crate) fn check_name(text: &str, bytes_max: usize) -> Result<(), Problem> {
    let bytes = text.len();
    if bytes > bytes_max {
        return Err(Problem::TooLarge { bytes, bytes_max });
    }
    if text.is_empty() || text.contains(char::is_control) {
        let wanted = "a text that is not empty and has no control characters";
        return Err(Problem::OutOfRange { wanted });
    }
    Ok(())
}

pub(crate) fn read_metadata(fields: Option<&Fields<'_>>) -> Result<Object, FieldError> {
    let Some(fields) = fields else {
        return Ok(Object::default());
    };
    let metadata = fields.inner().clone();
    let bytes = json::print(&Value::Object(metadata.clone())).len();
    if bytes > METADATA_BYTES_MAX {
        let bytes_max = METADATA_BYTES_MAX;
        return Err(Problem::TooLarge { bytes, bytes_max }.at(fields.place()));
    }
    Ok(metadata)
}

/// Permissions and `remoteQuery`, from the object that a provider answers with
/// and a certificate holds. Nothing in it is ignored.
pub(crate) fn read_permissions(fields: &Fields<'_>) -> Result<(Permissions, bool), FieldError> {
    fields.only(&["qlVersion", "read", "remoteQuery", "write"])?;
    let syntax = match fields.optional("qlVersion") {
        None => RuleSyntax::Either,
        Some(Value::Int(0)) => RuleSyntax::Legacy,
        Some(Value::Int(1)) => RuleSyntax::Dql,
        Some(_) => {
            let wanted = "0 for the older syntax of rules, or 1 for DQL";
            return Err(Problem::OutOfRange { wanted }.at(fields.path("qlVersion")));
        }
    };
    let remote_query = fields.optional_boolean("remoteQuery")?;
    let permissions = Permissions {
        read: read_rules(&fields.object("read")?, syntax)?,
        write: read_rules(&fields.object("write")?, syntax)?,
    };
    Ok((permissions, remote_query.unwrap_or(false)))
}

const QUERIES: &str = "queriesByCollection";

fn read_rules(fields: &Fields<'_>, syntax: RuleSyntax) -> Result<Rules, FieldError> {
    fields.only(&["everything", QUERIES])?;
    let everything = fields.boolean("everything")?;
    let collections = fields.object(QUERIES)?;
    let mut queries = BTreeMap::new();
    for name in collections.inner().keys() {
        let texts = collections.array(name)?;
        let texts: Result<_, _> = texts.iter().map(read_rule).collect();
        let texts: Vec<String> = texts.map_err(|problem| problem.at(fields.path(QUERIES)))?;
        queries.insert(name.clone(), texts);
    }
    // They are read even where they change nothing: a mistake is a mistake.
    let rules = Rules::parse_as(&queries, syntax);
    let rules = rules.map_err(|refused| Problem::Rule(refused).at(fields.path(QUERIES)))?;
    Ok(if everything {
        Rules::everything()
    } else {
        rules
    })
}

fn read_rule(value: &Value) -> Result<String, Problem> {
    match value {
        Value::String(text) => Ok(text.clone()),
        other => Err(Problem::WrongType {
            found: type_of(other),
            wanted: "a text, such as \"true\" for the whole collection",
        }),
    }
}

fn rules_value(rules: &Rules) -> Value {
    let queries = rules.queries();
    let everything = queries.is_none();
    let collections = queries.into_iter().flatten().map(|(name, texts)| {
        let texts = texts.into_iter().map(Value::String).collect();
        (name, Value::Array(texts))
    });
    Value::Object(Object::from([
        ("everything".to_owned(), Value::Bool(everything)),
        (QUERIES.to_owned(), Value::Object(collections.collect())),
    ]))
}
