//! The one writer: it takes what waits, runs it, writes one batch, and hands it to the flusher.
//!
//! While a round is flushed the next one may run, over a view that holds it already. It is written
//! only when that flush has returned: so at most one batch of the journal is ever unsynced, which
//! `engine::journal` needs to tell a torn tail from damage. The writer never answers and never
//! publishes; after a failed write or flush it writes nothing more.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread::JoinHandle,
    time::Duration,
};

use tombolo_document::{Dot, HybridClock};
use tombolo_query::source::Target;

use crate::{
    StoreError,
    chain::{self, HEADS_KEPT},
    engine::{Engine, EngineError, Keyspace},
    evicted,
    flusher::{Answer, Fate, Flushed, Round},
    job::{Commit, Job, Verdict},
    layout,
    open_transaction::{CommitDone, OpenTransaction, STEPS_WAITING_MAX, Step},
    overlay::Overlay,
    pace::Pace,
    snapshot::View,
    state::{STATE_KEY, State},
    store::Timekeeper,
    transaction::{Desk, Transaction},
};

/// Most transactions that share one flush.
pub const ROUND_JOBS_MAX: usize = 1024;

/// A round takes up no further transaction once it holds so many bytes.
pub const ROUND_BYTES: usize = 4 * 1024 * 1024;

pub(crate) type Opened = Box<dyn FnOnce(Result<OpenTransaction, StoreError>) + Send>;

pub(crate) enum Request {
    Job(Box<dyn Job>),
    Open(Opened),
}

/// The settings that the writer goes on using.
pub(crate) struct Surroundings {
    pub(crate) transaction_limit: Duration,
    pub(crate) time: Arc<dyn Timekeeper>,
    pub(crate) entropy: Box<dyn FnMut() -> [u8; 16] + Send>,
}

/// The way to the flusher and back.
pub(crate) struct Handover {
    pub(crate) rounds: SyncSender<Round>,
    pub(crate) flushed: Receiver<Flushed>,
    pub(crate) flusher: JoinHandle<()>,
}

pub(crate) struct Writer {
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) queue: Receiver<Request>,
    pub(crate) handover: Handover,
    pub(crate) surroundings: Surroundings,
    pub(crate) clock: HybridClock,
    /// All that is written, durable or not: what the next round begins with.
    pub(crate) view: Arc<View>,
    pub(crate) state: State,
    pub(crate) overlay: Overlay,
    pub(crate) progress: Progress,
    pub(crate) pace: Pace,
}

/// How far the writer may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// All that was written is durable.
    Free,
    /// A round is being flushed.
    Flushing,
    /// A write or flush has failed: nothing is run or written.
    Stopped,
    /// The flusher is gone, so that nobody can be answered.
    Ended,
}

/// How a transaction ended before the flush.
enum Sealed {
    Kept(Commit),
    Undone,
    /// Undone, to be run again under the new actor that is now in force.
    Again,
}

impl Writer {
    /// Serves the queue until the store is dropped, and ends the flusher.
    pub(crate) fn run(mut self) {
        while self.progress != Progress::Ended {
            match self.queue.recv() {
                Ok(Request::Job(job)) => self.round(job),
                Ok(Request::Open(opened)) => self.hold_open(opened),
                Err(_) => break,
            }
        }
        let Handover {
            rounds, flusher, ..
        } = self.handover;
        drop(rounds);
        // A panic of the flusher was already told to those who waited.
        let _ = flusher.join();
    }

    fn round(&mut self, first: Box<dyn Job>) {
        if !self.pace.overlaps() {
            // What comes of it is seen in `progress`, and refuses each job.
            let _ = self.await_flush();
        }
        let began = self.surroundings.time.monotonic();
        let view = Arc::clone(&self.view);
        let mut answers = Vec::with_capacity(64);
        let mut opened = None;
        let mut next = Some(first);
        while let Some(mut job) = next.take() {
            let outcome = self.run_job(&view, &mut *job);
            answers.push(Answer::Job(job, outcome));
            if answers.len() < ROUND_JOBS_MAX && self.overlay.batch().size_bytes() < ROUND_BYTES {
                match self.queue.try_recv() {
                    Ok(Request::Job(job)) => next = Some(job),
                    Ok(Request::Open(request)) => opened = Some(request),
                    Err(_) => {}
                }
            }
        }
        let took = self.surroundings.time.monotonic().saturating_sub(began);
        self.pace.note_run(took);
        self.conclude(answers);
        if let Some(opened) = opened {
            self.hold_open(opened);
        }
    }

    fn run_job(&mut self, view: &View, job: &mut dyn Job) -> Result<Option<Commit>, StoreError> {
        if self.progress == Progress::Stopped {
            return Err(EngineError::Stopped.into());
        }
        match self.attempt(view, job)? {
            Sealed::Kept(commit) => Ok(Some(commit)),
            Sealed::Undone => Ok(None),
            Sealed::Again => match self.attempt(view, job)? {
                Sealed::Kept(commit) => Ok(Some(commit)),
                Sealed::Undone => Ok(None),
                Sealed::Again => Err(StoreError::ActorChanged),
            },
        }
    }

    fn attempt(&mut self, view: &View, job: &mut dyn Job) -> Result<Sealed, StoreError> {
        let saved = self.state.clone();
        let mut transaction = self.begin(view)?;
        let ran = catch_unwind(AssertUnwindSafe(|| job.run(&mut transaction)));
        let sealed = match ran {
            Ok(verdict) => seal(transaction, verdict),
            Err(_) => Err(StoreError::Panicked),
        };
        self.settle(view, saved, sealed)
    }

    fn begin<'w>(&'w mut self, view: &'w View) -> Result<Transaction<'w>, StoreError> {
        let desk = Desk {
            below: &*view.bytes,
            overlay: &mut self.overlay,
            state: &mut self.state,
            clock: &mut self.clock,
            entropy: &mut *self.surroundings.entropy,
        };
        Transaction::new(desk, view.site, self.surroundings.time.unix_ms())
    }

    /// Leaves in the round what is to be kept of a transaction, which may be nothing.
    fn settle(
        &mut self,
        view: &View,
        saved: State,
        sealed: Result<Sealed, StoreError>,
    ) -> Result<Sealed, StoreError> {
        match sealed {
            Ok(Sealed::Kept(_)) => self.overlay.settle(),
            Ok(Sealed::Undone) | Err(_) => {
                self.overlay.undo();
                self.state = saved;
            }
            Ok(Sealed::Again) => {
                self.overlay.undo();
                self.state = saved;
                self.change_actor(view)?;
            }
        }
        sealed
    }

    fn change_actor(&mut self, view: &View) -> Result<(), StoreError> {
        let mut transaction = self.begin(view)?;
        let renewed = evicted::renew_epoch(&mut transaction);
        match renewed {
            Ok(()) => self.overlay.settle(),
            Err(_) => self.overlay.undo(),
        }
        renewed
    }

    /// Writes the round, if it changed anything, and hands it over to be flushed and answered.
    fn conclude(&mut self, answers: Vec<Answer>) {
        let fate = self.write_round();
        if !answers.is_empty() || !matches!(fate, Fate::Unchanged) {
            self.hand_over(Round { fate, answers });
        }
    }

    fn write_round(&mut self) -> Fate {
        if self.overlay.batch().is_empty() {
            return Fate::Unchanged;
        }
        let written = self.await_flush().and_then(|()| self.write_batch());
        self.overlay.clear();
        match written {
            Ok(view) => {
                let first = self.view.state.last_commit + 1;
                self.view = Arc::clone(&view);
                self.progress = Progress::Flushing;
                let commits = first..=view.state.last_commit;
                Fate::Written { view, commits }
            }
            Err(error) => {
                self.progress = Progress::Stopped;
                Fate::Refused(error)
            }
        }
    }

    /// Waits until all that was written is durable.
    fn await_flush(&mut self) -> Result<(), StoreError> {
        if self.progress == Progress::Flushing {
            self.progress = match self.handover.flushed.recv() {
                Ok(Flushed::Durable { took }) => {
                    self.pace.note_flush(took);
                    Progress::Free
                }
                Ok(Flushed::Failed) | Err(_) => Progress::Stopped,
            };
        }
        match self.progress {
            Progress::Free | Progress::Flushing => Ok(()),
            Progress::Stopped | Progress::Ended => Err(EngineError::Stopped.into()),
        }
    }

    fn write_batch(&mut self) -> Result<Arc<View>, StoreError> {
        self.state.high_water = self.clock.high_water();
        self.overlay
            .set(Keyspace::Meta, STATE_KEY, Some(self.state.record()))?;
        self.engine.write(self.overlay.batch())?;
        Ok(Arc::new(View {
            bytes: self.engine.snapshot()?,
            state: self.state.clone(),
            site: self.view.site,
        }))
    }

    fn hand_over(&mut self, round: Round) {
        if self.handover.rounds.send(round).is_err() {
            self.progress = Progress::Ended;
        }
    }

    /// Holds the writer for one owner until the end of the transaction or its deadline.
    fn hold_open(&mut self, opened: Opened) {
        // Its steps answer for themselves, so that they may read only what is durable. If it is
        // not, the flusher refuses the owner.
        let durable = self.await_flush();
        let limit = self.surroundings.transaction_limit;
        let (steps, incoming) = sync_channel(STEPS_WAITING_MAX);
        let expired = Arc::new(AtomicBool::new(false));
        let owner = OpenTransaction {
            steps,
            expired: Arc::clone(&expired),
            limit,
        };
        self.conclude(vec![Answer::Open(opened, owner)]);
        if durable.is_err() {
            return;
        }
        let (view, saved) = (Arc::clone(&self.view), self.state.clone());
        let (sealed, done) = self.serve_steps(&view, &incoming, &expired);
        let outcome = match self.settle(&view, saved, sealed) {
            Ok(Sealed::Kept(commit)) => Ok(commit),
            Ok(Sealed::Undone | Sealed::Again) => Err(StoreError::ActorChanged),
            Err(error) => Err(error),
        };
        let answer = done.map(|done| Answer::Commit(done, outcome));
        self.conclude(answer.into_iter().collect());
    }

    fn serve_steps(
        &mut self,
        view: &View,
        steps: &Receiver<Step>,
        expired: &AtomicBool,
    ) -> (Result<Sealed, StoreError>, Option<CommitDone>) {
        let limit = self.surroundings.transaction_limit;
        let time = Arc::clone(&self.surroundings.time);
        let deadline = time.monotonic() + limit;
        let mut transaction = match self.begin(view) {
            Ok(transaction) => transaction,
            Err(error) => return (Err(error), None),
        };
        loop {
            match steps.recv_timeout(deadline.saturating_sub(time.monotonic())) {
                Ok(Step::Run(work)) => {
                    let ran = catch_unwind(AssertUnwindSafe(|| work(&mut transaction)));
                    if ran.is_err() {
                        return (Err(StoreError::Panicked), None);
                    }
                }
                Ok(Step::Commit(done)) => return (seal(transaction, Verdict::Keep), Some(done)),
                Err(RecvTimeoutError::Disconnected) => {
                    return (seal(transaction, Verdict::Undo), None);
                }
                Err(RecvTimeoutError::Timeout) => {
                    expired.store(true, Ordering::Release);
                    return (Err(StoreError::Deadline { limit }), None);
                }
            }
        }
    }
}

/// Ends a transaction: the state moves and the change log gets its head, or it is to be undone.
fn seal(mut transaction: Transaction<'_>, verdict: Verdict) -> Result<Sealed, StoreError> {
    if transaction.needs_new_actor {
        return Ok(Sealed::Again);
    }
    if verdict == Verdict::Undo {
        return Ok(Sealed::Undone);
    }
    let (number, dot): (u64, Dot) = (transaction.commit(), transaction.dot());
    let changed = transaction.has_changes();
    if changed {
        let head = chain::head_of(
            transaction.desk.overlay.batch(),
            transaction.desk.state,
            number,
        );
        transaction.set(
            Keyspace::Changes,
            layout::head_key(number),
            Some(head.write()),
        )?;
        if let Some(oldest) = number.checked_sub(HEADS_KEPT) {
            transaction.set(Keyspace::Changes, layout::head_key(oldest), None)?;
        }
        let state = &mut *transaction.desk.state;
        (state.last_commit, state.chain) = (number, head.chain);
    }
    transaction.desk.state.last_number = number;
    Ok(Sealed::Kept(Commit {
        number,
        dot,
        changed,
    }))
}
