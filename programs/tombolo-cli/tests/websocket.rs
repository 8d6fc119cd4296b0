//! Real nodes that sync over WebSocket through the HTTPS port of a hub that has no other port.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod support;

use support::peer::{Peer, Plan};
use support::{Node, get};
use tempfile::TempDir;
use tombolo::SharedKey;

/// A certificate for `localhost` that is its own root, and its key.
fn certificate() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

/// A node with an HTTP server alone, and its port.
fn hub(key: &SharedKey, home: TempDir, tls: &str) -> (Node, String) {
    let node = Node::start_in(
        home,
        &format!(
            "database:\n  db_id: mesh-test\n  device_name: hub\n  persistence_dir: {{ path: data }}\n  \
             auth: {{ small_peer_only: {{ key_b64: \"{}\" }} }}\n  subscriptions: [\"SELECT * FROM cars\"]\n\
             http_server: {{ listen_addr: \"127.0.0.1:0\", tls_config: {tls}, http_api: true }}\n\
             auth: dev_mode\nlogging: {{ ditto_sdk: info, edge_server: {{ level: info }} }}\n",
            *key.to_base64()
        ),
    );
    let port = node.address.rsplit_once(':').unwrap().1.to_owned();
    (node, port)
}

fn client(name: &'static str, key: &SharedKey, servers: &str, root: &str) -> Peer {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("root.pem"), root).unwrap();
    let mut plan = Plan::new(name, key);
    plan.ws_servers = servers.to_owned();
    Peer::start_in(home, plan)
}

#[test]
fn two_nodes_sync_through_the_https_port_of_a_third_with_a_private_root() {
    let key = SharedKey::generate().unwrap();
    let (root, secret) = certificate();
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("cert.pem"), &root).unwrap();
    std::fs::write(home.path().join("key.pem"), secret).unwrap();
    let (_hub, port) = hub(&key, home, "{ cert: cert.pem, key: key.pem }");
    let servers = format!("[{{ url: \"wss://localhost:{port}\", ca_file: root.pem }}]");
    let left = client("left", &key, &servers, &root);
    let right = client("right", &key, &servers, &root);
    left.run("INSERT INTO cars DOCUMENTS ({'_id': 'l'})");
    right.run("INSERT INTO cars DOCUMENTS ({'_id': 'r'})");
    for peer in [&left, &right] {
        peer.wait_for(
            "SELECT _id FROM cars ORDER BY _id",
            r#"[{"_id":"l"},{"_id":"r"}]"#,
        );
    }
    let presence = left.ask(&get("/presence"));
    assert!(presence.contains("\"WebSocket\""), "{presence}");

    let (other_root, _) = certificate();
    let stranger = client("stranger", &key, &servers, &other_root);
    stranger.wait_for_log(&["no link to a known server", "outer_tls"]);
}

#[test]
fn a_node_with_another_key_is_refused_inside_the_websocket() {
    let (hub, port) = hub(
        &SharedKey::generate().unwrap(),
        tempfile::tempdir().unwrap(),
        "dev_mode",
    );
    let servers = format!("[\"ws://127.0.0.1:{port}\"]");
    let key = SharedKey::generate().unwrap();
    let stranger = client("stranger", &key, &servers, "");
    stranger.wait_for_log(&["no link to a known server", "foreign_key"]);
    let answer = hub.send(&get("/presence"));
    support::assert_status(&answer, 200);
}
