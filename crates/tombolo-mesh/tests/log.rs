//! What stands in the log when peers are refused: where from, which kind, the
//! exact reason, on one line each, and never a key.

#![expect(
    clippy::unwrap_used,
    reason = "a test whose world cannot be set up has failed"
)]

#[path = "trust/fleet.rs"]
#[allow(dead_code, reason = "each test binary uses a part")]
mod fleet;
#[path = "mesh/node.rs"]
#[allow(dead_code, reason = "each test binary uses a part")]
mod node;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tombolo_identity::{SharedKey, Whom};
use tombolo_mesh::{Credential, Mesh, MeshConfig, Surroundings};
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt::MakeWriter;

/// A node whose clock is this far from the other's.
struct Clock(u64);

impl Surroundings for Clock {
    fn unix_ms(&self) -> u64 {
        self.0
    }

    fn random(&self) -> u64 {
        u64::MAX
    }
}

const NOW_MS: u64 = 1_795_000_000_000;
const DAY_MS: u64 = 24 * 3600 * 1000;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Takes every line of this thread until the guard is dropped.
    fn listen(&self) -> DefaultGuard {
        let subscriber = tracing_subscriber::fmt()
            .with_writer(self.clone())
            .with_ansi(false)
            .with_max_level(tracing::Level::TRACE)
            .finish();
        tracing::subscriber::set_default(subscriber)
    }

    fn lines(&self) -> Vec<String> {
        let bytes = self.0.lock().unwrap().clone();
        String::from_utf8(bytes)
            .unwrap()
            .lines()
            .map(str::to_owned)
            .collect()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Log {
    type Writer = Self;

    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}

struct Keys {
    shared: SharedKey,
    peer: Vec<u8>,
}

impl Keys {
    fn of(shared: &SharedKey) -> Self {
        let peer = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        Self {
            shared: SharedKey::parse(&shared.to_base64()).unwrap(),
            peer: peer.to_pkcs8v1().unwrap().as_ref().to_vec(),
        }
    }

    async fn start(self, database: &str, now_ms: u64, servers: &[SocketAddr]) -> Mesh {
        let config = MeshConfig {
            listen: vec![SocketAddr::from(([127, 0, 0, 1], 0))],
            known_tcp_servers: servers.iter().map(ToString::to_string).collect(),
            ..MeshConfig::default()
        };
        let credential = Credential::new(self.shared, &self.peer, database).unwrap();
        Mesh::start(config, credential, Arc::new(Clock(now_ms)))
            .await
            .unwrap()
    }
}

async fn until_failed(mesh: &Mesh, kind: &str) {
    let mut changes = mesh.changes();
    let failed = async {
        while !mesh.status().failures.contains_key(kind) {
            changes.changed().await.unwrap();
        }
    };
    timeout(Duration::from_secs(60), failed)
        .await
        .expect("nothing failed");
}

#[tokio::test]
async fn every_refusal_has_its_line_and_no_line_has_a_key() {
    let log = Log::default();
    let _guard = log.listen();
    let (shared, foreign) = (
        SharedKey::generate().unwrap(),
        SharedKey::generate().unwrap(),
    );
    let server_keys = Keys::of(&shared);
    let secrets = [shared.to_base64(), foreign.to_base64()];
    let server = server_keys.start("db", NOW_MS, &[]).await;
    let address = server.local_addresses()[0];
    // The dialling side checks first, so each of these says why it does not link.
    let cases = [
        (&foreign, "db", NOW_MS, "foreign_key"),
        (
            &shared,
            "db\n2026-11-22 FORGED line",
            NOW_MS,
            "wrong_database",
        ),
        (&shared, "db", NOW_MS + 31 * DAY_MS, "expired"),
        (&shared, "db", NOW_MS - DAY_MS, "not_yet_valid"),
    ];
    for (shared, database, now_ms, kind) in cases {
        let client = Keys::of(shared).start(database, now_ms, &[address]).await;
        until_failed(&client, kind).await;
        client.stop().await;
    }
    until_failed(&server, "refused_by_peer").await;
    let mut stranger = TcpStream::connect(address).await.unwrap();
    stranger.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    until_failed(&server, "not_tls").await;
    server.stop().await;

    let lines = log.lines();
    let kinds = [
        "foreign_key",
        "wrong_database",
        "expired",
        "not_yet_valid",
        "not_tls",
    ];
    for kind in kinds {
        let needle = format!("kind=\"{kind}\"");
        let found = lines.iter().find(|line| line.contains(&needle));
        let line = found.expect(kind);
        assert!(line.contains("tombolo::mesh"), "{line}");
        assert!(line.contains("127.0.0.1:"), "{line}");
    }
    assert!(lines.iter().any(|line| line.contains("refused_by_peer") && line.contains("compare the two clocks")));
    assert!(
        !lines
            .iter()
            .any(|line| line.starts_with("2026-11-22 FORGED"))
    );
    for secret in &secrets {
        let begin = secret.len() / 2;
        let piece = &secret[begin..begin + 16];
        assert!(!lines.iter().any(|line| line.contains(piece)));
    }
}

#[tokio::test]
async fn whoever_is_cut_off_has_a_line_on_both_sides() {
    let log = Log::default();
    let _guard = log.listen();
    let service = fleet::Service::new();
    let device = fleet::Device::new();
    let (server, client) = fleet::linked(
        service.credential(&fleet::Device::new(), fleet::ANN),
        service.credential(&device, fleet::BOB),
    )
    .await;
    let list = service.revoke(None, vec![Whom::PeerKey(device.shown())], NOW_MS + 1);
    let taken = server.mesh.credential().adopt_revocations(&list);
    taken.unwrap();
    server.link.guard.closed().await;
    drop((server.link, client.link));
    until_failed(&server.mesh, "revoked").await;
    until_failed(&client.mesh, "refused_by_peer").await;

    let lines = log.lines();
    let count = |parts: &[&str]| {
        let has = |line: &&String| parts.iter().all(|part| line.contains(part));
        lines.iter().filter(has).count()
    };
    assert_eq!(count(&["INFO", "revocations were taken", "entries=1"]), 1);
    let ended = [
        "WARN",
        "a link is ended",
        "kind=\"revoked\"",
        &device.shown(),
    ];
    assert_eq!(count(&ended), 1);
    let refused = ["WARN", "was not let in", "127.0.0.1:", "by its peer key"];
    assert!(count(&refused) > 0);
    let told = [
        "WARN",
        "refused_by_peer",
        "this node's certificate was revoked",
    ];
    assert!(count(&told) > 0);
}
