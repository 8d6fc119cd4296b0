//! The door to the disk: ordered bytes in a few keyspaces, snapshots, atomic batches, one durable flush.
//!
//! The caller writes any number of batches and then flushes once; nothing may be acknowledged
//! before that flush has returned. An engine never knows what a document is.

mod batch;
mod bytes;
mod error;
mod faulty;
mod fjall;
mod fuse;
mod journal;
mod lock;
mod memory;
mod range;
mod redb;
mod sorted;

use std::ops::ControlFlow;

pub use batch::Batch;
pub use bytes::StoredBytes;
pub use error::EngineError;
pub use faulty::{Fault, FaultyDisk, FaultyEngine};
pub use fjall::{FjallEngine, FjallSettings};
pub use lock::DirectoryLock;
pub use memory::MemoryEngine;
pub use range::KeyRange;
pub use redb::RedbEngine;

/// Longest key in bytes. The shortest is one byte. A batch refuses others.
pub const KEY_BYTES_MAX: usize = 65_535;

/// Longest value in bytes. A batch refuses longer ones.
pub const VALUE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The fixed set of ordered maps that every engine holds.
///
/// They are few on purpose: an idle keyspace of an LSM engine can pin its journals,
/// so collections and indexes are prefixes of keys, never keyspaces of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Keyspace {
    /// Document records.
    Documents,
    /// The change log: local commit number to touched documents.
    Changes,
    /// Secondary index entries.
    Index,
    /// What is remembered about other peers.
    Sessions,
    /// Versions, ids, high-water marks, registries.
    Meta,
    /// Which documents refer to which attachments.
    Attachments,
}

impl Keyspace {
    /// How many keyspaces there are.
    pub const COUNT: usize = 6;

    /// Every keyspace, in the order of [`Keyspace::index`].
    pub const ALL: [Self; Self::COUNT] = [
        Self::Documents,
        Self::Changes,
        Self::Index,
        Self::Sessions,
        Self::Meta,
        Self::Attachments,
    ];

    /// The name on disk. Renaming one is a change of format.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Documents => "documents",
            Self::Changes => "changes",
            Self::Index => "index",
            Self::Sessions => "sessions",
            Self::Meta => "meta",
            Self::Attachments => "attachments",
        }
    }

    /// Position in [`Keyspace::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// Which end of a range a scan begins at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Smallest key first.
    Forward,
    /// Greatest key first.
    Backward,
}

/// What an engine tells about itself, for metrics and `doctor`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EngineStats {
    /// Bytes on disk, or bytes of keys and values for an engine in memory.
    pub size_bytes: u64,
    /// Batches written since the engine was opened.
    pub batches_written: u64,
    /// Durable flushes since the engine was opened.
    pub flushes: u64,
}

/// What a scan calls for each key and value; `Break` ends the scan.
pub type Visitor<'a> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'a;

/// An ordered byte store.
pub trait Engine: Send + Sync {
    /// A view of everything written so far, flushed or not, that later writes never change.
    ///
    /// # Errors
    /// [`EngineError::Io`] if the engine must read to make one and cannot.
    fn snapshot(&self) -> Result<Box<dyn EngineSnapshot>, EngineError>;

    /// Applies a batch over all keyspaces at once, or not at all. It is *not* durable yet.
    ///
    /// # Errors
    /// After any error from here or from [`Engine::flush`], every later write and flush is
    /// refused with [`EngineError::Stopped`] until the engine is opened again: after a failed
    /// flush the operating system may have dropped the dirty pages and a second flush would lie.
    fn write(&self, batch: &Batch) -> Result<(), EngineError>;

    /// Makes every batch written before this call durable, by one flush of the device.
    ///
    /// # Errors
    /// As for [`Engine::write`]; nothing that was waiting for this flush may be acknowledged.
    fn flush(&self) -> Result<(), EngineError>;

    /// Size and counters.
    fn stats(&self) -> EngineStats;
}

/// A view of an engine at one moment. Holding it never blocks a writer.
pub trait EngineSnapshot: Send + Sync {
    /// The value of a key.
    ///
    /// # Errors
    /// [`EngineError::Io`] or [`EngineError::Damaged`] if the bytes cannot be read back.
    fn get(&self, keyspace: Keyspace, key: &[u8]) -> Result<Option<StoredBytes>, EngineError>;

    /// Calls `visitor` for each key of `range` in order, until it breaks.
    ///
    /// # Errors
    /// As for [`EngineSnapshot::get`].
    fn scan(
        &self,
        keyspace: Keyspace,
        range: &KeyRange,
        direction: Direction,
        visitor: &mut Visitor<'_>,
    ) -> Result<(), EngineError>;
}
