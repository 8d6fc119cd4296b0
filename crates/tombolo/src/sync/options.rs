//! How a database takes part in a mesh.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tombolo_identity::{Quoted, SharedKey, VerifyError};
use tombolo_mesh::{CredentialError, MeshError, WebServerError};
use tombolo_store::StoreError;

/// How long to wait at most after a first failed attempt to reach a server.
pub const RETRY_INTERVAL_DEFAULT: Duration = Duration::from_secs(5);
/// How many links there may be at a time.
pub const MAX_LINKS_DEFAULT: usize = 256;

/// What makes a mesh out of strangers.
pub enum Membership {
    /// Whoever holds the same shared key is let in and may do everything.
    SharedKey(SharedKey),
    /// Whoever logged in to the same identity service is let in, and may do what
    /// the service granted. Somebody must be logged in to start.
    LoggedIn,
}

/// How a database takes part in a mesh. Whoever has the same membership and
/// database id is let in, and nobody else.
pub struct SyncOptions {
    /// What makes a mesh out of strangers.
    pub membership: Membership,
    /// Addresses to listen on; port 0 takes a free one.
    pub listen: Vec<SocketAddr>,
    /// Peers to stay linked to, as `host:port`.
    pub known_tcp_servers: Vec<String>,
    /// Peers to stay linked to over WebSocket.
    pub known_ws_servers: Vec<WebSocketServer>,
    /// How long to wait at most after a first failed attempt; the wait doubles.
    pub retry_interval: Duration,
    /// How many links there may be at a time, in both directions.
    pub max_links: usize,
}

/// A peer that is reached over WebSocket, behind the HTTPS port of a server. The
/// certificate of its HTTPS proves nothing to peers: they prove themselves inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebSocketServer {
    /// `wss://host[:port][/path]`; `ws://` is taken for this machine alone.
    pub url: String,
    /// PEM certificates of private roots, which alone count then; `None`: those
    /// of the system.
    pub ca_file: Option<PathBuf>,
}

impl WebSocketServer {
    /// Whether a server can be at `url`, by its form alone.
    ///
    /// # Errors
    /// [`WebServerError`].
    pub fn check_url(url: &str) -> Result<(), WebServerError> {
        tombolo_mesh::WebServer::check_url(url)
    }
}

/// Where a mesh is met, without what it takes to be let in.
#[derive(Clone)]
pub(crate) struct Meeting {
    pub(crate) listen: Vec<SocketAddr>,
    pub(crate) known_tcp_servers: Vec<String>,
    pub(crate) known_ws_servers: Vec<WebSocketServer>,
    pub(crate) retry_interval: Duration,
    pub(crate) max_links: usize,
}

impl SyncOptions {
    /// A member by a shared key that neither listens nor dials yet.
    #[must_use]
    pub const fn new(shared_key: SharedKey) -> Self {
        Self::of(Membership::SharedKey(shared_key))
    }

    /// A member by a login that neither listens nor dials yet.
    #[must_use]
    pub const fn logged_in() -> Self {
        Self::of(Membership::LoggedIn)
    }

    const fn of(membership: Membership) -> Self {
        Self {
            membership,
            listen: Vec::new(),
            known_tcp_servers: Vec::new(),
            known_ws_servers: Vec::new(),
            retry_interval: RETRY_INTERVAL_DEFAULT,
            max_links: MAX_LINKS_DEFAULT,
        }
    }

    pub(crate) fn into_parts(self) -> (Membership, Meeting) {
        let Self {
            membership,
            listen,
            known_tcp_servers,
            known_ws_servers,
            retry_interval,
            max_links,
        } = self;
        let meeting = Meeting {
            listen,
            known_tcp_servers,
            known_ws_servers,
            retry_interval,
            max_links,
        };
        (membership, meeting)
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
    /// The caller's: nobody is logged in.
    #[error("nobody is logged in: log in first, or start sync with a shared key")]
    NotLoggedIn,
    /// The caller's: the certificate does not hold now.
    #[error("{0}; log in again")]
    Login(VerifyError),
    /// The caller's: documents of a user are not given to whoever has a key.
    #[error(
        "the user {user_id} is logged in and a shared key was given: start sync with the login, or log out first"
    )]
    LoggedIn {
        /// Who is.
        user_id: Quoted,
    },
    /// The operator's: the keys or the database id are not usable.
    #[error(transparent)]
    Credential(#[from] CredentialError),
    /// The operator's: an address is taken, or a server is not `host:port`.
    #[error(transparent)]
    Mesh(#[from] MeshError),
    /// The operator's: a server of WebSocket cannot be dialled.
    #[error("the known server {url:?} cannot be dialled: {reason}")]
    WebServer {
        /// As configured.
        url: String,
        /// What is wrong with it or with its file of roots.
        reason: String,
    },
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
