//! The file that names the last line that is safely on the disk, so that a tail that was cut off is noticed.
//! It is written after the lines it tells of, and so never tells of more than was there.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::line::Position;

const NAME: &str = "audit.head";
/// It always has the same length, so that writing it anew never makes it shorter or longer.
const BYTES: usize = 128;
const MODE: u32 = 0o640;

/// What the file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Head {
    /// There is none, or nobody can read it.
    Missing,
    At(Position),
}

/// The file, held by the one process that may write it.
#[derive(Debug)]
pub(super) struct HeadFile {
    file: File,
    /// The number of the record that it names, as far as this process wrote it.
    sequence: Mutex<u64>,
}

impl HeadFile {
    /// Opens the file or makes it, and says what stood in it. `None`: another process holds it.
    ///
    /// # Errors
    /// It cannot be opened or read.
    pub(super) fn hold(directory: &Path) -> io::Result<Option<(Self, Head)>> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(MODE)
            .open(path(directory))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => return Ok(None),
            Err(std::fs::TryLockError::Error(error)) => return Err(error),
        }
        let head = read(&file)?;
        let sequence = Mutex::new(0);
        Ok(Some((Self { file, sequence }, head)))
    }

    /// Says that everything up to `position` is on the disk, unless more is known to be.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn put(&self, position: Position) -> io::Result<()> {
        // Two threads flush; whoever ends later may have begun earlier.
        let mut sequence = self.sequence.lock().unwrap_or_else(PoisonError::into_inner);
        if position.sequence < *sequence {
            return Ok(());
        }
        let mut text = serde_json::to_vec(&position).map_err(io::Error::other)?;
        text.resize(BYTES - 1, b' ');
        text.push(b'\n');
        self.file.write_all_at(&text, 0)?;
        *sequence = position.sequence;
        Ok(())
    }
}

/// What the file in `directory` says.
///
/// # Errors
/// It is there and cannot be opened or read.
pub(super) fn look(directory: &Path) -> io::Result<Head> {
    match File::open(path(directory)) {
        Ok(file) => read(&file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Head::Missing),
        Err(error) => Err(error),
    }
}

fn path(directory: &Path) -> PathBuf {
    directory.join(NAME)
}

fn read(file: &File) -> io::Result<Head> {
    let mut text = [0; BYTES];
    match file.read_exact_at(&mut text, 0) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(Head::Missing),
        Err(error) => return Err(error),
    }
    Ok(serde_json::from_slice(&text).map_or(Head::Missing, Head::At))
}
