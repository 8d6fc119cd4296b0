//! The one thread that writes the audit log: what is queued becomes one write, and a flush is begun within a second.
//! Records that nobody waits for gather for a moment and wake it once. While the disk is full it keeps what it has,
//! lets nothing new in, and tries again.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::book::Book;
use super::flusher::{self, Flusher};
use super::record::AuditRecord;
use super::{Place, Shared};
use crate::clock::steady;

/// Longest time in which only the memory of the system has what was written.
const SYNC_INTERVAL: Duration = Duration::from_secs(1);
/// After a flush that took longer than that, the next one is begun so soon after its end.
const SYNC_PAUSE: Duration = Duration::from_millis(100);
/// Longest time that a record which nobody waits for is in the memory of this process alone.
const QUIET_INTERVAL: Duration = Duration::from_millis(50);
/// Time between two attempts to write to a full disk.
const RETRY_INTERVAL: Duration = Duration::from_millis(500);
/// Records of one write.
pub(super) const BATCH_MAX: usize = 256;

/// What the thread is told.
#[derive(Debug)]
pub(super) enum Message {
    Record(Box<Waiting>),
    /// There is a record that nobody waits for, the first of some.
    Quiet,
    /// There are as many of these as one write takes.
    Brimming,
    /// Write what is there and end.
    End,
}

/// A record with whom to tell and the place it takes.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) record: AuditRecord,
    pub(super) at_ms: u64,
    /// Told when the system has the record; `None`: nobody waits for it.
    pub(super) written: Option<oneshot::Sender<()>>,
    pub(super) place: Place,
}

/// Records in the order in which they are written.
pub(super) type Batch = Vec<Box<Waiting>>;

/// Why the thread ends.
enum End {
    /// It was told to, and everything is written.
    Told,
    /// The disk failed until the end, or in a way after which nothing can be trusted.
    Failed,
}

/// Who keeps the book.
pub(super) struct Clerk {
    book: Book,
    messages: Receiver<Message>,
    shared: Arc<Shared>,
    /// What waits to be written; never more than there are places.
    batch: Batch,
    /// When the next flush is due; `None`: nothing was written since the last one.
    due: Option<Instant>,
    /// When the records that nobody waits for are written at the latest; `None`: there are none.
    quiet_due: Option<Instant>,
    flusher: Flusher,
    /// Unix milliseconds.
    clock: fn() -> u64,
}

impl Clerk {
    pub(super) fn new(
        book: Book,
        messages: Receiver<Message>,
        shared: Arc<Shared>,
        (flusher, clock): (Flusher, fn() -> u64),
    ) -> Self {
        Self {
            book,
            messages,
            shared,
            batch: Vec::new(),
            due: None,
            quiet_due: None,
            flusher,
            clock,
        }
    }

    /// Writes until the end is told.
    pub(super) fn run(mut self) {
        loop {
            match self.round() {
                Ok(()) => {}
                Err(End::Told) => return,
                Err(End::Failed) => {
                    self.shared.is_failing.store(true, Ordering::Release);
                    return;
                }
            }
        }
    }

    fn round(&mut self) -> Result<(), End> {
        let is_end = self.take();
        if self.flusher.has_failed() {
            return Err(End::Failed);
        }
        let is_over = is_end || self.window_ends_in().is_some_and(|left| left.is_zero());
        let is_loud = is_end || !self.batch.is_empty();
        if is_loud || self.quiet_due.is_some_and(|due| due <= steady()) {
            self.quiet_due = None;
            // They came before what is in the batch, or at the same time.
            let quiet = std::mem::take(&mut *self.shared.quiet());
            self.batch.splice(0..0, quiet);
        }
        if is_over || !self.batch.is_empty() {
            self.write(is_over)?;
            self.due.get_or_insert_with(|| steady() + SYNC_INTERVAL);
        }
        let flushed = match is_end {
            true => self.book.conclude(),
            false => self.flush_when_due(),
        };
        if let Err(error) = flushed {
            flusher::tell(&error);
            return Err(End::Failed);
        }
        if is_end { Err(End::Told) } else { Ok(()) }
    }

    /// Begins a flush, if it is time and the last one has ended.
    fn flush_when_due(&mut self) -> io::Result<()> {
        let now = steady();
        if self.due.is_none_or(|due| due > now) {
            return Ok(());
        }
        if self.flusher.is_busy() {
            self.due = Some(now + SYNC_PAUSE);
            return Ok(());
        }
        self.due = None;
        if let Some(sync) = self.book.begin_sync()? {
            self.flusher.order(sync);
        }
        Ok(())
    }

    /// Until the refusals that were counted are to be written. Whoever opens a window sends a record right after, so a
    /// window that was opened while this thread waits is seen in time.
    fn window_ends_in(&self) -> Option<Duration> {
        self.shared.refusals().ends_in((self.clock)())
    }

    /// Waits for a message, the next flush or the end of a window, and takes what is there. Tells whether the end was
    /// told.
    fn take(&mut self) -> bool {
        let flush_in = self.due.map(|due| due.saturating_duration_since(steady()));
        let quiet = self.quiet_due;
        let quiet_in = quiet.map(|due| due.saturating_duration_since(steady()));
        let waits = [flush_in, quiet_in, self.window_ends_in()];
        let left = waits.into_iter().flatten().min();
        let first = match left {
            None => self.messages.recv().map_err(RecvTimeoutError::from),
            Some(left) => self.messages.recv_timeout(left),
        };
        let mut next = match first {
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Message::End),
            Ok(message) => Some(message),
        };
        while let Some(message) = next {
            match message {
                Message::End => return true,
                Message::Record(waiting) => self.batch.push(waiting),
                Message::Quiet => {
                    self.quiet_due
                        .get_or_insert_with(|| steady() + QUIET_INTERVAL);
                }
                Message::Brimming => self.quiet_due = Some(steady()),
            }
            let has_room = self.batch.len() < BATCH_MAX;
            next = has_room.then(|| self.messages.try_recv().ok()).flatten();
        }
        false
    }

    /// Writes the batch, and what was counted if its window is over, however long that takes.
    fn write(&mut self, is_over: bool) -> Result<(), End> {
        let clock = self.clock;
        self.persist(|book| book.make_ready(clock()))?;
        let refused = self.shared.refused.swap(0, Ordering::Relaxed);
        if refused > 0 {
            self.seal(&AuditRecord::Unwritten { requests: refused }, clock());
        }
        if is_over {
            let counted = self.shared.refusals().end();
            for (record, at_ms) in counted {
                self.seal(&record, at_ms);
            }
        }
        // More may have come while the disk was full.
        let batch = std::mem::take(&mut self.batch);
        for waiting in &batch {
            self.seal(&waiting.record, waiting.at_ms);
        }
        self.persist(Book::flush)?;
        for waiting in batch {
            let Waiting { written, place, .. } = *waiting;
            drop(place);
            if let Some(written) = written {
                // Who asked may be gone.
                let _ = written.send(());
            }
        }
        Ok(())
    }

    fn seal(&mut self, record: &AuditRecord, at_ms: u64) {
        match self.book.seal(record, at_ms) {
            Ok(()) => {
                self.shared.written.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => tracing::error!("a record of the audit log is lost: {error}"),
        }
    }

    /// Does `act` until it succeeds. Meanwhile nothing new is let in, and only the mark of the end ends it.
    fn persist(&mut self, act: impl Fn(&mut Book) -> io::Result<()>) -> Result<(), End> {
        let mut is_told = false;
        while let Err(error) = act(&mut self.book) {
            if !is_told {
                is_told = true;
                self.shared.is_failing.store(true, Ordering::Release);
                let path = self.book.path();
                tracing::error!(
                    "the audit log {} cannot be written: {error}; requests are refused until it can",
                    path.display()
                );
            }
            match self.messages.recv_timeout(RETRY_INTERVAL) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Message::Record(waiting)) => self.batch.push(waiting),
                Ok(Message::Quiet | Message::Brimming) => self.quiet_due = Some(steady()),
                Ok(Message::End) | Err(RecvTimeoutError::Disconnected) => return Err(End::Failed),
            }
        }
        if is_told {
            self.shared.is_failing.store(false, Ordering::Release);
            tracing::warn!("the audit log is written again");
        }
        Ok(())
    }
}
