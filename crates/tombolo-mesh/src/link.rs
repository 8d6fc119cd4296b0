//! What a link is, whatever carries it: a verified peer and whole frames, in
//! order, in both directions. Nobody holds a link to an unverified peer.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;

use bytes::Bytes;
use serde::Serialize;
use tombolo_identity::VerifiedPeer;

use crate::frame::FRAME_BYTES_MAX;

/// A future behind a trait object.
pub type BoxFuture<'f, T> = Pin<Box<dyn Future<Output = T> + Send + 'f>>;

/// What carries a link, under the names of presence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Transport {
    /// TCP, found on the local network or by a known address.
    AccessPoint,
    /// Bluetooth LE.
    Bluetooth,
    /// A Wi-Fi connection between two devices.
    P2PWiFi,
    /// A WebSocket.
    WebSocket,
    /// Two peers in one process.
    Memory,
}

impl Transport {
    /// The name in presence.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AccessPoint => "AccessPoint",
            Self::Bluetooth => "Bluetooth",
            Self::P2PWiFi => "P2PWiFi",
            Self::WebSocket => "WebSocket",
            Self::Memory => "Memory",
        }
    }
}

/// Why this node ends a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// There is a newer or better link to the same peer.
    Replaced,
    /// The peer's certificate has expired; a new link brings a new one.
    Expired,
    /// The peer was cut off.
    Revoked,
    /// This node no longer trusts who signed the peer's certificate.
    Untrusted,
    /// This node has a newer certificate; a new link is made with it.
    Renewed,
    /// This node's certificate has expired: its user logs in again.
    OwnExpired,
    /// This node's clock was set to before its certificate.
    OwnNotYetValid,
    /// This node was cut off.
    OwnRevoked,
    /// The mesh is being stopped.
    Stopped,
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Replaced => "another link to the same peer took its place",
            Self::Expired => "the peer's certificate expired",
            Self::Revoked => "the peer's certificate was revoked",
            Self::Untrusted => "who signed the peer's certificate is no longer trusted here",
            Self::Renewed => "this node has a new certificate, and the link is made anew with it",
            Self::OwnExpired => "this node's own certificate expired: log in again",
            Self::OwnNotYetValid => {
                "this node's clock is before its own certificate: set the clock"
            }
            Self::OwnRevoked => "this node's own certificate was revoked: log in again",
            Self::Stopped => "this node stops",
        })
    }
}

/// Why a link carries nothing more. After any of them it is of no use.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// This node ended it.
    #[error("the link was closed: {0}")]
    Closed(CloseReason),
    /// A frame is too large: the peer's fault when received, ours when sent.
    #[error("a frame of {bytes} bytes, and {FRAME_BYTES_MAX} are allowed")]
    TooLarge {
        /// Its announced size.
        bytes: usize,
    },
    /// A frame of no bytes: the peer's fault when received, ours when sent.
    #[error("a frame of no bytes")]
    Empty,
    /// The peer went away in the middle of a frame.
    #[error("the link ended inside a frame")]
    Cut,
    /// The peer is gone.
    #[error("the peer has ended the link")]
    Ended,
    /// Nothing arrived for too long.
    #[error("nothing arrived for {seconds} s")]
    Idle {
        /// How long that is.
        seconds: u64,
    },
    /// The peer takes nothing.
    #[error("the peer took no bytes for {seconds} s")]
    Stalled {
        /// How long that is.
        seconds: u64,
    },
    /// An earlier send was dropped half way, so the peer could not tell where
    /// the next frame begins. Our fault.
    #[error("an earlier frame was given up half way")]
    Unfinished,
    /// The network failed.
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
}

/// A way to one verified peer.
pub trait Link: Send {
    /// Who is at the other end.
    fn peer(&self) -> &VerifiedPeer;

    /// What carries the link.
    fn transport(&self) -> Transport;

    /// Where the peer is, for logs alone.
    fn remote_address(&self) -> &str;

    /// Both directions, to be used by two tasks. The link ends when both are
    /// dropped.
    fn split(self: Box<Self>) -> (Box<dyn FrameSender>, Box<dyn FrameReceiver>);
}

/// The outgoing direction of a link.
pub trait FrameSender: Send {
    /// Writes frames of 1 to [`FRAME_BYTES_MAX`] bytes, in order and with one
    /// flush at the end. A future that is dropped early leaves the link unusable.
    ///
    /// # Errors
    /// [`LinkError`]; nothing more can be sent then.
    fn send<'f>(&'f mut self, frames: &'f [Bytes]) -> BoxFuture<'f, Result<(), LinkError>>;

    /// Tells the peer that nothing more follows.
    ///
    /// # Errors
    /// The network failed first.
    fn finish(&mut self) -> BoxFuture<'_, Result<(), LinkError>>;
}

/// The incoming direction of a link.
pub trait FrameReceiver: Send {
    /// The next frame, of 1 to [`FRAME_BYTES_MAX`] bytes; `None` if the peer
    /// ended the link between two frames. A future that is dropped early loses
    /// nothing.
    ///
    /// # Errors
    /// [`LinkError`]; nothing more will be received then.
    fn receive(&mut self) -> BoxFuture<'_, Result<Option<Bytes>, LinkError>>;
}
