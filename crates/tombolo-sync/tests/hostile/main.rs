//! A peer that lies, floods or falls silent: only its own session ends, with the
//! reason that fits, and nothing of it is applied.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod again;
mod attachments;
mod cuts;
mod flood;
mod frames;
mod held;
mod holder;
mod lies;
mod limits;
mod order;
mod refused;
mod revocations;
mod scene;
mod side;
mod view;
