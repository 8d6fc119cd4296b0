//! The keys `database.auth` and `database.transport_config`: how the node proves itself to peers and reaches them.
//! Without a key or a login nothing is started: no byte ever goes to a peer that was not proven.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tombolo::SharedKey;

use super::meaning::{Mesh, Proof, Transports};
use super::raw::{
    Anything, Placed, RawConnect, RawDatabaseAuth, RawListen, RawPeerToPeer, RawSecret,
    RawSmallPeerOnly, RawTcpListen, RawTransports, Setting, Spanned,
};
use super::resolve::Findings;
use super::{resolve_auth_server, resolve_secret, resolve_ws};

const AUTH: &str = "database.auth";
const KEY: &str = "database.auth.small_peer_only.key_b64";
const TRANSPORTS: &str = "database.transport_config";
const SERVERS: &str = "database.transport_config.connect_config.known_tcp_servers";
const LISTEN: &str = "database.transport_config.listen_config.tcp_listen";
const RETRY: &str = "database.transport_config.connect_config.retry_interval_msec";
/// Servers that one node dials; each costs a task.
const SERVERS_MAX: usize = 64;
/// Longest `host:port`; names of DNS have at most 253 bytes.
const SERVER_BYTES_MAX: usize = 300;
const UNREACHABLE: &str = "mesh: off (transport_config has neither tcp_listen nor known servers, there is no http_server, and peers are not discovered yet)";
const RETRY_MS_MIN: u64 = 50;
const RETRY_MS_MAX: u64 = 60 * 60 * 1000;

/// Whether this node runs an identity service, which it can log in to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OwnService {
    Here,
    Elsewhere,
}

/// Whether peers may come in by the node's HTTP server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Door {
    Http,
    None,
}

pub(super) fn mesh(
    auth: Placed<Setting<RawDatabaseAuth>>,
    transports: Placed<Setting<RawTransports>>,
    (own, door): (OwnService, Door),
    findings: &mut Findings,
) -> Option<Mesh> {
    let proof = means(auth, own, findings);
    let mut transports = match findings.section(TRANSPORTS, transports) {
        None => Transports::default(),
        Some(raw) => transports_of(raw.value, findings),
    };
    if let Means::Given(Proof::Login(login)) = &proof
        && login.is_synced
    {
        let server = resolve_ws::beside(&login.server);
        if transports
            .ws_servers
            .iter()
            .all(|other| other.url != server.url)
        {
            transports.ws_servers.push(server);
        }
    }
    let asks = transports.listen.is_some()
        || !transports.servers.is_empty()
        || !transports.ws_servers.is_empty();
    let reaches = asks || (door == Door::Http && matches!(proof, Means::Given(_)));
    match (proof, reaches) {
        (Means::Given(proof), true) => Some(Mesh { proof, transports }),
        (Means::Given(Proof::SharedKey(_)), false) => {
            findings.notice(UNREACHABLE);
            None
        }
        // It logs in all the same: what it may write holds without peers too.
        (Means::Given(proof), false) => {
            findings.notice(UNREACHABLE);
            Some(Mesh { proof, transports })
        }
        (Means::Absent(why), true) => {
            findings.notice(format!(
                "mesh: off ({why}; tcp_listen and the known servers stay off)"
            ));
            None
        }
        (Means::Absent(why), false) => {
            findings.notice(format!("mesh: off ({why})"));
            None
        }
        (Means::Refused, _) => None,
    }
}

/// What the node has to prove itself with.
enum Means {
    Given(Proof),
    /// And why.
    Absent(&'static str),
    /// A problem was told.
    Refused,
}

fn means(raw: Placed<Setting<RawDatabaseAuth>>, own: OwnService, findings: &mut Findings) -> Means {
    let Some(raw) = findings.section(AUTH, raw) else {
        return match own {
            OwnService::Here => Means::Given(Proof::OwnService),
            OwnService::Elsewhere => Means::Absent(
                "database.auth is omitted: this node has neither a key nor a server to prove itself with",
            ),
        };
    };
    let RawDatabaseAuth {
        server,
        small_peer_only,
    } = raw.value;
    let server = findings.section("database.auth.server", server);
    let small_peer = findings.section("database.auth.small_peer_only", small_peer_only);
    match (server, small_peer) {
        (None, None) => {
            let remedy =
                "add server: { ... } or small_peer_only: { key_b64: ... }, or remove database.auth";
            let what = "names no way to authenticate";
            findings.refuse(AUTH, raw.referenced, what, remedy);
            Means::Refused
        }
        (Some(_), Some(_)) => {
            let what = "names two ways to authenticate";
            findings.refuse(AUTH, raw.referenced, what, "keep exactly one");
            Means::Refused
        }
        (Some(server), None) => {
            let login = resolve_auth_server::login(server, findings);
            let proof = login.map(|login| Proof::Login(Box::new(login)));
            proof.map_or(Means::Refused, Means::Given)
        }
        (None, Some(small_peer)) => shared_key(small_peer.value, findings),
    }
}

fn shared_key(raw: RawSmallPeerOnly, findings: &mut Findings) -> Means {
    let token = raw.offline_license_token;
    if token.is_some_and(|token| token.value == Anything::Asked) {
        findings.notice("offline_license_token: is not needed and was not read");
    }
    match findings.section(KEY, raw.key_b64) {
        None => Means::Absent(
            "small_peer_only has no key_b64: this node has no key to prove itself with; make one with: tombolo shared-key generate",
        ),
        Some(raw) => {
            let key = key(raw, findings).map(|key| Proof::SharedKey(Box::new(key)));
            key.map_or(Means::Refused, Means::Given)
        }
    }
}

fn key(raw: Spanned<RawSecret>, findings: &mut Findings<'_>) -> Option<SharedKey> {
    let secret = resolve_secret::secret(KEY, raw, findings)?;
    match SharedKey::parse(&secret.text) {
        Ok(key) => Some(key),
        Err(error) => {
            findings.refuse(KEY, secret.place, secret.complaint(error), "");
            None
        }
    }
}

fn transports_of(raw: RawTransports, findings: &mut Findings) -> Transports {
    let mut transports = Transports::default();
    let nearby = findings.section(&format!("{TRANSPORTS}.peer_to_peer"), raw.peer_to_peer);
    if let Some(nearby) = nearby {
        expect_discovery_off(nearby.value, findings);
    }
    let connect = findings.section(&format!("{TRANSPORTS}.connect_config"), raw.connect_config);
    if let Some(connect) = connect {
        let RawConnect {
            known_tcp_servers,
            known_ws_servers,
            retry_interval_msec,
        } = connect.value;
        transports.servers = servers(known_tcp_servers, findings);
        transports.ws_servers = resolve_ws::servers(known_ws_servers, findings);
        transports.retry_interval = retry_interval(retry_interval_msec, findings);
    }
    let listen = findings.section(&format!("{TRANSPORTS}.listen_config"), raw.listen_config);
    if let Some(listen) = listen {
        let RawListen { tcp_listen } = listen.value;
        if let Some(raw) = findings.section(LISTEN, tcp_listen) {
            transports.listen = listen_address(raw, findings);
        }
    }
    transports
}

fn expect_discovery_off(raw: RawPeerToPeer, findings: &mut Findings) {
    let RawPeerToPeer {
        ble_enabled,
        lan_enabled,
        lan_mdns_enabled,
        lan_multicast_enabled,
        awdl_enabled,
        wifi_aware_enabled,
    } = raw;
    let switches = [
        ("ble_enabled", ble_enabled),
        ("lan_enabled", lan_enabled),
        ("lan_mdns_enabled", lan_mdns_enabled),
        ("lan_multicast_enabled", lan_multicast_enabled),
        ("awdl_enabled", awdl_enabled),
        ("wifi_aware_enabled", wifi_aware_enabled),
    ];
    for (name, switch) in switches {
        let path = format!("{TRANSPORTS}.peer_to_peer.{name}");
        findings.expect_false(&path, switch.as_ref());
    }
}

fn servers(raw: Placed<Setting<Vec<Spanned<String>>>>, findings: &mut Findings) -> Vec<String> {
    let Some(raw) = findings.section(SERVERS, raw) else {
        return Vec::new();
    };
    if raw.value.len() > SERVERS_MAX {
        let remedy =
            format!("keep at most {SERVERS_MAX}: peers behind a server are reached through it");
        findings.refuse(SERVERS, raw.referenced, "has too many entries", remedy);
        return Vec::new();
    }
    let mut servers = Vec::with_capacity(raw.value.len());
    for (index, server) in raw.value.into_iter().enumerate() {
        let path = format!("{SERVERS}[{index}]");
        if servers.contains(&server.value) {
            let remedy = "remove one of them: one link to a peer is enough";
            findings.refuse(path, server.referenced, "stands here twice", remedy);
        } else if is_server(&server.value) {
            servers.push(server.value);
        } else {
            let remedy = "write host:port, for example 192.168.1.20:4040 or hub.example:4040";
            findings.refuse(path, server.referenced, "is not a host with a port", remedy);
        }
    }
    servers
}

fn is_server(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else {
        return false;
    };
    let is_host = match host.strip_prefix('[') {
        Some(inside) => inside
            .strip_suffix(']')
            .is_some_and(|inside| inside.parse::<std::net::Ipv6Addr>().is_ok()),
        None => !host.is_empty() && !host.contains([':', '/', ' ', '@']),
    };
    is_host && port.parse::<u16>().is_ok_and(|port| port > 0) && text.len() <= SERVER_BYTES_MAX
}

fn retry_interval(raw: Placed<Setting<u64>>, findings: &mut Findings) -> Option<Duration> {
    let raw = findings.section(RETRY, raw)?;
    if (RETRY_MS_MIN..=RETRY_MS_MAX).contains(&raw.value) {
        return Some(Duration::from_millis(raw.value));
    }
    let remedy = format!("write a number from {RETRY_MS_MIN} to {RETRY_MS_MAX}");
    findings.refuse(RETRY, raw.referenced, "is out of range", remedy);
    None
}

/// Where to listen, if it is enabled; `enable` is documented as a switch of its own.
fn listen_address(raw: Spanned<RawTcpListen>, findings: &mut Findings) -> Option<SocketAddr> {
    let RawTcpListen { enable, ip, port } = raw.value;
    let address = match &ip {
        None => None,
        Some(ip) => {
            let address = address_of(&ip.value);
            if address.is_none() {
                let remedy = "write an address of this machine, 127.0.0.1 for itself alone, or 0.0.0.0 or [::] for all networks";
                findings.refuse(
                    format!("{LISTEN}.ip"),
                    ip.referenced,
                    "is not an IP address",
                    remedy,
                );
            }
            address
        }
    };
    if !enable.is_some_and(|enable| enable.value) {
        return None;
    }
    if ip.is_none() || port.is_none() {
        findings.refuse(
            LISTEN,
            raw.referenced,
            "is enabled without ip or port",
            "write both, for example ip: 0.0.0.0 and port: 4040",
        );
    }
    Some(SocketAddr::new(address?, port?.value))
}

fn address_of(text: &str) -> Option<IpAddr> {
    let inside = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    inside.unwrap_or(text).parse().ok()
}
