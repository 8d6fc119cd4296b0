//! The section `auth` as it was typed.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::schema::{Word, Words};
use super::{RawSecret, Spanned};

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

/// What clients may do.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "PermissionSet")]
pub(crate) struct RawPermissionSet {
    /// `full` allows everything.
    #[schemars(with = "Word<Levels>")]
    pub(crate) permissions: Spanned<String>,
}

struct Levels;

impl Words for Levels {
    const WORDS: &'static [&'static str] = &["full"];
}
