//! The servers that are dialled over WebSocket: those of `known_ws_servers`, and the one of `enable_cloud_sync`.

use tombolo::{AuthServer, WEBSOCKET_PATH, WebSocketServer};

use super::raw::{Placed, RawWebServer, Setting, Spanned, WordOr};
use super::resolve::Findings;
use super::resolve_database::filled;

const SERVERS: &str = "database.transport_config.connect_config.known_ws_servers";
/// Servers that one node dials; each costs a task.
const SERVERS_MAX: usize = 64;

pub(super) fn servers(
    raw: Placed<Setting<Vec<Spanned<WordOr<RawWebServer>>>>>,
    findings: &mut Findings,
) -> Vec<WebSocketServer> {
    let Some(raw) = findings.section(SERVERS, raw) else {
        return Vec::new();
    };
    if raw.value.len() > SERVERS_MAX {
        let remedy =
            format!("keep at most {SERVERS_MAX}: peers behind a server are reached through it");
        findings.refuse(SERVERS, raw.referenced, "has too many entries", remedy);
        return Vec::new();
    }
    let mut servers: Vec<WebSocketServer> = Vec::with_capacity(raw.value.len());
    for (index, server) in raw.value.into_iter().enumerate() {
        let path = format!("{SERVERS}[{index}]");
        let place = server.referenced;
        let (url, ca_file) = match server.value {
            WordOr::Word(url) => (url, None),
            WordOr::Given(RawWebServer { url, ca_file }) => {
                let ca_file = ca_file.map(|file| filled(format!("{path}.ca_file"), file, findings));
                (url.value, ca_file.flatten())
            }
        };
        if servers.iter().any(|other| other.url == url) {
            let remedy = "remove one of them: one link to a peer is enough";
            findings.refuse(path, place, "stands here twice", remedy);
        } else if let Err(error) = WebSocketServer::check_url(&url) {
            let remedy = "write for example wss://hub.example, or { url: ..., ca_file: root.pem }";
            findings.refuse(path, place, error.to_string(), remedy);
        } else {
            let ca_file = ca_file.map(Into::into);
            servers.push(WebSocketServer { url, ca_file });
        }
    }
    servers
}

/// The server behind the URL of its identity service: the same host, port and roots, and the
/// path of sync behind the path of the service.
pub(super) fn beside(service: &AuthServer) -> WebSocketServer {
    let base = service.url.trim_end_matches('/');
    let rest = base.split_once("://").map_or(base, |(_, rest)| rest);
    let scheme = match base.get(..6) {
        Some(begin) if begin.eq_ignore_ascii_case("https:") => "wss",
        _ => "ws",
    };
    WebSocketServer {
        url: format!("{scheme}://{rest}{WEBSOCKET_PATH}"),
        ca_file: service.ca_file.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_stands_beside_its_identity_service() {
        for (service, server) in [
            ("https://auth.example", "wss://auth.example/_ditto/sync"),
            (
                "HTTPS://auth.example:8443/",
                "wss://auth.example:8443/_ditto/sync",
            ),
            (
                "https://auth.example/tenant/",
                "wss://auth.example/tenant/_ditto/sync",
            ),
            ("http://127.0.0.1:8080", "ws://127.0.0.1:8080/_ditto/sync"),
        ] {
            let found = beside(&AuthServer::new(service));
            assert_eq!(found.url, server);
            assert_eq!(WebSocketServer::check_url(&found.url), Ok(()));
        }
    }
}
