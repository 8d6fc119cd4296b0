//! The configuration as it was typed: one serde structure per section, nothing checked but names and types.
//! What a value means, and whether it may stand where it stands, is decided in `resolve`, never here.
//! The same structures are the JSON Schema of `tombolo config schema`; their comments are its descriptions.

mod auth;
mod choose;
mod database;
mod http;
mod identity;
mod limits;
mod logging;
mod placed;
mod schema;
mod secret;
mod tls;

use schemars::JsonSchema;
use serde::Deserialize;

pub(super) use auth::{RawAuth, RawCollection, RawIdentity, RawPermissionSet, RawPermissions};
pub(super) use choose::{Anything, Setting, WordOr};
pub(super) use database::{
    RawAuthServer, RawConnect, RawDatabase, RawDatabaseAuth, RawListen, RawPath, RawPeerToPeer,
    RawSmallPeerOnly, RawSubscription, RawTcpListen, RawTransports, RawWebServer,
};
pub(super) use http::{
    RawCors, RawEndpoint, RawHttpApi, RawHttpServer, RawStrategy, RawThrottling,
};
pub(super) use identity::{RawIdentityService, RawJwt, RawLoginLimits, RawProvider, RawWebhook};
pub(super) use limits::RawHttpLimits;
pub(super) use logging::{RawAuditLogs, RawEdgeLogging, RawLogging, RawRotatingLogs, RawRotation};
pub(super) use placed::{Placed, Spanned};
pub(super) use secret::{RawElsewhere, RawSecret};
pub(super) use tls::{RawAcme, RawClientCa, RawExternalAccount, RawTls};

use schema::{OneOr, Words};

/// One node: its database, its HTTP server, its clients and its logs. One file describes it wholly.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Tombolo configuration")]
pub(super) struct RawConfig {
    /// The local replica: which database it is of, where it lies, and how it meets its peers.
    pub(super) database: Spanned<RawDatabase>,
    /// The HTTP API. Without it the node serves none.
    pub(super) http_server: Placed<Setting<RawHttpServer>>,
    /// Who may use the HTTP API. Needed with `http_server`; `dev_mode` lets everybody in.
    #[schemars(with = "Placed<Setting<OneOr<DevMode, RawAuth>>>")]
    pub(super) auth: Placed<Setting<WordOr<RawAuth>>>,
    /// Which messages go where.
    pub(super) logging: Placed<Setting<RawLogging>>,
    /// Not built yet; `false` and `null` are taken.
    pub(super) grpc_server: Placed<Anything>,
    /// Logins of devices: who recognizes users, and where the keys of the fleet lie. Needs `http_server`.
    pub(super) identity_service: Placed<Setting<RawIdentityService>>,
    /// Where documents are kept. Only `embedded` is built.
    #[schemars(with = "Placed<Setting<schema::Word<Embedded>>>", extend("default" = "embedded"))]
    pub(super) storage: Placed<Setting<WordOr<Anything>>>,
    /// Numbers for Prometheus at `GET /metrics`; `true` asks for a key there.
    #[schemars(with = "Placed<schema::Switch<RawMetrics>>", extend("default" = false))]
    pub(super) metrics: Placed<Setting<RawMetrics>>,
}

/// Numbers for Prometheus.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Metrics")]
pub(super) struct RawMetrics {
    /// Whether they are there.
    #[schemars(extend("default" = true))]
    pub(super) enabled: Placed<bool>,
    /// Whether they need no key.
    #[schemars(extend("default" = false))]
    pub(super) public: Placed<bool>,
}

pub(super) struct DevMode;

impl Words for DevMode {
    const WORDS: &'static [&'static str] = &["dev_mode"];
}

struct Embedded;

impl Words for Embedded {
    const WORDS: &'static [&'static str] = &["embedded"];
}
