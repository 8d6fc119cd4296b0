//! The section `http_server` as it was typed.

use schemars::JsonSchema;
use serde::Deserialize;

use super::limits::RawHttpLimits;
use super::schema::{OneOr, Switch, Word, Words};
use super::tls::RawTls;
use super::{DevMode, Placed, Setting, Spanned, WordOr};

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
    /// What one connection may cost.
    pub(crate) limits: Placed<Setting<RawHttpLimits>>,
    /// How many requests are taken from whom.
    pub(crate) throttling: Placed<Setting<RawThrottling>>,
    /// Addresses and prefixes of proxies that tell where a request comes from; nobody else is believed.
    pub(crate) trusted_proxies: Placed<Setting<Vec<Spanned<String>>>>,
    /// The header in which they tell it; any other is ignored.
    #[schemars(with = "Placed<Word<ForwardedHeaders>>", extend("default" = "X-Forwarded-For"))]
    pub(crate) forwarded_header: Placed<String>,
    /// Web pages that may use the API from a browser. Without it none may, but for pages of this server itself.
    pub(crate) cors: Placed<Setting<RawCors>>,
}

struct ForwardedHeaders;

impl Words for ForwardedHeaders {
    const WORDS: &'static [&'static str] = &["X-Forwarded-For", "Forwarded"];
}

/// Limits on requests. A request has to pass each of them.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Throttling")]
pub(crate) struct RawThrottling {
    /// At most 16.
    #[schemars(extend("maxItems" = 16))]
    pub(crate) strategies: Vec<Spanned<RawStrategy>>,
}

/// One limit: so many requests in any so long time. One more is answered 429 with `Retry-After`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ThrottlingStrategy")]
pub(crate) struct RawStrategy {
    /// Of one address, of one API key, or of one address to one route.
    #[schemars(with = "Word<Strategies>")]
    pub(crate) strategy: Spanned<String>,
    /// For `route`: which endpoint, by its name.
    pub(crate) endpoint: Placed<String>,
    /// For `route`: which endpoint, by its path.
    #[schemars(example = &"/execute")]
    pub(crate) path: Placed<String>,
    /// How many.
    #[schemars(range(min = 1, max = u32::MAX))]
    pub(crate) max_requests: Spanned<u64>,
    /// In how many seconds.
    #[schemars(range(min = 1, max = 86_400))]
    pub(crate) window_secs: Spanned<u64>,
}

struct Strategies;

impl Words for Strategies {
    const WORDS: &'static [&'static str] = &["ip_address", "api_key", "route"];
}

/// Web pages that may use the API from a browser.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Cors")]
pub(crate) struct RawCors {
    /// Their origins: scheme, host and port as browsers send them. There is no wildcard.
    #[schemars(example = &["https://app.example.com"])]
    pub(crate) origins: Vec<Spanned<String>>,
    /// How long a browser may remember the answer to its question, in seconds.
    #[schemars(range(max = 86_400), extend("default" = 600))]
    pub(crate) max_age_secs: Placed<u64>,
}

/// The endpoints. What is not listed is off.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "HttpApi")]
pub(crate) struct RawHttpApi {
    /// `POST /execute`: run a statement. Bodies have at most 2 MB unless `max_body_size_mb` says otherwise, from 1 to 64.
    #[schemars(with = "Placed<Switch<RawEndpoint>>")]
    pub(crate) execute: Placed<Setting<RawEndpoint>>,
    /// `POST /attachments/upload`: keep the content of an attachment. It has at most 50 MiB unless `max_body_size_mb` says otherwise, from 1 to 32768.
    #[schemars(with = "Placed<Switch<RawEndpoint>>")]
    pub(crate) attachments_upload: Placed<Setting<RawEndpoint>>,
    /// `GET /attachments/{id}`: the content of an attachment.
    #[schemars(with = "Placed<Switch<RawEndpoint>>")]
    pub(crate) attachments_download: Placed<Setting<RawEndpoint>>,
    /// `GET /presence`: who is in the mesh.
    #[schemars(with = "Placed<Switch<RawEndpoint>>")]
    pub(crate) presence: Placed<Setting<RawEndpoint>>,
    /// `/observe`: live queries, over server-sent events or a WebSocket.
    #[schemars(with = "Placed<Switch<RawEndpoint>>")]
    pub(crate) observe: Placed<Setting<RawEndpoint>>,
    /// The logs of the node as an archive.
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
