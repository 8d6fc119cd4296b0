//! Accepting connections up to the limit, and draining them when told to stop.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::answer::Answer;
use crate::connection::{Site, StopSignal};
use crate::limits::Limits;
use crate::listen::Listener;
use crate::overload;
use crate::request::Slot;
use crate::tls::TlsIdentity;

/// When the system has no file handle left, accepting pauses this long instead of spinning.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What clients speak to the server.
#[derive(Debug, Clone)]
pub enum Transport {
    /// HTTP without encryption.
    Plain,
    /// HTTP over TLS.
    Tls(TlsIdentity),
}

/// Everything a server needs to run.
pub struct Server<A> {
    /// Where it listens.
    pub listener: Listener,
    /// Plain or TLS.
    pub transport: Transport,
    /// What it accepts.
    pub limits: Limits,
    /// Who answers.
    pub answer: A,
    /// Drawn at random once per process: the first half of each request id.
    pub instance: u32,
}

/// How a server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Connections that still had a request in work at the drain limit and were cut.
    pub cut: usize,
}

impl<A: Answer> Server<A> {
    /// Serves until `stop` completes, then accepts nothing more, lets requests in work finish
    /// within [`Limits::drain_limit`] and cuts the rest.
    pub async fn run_until(self, stop: impl Future<Output = ()>) -> Drained {
        let drain_limit = self.limits.drain_limit;
        let (stop_sender, stop_signal) = watch::channel(());
        let mut gate = Gate::new(self, stop_signal).await;
        let mut stop = pin!(stop);
        loop {
            tokio::select! {
                biased;
                () = &mut stop => break,
                accepted = gate.listener.accept() => match accepted {
                    Ok((stream, peer)) => gate.admit(stream, peer),
                    Err(error) => pause_after(&error).await,
                },
            }
        }
        let Gate {
            listener,
            connections,
            site,
            ..
        } = gate;
        drop(listener);
        site.answer.stopping();
        drop(stop_sender);
        let farewell = timeout(drain_limit, site.answer.farewell());
        let (drained, _) = tokio::join!(drain(connections, drain_limit), farewell);
        drained
    }
}

/// Decides what becomes of each accepted connection.
struct Gate<A> {
    listener: Listener,
    tls: Option<TlsIdentity>,
    site: Arc<Site<A>>,
    stop: StopSignal,
    /// Connections that may still begin; those that switched to another protocol hold theirs.
    slots: Arc<Semaphore>,
    connections: JoinSet<()>,
    turned_away: JoinSet<()>,
    alarm: overload::Alarm,
    overload_answer: Bytes,
}

impl<A: Answer> Gate<A> {
    async fn new(server: Server<A>, stop: StopSignal) -> Self {
        let Server {
            listener,
            transport,
            limits,
            answer,
            instance,
        } = server;
        let tls = match transport {
            Transport::Plain => None,
            Transport::Tls(identity) => Some(identity),
        };
        let overload_answer = overload::render(&answer, limits.connections_max)
            .await
            .into();
        let slots = limits.connections_max.min(Semaphore::MAX_PERMITS);
        let slots = Arc::new(Semaphore::new(slots));
        let site = Arc::new(Site {
            answer,
            limits,
            instance,
            requests: AtomicU64::new(0),
        });
        let (connections, turned_away) = (JoinSet::new(), JoinSet::new());
        Self {
            listener,
            tls,
            site,
            stop,
            slots,
            connections,
            turned_away,
            alarm: overload::Alarm::default(),
            overload_answer,
        }
    }

    fn admit(&mut self, stream: TcpStream, peer: SocketAddr) {
        while self.connections.try_join_next().is_some() {}
        let counts = self.listener.counts();
        let Ok(permit) = Arc::clone(&self.slots).try_acquire_owned() else {
            counts.turn_away();
            return self.turn_away(stream, peer);
        };
        let slot = Arc::new(Slot {
            open: counts.open_one(),
            _permit: permit,
        });
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%peer, %error, "the client was gone before it was served");
            return;
        }
        let (site, stop) = (Arc::clone(&self.site), self.stop.clone());
        match self.tls.clone() {
            None => self
                .connections
                .spawn(site.serve_plain((stream, peer), slot, stop)),
            Some(identity) => {
                self.connections
                    .spawn(site.serve_tls((stream, peer), slot, stop, identity))
            }
        };
    }

    fn turn_away(&mut self, stream: TcpStream, peer: SocketAddr) {
        while self.turned_away.try_join_next().is_some() {}
        if let Some(turned_away) = self.alarm.ring(Instant::now()) {
            tracing::warn!(%peer, turned_away, "all connections are in use; raise http_server.max_connections or find who holds them");
        }
        if self.tls.is_none() && self.turned_away.len() < overload::REFUSALS_MAX {
            self.turned_away
                .spawn(overload::turn_away(stream, self.overload_answer.clone()));
        }
    }
}

async fn drain(mut connections: JoinSet<()>, limit: Duration) -> Drained {
    let all_finished = async { while connections.join_next().await.is_some() {} };
    // At the limit the rest is counted and cut below.
    let _ = timeout(limit, all_finished).await;
    let cut = connections.len();
    connections.shutdown().await;
    Drained { cut }
}

#[expect(
    clippy::disallowed_methods,
    reason = "no event tells that file handles are free again"
)]
async fn pause_after(error: &std::io::Error) {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    if matches!(
        error.kind(),
        ConnectionAborted | ConnectionReset | Interrupted
    ) {
        return;
    }
    tracing::error!(%error, "cannot accept connections; raise the limit of open files of this process");
    tokio::time::sleep(ACCEPT_PAUSE).await;
}
