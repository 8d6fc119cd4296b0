//! The section `database`: the local replica, and the mesh features that are refused until they are built.

use serde_saphyr::{Location, Spanned};

use super::meaning::{Database, Directory};
use super::raw::{
    Placed, RawConnect, RawDatabase, RawDatabaseAuth, RawDirectory, RawListen, RawPeerToPeer,
    RawTransports, Setting, WordOr,
};
use super::resolve::Findings;

/// Longest database id, in bytes; it appears in paths of the HTTP API.
const ID_BYTES_MAX: usize = 128;

pub(super) fn database(raw: RawDatabase, findings: &mut Findings) -> Option<Database> {
    let id = database_id(raw.db_id, findings);
    if raw.device_name.value.is_empty() {
        let place = raw.device_name.referenced;
        findings.refuse(
            "database.device_name",
            place,
            "is empty",
            "give the device a name of one character or more",
        );
    }
    mesh_credential(raw.auth, findings);
    findings.expect_empty("database.subscriptions", raw.subscriptions);
    findings.expect_false(
        "database.auto_fetch_attachments",
        raw.auto_fetch_attachments.as_ref(),
    );
    if let Some(transports) = findings.section("database.transport_config", raw.transport_config) {
        expect_transports_off(transports.value, findings);
    }
    let directory = match raw.persistence_dir {
        None => Some(Directory::NextToExecutable),
        Some(raw) => directory("database.persistence_dir", raw, findings),
    };
    Some(Database {
        id: id?,
        device_name: raw.device_name.value,
        directory: directory?,
    })
}

fn database_id(raw: Spanned<String>, findings: &mut Findings) -> Option<String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let id = raw.value;
    if (1..=ID_BYTES_MAX).contains(&id.len()) && id.bytes().all(is_plain) {
        return Some(id);
    }
    let remedy = "use a UUID, or up to 128 letters, digits, dashes, dots and underscores";
    findings.refuse(
        "database.db_id",
        raw.referenced,
        "is not a database id",
        remedy,
    );
    None
}

fn mesh_credential(raw: Placed<Setting<RawDatabaseAuth>>, findings: &mut Findings) {
    let Some(raw) = findings.section("database.auth", raw) else {
        findings.notice("mesh: off (database.auth is omitted: this node has neither a key nor a server to prove itself with)");
        return;
    };
    let RawDatabaseAuth {
        server,
        small_peer_only,
    } = raw.value;
    let has_server = server.is_some();
    findings.expect_off("database.auth.server", server.as_ref());
    let Some(small_peer) = findings.section("database.auth.small_peer_only", small_peer_only)
    else {
        if !has_server {
            findings.refuse(
                "database.auth",
                raw.referenced,
                "names no way to authenticate",
                "add small_peer_only: {}, or remove database.auth",
            );
        }
        return;
    };
    if has_server {
        findings.refuse(
            "database.auth",
            raw.referenced,
            "names two ways to authenticate",
            "keep exactly one",
        );
    }
    findings.expect_off(
        "database.auth.small_peer_only.key_b64",
        small_peer.value.key_b64.as_ref(),
    );
    findings.notice(
        "mesh: off (sync between peers is not built yet; this node answers HTTP clients only)",
    );
}

fn expect_transports_off(raw: RawTransports, findings: &mut Findings) {
    const PATH: &str = "database.transport_config";
    if let Some(raw) = findings.section(&format!("{PATH}.peer_to_peer"), raw.peer_to_peer) {
        let RawPeerToPeer {
            ble_enabled,
            lan_enabled,
            lan_mdns_enabled,
            lan_multicast_enabled,
            awdl_enabled,
            wifi_aware_enabled,
        } = raw.value;
        let switches = [
            ("ble_enabled", ble_enabled),
            ("lan_enabled", lan_enabled),
            ("lan_mdns_enabled", lan_mdns_enabled),
            ("lan_multicast_enabled", lan_multicast_enabled),
            ("awdl_enabled", awdl_enabled),
            ("wifi_aware_enabled", wifi_aware_enabled),
        ];
        for (name, switch) in switches {
            findings.expect_false(&format!("{PATH}.peer_to_peer.{name}"), switch.as_ref());
        }
    }
    if let Some(raw) = findings.section(&format!("{PATH}.connect_config"), raw.connect_config) {
        let RawConnect {
            known_tcp_servers,
            known_ws_servers,
            retry_interval_msec,
        } = raw.value;
        findings.expect_empty(
            &format!("{PATH}.connect_config.known_tcp_servers"),
            known_tcp_servers,
        );
        findings.expect_empty(
            &format!("{PATH}.connect_config.known_ws_servers"),
            known_ws_servers,
        );
        findings.expect_off(
            &format!("{PATH}.connect_config.retry_interval_msec"),
            retry_interval_msec.as_ref(),
        );
    }
    if let Some(raw) = findings.section(&format!("{PATH}.listen_config"), raw.listen_config) {
        let RawListen { tcp_listen } = raw.value;
        if let Some(raw) = findings.section(&format!("{PATH}.listen_config.tcp_listen"), tcp_listen)
        {
            findings.expect_false(
                &format!("{PATH}.listen_config.tcp_listen.enable"),
                raw.value.enable.as_ref(),
            );
        }
    }
}

fn directory(
    path: &str,
    raw: Spanned<WordOr<RawDirectory>>,
    findings: &mut Findings,
) -> Option<Directory> {
    const FORMS: &str = "write from_current_exe, temp_dir, { path: ... } or { from_env: NAME }";
    let place = raw.referenced;
    match raw.value {
        WordOr::Word(word) if word == "from_current_exe" => Some(Directory::NextToExecutable),
        WordOr::Word(word) if word == "temp_dir" => Some(Directory::Temporary),
        WordOr::Word(_) => {
            findings.refuse(path, place, "names no directory", FORMS);
            None
        }
        WordOr::Given(RawDirectory {
            path: Some(typed),
            from_env: None,
        }) => {
            filled(format!("{path}.path"), typed, findings).map(|text| Directory::Path(text.into()))
        }
        WordOr::Given(RawDirectory {
            path: None,
            from_env: Some(name),
        }) => filled(format!("{path}.from_env"), name, findings).map(Directory::FromEnvironment),
        WordOr::Given(_) => {
            findings.refuse(path, place, "needs exactly one of path and from_env", FORMS);
            None
        }
    }
}

fn filled(path: String, text: Spanned<String>, findings: &mut Findings) -> Option<String> {
    let place: Location = text.referenced;
    if text.value.is_empty() {
        findings.refuse(path, place, "is empty", "write a path or a name");
        return None;
    }
    Some(text.value)
}
