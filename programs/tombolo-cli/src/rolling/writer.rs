//! A log of plain lines in rolling files, written by a thread of its own.
//! Whoever logs never waits: a line that finds the queue full is dropped and counted, and the count is written.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use crate::clock::unix_ms;
use crate::config::Rotation;

use super::{Keeper, Series, period};

/// Lines that wait to be written.
const LINES_MAX: usize = 8192;

/// The thread that writes; what is queued is written when this is dropped.
#[derive(Debug)]
pub(crate) struct RollingWriter {
    queue: Option<LogQueue>,
    thread: Option<JoinHandle<()>>,
}

/// Where lines are handed in.
#[derive(Debug, Clone)]
pub(crate) struct LogQueue {
    lines: SyncSender<Vec<u8>>,
    dropped: Arc<AtomicU64>,
}

impl RollingWriter {
    /// Begins to write files called `name` in `directory`.
    ///
    /// # Errors
    /// The directory or the file cannot be made, or there is no thread.
    pub(crate) fn start(directory: &Path, name: &str, rotation: Rotation) -> io::Result<Self> {
        let roll = Roll::open(Series::open(directory, name)?, rotation, unix_ms())?;
        let (lines, receiver) = sync_channel(LINES_MAX);
        let dropped = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&dropped);
        let thread = std::thread::Builder::new()
            .name("log-writer".to_owned())
            .spawn(move || write_all(roll, &receiver, &counter))?;
        Ok(Self {
            queue: Some(LogQueue { lines, dropped }),
            thread: Some(thread),
        })
    }

    /// Another hand of the same queue.
    pub(crate) fn queue(&self) -> Option<LogQueue> {
        self.queue.clone()
    }
}

impl LogQueue {
    /// Hands in a line, or drops it if the queue is full.
    pub(crate) fn put(&self, line: Vec<u8>) {
        match self.lines.try_send(line) {
            Ok(()) | Err(TrySendError::Disconnected(_)) => {}
            Err(TrySendError::Full(_)) => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

fn write_all(mut roll: Roll, lines: &Receiver<Vec<u8>>, dropped: &AtomicU64) {
    while let Ok(line) = lines.recv() {
        if line.is_empty() {
            // The mark of the end.
            return;
        }
        let missing = dropped.swap(0, Ordering::Relaxed);
        if missing > 0 {
            let text =
                format!("{missing} lines of this log were dropped because its queue was full\n");
            roll.write(text.as_bytes(), unix_ms());
        }
        roll.write(&line, unix_ms());
    }
}

impl Drop for RollingWriter {
    fn drop(&mut self) {
        if let (Some(queue), Some(thread)) = (self.queue.take(), self.thread.take()) {
            // Subscribers live as long as the process and keep the queue open, so the end is told by an empty line.
            let _ = queue.lines.send(Vec::new());
            let _ = thread.join();
        }
    }
}

/// The file that is written and what closes it.
struct Roll {
    series: Series,
    file: File,
    bytes: u64,
    period: u64,
    rotation: Rotation,
    keeper: Keeper,
    is_failing: bool,
}

impl Roll {
    fn open(series: Series, rotation: Rotation, now_ms: u64) -> io::Result<Self> {
        let file = series.append()?;
        let found = file.metadata()?;
        // A file of an earlier turn is closed by the first line.
        let changed = found.modified()?.duration_since(std::time::UNIX_EPOCH);
        let changed_ms = changed.map_or(now_ms, |age| {
            u64::try_from(age.as_millis()).unwrap_or(now_ms)
        });
        Ok(Self {
            keeper: Keeper::new(series.clone()),
            series,
            file,
            bytes: found.len(),
            period: period(rotation.frequency, changed_ms),
            rotation,
            is_failing: false,
        })
    }

    /// What cannot be written is lost; the first loss of a row is told on standard error.
    fn write(&mut self, line: &[u8], now_ms: u64) {
        let outcome = self
            .turn(line, now_ms)
            .and_then(|()| self.file.write_all(line));
        match outcome {
            Ok(()) => {
                self.bytes += line.len() as u64;
                self.is_failing = false;
            }
            Err(error) if !self.is_failing => {
                self.is_failing = true;
                let current = self.series.current();
                let _ = writeln!(
                    io::stderr(),
                    "cannot write the log {}: {error}",
                    current.display()
                );
            }
            Err(_) => {}
        }
    }

    fn turn(&mut self, line: &[u8], now_ms: u64) -> io::Result<()> {
        let now = period(self.rotation.frequency, now_ms);
        let is_full = self.bytes + line.len() as u64 > self.rotation.file_bytes_max;
        if self.bytes == 0 {
            self.period = now;
        }
        if self.bytes == 0 || (now == self.period && !is_full) {
            return Ok(());
        }
        self.series.close()?;
        self.file = self.series.append()?;
        (self.bytes, self.period) = (0, now);
        if let Some(files_max) = self.rotation.files_max {
            for file in self.keeper.surplus(files_max)? {
                std::fs::remove_file(file.path)?;
            }
        }
        if self.rotation.compress {
            self.keeper.compress();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
