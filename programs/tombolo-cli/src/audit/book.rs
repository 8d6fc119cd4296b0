//! The file that is written: it seals records into lines, appends them, closes the file when it is due, and goes on
//! after any end. A line that could not be written whole is taken back, so that the next attempt starts clean.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::head::{Head, HeadFile};
use super::line::{Position, SealError, seal};
use super::record::{AuditRecord, FileRecord, HeadFound, RemovedRecord};
use super::{AuditError, NAME, resume};
use crate::clock::rfc_3339;
use crate::config::Rotation;
use crate::rolling::{Keeper, Series, period};

/// Version of the form of lines.
const FORMAT: u32 = 1;

/// Whose log it is.
#[derive(Debug, Clone)]
pub(crate) struct Owner {
    pub(crate) database: String,
    pub(crate) device: String,
}

/// An open audit log.
#[derive(Debug)]
pub(super) struct Book {
    series: Series,
    keeper: Keeper,
    rotation: Rotation,
    owner: Owner,
    chain: String,
    head: Arc<HeadFile>,
    /// `None`: the last file was closed and the next one could not be made yet.
    file: Option<File>,
    bytes: u64,
    period: u64,
    /// Lines that are sealed and not written.
    lines: Vec<u8>,
    /// The end of `lines`.
    position: Position,
    /// Whether the disk may lack something that was written.
    is_dirty: bool,
    /// Whether a write ended in the middle of a line.
    has_torn_end: bool,
}

/// A flush that was begun.
#[derive(Debug)]
pub(super) struct Sync {
    file: File,
    /// The last line of it.
    position: Position,
    head: Arc<HeadFile>,
}

impl Sync {
    /// # Errors
    /// The disk fails, and nothing that follows can be trusted.
    pub(super) fn run(self) -> io::Result<()> {
        self.file.sync_data()?;
        self.head.put(self.position)
    }
}

impl Book {
    /// Opens the log in `directory` and goes on where it ended. `fresh_chain` names a chain that begins here.
    ///
    /// # Errors
    /// [`AuditError`].
    pub(super) fn open(
        directory: &Path,
        rotation: Rotation,
        (owner, fresh_chain): (Owner, String),
        now_ms: u64,
    ) -> Result<Self, AuditError> {
        let failed = |source| AuditError::Directory {
            directory: directory.to_owned(),
            source,
        };
        let series = Series::open(directory, NAME).map_err(failed)?;
        let (head, found) =
            HeadFile::hold(directory)
                .map_err(failed)?
                .ok_or_else(|| AuditError::Held {
                    directory: directory.to_owned(),
                })?;
        let resumption = resume::find(&series, found).map_err(failed)?;
        let mut book = Self {
            keeper: Keeper::new(series.clone()),
            series,
            rotation,
            owner,
            chain: resumption.chain.clone().unwrap_or(fresh_chain),
            head: Arc::new(head),
            file: None,
            bytes: 0,
            period: 0,
            lines: Vec::new(),
            position: resumption.position,
            is_dirty: false,
            has_torn_end: false,
        };
        book.go_on(&resumption, found, now_ms).map_err(failed)?;
        Ok(book)
    }

    fn go_on(&mut self, found: &resume::Resumption, head: Head, now_ms: u64) -> io::Result<()> {
        let file = self.series.append()?;
        self.bytes = file.metadata()?.len();
        let is_new = self.bytes == 0;
        self.file = Some(file);
        self.period = self.started_in(now_ms);
        if found.needs_line_end {
            self.lines.push(b'\n');
        }
        if is_new {
            self.begin_file(now_ms)?;
        }
        if let Some(record) = &found.record {
            let current = self.series.current();
            match record.head {
                HeadFound::Ahead => tracing::error!(
                    "the audit log {} ends before the record that audit.head names ({head:?}): records are missing; run tombolo audit verify",
                    current.display()
                ),
                _ => tracing::warn!(
                    "the audit log {} did not end in good order: {} bytes are no records",
                    current.display(),
                    record.torn_bytes
                ),
            }
            self.seal(&AuditRecord::Resumed(record.clone()), now_ms)?;
        }
        self.flush()?;
        self.sync()
    }

    /// The turn in which the current file was begun, as far as its last change tells.
    fn started_in(&self, now_ms: u64) -> u64 {
        let changed = self
            .file
            .as_ref()
            .and_then(|file| file.metadata().ok()?.modified().ok());
        let age = changed.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
        let at_ms = age.and_then(|age| u64::try_from(age.as_millis()).ok());
        period(
            self.rotation.frequency,
            at_ms.filter(|_| self.bytes > 0).unwrap_or(now_ms),
        )
    }

    pub(super) fn path(&self) -> PathBuf {
        self.series.current()
    }

    /// Writes what could not be written before, and closes the file if it is due. Nothing may be sealed before it
    /// has succeeded.
    ///
    /// # Errors
    /// The disk is full or fails; try again.
    pub(super) fn make_ready(&mut self, now_ms: u64) -> io::Result<()> {
        if !self.lines.is_empty() {
            self.flush()?;
        }
        self.turn(now_ms)
    }

    /// Hands the sealed lines to the system.
    ///
    /// # Errors
    /// The disk is full or fails; the lines stay for the next attempt.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        let Some(file) = &mut self.file else {
            return Err(io::Error::other("the next file is not open"));
        };
        if self.has_torn_end {
            // A part of a line must not stay: the whole will be written again.
            file.set_len(self.bytes)?;
            self.has_torn_end = false;
        }
        if self.lines.is_empty() {
            return Ok(());
        }
        self.has_torn_end = true;
        file.write_all(&self.lines)?;
        self.has_torn_end = false;
        self.bytes += self.lines.len() as u64;
        self.lines.clear();
        self.is_dirty = true;
        Ok(())
    }

    /// A flush of what was written, for another thread to carry out; `None`: there is nothing to flush.
    ///
    /// # Errors
    /// The process has no file handle left.
    pub(super) fn begin_sync(&mut self) -> io::Result<Option<Sync>> {
        let Some(file) = self.file.as_ref().filter(|_| self.is_dirty) else {
            return Ok(None);
        };
        let file = file.try_clone()?;
        self.is_dirty = false;
        Ok(Some(Sync {
            file,
            position: self.position,
            head: Arc::clone(&self.head),
        }))
    }

    /// Makes all of the current file last, whatever another thread has begun to flush.
    ///
    /// # Errors
    /// The disk fails.
    pub(super) fn conclude(&mut self) -> io::Result<()> {
        self.is_dirty = true;
        self.sync()
    }

    /// Makes what was written last, and then moves the head to it.
    ///
    /// # Errors
    /// The disk fails.
    fn sync(&mut self) -> io::Result<()> {
        if let Some(file) = self.file.as_ref().filter(|_| self.is_dirty) {
            file.sync_data()?;
            self.head.put(self.position)?;
            self.is_dirty = false;
        }
        Ok(())
    }

    /// Puts a record behind the chain; [`Book::flush`] writes it.
    ///
    /// # Errors
    /// It has no form in JSON, which no record lacks.
    pub(super) fn seal(&mut self, record: &AuditRecord, at_ms: u64) -> io::Result<()> {
        match seal(&mut self.lines, self.position, &rfc_3339(at_ms), record) {
            Ok(position) => self.position = position,
            Err(SealError::NotJson(error)) => return Err(error.into()),
            Err(error @ SealError::TooLong { .. }) => {
                // Bounds of the parts keep this from happening; the chain says that something was here.
                tracing::error!("{error}");
                let unwritten = AuditRecord::Unwritten { requests: 1 };
                let sealed = seal(&mut self.lines, self.position, &rfc_3339(at_ms), &unwritten);
                self.position = sealed.map_err(io::Error::other)?;
            }
        }
        Ok(())
    }

    fn begin_file(&mut self, now_ms: u64) -> io::Result<()> {
        let previous = Some(self.position).filter(|end| *end != Position::START);
        let record = FileRecord {
            format: FORMAT,
            chain: self.chain.clone(),
            database: self.owner.database.clone(),
            device: super::record::bounded(&self.owner.device),
            version: env!("CARGO_PKG_VERSION"),
            previous,
        };
        self.seal(&AuditRecord::File(record), now_ms)
    }

    /// Closes the file if it is due, and begins the next one.
    fn turn(&mut self, now_ms: u64) -> io::Result<()> {
        let now = period(self.rotation.frequency, now_ms);
        if self.file.is_some() {
            if now == self.period && self.bytes < self.rotation.file_bytes_max {
                return Ok(());
            }
            self.conclude()?;
            self.series.close()?;
            self.file = None;
        }
        let file = self.series.append()?;
        self.series.sync_directory()?;
        (self.file, self.bytes, self.period) = (Some(file), 0, now);
        self.begin_file(now_ms)?;
        self.flush()?;
        self.sync()?;
        self.remove_surplus(now_ms)?;
        if self.rotation.compress {
            self.keeper.compress();
        }
        Ok(())
    }

    /// Removes the oldest files, each after the chain says so.
    fn remove_surplus(&mut self, now_ms: u64) -> io::Result<()> {
        let Some(files_max) = self.rotation.files_max else {
            return Ok(());
        };
        for file in self.keeper.surplus(files_max)? {
            // The file behind it begins with where this one ends.
            let next = self
                .series
                .closed()?
                .into_iter()
                .find(|next| next.number > file.number);
            let end = match next {
                Some(next) => resume::previous_end(next.open()?)?,
                None => resume::previous_end(File::open(self.series.current())?)?,
            };
            if let Some(end) = end {
                let name = file.path.file_name().unwrap_or_default().to_string_lossy();
                let file = name.into_owned();
                self.seal(&AuditRecord::Removed(RemovedRecord { file, end }), now_ms)?;
                self.flush()?;
                self.sync()?;
            }
            std::fs::remove_file(&file.path)?;
        }
        Ok(())
    }
}
