//! The section `identity_service` as it was typed: one serde structure per part, nothing checked but names and types.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_saphyr::Spanned;
use tombolo::Value;

use super::raw::{Placed, Setting};
use super::raw_secret::RawSecret;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawIdentityService {
    pub(super) ca: Spanned<RawCa>,
    pub(super) providers: Spanned<BTreeMap<String, Spanned<RawProvider>>>,
    pub(super) limits: Placed<Setting<RawLoginLimits>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCa {
    pub(super) path: Spanned<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawProvider {
    pub(super) playground: Placed<Setting<RawPlayground>>,
    pub(super) webhook: Placed<Setting<RawWebhook>>,
    pub(super) jwt: Placed<Setting<RawJwt>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPlayground {
    pub(super) shared_token: Spanned<RawSecret>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawWebhook {
    pub(super) url: Spanned<String>,
    pub(super) timeout_ms: Placed<u64>,
    pub(super) signing_secrets: Placed<Setting<Vec<Spanned<RawSecret>>>>,
    pub(super) allow_private_network: Placed<bool>,
    pub(super) ca_file: Placed<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawJwt {
    pub(super) jwks_file: Placed<String>,
    pub(super) jwks_url: Placed<String>,
    pub(super) issuer: Spanned<String>,
    pub(super) audience: Spanned<String>,
    pub(super) user_claim: Placed<String>,
    pub(super) permissions_claim: Placed<String>,
    pub(super) permissions: Placed<Setting<BTreeMap<String, Value>>>,
    pub(super) metadata_claim: Placed<String>,
    pub(super) session_seconds: Placed<u64>,
    pub(super) allow_private_network: Placed<bool>,
    pub(super) ca_file: Placed<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLoginLimits {
    pub(super) logins_per_minute_per_address: Placed<u64>,
    pub(super) logins_per_minute_per_user: Placed<u64>,
}
