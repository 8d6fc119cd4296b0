//! How a database is opened.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tombolo_document::Object;
use tombolo_document::clock::DEFAULT_SKEW_LIMIT_MS;

/// Where documents live.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Storage {
    /// Files in this directory, which belongs to one process at a time.
    Directory(PathBuf),
    /// Nowhere: everything is lost when the database is closed.
    Memory,
}

/// What becomes of documents that a login no longer lets this device read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnLostAccess {
    /// They stay as they are, and nothing new comes.
    #[default]
    Keep,
    /// A login that takes them away evicts them, before sync goes on under it.
    /// Writes in them that no peer has yet are lost. What could not be read
    /// before either, such as what may be written alone, stays.
    Purge,
}

/// How a database is opened.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// Names the database in the mesh; a directory holds one database.
    pub database_id: String,
    /// Where documents live.
    pub storage: Storage,
    /// How long a transaction may stay open before it is rolled back.
    pub transaction_limit: Duration,
    /// How far ahead of the clock here a peer's write may be stamped.
    pub skew_limit: Duration,
    /// What other peers see this device named as.
    pub device_name: String,
    /// What other peers are told of this device, at most 4,096 bytes as JSON.
    pub peer_metadata: Object,
    /// What becomes of documents that a login no longer lets this device read.
    pub on_lost_access: OnLostAccess,
    /// Whether the attachments of all documents that are here are fetched without
    /// being asked for. Otherwise one comes when somebody fetches it.
    pub auto_fetch_attachments: bool,
}

impl Options {
    /// A database in the files of `directory`, made if it is absent.
    pub fn directory(database_id: impl Into<String>, directory: impl AsRef<Path>) -> Self {
        Self::with_storage(
            database_id,
            Storage::Directory(directory.as_ref().to_owned()),
        )
    }

    /// A database that is lost when it is closed.
    pub fn memory(database_id: impl Into<String>) -> Self {
        Self::with_storage(database_id, Storage::Memory)
    }

    fn with_storage(database_id: impl Into<String>, storage: Storage) -> Self {
        Self {
            database_id: database_id.into(),
            storage,
            transaction_limit: tombolo_store::DEFAULT_TRANSACTION_LIMIT,
            skew_limit: Duration::from_millis(DEFAULT_SKEW_LIMIT_MS),
            device_name: "tombolo".to_owned(),
            peer_metadata: Object::new(),
            on_lost_access: OnLostAccess::default(),
            auto_fetch_attachments: false,
        }
    }
}
