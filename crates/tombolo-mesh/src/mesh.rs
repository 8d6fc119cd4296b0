//! The mesh of one node: it listens, dials known servers and hands over links.
//! It never reads a frame; who takes a link decides what is said over it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tombolo_identity::PeerPublicKey;

use crate::credential::{Credential, Surroundings};
use crate::dialer::{self, Server};
use crate::gate::Gate;
use crate::handshake::{Handshaker, Proven};
use crate::link::{Link, Transport};
use crate::listener;
use crate::refusal::HandshakeError;
use crate::registry::{LinkGuard, Registry};
use crate::standing::Basis;
use crate::status::{Board, MeshStatus};
use crate::tcp::TcpLink;
use crate::warden;
use crate::websocket::{WebServer, WebSocketBytes};
use crate::wire::{ByteStream, Carrier};

/// How long [`Mesh::stop`] waits for links to be let go of.
const STOP_TIME: Duration = Duration::from_secs(5);

/// Links that may wait to be taken; one more is ended at once.
const LINKS_WAITING_MAX: usize = 1024;

/// Where a node listens, whom it dials, and how much of it.
#[derive(Debug, Clone)]
pub struct MeshConfig {
    /// Addresses to listen on; port 0 takes a free one.
    pub listen: Vec<SocketAddr>,
    /// Servers to stay linked to, as `host:port`. Names are resolved at each try.
    pub known_tcp_servers: Vec<String>,
    /// Servers to stay linked to over WebSocket.
    pub known_ws_servers: Vec<WebServer>,
    /// The longest wait after a first failure; it doubles with each one.
    pub retry_interval: Duration,
    /// Links at a time, in both directions.
    pub max_links: usize,
    /// Half-done handshakes of peers that connect.
    pub max_handshakes: usize,
}

impl Default for MeshConfig {
    /// No listener, no server, 5 s, 256 links and 64 handshakes.
    fn default() -> Self {
        Self {
            listen: Vec::new(),
            known_tcp_servers: Vec::new(),
            known_ws_servers: Vec::new(),
            retry_interval: Duration::from_secs(5),
            max_links: 256,
            max_handshakes: 64,
        }
    }
}

/// Why a mesh does not start. The operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum MeshError {
    /// An address cannot be listened on.
    #[error(
        "cannot listen on {address}: {source}; choose another address or port, or stop who has it"
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// From the system.
        source: std::io::Error,
    },
    /// A server is not `host:port`.
    #[error("the known server {server:?} is not of the form host:port")]
    Server {
        /// As configured.
        server: String,
    },
}

/// A link that is up, to be used by whoever takes it.
pub struct EstablishedLink {
    /// The link.
    pub link: Box<dyn Link>,
    /// Whether this node dialled it.
    pub dialled: bool,
    /// To be kept as long as the link is used, and dropped then.
    pub guard: LinkGuard,
}

/// What all tasks of a mesh see.
pub(crate) struct Hub {
    pub(crate) handshaker: Handshaker,
    pub(crate) registry: Arc<Registry>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) board: Board,
    pub(crate) stop: watch::Receiver<bool>,
    links: mpsc::Sender<EstablishedLink>,
}

impl Hub {
    pub(crate) fn unix_ms(&self) -> u64 {
        self.handshaker.surroundings.unix_ms()
    }

    /// A place for a link among the others.
    pub(crate) fn admit(
        &self,
        basis: &Arc<Basis>,
        dialled: bool,
        address: &str,
    ) -> Result<LinkGuard, HandshakeError> {
        let now_ms = self.unix_ms();
        let guard = self.registry.admit(basis, dialled, address, now_ms)?;
        // What moved during the handshake was not seen by it; what moves from
        // here on is seen by the warden.
        let standing = self.handshaker.credential.standing(now_ms)?;
        if standing.serial != basis.serial {
            standing.judge(basis, now_ms)?;
        }
        Ok(guard)
    }

    /// Hands a link over to whoever takes links.
    pub(crate) fn deliver(
        &self,
        proven: Proven,
        guard: LinkGuard,
        carrier: Carrier,
        dialled: bool,
    ) -> Result<(), HandshakeError> {
        let signal = guard.signal();
        let peer = proven.basis.peer.clone();
        let link = TcpLink::new(proven.stream, peer, carrier, proven.remains, signal);
        let link = EstablishedLink {
            link: Box::new(link),
            dialled,
            guard,
        };
        // A place for each link that may be up: it is full only if nobody takes them.
        self.links.try_send(link).map_err(|_| HandshakeError::Full)
    }
}

/// Resolves when the mesh is stopped.
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error says that the mesh is gone, which is a stop too.
    let _ = stop.wait_for(|stopped| *stopped).await;
}

/// The running mesh of one node. Dropping it ends everything at once;
/// [`Mesh::stop`] also waits.
pub struct Mesh {
    hub: Arc<Hub>,
    addresses: Vec<SocketAddr>,
    incoming: tokio::sync::Mutex<mpsc::Receiver<EstablishedLink>>,
    tasks: Mutex<JoinSet<()>>,
    changed: watch::Sender<u64>,
    stop: watch::Sender<bool>,
}

impl Mesh {
    /// Begins to listen and to dial. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// An address is taken, or a server is not `host:port`.
    pub async fn start(
        config: MeshConfig,
        credential: impl Into<Arc<Credential>>,
        surroundings: Arc<dyn Surroundings>,
    ) -> Result<Self, MeshError> {
        let credential = credential.into();
        config
            .known_tcp_servers
            .iter()
            .try_for_each(|server| check_server(server))?;
        let mut listeners = Vec::with_capacity(config.listen.len());
        for address in &config.listen {
            listeners.push(listen(*address).await?);
        }
        let addresses = listeners.iter().map(|(_, address)| *address).collect();
        let (stop, stopping) = watch::channel(false);
        let (links, incoming) = mpsc::channel(config.max_links.clamp(1, LINKS_WAITING_MAX));
        let changed = watch::Sender::new(0);
        let own = credential.peer_key().clone();
        let tcp = config.known_tcp_servers.into_iter().map(Server::Tcp);
        let web = config.known_ws_servers.into_iter().map(Server::Web);
        let servers: Vec<_> = tcp.chain(web).collect();
        let names: Vec<_> = servers.iter().map(ToString::to_string).collect();
        let hub = Arc::new(Hub {
            registry: Registry::new(own, config.max_links, changed.clone()),
            handshaker: Handshaker::new(credential, surroundings),
            gate: Gate::new(config.max_handshakes),
            board: Board::new(&names, changed.clone()),
            stop: stopping,
            links,
        });
        let mut tasks = JoinSet::new();
        for (listener, address) in listeners {
            tasks.spawn(listener::run(Arc::clone(&hub), listener, address));
        }
        tasks.spawn(warden::run(Arc::clone(&hub)));
        for (index, server) in servers.into_iter().enumerate() {
            let interval = config.retry_interval;
            tasks.spawn(dialer::run(Arc::clone(&hub), index, server, interval));
        }
        Ok(Self {
            hub,
            addresses,
            incoming: tokio::sync::Mutex::new(incoming),
            tasks: Mutex::new(tasks),
            changed,
            stop,
        })
    }

    /// Lets in whoever is at the other end of a stream that was switched to
    /// WebSocket, if it proves itself like every peer. Resolves when it is let in
    /// or refused, which the status tells; the caller has nothing to do about it.
    pub async fn accept_websocket<S>(&self, stream: S, from: SocketAddr)
    where
        S: ByteStream + 'static,
    {
        let mut stop = self.hub.stop.clone();
        let Some(ticket) = self.hub.gate.enter(from.ip()) else {
            return self.hub.board.turned_away();
        };
        let stream = WebSocketBytes::accepted(stream).await;
        let let_in = listener::let_in(&self.hub, stream, Transport::WebSocket, from, ticket);
        tokio::select! {
            biased;
            () = stopped(&mut stop) => {}
            () = let_in => {}
        }
    }

    /// The next link that is up; `None` after [`Mesh::stop`]. One task takes links.
    pub async fn next_link(&self) -> Option<EstablishedLink> {
        let mut stop = self.hub.stop.clone();
        let mut incoming = self.incoming.lock().await;
        tokio::select! {
            biased;
            () = stopped(&mut stop) => None,
            link = incoming.recv() => link,
        }
    }

    /// Who this node is.
    #[must_use]
    pub fn peer_key(&self) -> &PeerPublicKey {
        self.hub.handshaker.credential.peer_key()
    }

    /// What this node proves itself with.
    #[must_use]
    pub fn credential(&self) -> &Arc<Credential> {
        &self.hub.handshaker.credential
    }

    /// Where it listens, with the ports that were taken, in the order of the
    /// configuration.
    #[must_use]
    pub fn local_addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// What is up and what failed.
    #[must_use]
    pub fn status(&self) -> MeshStatus {
        let links = self.hub.registry.status();
        let peer_key = self.peer_key().clone();
        self.hub
            .board
            .snapshot(peer_key, self.addresses.clone(), links)
    }

    /// Notified after each change of what [`Mesh::status`] tells.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Ends all links, listeners and dialers, and waits until their users have
    /// let go of the links, for at most five seconds.
    pub async fn stop(&self) {
        self.stop.send_replace(true);
        self.hub.registry.stop();
        let mut tasks =
            std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        while tasks.join_next().await.is_some() {}
        let mut incoming = self.incoming.lock().await;
        while incoming.try_recv().is_ok() {}
        drop(incoming);
        if timeout(STOP_TIME, self.hub.registry.empty()).await.is_err() {
            tracing::warn!(target: "tombolo::mesh", "links were still in use when the mesh stopped");
        }
    }
}

impl Drop for Mesh {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        self.hub.registry.stop();
    }
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), MeshError> {
    let failed = |source| MeshError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    tracing::info!(target: "tombolo::mesh", address = %bound, "listening for peers");
    Ok((listener, bound))
}

fn check_server(server: &str) -> Result<(), MeshError> {
    let parts = server.rsplit_once(':');
    let fits = parts.is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    fits.then_some(()).ok_or_else(|| MeshError::Server {
        server: server.to_owned(),
    })
}

#[cfg(test)]
mod tests;
