//! The section `identity_service` as it was typed.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use tombolo::Value;

use super::schema::exactly_one;
use super::{Placed, RawSecret, Setting, Spanned};

/// Logins of devices.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "IdentityService")]
pub(crate) struct RawIdentityService {
    /// The authority that signs certificates.
    pub(crate) ca: Spanned<RawCa>,
    /// Who recognizes users, by names that devices log in with; at most 32. The playground is called `__playgroundProvider`.
    #[schemars(extend("minProperties" = 1, "maxProperties" = 32))]
    pub(crate) providers: Spanned<BTreeMap<String, Spanned<RawProvider>>>,
    /// How often logins are looked at.
    pub(crate) limits: Placed<Setting<RawLoginLimits>>,
}

/// The authority that signs certificates.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Ca")]
pub(crate) struct RawCa {
    /// The directory of its keys, which only the node's user can read; absolute, or relative to this file. It is made on first start.
    #[schemars(length(min = 1))]
    pub(crate) path: Spanned<String>,
}

/// Who recognizes users: exactly one way.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Provider", transform = exactly_one)]
pub(crate) struct RawProvider {
    /// One token for everybody, who may read and write everything; for development.
    pub(crate) playground: Placed<Setting<RawPlayground>>,
    /// A service of your own is asked at each login.
    pub(crate) webhook: Placed<Setting<RawWebhook>>,
    /// Tokens of an OpenID provider.
    pub(crate) jwt: Placed<Setting<RawJwt>>,
}

/// One token for everybody.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Playground")]
pub(crate) struct RawPlayground {
    /// The token that every device logs in with.
    pub(crate) shared_token: Spanned<RawSecret>,
}

/// A service of your own that is asked at each login.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Webhook")]
pub(crate) struct RawWebhook {
    /// Where it is asked.
    #[schemars(example = &"https://auth.example/ditto")]
    pub(crate) url: Spanned<String>,
    /// How long it may take, in milliseconds.
    #[schemars(range(min = 100, max = 60_000), extend("default" = 5000))]
    pub(crate) timeout_ms: Placed<u64>,
    /// Secrets that requests are signed with, each 24 to 64 random bytes as standard base64; two overlap in a rotation.
    pub(crate) signing_secrets: Placed<Setting<Vec<Spanned<RawSecret>>>>,
    /// Whether the URL may name an address of a private network, and be `http://` there.
    #[schemars(extend("default" = false))]
    pub(crate) allow_private_network: Placed<bool>,
    /// PEM roots that count instead of the system's; absolute, or relative to this file.
    pub(crate) ca_file: Placed<String>,
}

/// Tokens of an OpenID provider. Exactly one of `jwks_file` and `jwks_url`, and one of `permissions_claim` and `permissions`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Jwt")]
pub(crate) struct RawJwt {
    /// The file with the provider's public keys; absolute, or relative to this file.
    pub(crate) jwks_file: Placed<String>,
    /// The URL where they are.
    #[schemars(example = &"https://id.example/keys")]
    pub(crate) jwks_url: Placed<String>,
    /// What tokens name as their issuer.
    pub(crate) issuer: Spanned<String>,
    /// What tokens name as their audience.
    pub(crate) audience: Spanned<String>,
    /// The claim that names the user.
    #[schemars(extend("default" = "sub"))]
    pub(crate) user_claim: Placed<String>,
    /// The claim that holds the permissions.
    pub(crate) permissions_claim: Placed<String>,
    /// The permissions of everybody, as a webhook would answer them.
    #[schemars(with = "Placed<Setting<BTreeMap<String, serde_json::Value>>>")]
    pub(crate) permissions: Placed<Setting<BTreeMap<String, Value>>>,
    /// The claim that holds what is told about the user to peers.
    pub(crate) metadata_claim: Placed<String>,
    /// How long a login holds at most, in seconds; as long as the token, if it is left out.
    #[schemars(range(min = 1, max = tombolo_identity::EXPIRATION_S_MAX))]
    pub(crate) session_seconds: Placed<u64>,
    /// Whether the URL may name an address of a private network, and be `http://` there.
    #[schemars(extend("default" = false))]
    pub(crate) allow_private_network: Placed<bool>,
    /// PEM roots that count instead of the system's; absolute, or relative to this file.
    pub(crate) ca_file: Placed<String>,
}

/// How often logins are looked at; what comes more often is answered with 429.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "LoginLimits")]
pub(crate) struct RawLoginLimits {
    /// From one address; many devices may share one behind a gateway.
    #[schemars(range(min = 1, max = 1_000_000), extend("default" = 120))]
    pub(crate) logins_per_minute_per_address: Placed<u64>,
    /// Of one user.
    #[schemars(range(min = 1, max = 1_000_000), extend("default" = 20))]
    pub(crate) logins_per_minute_per_user: Placed<u64>,
}
