//! Noticing that a data directory was copied or restored from a backup.
//!
//! A copy that goes on under its original's name would stamp two writes alike,
//! and a restored one would do so with writes that peers still hold. Copying
//! makes new files: a directory whose marker is not the file that it describes
//! takes a new log id and a new actor epoch before it writes anything. What a
//! copy of the whole disk hides from this, peers notice: docs/formats/wire.md.

use std::fs::{self, File, Metadata};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use crate::database::Database;
use crate::error::OpenError;
use crate::replication::Host;

/// The file in the data directory: what the file system calls this very file.
const FILE: &str = "place";

/// Why the place cannot be checked. The operator's to mend.
#[derive(Debug, thiserror::Error)]
#[error("cannot read or write {path}: check that the directory is writable and not full")]
pub struct PlaceError {
    path: PathBuf,
    source: io::Error,
}

/// Whether the directory is where it was; it is not if it never was anywhere.
pub(crate) fn is_here(directory: &Path) -> Result<bool, PlaceError> {
    let path = directory.join(FILE);
    let found = match fs::metadata(&path) {
        Ok(metadata) => fs::read_to_string(&path).map(|text| text == mark(&metadata)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    };
    found.map_err(|source| PlaceError { path, source })
}

/// Gives the database a new log id and a new epoch if it holds anything, and
/// then notes that its directory is here.
pub(crate) fn settle(directory: &Path, database: &Database) -> Result<(), OpenError> {
    if database.snapshot().last_commit() > 0 {
        tracing::warn!(
            directory = %directory.display(),
            "this directory was copied or restored from a backup: it takes a new identity and exchanges everything anew"
        );
        Host::new(database).renew_identity()?;
    }
    let path = directory.join(FILE);
    // Only after the new identity is durable.
    write(directory, &path).map_err(|source| PlaceError { path, source })?;
    Ok(())
}

fn write(directory: &Path, path: &Path) -> io::Result<()> {
    let mut file = File::create(path)?;
    let mark = mark(&file.metadata()?);
    file.write_all(mark.as_bytes())?;
    file.sync_all()?;
    File::open(directory)?.sync_all()
}

/// What no copy of the file shares with it: its number, and when it was made.
fn mark(metadata: &Metadata) -> String {
    let made = metadata.created().ok();
    let made = made.and_then(|made| made.duration_since(UNIX_EPOCH).ok());
    let made = made.map_or(0, |made| made.as_nanos());
    format!("{} {made}\n", number(metadata))
}

#[cfg(unix)]
fn number(metadata: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn number(_: &Metadata) -> u64 {
    0
}
