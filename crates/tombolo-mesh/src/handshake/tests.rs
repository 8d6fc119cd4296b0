//! Handshakes over real sockets: ours with ours, and ours with peers that show
//! wrong leaves, old versions, other protocols or nothing.

use std::io;

use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{AlertDescription, ClientConfig, HandshakeKind, NamedGroup, ServerConfig};
use tokio_rustls::client;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;
use tombolo_identity::{LEAF_VALID_MS, SharedKey};

use super::strangers::{strange_client, strange_server};
use super::*;
use crate::testing::{DATABASE, NOW_MS, certified, connection, copy, handshaker, peer_key, public};
use crate::websocket::WebSocketBytes;

/// A mesh with one node, and the key of a peer that wants to link to it.
struct Fixture {
    shared: SharedKey,
    node: Handshaker,
    peer_key: Vec<u8>,
}

impl Fixture {
    fn new() -> Self {
        let shared = SharedKey::generate().unwrap();
        let node = handshaker(&shared, &peer_key());
        let peer_key = peer_key();
        Self {
            shared,
            node,
            peer_key,
        }
    }

    fn leaf(&self, shared: &SharedKey, database: &str, now_ms: u64) -> Vec<u8> {
        let key = public(&self.peer_key);
        shared.issue(&key, database, now_ms).unwrap().der
    }

    fn good_leaf(&self) -> Vec<u8> {
        self.leaf(&self.shared, DATABASE, NOW_MS)
    }

    fn good_key(&self) -> Arc<CertifiedKey> {
        certified(&[self.good_leaf()], &self.peer_key)
    }

    /// What the node says of a strange client, and what the client is told.
    async fn accept(&self, config: ClientConfig) -> (Option<HandshakeError>, io::Result<u8>) {
        let (dialled, accepted) = connection().await;
        let node = async {
            let mut proven = self.node.accept(accepted).await?;
            answer(&mut proven.stream, Answer::Welcome).await
        };
        let (node, client) = tokio::join!(node, strange_dial(dialled, Arc::new(config)));
        (node.err(), client.map(|(byte, _)| byte))
    }

    /// What the node says of a strange server.
    async fn dial(&self, config: ServerConfig) -> Option<HandshakeError> {
        let (dialled, accepted) = connection().await;
        let server = TlsAcceptor::from(Arc::new(config)).accept(accepted);
        let (node, server) = tokio::join!(self.node.dial(dialled), server);
        drop(server);
        node.err()
    }
}

/// Dials as a strange client and reads the node's answer.
async fn strange_dial<S: ByteStream>(
    tcp: S,
    config: Arc<ClientConfig>,
) -> io::Result<(u8, client::TlsStream<S>)> {
    let name = ServerName::try_from("any.example").unwrap();
    let mut stream = TlsConnector::from(config).connect(name, tcp).await?;
    let byte = stream.read_u8().await?;
    Ok((byte, stream))
}

fn alert(told: &io::Result<u8>) -> Option<AlertDescription> {
    let error = told.as_ref().expect_err("the client should be refused");
    match error.get_ref()?.downcast_ref()? {
        rustls::Error::AlertReceived(alert) => Some(*alert),
        _ => None,
    }
}

macro_rules! assert_matches {
    ($value:expr, $pattern:pat) => {
        let value = $value;
        assert!(matches!(value, $pattern), "{value:?}");
    };
}

#[tokio::test]
async fn two_nodes_of_a_mesh_prove_themselves_to_each_other() {
    let shared = SharedKey::generate().unwrap();
    let (one_key, other_key) = (peer_key(), peer_key());
    let (one, other) = (
        handshaker(&shared, &one_key),
        handshaker(&shared, &other_key),
    );
    let (dialled, accepted) = connection().await;
    let accepting = async {
        let mut proven = other.accept(accepted).await?;
        answer(&mut proven.stream, Answer::Welcome).await?;
        Ok::<_, HandshakeError>(proven)
    };
    let dialling = async {
        let mut proven = one.dial(dialled).await?;
        await_answer(&mut proven.stream).await?;
        Ok::<_, HandshakeError>(proven)
    };
    let (accepted, dialled) = tokio::join!(accepting, dialling);
    let (accepted, dialled) = (accepted.unwrap(), dialled.unwrap());
    assert_eq!(accepted.basis.peer.peer_key(), &public(&one_key));
    assert_eq!(dialled.basis.peer.peer_key(), &public(&other_key));
    assert_eq!(dialled.remains, Duration::from_millis(LEAF_VALID_MS));
    let (_, tls) = dialled.stream.get_ref();
    let group = tls.negotiated_key_exchange_group().unwrap();
    assert_eq!(group.name(), NamedGroup::X25519MLKEM768);
}

#[tokio::test]
async fn each_answer_reaches_the_side_that_dialled() {
    let fixture = Fixture::new();
    let peer = handshaker(&fixture.shared, &fixture.peer_key);
    for (said, kind) in [
        (Answer::Full, "peer_full"),
        (Answer::Duplicate, "duplicate"),
    ] {
        let (dialled, accepted) = connection().await;
        let accepting = async {
            let mut proven = fixture.node.accept(accepted).await?;
            answer(&mut proven.stream, said).await
        };
        let dialling = async {
            let mut proven = peer.dial(dialled).await?;
            await_answer(&mut proven.stream).await
        };
        let (accepted, dialled) = tokio::join!(accepting, dialling);
        accepted.unwrap();
        assert_eq!(dialled.unwrap_err().kind(), kind);
    }
}

#[tokio::test]
async fn a_strange_client_with_a_good_leaf_is_let_in() {
    let fixture = Fixture::new();
    let (refused, told) = fixture
        .accept(strange_client(&TLS13, Some(fixture.good_key())))
        .await;
    assert!(refused.is_none(), "{refused:?}");
    assert_eq!(told.unwrap(), 1);
}

#[tokio::test]
async fn wrong_leaves_are_refused_and_told_apart_by_both_sides() {
    let fixture = Fixture::new();
    let foreign = SharedKey::generate().unwrap();
    let old_ms = NOW_MS - LEAF_VALID_MS - 1000;
    let cases = [
        (
            "foreign_key",
            fixture.leaf(&foreign, DATABASE, NOW_MS),
            AlertDescription::UnknownCA,
        ),
        (
            "wrong_database",
            fixture.leaf(&fixture.shared, "x", NOW_MS),
            AlertDescription::AccessDenied,
        ),
        (
            "expired",
            fixture.leaf(&fixture.shared, DATABASE, old_ms),
            AlertDescription::CertificateExpired,
        ),
        (
            "not_yet_valid",
            fixture.leaf(&fixture.shared, DATABASE, NOW_MS + 7_200_000),
            AlertDescription::CertificateExpired,
        ),
        (
            "certificate",
            b"no certificate".to_vec(),
            AlertDescription::BadCertificate,
        ),
    ];
    for (kind, leaf, alerted) in cases {
        let key = certified(&[leaf], &fixture.peer_key);
        let (refused, told) = fixture
            .accept(strange_client(&TLS13, Some(Arc::clone(&key))))
            .await;
        assert_eq!(refused.unwrap().kind(), kind);
        assert_eq!(alert(&told), Some(alerted), "{kind}");
        if kind != "certificate" {
            let refused = fixture.dial(strange_server(&TLS13, key)).await;
            assert_eq!(refused.unwrap().kind(), kind);
        }
    }
}

#[tokio::test]
async fn a_chain_behind_a_good_leaf_is_refused() {
    let fixture = Fixture::new();
    let chain = vec![fixture.good_leaf(); 10];
    let key = certified(&chain, &fixture.peer_key);
    let (refused, told) = fixture.accept(strange_client(&TLS13, Some(key))).await;
    assert_matches!(refused, Some(HandshakeError::Certificate(_)));
    assert_eq!(alert(&told), Some(AlertDescription::BadCertificate));
}

#[tokio::test]
async fn a_client_without_a_certificate_is_refused() {
    let fixture = Fixture::new();
    let (refused, told) = fixture.accept(strange_client(&TLS13, None)).await;
    assert_matches!(refused, Some(HandshakeError::NoCertificate));
    assert_eq!(alert(&told), Some(AlertDescription::CertificateRequired));
}

#[tokio::test]
async fn t05_a_client_without_a_certificate_is_refused_inside_a_websocket_too() {
    let fixture = Fixture::new();
    let (dialled, accepted) = connection().await;
    let accepted = WebSocketBytes::accepted(accepted).await;
    let dialled = WebSocketStream::from_raw_socket(dialled, Role::Client, None).await;
    let config = Arc::new(strange_client(&TLS13, None));
    let (refused, told) = tokio::join!(
        fixture.node.accept(accepted),
        strange_dial(WebSocketBytes::new(dialled), config)
    );
    assert_matches!(refused.err(), Some(HandshakeError::NoCertificate));
    let told = told.map(|(byte, _)| byte);
    assert_eq!(alert(&told), Some(AlertDescription::CertificateRequired));
}

#[tokio::test]
async fn another_peers_leaf_is_of_no_use_without_its_key() {
    let fixture = Fixture::new();
    let stolen = certified(&[fixture.good_leaf()], &peer_key());
    let (refused, told) = fixture
        .accept(strange_client(&TLS13, Some(Arc::clone(&stolen))))
        .await;
    assert_matches!(refused, Some(HandshakeError::Tls(_)));
    assert_eq!(alert(&told), Some(AlertDescription::DecryptError));
    let refused = fixture.dial(strange_server(&TLS13, stolen)).await;
    assert_matches!(refused, Some(HandshakeError::Tls(_)));
}

#[tokio::test]
async fn tls_1_2_is_refused_in_both_directions() {
    let fixture = Fixture::new();
    let (refused, told) = fixture
        .accept(strange_client(&TLS12, Some(fixture.good_key())))
        .await;
    assert_matches!(refused, Some(HandshakeError::OldTls));
    assert_eq!(alert(&told), Some(AlertDescription::ProtocolVersion));
    let refused = fixture
        .dial(strange_server(&TLS12, fixture.good_key()))
        .await;
    assert_matches!(refused, Some(HandshakeError::OldTls));
}

#[tokio::test]
async fn another_protocol_inside_tls_is_refused() {
    let fixture = Fixture::new();
    for protocols in [vec![b"h2".to_vec()], vec![]] {
        let mut config = strange_client(&TLS13, Some(fixture.good_key()));
        config.alpn_protocols = protocols.clone();
        let (refused, told) = fixture.accept(config).await;
        assert_matches!(refused, Some(HandshakeError::OtherProtocol));
        assert!(told.is_err());
        let mut config = strange_server(&TLS13, fixture.good_key());
        config.alpn_protocols = protocols;
        let refused = fixture.dial(config).await;
        assert_matches!(refused, Some(HandshakeError::OtherProtocol));
    }
}

#[tokio::test]
async fn what_is_not_tls_is_refused() {
    let fixture = Fixture::new();
    let (mut dialled, accepted) = connection().await;
    dialled.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    assert_matches!(
        fixture.node.accept(accepted).await.err(),
        Some(HandshakeError::NotTls)
    );
    let (dialled, mut accepted) = connection().await;
    accepted
        .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        .await
        .unwrap();
    assert_matches!(
        fixture.node.dial(dialled).await.err(),
        Some(HandshakeError::NotTls)
    );
}

#[tokio::test]
async fn a_peer_that_hangs_up_is_told_apart() {
    let fixture = Fixture::new();
    let (dialled, accepted) = connection().await;
    drop(dialled);
    assert_matches!(
        fixture.node.accept(accepted).await.err(),
        Some(HandshakeError::Ended)
    );
}

#[tokio::test]
async fn silence_is_given_up() {
    let fixture = Fixture::new();
    let (dialled, accepted) = connection().await;
    tokio::time::pause();
    let refused = fixture.node.accept(accepted).await.err();
    assert_matches!(refused, Some(HandshakeError::Timeout { .. }));
    drop(dialled);
}

#[tokio::test]
async fn a_node_does_not_link_to_itself() {
    let shared = SharedKey::generate().unwrap();
    let key = peer_key();
    let (one, same) = (handshaker(&shared, &key), handshaker(&copy(&shared), &key));
    let (dialled, accepted) = connection().await;
    let (accepted, dialled) = tokio::join!(one.accept(accepted), same.dial(dialled));
    assert_matches!(accepted.err(), Some(HandshakeError::Myself));
    assert_matches!(dialled.err(), Some(HandshakeError::Myself));
}

#[tokio::test]
async fn no_session_is_resumed() {
    let fixture = Fixture::new();
    // One configuration for both, which remembers every ticket it is given.
    let config = Arc::new(strange_client(&TLS13, Some(fixture.good_key())));
    for _ in 0..2 {
        let (dialled, accepted) = connection().await;
        let node = async {
            let mut proven = fixture.node.accept(accepted).await?;
            answer(&mut proven.stream, Answer::Welcome).await
        };
        let (node, client) = tokio::join!(node, strange_dial(dialled, Arc::clone(&config)));
        node.unwrap();
        let (_, stream) = client.unwrap();
        let (_, tls) = stream.get_ref();
        assert_eq!(tls.handshake_kind(), Some(HandshakeKind::Full));
        assert_eq!(tls.tls13_tickets_received(), 0);
    }
}

#[tokio::test]
async fn a_refused_node_learns_why() {
    let fixture = Fixture::new();
    let stranger = handshaker(&SharedKey::generate().unwrap(), &peer_key());
    let (dialled, accepted) = connection().await;
    let server = TlsAcceptor::from(Arc::new(strange_server(&TLS13, fixture.good_key())));
    // The server lets the stranger's check be the first: it refuses the server.
    let (stranger, told) = tokio::join!(stranger.dial(dialled), server.accept(accepted));
    assert_matches!(stranger.err(), Some(HandshakeError::ForeignKey(_)));
    let told = HandshakeError::from_io(told.err().unwrap());
    let text = told.to_string();
    assert!(
        text.contains("it has another shared key or identity service (unknown CA)"),
        "{text}"
    );
}
