//! The configuration as it is meant: a value of these types has been checked and needs no second look.
//! Paths are still as typed, relative to nothing; `files` looks at the disk.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tombolo::{AuthServer, Object, OnLostAccess, SharedKey, WebSocketServer};

use super::meaning_identity::IdentityService;
use super::meaning_logging::Logging;
use super::meaning_tls::Tls;
use super::network::Network;
use super::permission_set::PermissionSet;
use super::secret::SecretText;
use crate::api_key::KeyHash;
use crate::edge::Endpoint;

/// One node.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) database: Database,
    /// `None`: the node serves no HTTP.
    pub(crate) http: Option<Http>,
    /// `None`: nobody logs in here.
    pub(crate) identity_service: Option<IdentityService>,
    pub(crate) logging: Logging,
    /// What the operator should know and need not mend.
    pub(crate) notices: Vec<String>,
    /// Keys whose secrets stand in the file itself; hashes of API keys are public and do not count.
    pub(crate) typed_secrets: Vec<String>,
    /// Files with secrets that other users of the machine can read.
    pub(crate) open_secret_files: Vec<PathBuf>,
}

/// The local replica.
#[derive(Debug)]
pub(crate) struct Database {
    pub(crate) id: String,
    pub(crate) device_name: String,
    pub(crate) directory: Directory,
    pub(crate) subscriptions: Vec<Subscription>,
    pub(crate) on_lost_access: OnLostAccess,
    pub(crate) auto_fetch_attachments: bool,
    /// `None`: it has no key, or nothing to use it on.
    pub(crate) mesh: Option<Mesh>,
}

/// What the node asks its peers for. The database takes it.
#[derive(Debug, PartialEq)]
pub(crate) struct Subscription {
    pub(crate) statement: String,
    pub(crate) arguments: Object,
}

/// How the node joins a mesh.
#[derive(Debug)]
pub(crate) struct Mesh {
    pub(crate) proof: Proof,
    pub(crate) transports: Transports,
}

/// What the node proves itself with to peers.
#[derive(Debug)]
pub(crate) enum Proof {
    /// A key that all peers have.
    SharedKey(Box<SharedKey>),
    /// A certificate of an identity service.
    Login(Box<Login>),
    /// A certificate of its own identity service.
    OwnService,
}

/// Where the node logs in, and as whom.
#[derive(Debug)]
pub(crate) struct Login {
    pub(crate) server: AuthServer,
    pub(crate) token: SecretText,
    pub(crate) provider: String,
    /// Whether the node also syncs with the server of the identity service.
    pub(crate) is_synced: bool,
}

/// Over what the node reaches its peers, besides the HTTP server, where they are let in too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Transports {
    /// Where it listens for peers.
    pub(crate) listen: Option<SocketAddr>,
    /// Whom it dials, as `host:port`.
    pub(crate) servers: Vec<String>,
    /// Whom it dials over WebSocket.
    pub(crate) ws_servers: Vec<WebSocketServer>,
    /// `None`: the default of the mesh.
    pub(crate) retry_interval: Option<Duration>,
}

/// A directory by the ways in which it can be named.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Directory {
    /// Beside the executable.
    NextToExecutable,
    /// Thrown away with the machine's temporary files.
    Temporary,
    /// Absolute, or relative to the configuration file.
    Path(PathBuf),
}

/// The edge server.
#[derive(Debug)]
pub(crate) struct Http {
    /// `host:port`.
    pub(crate) listen_address: String,
    /// What may stand in front of each path, without slashes.
    pub(crate) base_path: Option<String>,
    pub(crate) encryption: Encryption,
    pub(crate) api: Api,
    pub(crate) clients: Clients,
    /// `None`: no limit.
    pub(crate) request_timeout: Option<Duration>,
    pub(crate) connections_max: usize,
    /// What one connection may cost; the timeout and the number of connections above count, not those in it.
    pub(crate) limits: tombolo_http::Limits,
    /// All of them have to let a request pass.
    pub(crate) throttling: Vec<Strategy>,
    pub(crate) proxies: Proxies,
    /// `None`: no other origin is let in.
    pub(crate) cors: Option<Cors>,
    /// Nobody but this machine reaches it.
    pub(crate) is_local: bool,
}

/// So many requests in any so long time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Strategy {
    pub(crate) by: Throttled,
    pub(crate) requests_max: u32,
    pub(crate) window: Duration,
}

/// Whose requests are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Throttled {
    /// Those of one client address.
    Address,
    /// Those of one identity.
    Key,
    /// Those of one client address to one endpoint.
    Route(Endpoint),
}

/// Who is believed about where a request comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Proxies {
    pub(crate) trusted: Vec<Network>,
    pub(crate) header: ForwardedHeader,
}

/// Where a proxy tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ForwardedHeader {
    XForwardedFor,
    Forwarded,
}

/// Pages of other origins that may use the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cors {
    /// As browsers send them.
    pub(crate) origins: Vec<String>,
    pub(crate) max_age_secs: u64,
}

/// What clients speak.
#[derive(Debug)]
pub(crate) enum Encryption {
    /// `dev_mode`.
    Plain,
    /// With a certificate.
    Tls(Tls),
}

/// Which routes exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Api {
    /// Bytes that a body of `/execute` may have; `None`: the route does not exist.
    pub(crate) execute_body_bytes_max: Option<usize>,
    /// Bytes that an upload may have; `None`: the route does not exist.
    pub(crate) attachments_upload_bytes_max: Option<u64>,
    pub(crate) attachments_download: bool,
    pub(crate) health: bool,
    pub(crate) presence: bool,
    pub(crate) observe: bool,
    /// `serve_docs`.
    pub(crate) docs: bool,
    pub(crate) logs: bool,
    pub(crate) metrics: bool,
    /// Whether the metrics need no key.
    pub(crate) metrics_public: bool,
}

impl Api {
    /// All that can be turned on, with usual limits.
    pub(crate) const EVERYTHING: Self = Self {
        execute_body_bytes_max: Some(2 * 1024 * 1024),
        attachments_upload_bytes_max: Some(50 * 1024 * 1024),
        attachments_download: true,
        health: true,
        presence: true,
        observe: true,
        docs: true,
        logs: true,
        metrics: true,
        metrics_public: false,
    };
    /// No route but those of peers.
    pub(crate) const NOTHING: Self = Self {
        execute_body_bytes_max: None,
        attachments_upload_bytes_max: None,
        attachments_download: false,
        health: false,
        presence: false,
        observe: false,
        docs: false,
        logs: false,
        metrics: false,
        metrics_public: false,
    };
}

/// Who may use the routes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Clients {
    /// `auth: dev_mode`.
    Anyone,
    /// Holders of these keys.
    Known(Vec<Identity>),
}

/// One client.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Identity {
    /// For the audit log; the YAML key unless `id` says otherwise.
    pub(crate) audit_id: String,
    pub(crate) hash: KeyHash,
    /// What it may do is what one of them allows.
    pub(crate) permissions: Vec<Arc<PermissionSet>>,
}
