//! Links between peers: whom to dial, whom to let in, and frames over TLS 1.3.
//!
//! A link exists only after both sides have proven who they are; what is said
//! over it is not this crate's business, which knows no document and no store.
//! Time and jitter come through [`Surroundings`]; deadlines are tokio's.
//! `docs/formats/link.md` holds the bytes that a link begins with.

mod backoff;
mod credential;
mod dialer;
mod frame;
mod gate;
mod handshake;
mod leaf;
mod link;
mod listener;
mod memory;
mod mesh;
pub mod presence;
mod refusal;
mod registry;
mod standing;
mod status;
mod tcp;
mod tls;
mod warden;
mod websocket;
mod wire;

#[cfg(test)]
mod testing;

pub use backoff::{BACKOFF_MAX, Backoff};
pub use credential::{Credential, CredentialError, RevocationsRefused, Surroundings};
pub use frame::FRAME_BYTES_MAX;
pub use handshake::HANDSHAKE_TIME;
pub use link::{BoxFuture, CloseReason, FrameReceiver, FrameSender, Link, LinkError, Transport};
pub use memory::MemoryLink;
pub use mesh::{EstablishedLink, Mesh, MeshConfig, MeshError};
pub use refusal::HandshakeError;
pub use registry::LinkGuard;
pub use status::{DialState, InboundFailure, LinkStatus, MeshStatus, ServerStatus};
pub use tcp::{RECEIVE_IDLE_MAX, SEND_STALL_MAX, TcpLink};
pub use websocket::{
    NoUpgrade, WEB_SERVER_BYTES_MAX, WEBSOCKET_IDLE_MESSAGES_MAX, WEBSOCKET_MESSAGE_BYTES_MAX,
    WEBSOCKET_PATH, WebServer, WebServerError, websocket_accept,
};
pub use wire::ByteStream;
