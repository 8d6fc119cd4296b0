//! Meshes over WebSocket: the same proofs inside, whatever the outside looks like.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tombolo_identity::SharedKey;
use tombolo_mesh::{
    FRAME_BYTES_MAX, Mesh, MeshConfig, Transport, WEBSOCKET_PATH, WebServer, websocket_accept,
};

use super::node::{next, peer_key, soon, start, until};

const REQUEST: &str = "GET /_ditto/sync HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// Outside: whose certificate counts does not matter in the clear.
fn outer() -> Arc<ClientConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let roots = RootCertStore::empty();
    Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
}

/// A mesh that peers come to over WebSocket alone, and where.
struct Hub {
    mesh: Arc<Mesh>,
    address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Hub {
    async fn start(shared: &SharedKey) -> Self {
        let config = MeshConfig {
            max_handshakes: 4,
            ..MeshConfig::default()
        };
        let mesh = Arc::new(start(shared, &peer_key(), config).await);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let hub = Arc::clone(&mesh);
        let serving = tokio::spawn(async move {
            while let Ok((tcp, from)) = listener.accept().await {
                let hub = Arc::clone(&hub);
                tokio::spawn(async move {
                    if let Some(tcp) = switched(tcp).await {
                        hub.accept_websocket(tcp, from).await;
                    }
                });
            }
        });
        Self {
            mesh,
            address,
            serving,
        }
    }

    fn server(&self) -> WebServer {
        WebServer::new(&format!("ws://{}", self.address), outer()).unwrap()
    }

    async fn dial(&self, shared: &SharedKey) -> Mesh {
        let config = MeshConfig {
            known_ws_servers: vec![self.server()],
            ..MeshConfig::default()
        };
        start(shared, &peer_key(), config).await
    }

    /// A stranger that says these bytes after the switch, until the hub hangs up.
    async fn hear(&self, bytes: &[u8]) {
        let mut tcp = TcpStream::connect(self.address).await.unwrap();
        tcp.write_all(REQUEST.as_bytes()).await.unwrap();
        assert!(head(&mut tcp).await.starts_with("HTTP/1.1 101 "));
        tcp.write_all(bytes).await.unwrap();
        let mut rest = Vec::new();
        // It may be reset, since nobody reads what else was sent.
        let _ = soon(tcp.read_to_end(&mut rest)).await;
    }
}

/// The head of an HTTP message, and no byte behind it.
async fn head(tcp: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(tcp.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// What an HTTP server does with a request for WebSocket.
async fn switched(mut tcp: TcpStream) -> Option<TcpStream> {
    let text = head(&mut tcp).await;
    let mut lines = text.lines();
    let path = lines.next()?.split(' ').nth(1)?;
    let mut request = http::Request::get(path);
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        request = request.header(name, value);
    }
    let (parts, ()) = request.body(()).ok()?.into_parts();
    let headers = match websocket_accept(&parts) {
        Ok(headers) if path == WEBSOCKET_PATH => headers,
        _ => {
            tcp.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
                .await
                .ok()?;
            return None;
        }
    };
    let mut answer = "HTTP/1.1 101 Switching Protocols\r\n".to_owned();
    for (name, value) in &headers {
        answer += &format!("{name}: {}\r\n", value.to_str().ok()?);
    }
    tcp.write_all(format!("{answer}\r\n").as_bytes())
        .await
        .ok()?;
    Some(tcp)
}

#[tokio::test]
async fn frames_cross_a_websocket_in_both_directions() {
    let shared = SharedKey::generate().unwrap();
    let hub = Hub::start(&shared).await;
    let client = hub.dial(&shared).await;
    let (accepted, dialled) = tokio::join!(next(&hub.mesh), next(&client));
    assert_eq!(dialled.link.peer().peer_key(), hub.mesh.peer_key());
    assert_eq!(accepted.link.peer().peer_key(), client.peer_key());
    assert_eq!(dialled.link.transport(), Transport::WebSocket);
    assert_eq!(accepted.link.transport(), Transport::WebSocket);
    let (mut to_hub, mut from_hub) = dialled.link.split();
    let (mut to_client, mut from_client) = accepted.link.split();
    let large = Bytes::from(vec![7; FRAME_BYTES_MAX]);
    let sent = [Bytes::from_static(b"question"), large.clone()];
    let asking = async {
        to_hub.send(&sent).await.unwrap();
        to_hub.finish().await.unwrap();
        from_hub.receive().await.unwrap()
    };
    let answering = async {
        let mut heard = Vec::new();
        while let Some(frame) = from_client.receive().await.unwrap() {
            heard.push(frame);
        }
        to_client.send(std::slice::from_ref(&large)).await.unwrap();
        heard
    };
    let (answered, heard) = soon(async { tokio::join!(asking, answering) }).await;
    assert!(answered == Some(large.clone()) && heard == sent);
}

#[tokio::test]
async fn t05_another_key_is_refused_inside_the_websocket() {
    let shared = SharedKey::generate().unwrap();
    let hub = Hub::start(&shared).await;
    let stranger = hub.dial(&SharedKey::generate().unwrap()).await;
    let told = until(&stranger, |status| status.servers[0].last_failure.is_some()).await;
    assert_eq!(
        told.failures.keys().copied().collect::<Vec<_>>(),
        ["foreign_key"]
    );
    // The stranger hangs up on seeing the hub's leaf, before it shows its own.
    let told = until(&hub.mesh, |status| !status.failures.is_empty()).await;
    assert!(told.links.is_empty(), "{told:?}");
    let again = hub.dial(&shared).await;
    next(&again).await;
}

#[tokio::test]
async fn t50_who_breaks_the_rules_of_websocket_gets_no_link_and_no_place() {
    let shared = SharedKey::generate().unwrap();
    let hub = Hub::start(&shared).await;
    let unmasked: &[u8] = &[0x82, 1, 7];
    let stray: &[u8] = &[0x80, 0x81, 0, 0, 0, 0, 7];
    let text: &[u8] = &[0x81, 0x81, 0, 0, 0, 0, 7];
    let too_large: &[u8] = &[0x82, 0xff, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0];
    let pings = [0x89, 0x80, 0, 0, 0, 0].repeat(1000);
    let no_tls: &[u8] = &[0x82, 0x83, 0, 0, 0, 0, b'G', b'E', b'T'];
    let bad = [unmasked, stray, text, too_large, &pings, no_tls];
    for bytes in bad {
        hub.hear(bytes).await;
    }
    let count = u64::try_from(bad.len()).unwrap();
    let told = until(&hub.mesh, |status| {
        status.failures.values().sum::<u64>() == count
    })
    .await;
    assert_eq!(told.failures.get("io"), Some(&5), "{told:?}");
    assert_eq!(told.failures.get("not_tls"), Some(&1), "{told:?}");
    assert!(told.links.is_empty() && told.turned_away == 0);
    next(&hub.dial(&shared).await).await;
}

#[tokio::test]
async fn half_open_websockets_are_bounded_like_any_handshake() {
    let shared = SharedKey::generate().unwrap();
    let hub = Hub::start(&shared).await;
    let mut held = Vec::new();
    for _ in 0..4 {
        let mut tcp = TcpStream::connect(hub.address).await.unwrap();
        tcp.write_all(REQUEST.as_bytes()).await.unwrap();
        head(&mut tcp).await;
        held.push(tcp);
    }
    until(&hub.mesh, |status| status.accepted == 4).await;
    hub.hear(b"").await;
    let told = until(&hub.mesh, |status| status.turned_away == 1).await;
    assert!(told.links.is_empty());
    drop(held);
    until(&hub.mesh, |status| {
        status.failures.values().sum::<u64>() == 4
    })
    .await;
    next(&hub.dial(&shared).await).await;
}

#[tokio::test]
async fn a_server_without_websocket_is_named_with_its_status() {
    let shared = SharedKey::generate().unwrap();
    let hub = Hub::start(&shared).await;
    let url = format!("ws://{}/elsewhere", hub.address);
    let config = MeshConfig {
        known_ws_servers: vec![WebServer::new(&url, outer()).unwrap()],
        ..MeshConfig::default()
    };
    let client = start(&shared, &peer_key(), config).await;
    let told = until(&client, |status| status.servers[0].last_failure.is_some()).await;
    assert_eq!(told.servers[0].server, url);
    let reason = told.servers[0].last_failure.clone().unwrap();
    assert!(reason.contains("HTTP 404"), "{reason}");
    assert!(told.failures.contains_key("no_websocket"), "{told:?}");
}
