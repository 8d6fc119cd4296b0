//! The section `database` as it was typed.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use tombolo::Value;

use super::schema::{OneOr, Word, Words, exactly_one, listen_as_before, small_peers_only};
use super::{Anything, Placed, RawSecret, Setting, Spanned, WordOr};

/// The local replica.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Database")]
pub(crate) struct RawDatabase {
    /// Which database this is a replica of: a UUID, or up to 128 letters, digits, dashes, dots and underscores. Peers with another one are not met. Changing it beside an existing directory is refused.
    #[schemars(length(min = 1, max = 128), regex(pattern = "^[A-Za-z0-9._-]+$"), example = &"12345678-1234-4123-1234-123456789012")]
    pub(crate) db_id: Spanned<String>,
    /// How this node is called in the mesh; 1 to 128 bytes.
    #[schemars(length(min = 1, max = 128), example = &"edge-server-prod")]
    pub(crate) device_name: Spanned<String>,
    /// How the node proves itself to peers. Without it, it joins no mesh unless it runs an identity service itself.
    pub(crate) auth: Placed<Setting<RawDatabaseAuth>>,
    /// What the node asks its peers for: statements, or statements with values for their `:name` parameters. Without one it takes nothing.
    #[schemars(example = ["SELECT * FROM tasks"])]
    pub(crate) subscriptions: Placed<Setting<Vec<Spanned<WordOr<RawSubscription>>>>>,
    /// Where the data lies; one directory for each node.
    #[schemars(with = "Placed<OneOr<Directories, RawPath>>", extend("default" = "from_current_exe"), example = serde_json::json!({ "path": "/var/lib/tombolo" }))]
    pub(crate) persistence_dir: Placed<WordOr<RawPath>>,
    /// Where the node listens for peers and whom it dials.
    pub(crate) transport_config: Placed<Setting<RawTransports>>,
    /// Whether the content of attachments that documents here refer to is fetched from peers without being asked for.
    #[schemars(extend("default" = false))]
    pub(crate) auto_fetch_attachments: Placed<bool>,
    /// What becomes of documents that a login no longer lets this node read.
    #[schemars(with = "Placed<Word<LostAccess>>", extend("default" = "keep"))]
    pub(crate) on_lost_access: Placed<String>,
}

/// How the node proves itself: exactly one way.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "DatabaseAuth", transform = small_peers_only)]
pub(crate) struct RawDatabaseAuth {
    /// By logging in to an identity service.
    pub(crate) server: Placed<Setting<RawAuthServer>>,
    /// By a key that all nodes of the mesh share.
    #[serde(alias = "small_peers_only")]
    pub(crate) small_peer_only: Placed<Setting<RawSmallPeerOnly>>,
}

/// The identity service that the node logs in to, and as whom.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AuthServer")]
pub(crate) struct RawAuthServer {
    /// What the provider recognizes this node by.
    pub(crate) access_token: Spanned<RawSecret>,
    /// Where the identity service is. Only a loopback address may be `http://`. The node starts without waiting for it.
    #[schemars(example = &"https://auth.example")]
    pub(crate) auth_url: Spanned<String>,
    /// Who recognizes the token: the name of a provider of the identity service, or `__playgroundProvider`.
    #[schemars(length(min = 1, max = 128))]
    pub(crate) provider: Spanned<String>,
    /// Whether the node also syncs with the server behind `auth_url`, over WebSocket.
    #[schemars(extend("default" = true))]
    pub(crate) enable_cloud_sync: Placed<bool>,
    /// PEM roots that count for this server instead of the system's; absolute, or relative to this file.
    pub(crate) ca_file: Placed<String>,
}

/// A mesh of nodes that share a key.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SmallPeerOnly")]
pub(crate) struct RawSmallPeerOnly {
    /// Is not needed, and its value is not even kept.
    #[schemars(with = "Placed<serde_json::Value>")]
    pub(crate) offline_license_token: Placed<Anything>,
    /// The key, made with `tombolo shared-key generate`. Whoever has it can read and write everything in the mesh.
    pub(crate) key_b64: Placed<Setting<RawSecret>>,
}

/// A statement with its arguments.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Subscription")]
pub(crate) struct RawSubscription {
    /// `SELECT * FROM` a collection, with a WHERE if it should hold a part of it.
    pub(crate) query: Spanned<String>,
    /// A value for each `:name` of the statement.
    #[schemars(with = "Placed<Setting<BTreeMap<String, serde_json::Value>>>")]
    pub(crate) args: Placed<Setting<BTreeMap<String, Value>>>,
}

/// Where a directory is: exactly one of both.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Directory", transform = exactly_one)]
pub(crate) struct RawPath {
    /// Absolute, or relative to this file.
    #[schemars(length(min = 1))]
    pub(crate) path: Placed<String>,
    /// The environment variable that holds the path.
    #[schemars(length(min = 1))]
    pub(crate) from_env: Placed<String>,
}

/// Over what the node meets its peers.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Transports")]
pub(crate) struct RawTransports {
    /// Discovery of peers nearby; not built yet.
    pub(crate) peer_to_peer: Placed<Setting<RawPeerToPeer>>,
    /// Whom the node dials.
    pub(crate) connect_config: Placed<Setting<RawConnect>>,
    /// Where the node listens for peers, besides the HTTP server.
    pub(crate) listen_config: Placed<Setting<RawListen>>,
}

/// Discovery of peers nearby. None of it is built yet; `false` and `null` are taken.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "PeerToPeer")]
pub(crate) struct RawPeerToPeer {
    /// Bluetooth LE; not built yet.
    #[schemars(with = "Placed<Off>")]
    pub(crate) ble_enabled: Placed<bool>,
    /// The local network; not built yet.
    #[schemars(with = "Placed<Off>")]
    pub(crate) lan_enabled: Placed<bool>,
    /// Discovery by mDNS; not built yet.
    #[schemars(with = "Placed<Off>")]
    pub(crate) lan_mdns_enabled: Placed<bool>,
    /// Discovery by multicast; not built yet.
    #[schemars(with = "Placed<Off>")]
    pub(crate) lan_multicast_enabled: Placed<bool>,
    /// Apple Wireless Direct Link; not built yet.
    #[schemars(with = "Placed<Off>")]
    pub(crate) awdl_enabled: Placed<bool>,
    /// Wi-Fi Aware; not built yet.
    #[schemars(with = "Placed<Off>")]
    pub(crate) wifi_aware_enabled: Placed<bool>,
}

/// Whom the node dials.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Connect")]
pub(crate) struct RawConnect {
    /// Nodes that are dialled over TCP, as `host:port`; at most 64.
    #[schemars(example = ["192.168.1.20:4040"])]
    pub(crate) known_tcp_servers: Placed<Setting<Vec<Spanned<String>>>>,
    /// Nodes that are dialled over WebSocket, by their `wss://` URL; at most 64.
    #[schemars(example = ["wss://hub.example"])]
    pub(crate) known_ws_servers: Placed<Setting<Vec<Spanned<WordOr<RawWebServer>>>>>,
    /// How long the node waits before it dials again, in milliseconds, from 50 to 3600000. It waits longer after each failure.
    pub(crate) retry_interval_msec: Placed<Setting<u64>>,
}

/// A server that is dialled over WebSocket.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "WebSocketServer")]
pub(crate) struct RawWebServer {
    /// `wss://host/path`; only a loopback address may be `ws://`.
    pub(crate) url: Spanned<String>,
    /// PEM roots that count for this server instead of the system's; absolute, or relative to this file.
    pub(crate) ca_file: Placed<String>,
}

/// Where the node listens for peers.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Listen")]
pub(crate) struct RawListen {
    /// Over TCP.
    pub(crate) tcp_listen: Placed<Setting<RawTcpListen>>,
}

/// An address that peers dial.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TcpListen", transform = listen_as_before)]
pub(crate) struct RawTcpListen {
    /// Whether the node listens; then `ip` and `port` are needed.
    #[serde(alias = "enabled")]
    #[schemars(extend("default" = false))]
    pub(crate) enable: Placed<bool>,
    /// An address of this machine: `127.0.0.1` for itself alone, `0.0.0.0` or `[::]` for all networks.
    #[serde(alias = "interface_ip")]
    pub(crate) ip: Placed<String>,
    /// A free port; 0 takes any.
    pub(crate) port: Placed<u16>,
}

/// A switch of what is not built yet.
#[derive(JsonSchema)]
#[schemars(inline, extend("const" = false))]
#[expect(dead_code, reason = "it is only a schema")]
struct Off(bool);

/// The words of a directory.
pub(super) struct Directories;

impl Words for Directories {
    const WORDS: &'static [&'static str] = &["from_current_exe", "temp_dir"];
}

struct LostAccess;

impl Words for LostAccess {
    const WORDS: &'static [&'static str] = &["keep", "purge"];
}
