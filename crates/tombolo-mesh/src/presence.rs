//! Who is in the mesh, in the documented JSON shape: a local peer, remote peers,
//! and the connections between them. Names of both documented generations stand
//! side by side; `direct` is ours. It tells only what neighbours said of themselves.

use serde::Serialize;
use serde_json::{Map, Value};
use tombolo_identity::PeerPublicKey;

use crate::link::Transport;

/// Longest metadata that a peer may tell of itself, as JSON, in bytes.
pub const PEER_METADATA_BYTES_MAX: usize = 4096;

/// What a peer tells of itself. Nothing of it is proven but the key.
#[derive(Debug, Clone, PartialEq)]
pub struct Neighbour {
    /// Who it is.
    pub peer_key: PeerPublicKey,
    /// Its name for people.
    pub device_name: String,
    /// Its operating system: Generic, iOS, tvOS, Android, Linux, Windows, macOS.
    pub os: Option<String>,
    /// The version of its program.
    pub sdk_version: Option<String>,
    /// Whether it is linked to a server.
    pub is_connected_to_server: bool,
    /// What its user tells.
    pub metadata: Map<String, Value>,
    /// What the identity service tells of it.
    pub identity_metadata: Map<String, Value>,
}

/// The mesh as one peer sees it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PresenceGraph {
    /// The peer that looks.
    pub local_peer: Peer,
    /// All others, by peer key.
    pub remote_peers: Vec<Peer>,
}

/// One peer of the graph.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Peer {
    /// Its key.
    pub peer_key: String,
    /// Its key under the older name.
    pub peer_key_string: String,
    /// Its name for people.
    pub device_name: String,
    /// Its operating system, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub os: Option<String>,
    /// The version of its program, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ditto_sdk_version: Option<String>,
    /// Whether it is linked to a server.
    pub is_connected_to_ditto_server: bool,
    /// Whether the local peer can exchange documents with it.
    pub is_compatible: bool,
    /// Whether there is a connection between it and the local peer.
    pub direct: bool,
    /// Its connections as far as they are known, by id.
    pub connections: Vec<Connection>,
    /// What its user tells.
    pub peer_metadata: Map<String, Value>,
    /// What the identity service tells of it.
    pub identity_service_metadata: Map<String, Value>,
}

/// A connection between two peers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Connection {
    /// The same at both ends and after each reconnection.
    pub id: String,
    /// The peer with the smaller key.
    pub peer1: String,
    /// The peer with the greater key.
    pub peer2: String,
    /// The peer with the smaller key, under the older name.
    pub peer_key_string1: String,
    /// The peer with the greater key, under the older name.
    pub peer_key_string2: String,
    /// What carries it.
    pub connection_type: Transport,
}

impl PresenceGraph {
    /// The graph of a peer and those that it is linked to.
    #[must_use]
    pub fn of_neighbours(local: &Neighbour, neighbours: &[(Neighbour, Transport)]) -> Self {
        let mut remote_peers = Vec::with_capacity(neighbours.len());
        let mut connections = Vec::with_capacity(neighbours.len());
        for (neighbour, transport) in neighbours {
            let between = Connection::between(&local.peer_key, &neighbour.peer_key, *transport);
            connections.push(between.clone());
            remote_peers.push(Peer::new(neighbour, true, vec![between]));
        }
        connections.sort();
        remote_peers.sort_by(|one, other| one.peer_key.cmp(&other.peer_key));
        Self {
            local_peer: Peer::new(local, false, connections),
            remote_peers,
        }
    }
}

impl Peer {
    fn new(told: &Neighbour, direct: bool, connections: Vec<Connection>) -> Self {
        let key = told.peer_key.to_string();
        Self {
            peer_key: key.clone(),
            peer_key_string: key,
            device_name: told.device_name.clone(),
            os: told.os.clone(),
            ditto_sdk_version: told.sdk_version.clone(),
            is_connected_to_ditto_server: told.is_connected_to_server,
            is_compatible: true,
            direct,
            connections,
            peer_metadata: told.metadata.clone(),
            identity_service_metadata: told.identity_metadata.clone(),
        }
    }
}

impl Connection {
    /// The connection of two peers over one kind of transport, whichever of them
    /// comes first.
    #[must_use]
    pub fn between(one: &PeerPublicKey, other: &PeerPublicKey, transport: Transport) -> Self {
        let (peer1, peer2) = (one.min(other).to_string(), one.max(other).to_string());
        Self {
            id: format!("{peer1}<->{peer2}:{}", transport.as_str()),
            peer_key_string1: peer1.clone(),
            peer_key_string2: peer2.clone(),
            peer1,
            peer2,
            connection_type: transport,
        }
    }
}

#[cfg(test)]
mod tests {
    use tombolo_identity::SharedKey;

    use super::*;

    fn neighbour(name: &str) -> Neighbour {
        let key = SharedKey::generate().unwrap();
        Neighbour {
            peer_key: PeerPublicKey::parse(key.public().as_bytes()).unwrap(),
            device_name: name.to_owned(),
            os: Some("Linux".to_owned()),
            sdk_version: None,
            is_connected_to_server: false,
            metadata: Map::from_iter([("role".to_owned(), Value::from("till"))]),
            identity_metadata: Map::new(),
        }
    }

    #[test]
    fn the_graph_has_the_documented_names() {
        let (local, near) = (neighbour("local"), neighbour("near"));
        let links = [(near.clone(), Transport::AccessPoint)];
        let graph = serde_json::to_value(PresenceGraph::of_neighbours(&local, &links)).unwrap();
        let (local_key, near_key) = (local.peer_key.to_string(), near.peer_key.to_string());
        let (peer1, peer2) = if local.peer_key < near.peer_key {
            (&local_key, &near_key)
        } else {
            (&near_key, &local_key)
        };
        let connection = serde_json::json!({
            "id": format!("{peer1}<->{peer2}:AccessPoint"),
            "peer1": peer1, "peer2": peer2,
            "peerKeyString1": peer1, "peerKeyString2": peer2,
            "connectionType": "AccessPoint",
        });
        let peer = |key: &str, name: &str, direct: bool| {
            serde_json::json!({
                "peerKey": key, "peerKeyString": key, "deviceName": name, "os": "Linux",
                "isConnectedToDittoServer": false, "isCompatible": true, "direct": direct,
                "connections": [connection], "peerMetadata": {"role": "till"},
                "identityServiceMetadata": {},
            })
        };
        let expected = serde_json::json!({
            "localPeer": peer(&local_key, "local", false),
            "remotePeers": [peer(&near_key, "near", true)],
        });
        assert_eq!(graph, expected);
    }

    #[test]
    fn both_ends_name_a_connection_alike() {
        let (one, other) = (neighbour("a").peer_key, neighbour("b").peer_key);
        let transport = Transport::WebSocket;
        let there = Connection::between(&one, &other, transport);
        assert_eq!(there, Connection::between(&other, &one, transport));
        assert_ne!(
            there.id,
            Connection::between(&one, &other, Transport::AccessPoint).id
        );
    }
}
