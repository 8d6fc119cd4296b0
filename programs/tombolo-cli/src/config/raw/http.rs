//! The section `http_server` as it was typed.

use schemars::JsonSchema;
use serde::Deserialize;

use super::schema::{OneOr, Switch};
use super::tls::RawTls;
use super::{Anything, DevMode, Placed, Setting, Spanned, WordOr};

/// The HTTP API.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "HttpServer")]
pub(crate) struct RawHttpServer {
    /// Where to listen, as `host:port`. Beyond loopback it needs `tls_config` with a certificate and `auth` with keys.
    #[schemars(regex(pattern = "^.+:[0-9]{1,5}$"), example = &"0.0.0.0:443", example = &"[::1]:8443")]
    pub(crate) listen_addr: Spanned<String>,
    /// The certificate; or `dev_mode` for plain HTTP.
    #[schemars(with = "OneOr<DevMode, RawTls>")]
    pub(crate) tls_config: Spanned<WordOr<RawTls>>,
    /// A path that may stand in front of all others, as older configurations have it: letters, digits, dashes, dots and underscores. `GET /BASE_PATH` answers as `GET /health`.
    #[schemars(length(min = 1, max = 128), regex(pattern = "^[A-Za-z0-9._-]+$"))]
    pub(crate) base_path: Placed<String>,
    /// Which endpoints exist: all, none, or those that are listed.
    #[schemars(with = "Switch<RawHttpApi>")]
    pub(crate) http_api: Spanned<Setting<RawHttpApi>>,
    /// Whether `GET /health` exists. It needs no key.
    #[schemars(extend("default" = false))]
    pub(crate) enable_healthcheck: Placed<bool>,
    /// Whether `GET /docs/` shows the HTTP API in a browser, and `GET /docs/edge_server_api.json` describes it. Neither needs a key.
    #[schemars(extend("default" = false))]
    pub(crate) serve_docs: Placed<bool>,
    /// How long a request may take, in milliseconds; 0 for no limit. What takes longer is stopped and answered with 408.
    #[schemars(extend("default" = 10_000))]
    pub(crate) request_timeout_ms: Placed<u64>,
    /// Connections that are open at once, from 1 to 1000000.
    #[schemars(range(min = 1, max = 1_000_000), extend("default" = tombolo_http::Limits::CONNECTIONS_MAX))]
    pub(crate) max_connections: Placed<u64>,
    /// Not built yet; `false` and `null` are taken.
    pub(crate) throttling: Placed<Anything>,
}

/// The endpoints. What is not listed is off.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "HttpApi")]
pub(crate) struct RawHttpApi {
    /// `POST /execute`: run a statement. Bodies have at most 2 MB unless `max_body_size_mb` says otherwise, from 1 to 64.
    #[schemars(with = "Placed<Switch<RawEndpoint>>")]
    pub(crate) execute: Placed<Setting<RawEndpoint>>,
    /// Not built yet; `false` is taken.
    #[schemars(with = "Placed<Switch<RawEndpoint>>")]
    pub(crate) attachments_upload: Placed<Setting<RawEndpoint>>,
    /// Not built yet; `false` is taken.
    #[schemars(with = "Placed<Switch<RawEndpoint>>")]
    pub(crate) attachments_download: Placed<Setting<RawEndpoint>>,
    /// `GET /presence`: who is in the mesh.
    #[schemars(with = "Placed<Switch<RawEndpoint>>")]
    pub(crate) presence: Placed<Setting<RawEndpoint>>,
    /// Not built yet; `false` is taken.
    #[schemars(with = "Placed<Switch<RawEndpoint>>")]
    pub(crate) logs: Placed<Setting<RawEndpoint>>,
}

/// One endpoint.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Endpoint")]
pub(crate) struct RawEndpoint {
    /// Whether it exists.
    #[schemars(extend("default" = true))]
    pub(crate) enabled: Placed<bool>,
    /// Largest body of a request, in MiB.
    #[schemars(range(min = 1))]
    pub(crate) max_body_size_mb: Placed<u64>,
}
