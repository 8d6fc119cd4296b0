//! How a database takes part in a mesh.

use std::net::SocketAddr;
use std::time::Duration;

use tombolo_identity::SharedKey;
use tombolo_mesh::{CredentialError, MeshError};
use tombolo_store::StoreError;

/// How long to wait at most after a first failed attempt to reach a server.
pub const RETRY_INTERVAL_DEFAULT: Duration = Duration::from_secs(5);
/// How many links there may be at a time.
pub const MAX_LINKS_DEFAULT: usize = 256;

/// How a database takes part in a mesh. Whoever holds the same shared key and
/// database id is let in, and nobody else.
pub struct SyncOptions {
    /// What makes a mesh out of strangers.
    pub shared_key: SharedKey,
    /// Addresses to listen on; port 0 takes a free one.
    pub listen: Vec<SocketAddr>,
    /// Peers to stay linked to, as `host:port`.
    pub known_tcp_servers: Vec<String>,
    /// How long to wait at most after a first failed attempt; the wait doubles.
    pub retry_interval: Duration,
    /// How many links there may be at a time, in both directions.
    pub max_links: usize,
}

impl SyncOptions {
    /// A member of the mesh that neither listens nor dials yet.
    #[must_use]
    pub const fn new(shared_key: SharedKey) -> Self {
        Self {
            shared_key,
            listen: Vec::new(),
            known_tcp_servers: Vec::new(),
            retry_interval: RETRY_INTERVAL_DEFAULT,
            max_links: MAX_LINKS_DEFAULT,
        }
    }
}

/// Why synchronisation does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SyncError {
    /// The caller's: it was started before and not stopped.
    #[error("sync is already running: stop it first")]
    AlreadyRunning,
    /// The caller's: a database that was opened in surroundings of its own has
    /// no peer key to prove itself with.
    #[error("this database was opened without a peer key")]
    NoPeerKey,
    /// The operator's: the keys or the database id are not usable.
    #[error(transparent)]
    Credential(#[from] CredentialError),
    /// The operator's: an address is taken, or a server is not `host:port`.
    #[error(transparent)]
    Mesh(#[from] MeshError),
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
    /// The machine has no room for threads.
    #[error("a thread could not be started")]
    Thread(#[from] std::io::Error),
    /// Too many listen to commits.
    #[error(transparent)]
    Listener(#[from] crate::ExecuteError),
}
