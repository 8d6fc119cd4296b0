//! The audit log: who asked for what and how it ended, as a chain of hashed lines.
//! docs/operate/logs.md has the form of the lines and what is promised of them.
//! Whatever must be written down takes a place in the queue before it happens, so that it can still be refused.

mod book;
mod flusher;
mod head;
mod line;
mod lines;
mod node;
mod record;
mod refusals;
mod report;
mod resume;
mod thread;
mod verify;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use crate::clock::unix_ms;
use crate::config::{AuditedReads, Rotation};
use book::Book;
use flusher::Flusher;
use refusals::Refusals;
use thread::{BATCH_MAX, Batch, Clerk, Message, Waiting};

pub(crate) use book::Owner;
pub(crate) use line::Position;
pub(crate) use node::{of_node, tell, tell_outcome};
pub(crate) use record::{
    AdminAct, AdminRecord, AuditRecord, COLLECTIONS_MAX, LoginRecord, Outcome, RequestRecord,
    STATEMENTS_MAX, bounded,
};
pub(crate) use refusals::{Refusal, Told};
pub(crate) use report::{Verdict as AuditVerdict, report};

/// Name of the file that is written.
pub(crate) const NAME: &str = "audit.jsonl";
/// Records that are taken in and not written yet: some tenths of a second of a busy node, since that is how long a disk
/// may stall. Each takes a few hundred bytes.
pub(crate) const RECORDS_MAX: usize = 16_384;
/// Under `reads: sampled`, one of so many reads is written down.
const READS_PER_SAMPLE: u64 = 100;

/// Why the audit log cannot be opened. The operator's to mend.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuditError {
    #[error(
        "logging.edge_server.audit_logs: {}: {source}\n  = help: make the directory writable for the user that runs this node", directory.display()
    )]
    Directory {
        directory: PathBuf,
        source: io::Error,
    },
    #[error(
        "logging.edge_server.audit_logs: another process writes in {}\n  = help: give each node a directory of its own", directory.display()
    )]
    Held { directory: PathBuf },
    #[error("logging.edge_server.audit_logs: the system gave no randomness: {0}")]
    NoRandomness(getrandom::Error),
    #[error("logging.edge_server.audit_logs: cannot start a thread: {0}")]
    NoThread(io::Error),
}

/// The audit log cannot take a record now: what it would tell of must not happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the audit log cannot be written now")]
pub(crate) struct AuditFull;

/// An open audit log. When it is dropped, what was taken in is written first.
#[derive(Debug)]
pub(crate) struct Audit {
    shared: Arc<Shared>,
    messages: SyncSender<Message>,
    reads: AuditedReads,
    thread: Option<JoinHandle<()>>,
}

/// What the askers and the thread both see.
#[derive(Debug, Default)]
struct Shared {
    /// Places of the queue that are taken.
    taken: AtomicUsize,
    /// Whether the last attempt to write failed.
    is_failing: AtomicBool,
    written: AtomicU64,
    /// Requests that were refused since the last record, and in all.
    refused: AtomicU64,
    refused_total: AtomicU64,
    /// Refusals that have no record of their own.
    counted: AtomicU64,
    reads: AtomicU64,
    refusals: Mutex<Refusals>,
    /// Records that nobody waits for; each has a place.
    quiet: Mutex<Batch>,
}

impl Shared {
    fn refusals(&self) -> MutexGuard<'_, Refusals> {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn quiet(&self) -> MutexGuard<'_, Batch> {
        self.quiet.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sums for whoever watches the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AuditSums {
    pub(crate) queued: usize,
    pub(crate) written: u64,
    pub(crate) refused: u64,
    pub(crate) counted: u64,
    pub(crate) is_failing: bool,
}

impl Audit {
    /// Opens the log in `directory` and goes on where it ended.
    ///
    /// # Errors
    /// [`AuditError`].
    pub(crate) fn open(
        directory: &Path,
        (rotation, reads): (Rotation, AuditedReads),
        owner: Owner,
        now_ms: u64,
    ) -> Result<Self, AuditError> {
        Self::open_by((directory, owner), (rotation, reads), now_ms, unix_ms)
    }

    /// As [`Audit::open`], by a clock that tells unix milliseconds.
    fn open_by(
        (directory, owner): (&Path, Owner),
        (rotation, reads): (Rotation, AuditedReads),
        now_ms: u64,
        clock: fn() -> u64,
    ) -> Result<Self, AuditError> {
        let mut chain = [0; 8];
        getrandom::fill(&mut chain).map_err(AuditError::NoRandomness)?;
        let chain = format!("{:016x}", u64::from_be_bytes(chain));
        let book = Book::open(directory, rotation, (owner, chain), now_ms)?;
        let shared = Arc::new(Shared::default());
        let flusher = Flusher::start(Arc::clone(&shared)).map_err(AuditError::NoThread)?;
        // Each message has a place, or is the first or the last of records that have; and there is the mark of the end.
        let (messages, receiver) = sync_channel(2 * RECORDS_MAX + 1);
        let named = std::thread::Builder::new().name("audit".to_owned());
        let clerk = Clerk::new(book, receiver, Arc::clone(&shared), (flusher, clock));
        let thread = named.spawn(move || clerk.run());
        let thread = thread.map_err(AuditError::NoThread)?;
        Ok(Self {
            shared,
            messages,
            reads,
            thread: Some(thread),
        })
    }

    /// Takes a place for the record of something that is about to happen.
    ///
    /// # Errors
    /// [`AuditFull`]: the queue is full or the disk fails, so it must not happen.
    pub(crate) fn admit(&self) -> Result<Admission, AuditFull> {
        let shared = &self.shared;
        let place = Place::take(shared);
        match place.filter(|_| !shared.is_failing.load(Ordering::Acquire)) {
            Some(place) => Ok(Admission {
                place,
                messages: self.messages.clone(),
            }),
            None => {
                shared.refused.fetch_add(1, Ordering::Relaxed);
                shared.refused_total.fetch_add(1, Ordering::Relaxed);
                Err(AuditFull)
            }
        }
    }

    /// Whether a read that has no place must be refused.
    pub(crate) fn needs_reads(&self) -> bool {
        self.reads == AuditedReads::All
    }

    /// Whether the next read is to be written down.
    pub(crate) fn chooses_read(&self) -> bool {
        match self.reads {
            AuditedReads::All => true,
            AuditedReads::Off => false,
            AuditedReads::Sampled => {
                let nth = self.shared.reads.fetch_add(1, Ordering::Relaxed);
                nth.is_multiple_of(READS_PER_SAMPLE)
            }
        }
    }

    /// Takes in a refusal at `at_ms` (unix milliseconds) and says whether it needs a record of its own: the first ones
    /// of a kind do, and further ones are counted.
    pub(crate) fn tell_refusal(&self, refusal: Refusal<'_>, at_ms: u64) -> Told {
        let told = self.shared.refusals().tell(refusal, at_ms);
        if told == Told::Counted {
            self.shared.counted.fetch_add(1, Ordering::Relaxed);
        }
        told
    }

    /// Writes down an act that has happened already and cannot be refused. It waits for nothing; if the log is full,
    /// the message log tells it instead.
    pub(crate) fn note(&self, record: AdminRecord, now_ms: u64) {
        match self.admit() {
            Ok(admission) => drop(admission.put(AuditRecord::Admin(record), now_ms)),
            Err(AuditFull) => tracing::error!(?record, "the audit log is full and lacks this"),
        }
    }

    /// What it did since it was opened.
    pub(crate) fn sums(&self) -> AuditSums {
        let Shared {
            taken,
            is_failing,
            written,
            refused_total,
            counted,
            ..
        } = &*self.shared;
        AuditSums {
            queued: taken.load(Ordering::Relaxed),
            written: written.load(Ordering::Relaxed),
            refused: refused_total.load(Ordering::Relaxed),
            counted: counted.load(Ordering::Relaxed),
            is_failing: is_failing.load(Ordering::Relaxed),
        }
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            // Admissions may outlive it and keep the queue open, so the end is told.
            let _ = self.messages.send(Message::End);
            let _ = thread.join();
        }
    }
}

/// A place in the queue for one record; given back when it is dropped unused.
#[derive(Debug)]
pub(crate) struct Admission {
    place: Place,
    messages: SyncSender<Message>,
}

impl Admission {
    /// Hands in the record of what happened at `at_ms` (unix milliseconds).
    pub(crate) fn put(self, record: AuditRecord, at_ms: u64) -> Written {
        let (written, receiver) = oneshot::channel();
        let message = Message::Record(Box::new(Waiting {
            record,
            at_ms,
            written: Some(written),
            place: self.place,
        }));
        // There is room for as many as there are places; after the end nobody writes any more.
        let _ = self.messages.try_send(message);
        Written(receiver)
    }

    /// The same for a record that nobody waits for. It reaches the system within a moment, and costs no waking of the
    /// thread for each.
    pub(crate) fn put_quietly(self, record: AuditRecord, at_ms: u64) {
        let Self { place, messages } = self;
        let shared = Arc::clone(&place.0);
        let waiting = Box::new(Waiting {
            record,
            at_ms,
            written: None,
            place,
        });
        let mut quiet = shared.quiet();
        quiet.push(waiting);
        let message = match quiet.len() {
            1 => Message::Quiet,
            BATCH_MAX => Message::Brimming,
            _ => return,
        };
        drop(quiet);
        // There is room, as above.
        let _ = messages.try_send(message);
    }
}

/// Ends when a record has been handed to the system, so that no end of this process loses it.
#[derive(Debug)]
pub(crate) struct Written(oneshot::Receiver<()>);

impl Written {
    /// Waits until the system has the record.
    ///
    /// # Errors
    /// [`AuditFull`]: the log ended before.
    pub(crate) async fn wait(self) -> Result<(), AuditFull> {
        self.0.await.map_err(|_| AuditFull)
    }
}

/// One place of the queue.
#[derive(Debug)]
struct Place(Arc<Shared>);

impl Place {
    fn take(shared: &Arc<Shared>) -> Option<Self> {
        // A refused place gives back what it took when it is dropped here.
        let place = Self(Arc::clone(shared));
        (shared.taken.fetch_add(1, Ordering::AcqRel) < RECORDS_MAX).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests;
