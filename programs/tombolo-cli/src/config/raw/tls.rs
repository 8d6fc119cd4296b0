//! `http_server.tls_config` as it was typed.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Placed, Spanned, WordOr};

/// A certificate and its key, and what is asked of clients.
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
