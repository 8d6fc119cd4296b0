//! What can go wrong at the door to the disk, and whose fault it is.

use std::{error::Error, io, path::PathBuf};

use super::{KEY_BYTES_MAX, Keyspace, VALUE_BYTES_MAX};

/// A failure of an engine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The operator's: two processes were given the same directory.
    #[error("directory {directory} is in use by another process; stop it or set another persistence_dir", directory = .directory.display())]
    Locked {
        /// The directory that both want.
        directory: PathBuf,
    },
    /// The operator's: the directory was written by another engine.
    #[error("directory {directory} holds a {found} store, not a {wanted} store; open it with {found} or use another directory", directory = .directory.display())]
    OtherEngine {
        /// The directory that was to be opened.
        directory: PathBuf,
        /// The engine whose files are there.
        found: &'static str,
        /// The engine that was asked for.
        wanted: &'static str,
    },
    /// The operator's: the device is full. The engine has stopped.
    #[error("no space left to {action}; free some and reopen the store")]
    Full {
        /// What the engine was doing.
        action: &'static str,
        /// The inner failure.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The machine's: the device or file system failed.
    #[error("cannot {action}")]
    Io {
        /// What the engine was doing.
        action: &'static str,
        /// The inner failure.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The machine's or the engine's: stored bytes do not read back as written.
    #[error("stored bytes are damaged: cannot {action}; restore from a backup or from a peer")]
    Damaged {
        /// What the engine was doing.
        action: &'static str,
        /// The inner failure.
        source: Box<dyn Error + Send + Sync>,
    },
    /// An earlier write or flush failed, so that nothing more is accepted.
    #[error("an earlier write or flush failed; reopen the store before writing again")]
    Stopped,
    /// The caller's: a key or value is beyond the limits of the door.
    #[error(
        "a key of {key_bytes} bytes with a value of {value_bytes} bytes does not fit in keyspace \
         {name}: keys have 1 to {KEY_BYTES_MAX} bytes and values at most {VALUE_BYTES_MAX}",
        name = .keyspace.name()
    )]
    Oversized {
        /// Where it was to be written.
        keyspace: Keyspace,
        /// Bytes of the key.
        key_bytes: usize,
        /// Bytes of the value.
        value_bytes: usize,
    },
}

impl EngineError {
    /// Sorts an I/O failure into "full" and "failed".
    pub(super) fn from_io(action: &'static str, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full {
                action,
                source: source.into(),
            },
            _ => Self::Io {
                action,
                source: source.into(),
            },
        }
    }
}
