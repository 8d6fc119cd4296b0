//! Collections, change log, indexes, transactions and snapshots over an ordered byte store.
//!
//! The module `engine` is the door to the disk: it knows bytes and nothing of documents.
//! This crate never checks a permission, never reads a clock and never draws randomness:
//! both are arguments.

pub mod engine;
