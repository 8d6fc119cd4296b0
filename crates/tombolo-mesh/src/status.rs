//! What an operator asks when a link is not there: what is up, what failed, for
//! which reason, and when it will be tried again.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tombolo_identity::PeerPublicKey;

use crate::refusal::HandshakeError;

/// Refusals of strangers that are logged in one minute; the rest is counted.
const LOGGED_PER_MINUTE_MAX: u32 = 60;
const MINUTE_MS: u64 = 60_000;

/// A snapshot of a mesh.
#[derive(Debug, Clone)]
pub struct MeshStatus {
    /// This node.
    pub peer_key: PeerPublicKey,
    /// Where it listens.
    pub listening: Vec<SocketAddr>,
    /// The links that are up, by peer key.
    pub links: Vec<LinkStatus>,
    /// The servers that it dials, in the order of the configuration.
    pub servers: Vec<ServerStatus>,
    /// How often a server was dialled.
    pub dial_attempts: u64,
    /// How often somebody connected.
    pub accepted: u64,
    /// How many were turned away before TLS, because too many handshakes were
    /// half done.
    pub turned_away: u64,
    /// Failed handshakes in both directions, by [`HandshakeError::kind`].
    pub failures: BTreeMap<&'static str, u64>,
    /// The newest failure of somebody who connected.
    pub last_inbound_failure: Option<InboundFailure>,
}

/// A link that is up.
#[derive(Debug, Clone)]
pub struct LinkStatus {
    /// To whom.
    pub peer_key: PeerPublicKey,
    /// Whether this node dialled it.
    pub dialled: bool,
    /// Where the peer is.
    pub address: String,
    /// Since when, in unix milliseconds.
    pub since_ms: u64,
}

/// A refused stranger.
#[derive(Debug, Clone)]
pub struct InboundFailure {
    /// From where.
    pub address: SocketAddr,
    /// Why.
    pub reason: String,
    /// When, in unix milliseconds.
    pub at_ms: u64,
}

/// What a dialer does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DialState {
    /// It has not tried yet or is trying.
    Dialling,
    /// There is a link to this peer, dialled by either side.
    Linked(PeerPublicKey),
    /// It waits until then, in unix milliseconds.
    Waiting {
        /// When it tries again.
        until_ms: u64,
    },
    /// The server is this node itself: it is not tried again.
    GivenUp,
    /// The mesh was stopped.
    Stopped,
}

/// A server that this node dials.
#[derive(Debug, Clone)]
pub struct ServerStatus {
    /// As configured, `host:port`.
    pub server: String,
    /// What the dialer does.
    pub state: DialState,
    /// How often it was dialled.
    pub attempts: u64,
    /// Why the last try failed; none after a success.
    pub last_failure: Option<String>,
}

/// Where tasks write what a snapshot tells.
pub(crate) struct Board {
    notes: Mutex<Notes>,
    changed: watch::Sender<u64>,
}

struct Notes {
    servers: Vec<ServerStatus>,
    accepted: u64,
    turned_away: u64,
    failures: BTreeMap<&'static str, u64>,
    last_inbound_failure: Option<InboundFailure>,
    logged: LoggedMinute,
}

/// How many refusals were logged in the current minute.
#[derive(Default)]
struct LoggedMinute {
    begin_ms: u64,
    count: u32,
}

impl LoggedMinute {
    /// Whether one more line may be written at `now_ms`.
    fn allows(&mut self, now_ms: u64) -> bool {
        if now_ms.abs_diff(self.begin_ms) >= MINUTE_MS {
            *self = Self {
                begin_ms: now_ms,
                count: 0,
            };
        }
        self.count = self.count.saturating_add(1);
        self.count <= LOGGED_PER_MINUTE_MAX
    }
}

impl Board {
    pub(crate) fn new(servers: &[String], changed: watch::Sender<u64>) -> Self {
        let servers = servers.iter().map(|server| ServerStatus {
            server: server.clone(),
            state: DialState::Dialling,
            attempts: 0,
            last_failure: None,
        });
        let notes = Notes {
            servers: servers.collect(),
            accepted: 0,
            turned_away: 0,
            failures: BTreeMap::new(),
            last_inbound_failure: None,
            logged: LoggedMinute::default(),
        };
        Self {
            notes: Mutex::new(notes),
            changed,
        }
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a note and tells those who wait for one.
    fn note<T>(&self, make: impl FnOnce(&mut Notes) -> T) -> T {
        let made = make(&mut self.notes());
        self.changed.send_modify(|version| *version += 1);
        made
    }

    pub(crate) fn dialling(&self, index: usize) {
        self.note(|notes| {
            let server = &mut notes.servers[index];
            server.state = DialState::Dialling;
            server.attempts += 1;
        });
    }

    pub(crate) fn linked(&self, index: usize, peer: PeerPublicKey) {
        self.note(|notes| {
            let server = &mut notes.servers[index];
            server.state = DialState::Linked(peer);
            server.last_failure = None;
        });
    }

    pub(crate) fn state(&self, index: usize, state: DialState) {
        self.note(|notes| notes.servers[index].state = state);
    }

    pub(crate) fn dial_failed(&self, index: usize, error: &HandshakeError) {
        self.note(|notes| {
            *notes.failures.entry(error.kind()).or_default() += 1;
            notes.servers[index].last_failure = Some(error.to_string());
        });
    }

    pub(crate) fn accepted(&self) {
        self.note(|notes| notes.accepted += 1);
    }

    pub(crate) fn turned_away(&self) {
        self.note(|notes| notes.turned_away += 1);
    }

    /// Whether the failure should be logged.
    pub(crate) fn accept_failed(
        &self,
        address: SocketAddr,
        error: &HandshakeError,
        at_ms: u64,
    ) -> bool {
        self.note(|notes| {
            *notes.failures.entry(error.kind()).or_default() += 1;
            if !error.is_trouble() {
                return false;
            }
            let reason = error.to_string();
            notes.last_inbound_failure = Some(InboundFailure {
                address,
                reason,
                at_ms,
            });
            notes.logged.allows(at_ms)
        })
    }

    pub(crate) fn snapshot(
        &self,
        peer_key: PeerPublicKey,
        listening: Vec<SocketAddr>,
        links: Vec<LinkStatus>,
    ) -> MeshStatus {
        let notes = self.notes();
        MeshStatus {
            peer_key,
            listening,
            links,
            dial_attempts: notes.servers.iter().map(|server| server.attempts).sum(),
            servers: notes.servers.clone(),
            accepted: notes.accepted,
            turned_away: notes.turned_away,
            failures: notes.failures.clone(),
            last_inbound_failure: notes.last_inbound_failure.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_strangers_does_not_flood_the_log() {
        let board = Board::new(&[], watch::Sender::new(0));
        let address = SocketAddr::from(([192, 0, 2, 1], 1));
        let fail = |at_ms| board.accept_failed(address, &HandshakeError::NotTls, at_ms);
        let logged = (0..1000).filter(|_| fail(5)).count();
        assert_eq!(logged, 60);
        assert!(!fail(MINUTE_MS - 1));
        assert!(fail(MINUTE_MS + 5));
        assert_eq!(board.notes().failures["not_tls"], 1002);
    }
}
