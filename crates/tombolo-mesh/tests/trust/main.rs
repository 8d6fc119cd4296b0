//! Who is let in and for how long, over real sockets: strangers with every kind
//! of wrong certificate, revocations, expiry, renewal, and new authorities.

#![expect(
    clippy::unwrap_used,
    reason = "a test whose world cannot be set up has failed"
)]

mod fleet;
mod handshakes;
mod live;
#[path = "../mesh/node.rs"]
#[allow(dead_code, reason = "each test binary uses a part")]
mod node;
mod revocations;
mod rotation;
mod stranger;
mod tls;
