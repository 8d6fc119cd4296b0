//! Collections, change log, indexes, transactions and snapshots over an ordered byte store.
//!
//! The module `engine` is the door to the disk: it knows bytes and nothing of documents.
//! This crate never checks a permission, never reads a clock and never draws randomness:
//! both are arguments. `docs/formats/store.md` holds the bytes that it reads and writes.

mod answers;
mod arrival;
pub mod attachments;
mod catalog;
mod chain;
mod codec;
mod echo;
pub mod engine;
mod error;
mod evicted;
mod flush_times;
mod index;
mod indexing;
mod job;
mod layout;
mod mentioning;
mod mentions;
mod open_transaction;
mod overlay;
mod reads;
mod receive;
mod sidecar;
mod snapshot;
mod state;
mod store;
mod transaction;
mod writer;

pub use answers::{
    ANSWER_BYTES_MAX, ANSWER_LIFETIME, ANSWERS_MAX, ANSWERS_OWNER_MAX, AnswerKey, Answers,
    KeptAnswer,
};
pub use arrival::{Arrivals, NOTES_MAX, Note, Origin};
pub use catalog::{COLLECTION_NAME_BYTES_MAX, COLLECTIONS_MAX, INDEXES_MAX, LOGS_MAX};
pub use chain::{HEADS_KEPT, Verified};
pub use error::StoreError;
pub use evicted::EVICTED_MAX;
pub use flush_times::{FLUSH_BOUNDS_US, FlushTimes};
pub use job::{Commit, WriteError};
pub use mentioning::{DOCUMENTS_READ_AT_ONCE, OpeningProgress};
pub use mentions::UNMENTIONED_MAX;
pub use open_transaction::{OpenTransaction, STEPS_WAITING_MAX};
pub use overlay::TRANSACTION_BYTES_MAX;
pub use reads::{Change, StoredDocument, VisitStored};
pub use receive::{Body, Incoming, Received};
pub use sidecar::Sidecar;
pub use snapshot::Snapshot;
pub use state::LogId;
pub use store::{
    DEFAULT_TRANSACTION_LIMIT, OnCommit, OnOpening, Store, StoreSettings, Timekeeper,
    WRITES_WAITING_MAX,
};
pub use transaction::Transaction;
pub use writer::{ROUND_BYTES, ROUND_JOBS_MAX};
