//! Letting peers in: one task for each address, one for each half-done
//! handshake. Whoever comes when too many are half done is turned away at once.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::gate::Ticket;
use crate::handshake::{Answer, answer};
use crate::link::Transport;
use crate::mesh::{Hub, stopped};
use crate::refusal::HandshakeError;
use crate::wire::{ByteStream, Carrier, buffered};

/// The pause after the system refused to accept, usually for want of file
/// handles, which come back when links end.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

/// Accepts at one address until the mesh stops.
pub(crate) async fn run(hub: Arc<Hub>, listener: TcpListener, address: SocketAddr) {
    let mut stop = hub.stop.clone();
    let mut handshakes = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = stopped(&mut stop) => break,
            Some(_) = handshakes.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((tcp, from)) => match hub.gate.enter(from.ip()) {
                Some(ticket) => {
                    handshakes.spawn(let_in_tcp(Arc::clone(&hub), tcp, from, ticket));
                }
                None => hub.board.turned_away(),
            },
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::error!(target: "tombolo::mesh", %address, %error, "cannot accept peers");
                let _ = timeout(ACCEPT_PAUSE, stopped(&mut stop)).await;
            }
        }
    }
    handshakes.shutdown().await;
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}

async fn let_in_tcp(hub: Arc<Hub>, tcp: TcpStream, from: SocketAddr, ticket: Ticket) {
    // On a connection that is gone already the handshake fails.
    let _ = tcp.set_nodelay(true);
    let_in(&hub, buffered(tcp), Transport::AccessPoint, from, ticket).await;
}

/// Lets in whoever is at the other end of a stream, if it proves itself.
pub(crate) async fn let_in(
    hub: &Hub,
    stream: impl ByteStream + 'static,
    transport: Transport,
    from: SocketAddr,
    ticket: Ticket,
) {
    hub.board.accepted();
    let outcome = shake(hub, stream, transport, from).await;
    drop(ticket);
    let Err(error) = outcome else { return };
    if hub.board.accept_failed(from, &error, hub.unix_ms()) {
        tracing::warn!(
            target: "tombolo::mesh",
            address = %from,
            kind = error.kind(),
            reason = %error,
            "a peer was not let in"
        );
    }
}

async fn shake(
    hub: &Hub,
    stream: impl ByteStream + 'static,
    transport: Transport,
    from: SocketAddr,
) -> Result<(), HandshakeError> {
    let mut proven = hub.handshaker.accept(stream).await?;
    let admitted = hub.admit(&proven.basis, false, &from.to_string());
    let guard = match admitted {
        Ok(guard) => guard,
        Err(error) => {
            let reply = match error {
                HandshakeError::Duplicate => Answer::Duplicate,
                _ => Answer::Full,
            };
            // The peer is told as far as it listens; the refusal stands anyway.
            let _ = answer(&mut proven.stream, reply).await;
            return Err(error);
        }
    };
    answer(&mut proven.stream, Answer::Welcome).await?;
    tracing::info!(target: "tombolo::mesh", address = %from, transport = transport.as_str(), peer_key = %guard.peer_key(), "linked to a peer that connected");
    let address = from.to_string();
    hub.deliver(proven, guard, Carrier { transport, address }, false)
}
