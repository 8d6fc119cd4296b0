//! Nodes on loopback: their keys, their clocks, and how to wait for an event.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use tokio::time::timeout;
use tombolo_identity::SharedKey;
use tombolo_mesh::{Credential, EstablishedLink, Mesh, MeshConfig, MeshStatus, Surroundings};

pub(crate) const NOW_MS: u64 = 1_795_000_000_000;
pub(crate) const DATABASE: &str = "db";
/// A test that waits longer for an event has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Clock(pub(crate) AtomicU64);

impl Surroundings for Clock {
    fn unix_ms(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    fn random(&self) -> u64 {
        0
    }
}

pub(crate) fn clock() -> Arc<Clock> {
    Arc::new(Clock(AtomicU64::new(NOW_MS)))
}

pub(crate) fn peer_key() -> Vec<u8> {
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
    key.to_pkcs8v1().unwrap().as_ref().to_vec()
}

pub(crate) fn credential(shared: &SharedKey, peer_key: &[u8], database: &str) -> Credential {
    let shared = SharedKey::parse(&shared.to_base64()).unwrap();
    Credential::new(shared, peer_key, database).unwrap()
}

pub(crate) fn config(servers: &[SocketAddr]) -> MeshConfig {
    MeshConfig {
        listen: vec![SocketAddr::from(([127, 0, 0, 1], 0))],
        known_tcp_servers: servers.iter().map(ToString::to_string).collect(),
        ..MeshConfig::default()
    }
}

pub(crate) async fn start(shared: &SharedKey, key: &[u8], config: MeshConfig) -> Mesh {
    let credential = credential(shared, key, DATABASE);
    Mesh::start(config, credential, clock()).await.unwrap()
}

/// A port that no test gets by chance: below those that the system hands out.
pub(crate) fn reserved_port() -> SocketAddr {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    loop {
        let offset = NEXT.fetch_add(1, Ordering::SeqCst) + u64::from(std::process::id());
        let port = 20_000 + u16::try_from(offset % 10_000).unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        if std::net::TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

pub(crate) fn address(mesh: &Mesh) -> SocketAddr {
    mesh.local_addresses()[0]
}

pub(crate) async fn soon<T>(event: impl Future<Output = T>) -> T {
    timeout(PATIENCE, event).await.expect("nothing happened")
}

/// Waits until the status of a mesh is as it should be.
pub(crate) async fn until(mesh: &Mesh, is_so: impl Fn(&MeshStatus) -> bool) -> MeshStatus {
    let mut changes = mesh.changes();
    soon(async {
        loop {
            changes.borrow_and_update();
            let status = mesh.status();
            if is_so(&status) {
                return status;
            }
            changes.changed().await.unwrap();
        }
    })
    .await
}

pub(crate) async fn next(mesh: &Mesh) -> EstablishedLink {
    soon(mesh.next_link()).await.unwrap()
}

/// A listening mesh and one that dials it, with the link that each of them took.
pub(crate) async fn linked(
    shared: &SharedKey,
) -> ((Mesh, EstablishedLink), (Mesh, EstablishedLink)) {
    let server = start(shared, &peer_key(), config(&[])).await;
    let client = start(shared, &peer_key(), config(&[address(&server)])).await;
    let (accepted, dialled) = tokio::join!(next(&server), next(&client));
    ((server, accepted), (client, dialled))
}
