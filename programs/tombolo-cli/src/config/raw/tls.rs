//! `http_server.tls_config` as it was typed.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Placed, RawSecret, Setting, Spanned, WordOr};

/// A certificate and its key, or where the node gets them by itself, and what is asked of clients.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Tls")]
pub(crate) struct RawTls {
    /// PEM file with the certificate and its chain; absolute, or relative to this file. It is read again when it changes.
    #[schemars(example = &"/etc/letsencrypt/live/your-domain.com/fullchain.pem")]
    pub(crate) cert: Placed<String>,
    /// PEM file with the private key; absolute, or relative to this file.
    #[schemars(example = &"/etc/letsencrypt/live/your-domain.com/privkey.pem")]
    pub(crate) key: Placed<String>,
    /// Instead of `cert` and `key`: the node asks an ACME server for its certificate, and renews it by itself.
    pub(crate) acme: Placed<Setting<RawAcme>>,
    /// The oldest TLS that is spoken: "1.2" or "1.3".
    #[schemars(regex(pattern = "^1\\.[23]$"), extend("default" = "1.2"))]
    pub(crate) min_version: Placed<String>,
    /// PEM file with the authorities whose certificates clients must show; or a mapping, which may make that optional.
    pub(crate) client_ca: Placed<WordOr<RawClientCa>>,
}

/// Whose certificates clients show.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ClientCa")]
pub(crate) struct RawClientCa {
    /// PEM file with the authorities; absolute, or relative to this file.
    #[schemars(length(min = 1))]
    pub(crate) file: Spanned<String>,
    /// Whether a client without a certificate is refused. One that shows a bad one always is.
    #[schemars(extend("default" = true))]
    pub(crate) required: Placed<bool>,
}

/// A certificate from an ACME server such as Let's Encrypt, which asks this HTTPS port whether the domains are ours (tls-alpn-01).
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Acme")]
pub(crate) struct RawAcme {
    /// The names that clients use, at most 100. Each must lead to this node at port 443; wildcards and addresses cannot be proven so.
    #[schemars(extend("minItems" = 1, "maxItems" = 100), example = &["edge.example.com"])]
    pub(crate) domains: Spanned<Vec<Spanned<String>>>,
    /// Whom the ACME server may write to.
    #[schemars(extend("maxItems" = 8), example = &["mailto:ops@example.com"])]
    pub(crate) contact: Placed<Setting<Vec<Spanned<String>>>>,
    /// Whether you agree to the terms of the ACME server; it must be `true`.
    pub(crate) terms_of_service_agreed: Placed<bool>,
    /// The directory of the ACME server. For a first try take the staging directory of Let's Encrypt.
    #[schemars(extend("default" = "https://acme-v02.api.letsencrypt.org/directory"), example = &"https://acme-staging-v02.api.letsencrypt.org/directory")]
    pub(crate) directory_url: Placed<String>,
    /// PEM roots that count for the ACME server instead of the system's; absolute, or relative to this file.
    pub(crate) ca_file: Placed<String>,
    /// For an ACME server that knows its clients already.
    pub(crate) external_account_binding: Placed<Setting<RawExternalAccount>>,
}

/// What the ACME server gave out for making an account.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ExternalAccountBinding")]
pub(crate) struct RawExternalAccount {
    /// The name of the key.
    #[schemars(length(min = 1))]
    pub(crate) key_id: Spanned<String>,
    /// The key, as base64url.
    pub(crate) hmac_key: Spanned<RawSecret>,
}
