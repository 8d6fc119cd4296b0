//! The store: what a transaction keeps, what a crash leaves, and what the change log tells.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on must fail, also in its helpers"
)]

mod answers;
mod bench;
mod eviction;
mod indexes;
mod killed;
mod log;
mod mentions;
mod model;
mod recovery;
mod transactions;
