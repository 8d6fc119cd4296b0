//! The lock on a data directory, so that two processes never write the same files.
//!
//! The operating system drops the lock with the process, killed or not.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    path::{Path, PathBuf},
};

use super::EngineError;

/// The file that is locked. It is empty, and stays when the lock is released.
const LOCK_FILE: &str = "LOCK";

/// An exclusive hold on a data directory, released when dropped.
#[derive(Debug)]
pub struct DirectoryLock {
    directory: PathBuf,
    /// Never read: the open file *is* the lock.
    _file: File,
}

impl DirectoryLock {
    /// Takes the directory, making it if it is absent.
    ///
    /// # Errors
    /// [`EngineError::Locked`] if another process, or another store of this one, holds it;
    /// [`EngineError::Io`] if it cannot be made or written.
    pub fn acquire(directory: &Path) -> Result<Self, EngineError> {
        fs::create_dir_all(directory)
            .map_err(|error| EngineError::from_io("make the data directory", error))?;
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(directory.join(LOCK_FILE))
            .map_err(|error| EngineError::from_io("open the lock of the data directory", error))?;
        match file.try_lock() {
            Ok(()) => Ok(Self {
                directory: directory.to_path_buf(),
                _file: file,
            }),
            Err(TryLockError::WouldBlock) => Err(EngineError::Locked {
                directory: directory.to_path_buf(),
            }),
            Err(TryLockError::Error(error)) => {
                Err(EngineError::from_io("lock the data directory", error))
            }
        }
    }

    /// The locked directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The place of one engine's files, refused if another engine's are there.
    pub(super) fn place(
        &self,
        wanted: &'static str,
        others: &[&'static str],
    ) -> Result<PathBuf, EngineError> {
        let found = others
            .iter()
            .find(|name| self.directory.join(name).exists());
        match found {
            Some(found) => Err(EngineError::OtherEngine {
                directory: self.directory.clone(),
                found,
                wanted,
            }),
            None => Ok(self.directory.join(wanted)),
        }
    }
}
