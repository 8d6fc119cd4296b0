//! The configuration as it was typed: one serde structure per section, nothing checked but names and types.
//! What a value means, and whether it may stand where it stands, is decided in `resolve`, never here.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::{
    MapAccessDeserializer, SeqAccessDeserializer, StrDeserializer, U64Deserializer,
};
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;
use tombolo::Value;

use super::raw_identity::RawIdentityService;
use super::raw_secret::RawSecret;

/// A value that may be absent or null; when present, with its place in the file.
pub(super) type Placed<T> = Option<Spanned<T>>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawConfig {
    pub(super) database: Spanned<RawDatabase>,
    pub(super) http_server: Placed<Setting<RawHttpServer>>,
    pub(super) auth: Placed<Setting<WordOr<RawAuth>>>,
    pub(super) logging: Placed<Setting<RawLogging>>,
    pub(super) grpc_server: Placed<Anything>,
    pub(super) identity_service: Placed<Setting<RawIdentityService>>,
    pub(super) storage: Placed<Setting<WordOr<Anything>>>,
    pub(super) metrics: Placed<Anything>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawDatabase {
    pub(super) db_id: Spanned<String>,
    pub(super) device_name: Spanned<String>,
    pub(super) auth: Placed<Setting<RawDatabaseAuth>>,
    pub(super) subscriptions: Placed<Setting<Vec<Spanned<WordOr<RawSubscription>>>>>,
    pub(super) persistence_dir: Placed<WordOr<RawPath>>,
    pub(super) transport_config: Placed<Setting<RawTransports>>,
    pub(super) auto_fetch_attachments: Placed<bool>,
    pub(super) on_lost_access: Placed<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawDatabaseAuth {
    pub(super) server: Placed<Setting<RawAuthServer>>,
    #[serde(alias = "small_peers_only")]
    pub(super) small_peer_only: Placed<Setting<RawSmallPeerOnly>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAuthServer {
    pub(super) access_token: Spanned<RawSecret>,
    pub(super) auth_url: Spanned<String>,
    pub(super) provider: Spanned<String>,
    pub(super) enable_cloud_sync: Placed<bool>,
    pub(super) ca_file: Placed<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSmallPeerOnly {
    /// Its value is not even kept.
    pub(super) offline_license_token: Placed<Anything>,
    pub(super) key_b64: Placed<Setting<RawSecret>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSubscription {
    pub(super) query: Spanned<String>,
    pub(super) args: Placed<Setting<BTreeMap<String, Value>>>,
}

/// Where a directory is.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPath {
    pub(super) path: Placed<String>,
    pub(super) from_env: Placed<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTransports {
    pub(super) peer_to_peer: Placed<Setting<RawPeerToPeer>>,
    pub(super) connect_config: Placed<Setting<RawConnect>>,
    pub(super) listen_config: Placed<Setting<RawListen>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPeerToPeer {
    pub(super) ble_enabled: Placed<bool>,
    pub(super) lan_enabled: Placed<bool>,
    pub(super) lan_mdns_enabled: Placed<bool>,
    pub(super) lan_multicast_enabled: Placed<bool>,
    pub(super) awdl_enabled: Placed<bool>,
    pub(super) wifi_aware_enabled: Placed<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawConnect {
    pub(super) known_tcp_servers: Placed<Setting<Vec<Spanned<String>>>>,
    pub(super) known_ws_servers: Placed<Setting<Vec<Spanned<WordOr<RawWebServer>>>>>,
    pub(super) retry_interval_msec: Placed<Setting<u64>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawWebServer {
    pub(super) url: Spanned<String>,
    pub(super) ca_file: Placed<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawListen {
    pub(super) tcp_listen: Placed<Setting<RawTcpListen>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTcpListen {
    #[serde(alias = "enabled")]
    pub(super) enable: Placed<bool>,
    #[serde(alias = "interface_ip")]
    pub(super) ip: Placed<String>,
    pub(super) port: Placed<u16>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawHttpServer {
    pub(super) listen_addr: Spanned<String>,
    pub(super) tls_config: Spanned<WordOr<RawTls>>,
    pub(super) http_api: Spanned<Setting<RawHttpApi>>,
    pub(super) enable_healthcheck: Placed<bool>,
    pub(super) serve_docs: Placed<bool>,
    pub(super) request_timeout_ms: Placed<u64>,
    pub(super) max_connections: Placed<u64>,
    pub(super) throttling: Placed<Anything>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTls {
    pub(super) cert: Spanned<String>,
    pub(super) key: Spanned<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawHttpApi {
    pub(super) execute: Placed<Setting<RawEndpoint>>,
    pub(super) attachments_upload: Placed<Setting<RawEndpoint>>,
    pub(super) attachments_download: Placed<Setting<RawEndpoint>>,
    pub(super) presence: Placed<Setting<RawEndpoint>>,
    pub(super) logs: Placed<Setting<RawEndpoint>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawEndpoint {
    pub(super) enabled: Placed<bool>,
    pub(super) max_body_size_mb: Placed<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAuth {
    pub(super) identities: BTreeMap<String, Spanned<RawIdentity>>,
    pub(super) permission_sets: BTreeMap<String, Spanned<RawPermissionSet>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawIdentity {
    pub(super) credential: RawCredential,
    pub(super) permissions: Vec<Spanned<String>>,
    pub(super) id: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCredential {
    pub(super) api_key: Spanned<RawSecret>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPermissionSet {
    pub(super) permissions: Spanned<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLogging {
    pub(super) ditto_sdk: Placed<String>,
    pub(super) edge_server: Placed<Setting<RawEdgeLogging>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawEdgeLogging {
    pub(super) level: Placed<String>,
    pub(super) console_logs: Placed<Setting<String>>,
    pub(super) rotating_logs: Placed<Anything>,
    pub(super) audit_logs: Placed<Anything>,
}

/// `true`, `false`, or a value.
#[derive(Debug)]
pub(super) enum Setting<T> {
    Bool(bool),
    Given(T),
}

/// A single word, or a structure.
#[derive(Debug)]
pub(super) enum WordOr<T> {
    Word(String),
    Given(T),
}

/// Any value of a feature that is not built yet: all that matters is whether it asks for the feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anything {
    /// `false`, or an empty list.
    Off,
    /// Whatever else.
    Asked,
}

/// Serde's untagged enums lose the place in the file, so these three choose by what the file holds.
struct Choose<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Choose<Setting<T>> {
    type Value = Setting<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("true, false, null or a value")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Setting::Bool(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Self::Value, E> {
        T::deserialize(StrDeserializer::new(value)).map(Setting::Given)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        T::deserialize(U64Deserializer::new(value)).map(Setting::Given)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
        T::deserialize(SeqAccessDeserializer::new(list)).map(Setting::Given)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Setting::Given)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Setting<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Choose::<Self>(PhantomData))
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Choose<WordOr<T>> {
    type Value = WordOr<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a word or a mapping")
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Self::Value, E> {
        Ok(WordOr::Word(value.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(WordOr::Given)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for WordOr<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Choose::<Self>(PhantomData))
    }
}

impl<'de> Visitor<'de> for Choose<Anything> {
    type Value = Anything;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any value")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
        Ok(if value {
            Anything::Asked
        } else {
            Anything::Off
        })
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Anything::Off)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Self::Value, E> {
        Ok(Anything::Asked)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Anything::Asked)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Anything::Asked)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Anything::Asked)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut found = Anything::Off;
        while list.next_element::<IgnoredAny>()?.is_some() {
            found = Anything::Asked;
        }
        Ok(found)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Anything::Asked)
    }
}

impl<'de> Deserialize<'de> for Anything {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Choose::<Self>(PhantomData))
    }
}
