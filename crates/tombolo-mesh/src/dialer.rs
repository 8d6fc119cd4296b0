//! Staying linked to a known server: dial, wait while a link lives, wait a
//! little longer after each failure, and say each time why.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout};
use tombolo_identity::PeerPublicKey;

use crate::backoff::Backoff;
use crate::handshake::{HANDSHAKE_TIME, await_answer};
use crate::link::Transport;
use crate::mesh::{Hub, stopped};
use crate::refusal::HandshakeError;
use crate::status::DialState;
use crate::websocket::WebServer;
use crate::wire::{Carrier, Wire, buffered};

/// How long resolving a name, and connecting to one address, may take.
const CONNECT_TIME: Duration = Duration::from_secs(10);
/// Addresses of one name that are tried.
const ADDRESSES_MAX: usize = 8;
/// A link that lived so long was a success: the next failure is a first one.
const LINK_SETTLED: Duration = Duration::from_secs(30);

/// A server, by what it is reached over.
pub(crate) enum Server {
    /// `host:port`.
    Tcp(String),
    Web(WebServer),
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(server) => server.fmt(f),
            Self::Web(server) => server.fmt(f),
        }
    }
}

impl Server {
    const fn transport(&self) -> Transport {
        match self {
            Self::Tcp(_) => Transport::AccessPoint,
            Self::Web(_) => Transport::WebSocket,
        }
    }

    /// A stream of bytes to it, up to the TLS between peers.
    async fn open(&self) -> Result<(Wire, SocketAddr), HandshakeError> {
        let (tcp, address) = match self {
            Self::Tcp(server) => connect(server).await?,
            Self::Web(server) => connect(&server.host_and_port()).await?,
        };
        tcp.set_nodelay(true).map_err(HandshakeError::Io)?;
        let wire = match self {
            Self::Tcp(_) => Box::new(buffered(tcp)),
            Self::Web(server) => {
                timeout(HANDSHAKE_TIME, server.open(tcp))
                    .await
                    .map_err(|_| HandshakeError::Timeout {
                        step: "opening the WebSocket",
                        limit: HANDSHAKE_TIME,
                    })??
            }
        };
        Ok((wire, address))
    }
}

/// Why a try failed, and whom it reached.
struct Failure {
    error: HandshakeError,
    peer: Option<PeerPublicKey>,
}

impl From<HandshakeError> for Failure {
    fn from(error: HandshakeError) -> Self {
        Self { error, peer: None }
    }
}

/// Keeps a link to one server until the mesh stops or the server turns out to
/// be this node.
pub(crate) async fn run(hub: Arc<Hub>, index: usize, server: Server, interval: Duration) {
    let mut stop = hub.stop.clone();
    let end = tokio::select! {
        biased;
        () = stopped(&mut stop) => DialState::Stopped,
        () = keep_linked(&hub, index, &server, interval) => DialState::GivenUp,
    };
    hub.board.state(index, end);
}

/// Returns when there is no point in going on.
async fn keep_linked(hub: &Arc<Hub>, index: usize, server: &Server, interval: Duration) {
    let mut backoff = Backoff::new(interval);
    let mut renewals = hub.handshaker.credential.renewals();
    loop {
        hub.board.dialling(index);
        let reached = match dial(hub, server).await {
            Ok(peer) => Some(peer),
            Err(failure) => match explain(hub, index, server, failure) {
                Next::Wait(peer) => peer,
                Next::GiveUp => return,
            },
        };
        if let Some(peer) = reached {
            let begin = Instant::now();
            hub.board.linked(index, peer.clone());
            hub.registry.gone(&peer).await;
            tracing::info!(target: "tombolo::mesh", %server, peer_key = %peer, "the link to a server ended");
            if begin.elapsed() >= LINK_SETTLED {
                backoff.reset();
            }
        }
        let wait = backoff.next(hub.handshaker.surroundings.random());
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        let until_ms = hub.unix_ms().saturating_add(wait_ms);
        hub.board.state(index, DialState::Waiting { until_ms });
        // With a new certificate there may be a link at once. An error cannot
        // come, since the credential is the hub's.
        if let Ok(Ok(())) = timeout(wait, renewals.changed()).await {
            backoff.reset();
        }
    }
}

enum Next {
    /// Wait for the link to this peer to end, if there is one, then try again.
    Wait(Option<PeerPublicKey>),
    GiveUp,
}

/// Notes and logs a failure, and decides what follows from it.
fn explain(hub: &Hub, index: usize, server: &Server, failure: Failure) -> Next {
    let Failure { error, peer } = failure;
    let other_link = peer.filter(|peer| hub.registry.has(peer));
    if matches!(error, HandshakeError::Duplicate) && other_link.is_some() {
        return Next::Wait(other_link);
    }
    hub.board.dial_failed(index, &error);
    if matches!(error, HandshakeError::Myself) {
        tracing::warn!(target: "tombolo::mesh", %server, reason = %error, "a known server is this node: it is not dialled again");
        return Next::GiveUp;
    }
    if error.is_trouble() {
        tracing::warn!(target: "tombolo::mesh", %server, kind = error.kind(), reason = %error, "no link to a known server");
    }
    Next::Wait(None)
}

async fn dial(hub: &Arc<Hub>, server: &Server) -> Result<PeerPublicKey, Failure> {
    hub.handshaker.check_own()?;
    let (wire, address) = server.open().await?;
    let mut proven = hub.handshaker.dial(wire).await?;
    let peer = proven.basis.peer.peer_key().clone();
    let failed = |error| Failure {
        error,
        peer: Some(peer.clone()),
    };
    await_answer(&mut proven.stream).await.map_err(failed)?;
    let address = format!("{server} ({address})");
    let guard = hub.admit(&proven.basis, true, &address).map_err(failed)?;
    tracing::info!(target: "tombolo::mesh", %server, peer_key = %peer, "linked to a known server");
    let carrier = Carrier {
        transport: server.transport(),
        address,
    };
    hub.deliver(proven, guard, carrier, true).map_err(failed)?;
    Ok(peer)
}

/// Connects to the first address of the name that answers.
async fn connect(server: &str) -> Result<(TcpStream, SocketAddr), HandshakeError> {
    let resolved = timeout(CONNECT_TIME, lookup_host(server)).await;
    let resolved = resolved.map_err(|_| late("resolving the name"))?;
    let addresses: Vec<SocketAddr> = resolved
        .map_err(HandshakeError::Resolve)?
        .take(ADDRESSES_MAX)
        .collect();
    let nothing = std::io::Error::other("it has no address");
    let mut last = HandshakeError::Resolve(nothing);
    for address in addresses {
        match timeout(CONNECT_TIME, TcpStream::connect(address)).await {
            Ok(Ok(tcp)) => return Ok((tcp, address)),
            Ok(Err(error)) => last = HandshakeError::Connect(error),
            Err(_) => last = late("connecting"),
        }
    }
    Err(last)
}

fn late(step: &'static str) -> HandshakeError {
    HandshakeError::Timeout {
        step,
        limit: CONNECT_TIME,
    }
}
