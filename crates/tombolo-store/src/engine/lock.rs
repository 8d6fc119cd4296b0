//! The lock on a data directory, so that two processes never write the same files.
//!
//! The operating system drops the lock with the process, killed or not.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use super::EngineError;

/// The file that is locked. It is empty, and stays when the lock is released.
const LOCK_FILE: &str = "LOCK";

/// An exclusive hold on a data directory, released when dropped.
#[derive(Debug)]
pub struct DirectoryLock {
    directory: PathBuf,
    file: File,
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
                file,
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
    ///
    /// An absent place is made whole under another name by `make` and then renamed: an engine
    /// that dies half-way through its first start leaves nothing that its second start trips on.
    pub(super) fn place(
        &self,
        wanted: &'static str,
        others: &[&'static str],
        make: impl FnOnce(&Path) -> Result<(), EngineError>,
    ) -> Result<PathBuf, EngineError> {
        let occupied = |name: &&&str| self.directory.join(name).exists();
        if let Some(found) = others.iter().find(occupied) {
            return Err(EngineError::OtherEngine {
                directory: self.directory.clone(),
                found,
                wanted,
            });
        }
        let place = self.directory.join(wanted);
        if !place.exists() {
            let unfinished = self.directory.join(format!("{wanted}.unfinished"));
            Self::clear(&unfinished)?;
            make(&unfinished)?;
            sync_directories(&unfinished)
                .and_then(|()| fs::rename(&unfinished, &place))
                .and_then(|()| File::open(&self.directory)?.sync_all())
                .map_err(|error| EngineError::from_io("name the new store", error))?;
        }
        Ok(place)
    }

    /// Removes what a first start left behind; nothing in it was ever acknowledged.
    fn clear(unfinished: &Path) -> Result<(), EngineError> {
        match fs::remove_dir_all(unfinished) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(EngineError::from_io("remove an unfinished store", error))
            }
            _ => Ok(()),
        }
    }
}

impl Drop for DirectoryLock {
    /// Unlocks in so many words. Closing the file is not enough: a child that this process is
    /// just starting holds a copy of it between fork and exec, and the lock with it.
    fn drop(&mut self) {
        // The file is closed next, which releases the lock in every other case.
        let _ = self.file.unlock();
    }
}

/// Makes every name below `directory` durable. An engine may sync its files and forget that the
/// name of a directory is kept by its parent; the recorder test found one that does.
fn sync_directories(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_directories(&entry.path())?;
        }
    }
    File::open(directory)?.sync_all()
}
