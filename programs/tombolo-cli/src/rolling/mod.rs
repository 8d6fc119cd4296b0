//! Files of one log, one after another: the one that is written, and closed ones with growing numbers behind its name.
//! The audit log and the messages of the program share it; it knows neither.
//! Numbers order the files, so that a clock that jumps never mixes them.

mod closed;
mod turn;
mod writer;

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

pub(crate) use closed::{ClosedFile, Keeper};
pub(crate) use turn::period;
pub(crate) use writer::{LogQueue, RollingWriter};

/// Others may not read logs: they tell who asked for what.
const FILE_MODE: u32 = 0o640;
const DIRECTORY_MODE: u32 = 0o750;
/// Digits of a number in a name, so that names sort as numbers do.
const NUMBER_DIGITS: usize = 6;

/// The files of one log.
#[derive(Debug, Clone)]
pub(crate) struct Series {
    directory: PathBuf,
    name: String,
}

impl Series {
    /// Makes the directory if it is missing.
    ///
    /// # Errors
    /// It cannot be made.
    pub(crate) fn open(directory: &Path, name: &str) -> io::Result<Self> {
        DirBuilder::new()
            .recursive(true)
            .mode(DIRECTORY_MODE)
            .create(directory)?;
        Ok(Self::at(directory, name))
    }

    /// Looks at a directory without making it.
    pub(crate) fn at(directory: &Path, name: &str) -> Self {
        Self {
            directory: directory.to_owned(),
            name: name.to_owned(),
        }
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The file that is written.
    pub(crate) fn current(&self) -> PathBuf {
        self.directory.join(&self.name)
    }

    /// Opens the file that is written, at its end.
    ///
    /// # Errors
    /// It cannot be opened or made.
    pub(crate) fn append(&self) -> io::Result<File> {
        OpenOptions::new()
            .create(true)
            .append(true)
            .mode(FILE_MODE)
            .open(self.current())
    }

    /// Gives the current file the next number. The caller opens a new one.
    ///
    /// # Errors
    /// The directory cannot be read or changed.
    pub(crate) fn close(&self) -> io::Result<ClosedFile> {
        let last = self.closed()?.last().map_or(0, |file| file.number);
        let number = last + 1;
        let path = self
            .directory
            .join(format!("{}.{number:0NUMBER_DIGITS$}", self.name));
        std::fs::rename(self.current(), &path)?;
        self.sync_directory()?;
        Ok(ClosedFile {
            number,
            path,
            is_compressed: false,
        })
    }

    /// Closed files, the oldest first; of a file that is being compressed, the whole one.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub(crate) fn closed(&self) -> io::Result<Vec<ClosedFile>> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&self.directory)? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            if let Some((number, is_compressed)) = name.and_then(|name| self.number(name)) {
                found.push(ClosedFile {
                    number,
                    path,
                    is_compressed,
                });
            }
        }
        // Of two with one number the compressed one is complete, because it got its name last.
        found.sort_by_key(|file: &ClosedFile| (file.number, !file.is_compressed));
        found.dedup_by_key(|file| file.number);
        Ok(found)
    }

    fn number(&self, name: &str) -> Option<(u64, bool)> {
        let rest = name.strip_prefix(&self.name)?.strip_prefix('.')?;
        let (digits, is_compressed) = match rest.strip_suffix(".gz") {
            Some(digits) => (digits, true),
            None => (rest, false),
        };
        let is_number = digits.len() >= NUMBER_DIGITS && digits.bytes().all(|b| b.is_ascii_digit());
        is_number
            .then(|| digits.parse().ok())
            .flatten()
            .map(|number| (number, is_compressed))
    }

    /// Makes renames and removals last.
    ///
    /// # Errors
    /// The directory cannot be opened or flushed.
    pub(crate) fn sync_directory(&self) -> io::Result<()> {
        File::open(&self.directory)?.sync_all()
    }
}

#[cfg(test)]
mod tests;
