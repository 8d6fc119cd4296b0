//! The section `auth` as it was typed.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::schema::{OneOr, Word, Words};
use super::{Placed, RawSecret, Spanned, WordOr};

/// Who may use the HTTP API.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Auth")]
pub(crate) struct RawAuth {
    /// The clients, by names of your choice; at most 64.
    #[schemars(extend("maxProperties" = 64))]
    pub(crate) identities: BTreeMap<String, Spanned<RawIdentity>>,
    /// What they may do, by names that the identities use.
    pub(crate) permission_sets: BTreeMap<String, Spanned<RawPermissionSet>>,
}

/// One client.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Identity")]
pub(crate) struct RawIdentity {
    /// What it proves itself with.
    pub(crate) credential: RawCredential,
    /// Names of permission sets.
    pub(crate) permissions: Vec<Spanned<String>>,
    /// How logs call it; its name in this file, if it is left out.
    pub(crate) id: Option<String>,
}

/// What a client proves itself with.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Credential")]
pub(crate) struct RawCredential {
    /// The Secure Public Hash that `tombolo api-key generate` printed. The client has the private key; two clients never have the same.
    pub(crate) api_key: Spanned<RawSecret>,
}

/// What clients may do. An identity with several sets may do what one of them allows.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "PermissionSet")]
pub(crate) struct RawPermissionSet {
    /// `full` allows everything; `data` all statements on documents and all attachments; `read_only` what of these changes nothing. Or a finer grant.
    #[schemars(with = "OneOr<Levels, RawPermissions>")]
    pub(crate) permissions: Spanned<WordOr<RawPermissions>>,
}

/// A grant in detail. What is not named is not granted.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Permissions")]
pub(crate) struct RawPermissions {
    /// A level, instead of endpoints, collections and statements.
    #[schemars(with = "Placed<Word<Levels>>")]
    pub(crate) level: Placed<String>,
    /// Which endpoints may be used; `execute` alone, if it is left out.
    #[schemars(with = "Option<Vec<Word<Endpoints>>>")]
    pub(crate) endpoints: Option<Vec<Spanned<String>>>,
    /// Which documents may be read and written, by collection; or the word `everything`. Nothing, if it is left out.
    #[schemars(with = "Placed<OneOr<Everything, BTreeMap<String, RawCollection>>>")]
    pub(crate) collections: Placed<WordOr<BTreeMap<String, RawCollection>>>,
    /// Which kinds of statements may be run; `select`, `insert`, `update` and `delete`, if it is left out.
    #[schemars(with = "Option<Vec<Word<Statements>>>")]
    pub(crate) statements: Option<Vec<Spanned<String>>>,
    /// When the grant ends, as RFC 3339; never, if it is left out.
    #[schemars(example = &"2027-01-01T00:00:00Z")]
    pub(crate) expires: Placed<String>,
}

/// Conditions on `_id` of which a document has to meet one; `"true"` is the whole collection.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "CollectionPermissions")]
pub(crate) struct RawCollection {
    /// Documents that may be read; none, if it is left out.
    #[schemars(example = &["_id.site = 'x'"])]
    pub(crate) read: Option<Vec<String>>,
    /// Documents that may be written, deleted and evicted; none, if it is left out.
    #[schemars(example = &["true"])]
    pub(crate) write: Option<Vec<String>>,
}

struct Levels;

impl Words for Levels {
    const WORDS: &'static [&'static str] = &["full", "data", "read_only"];
}

struct Everything;

impl Words for Everything {
    const WORDS: &'static [&'static str] = &["everything"];
}

struct Endpoints;

impl Words for Endpoints {
    const WORDS: &'static [&'static str] = &[
        "execute",
        "attachments_upload",
        "attachments_download",
        "presence",
        "logs",
        "metrics",
        "observe",
    ];
}

struct Statements;

impl Words for Statements {
    const WORDS: &'static [&'static str] = &[
        "select",
        "insert",
        "update",
        "delete",
        "evict",
        "create_index",
        "drop_index",
        "alter_system",
        "show",
    ];
}
