//! The one writer: it takes what waits, runs it, writes one batch, flushes once, answers all.
//!
//! What arrives during a flush is the next round. Nothing is answered, published or announced
//! before its flush has returned. After a failed write or flush it writes nothing more.

use std::{
    ops::RangeInclusive,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError, sync_channel},
    },
};

use tombolo_document::{Dot, HybridClock, SiteId};
use tombolo_query::source::Target;

use crate::{
    StoreError,
    chain::{self, HEADS_KEPT},
    engine::{Engine, EngineError, Keyspace},
    evicted,
    job::{Commit, Job, Verdict},
    layout,
    mentions::Unmentioned,
    open_transaction::{CommitDone, OpenTransaction, STEPS_WAITING_MAX, Step},
    overlay::Overlay,
    snapshot::View,
    state::{STATE_KEY, State},
    store::{Published, Surroundings},
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

/// A job that ran, waiting for its round to be durable.
type Answer = (Box<dyn Job>, Result<Option<Commit>, StoreError>);

pub(crate) struct Writer {
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) queue: Receiver<Request>,
    pub(crate) published: Arc<Published>,
    pub(crate) unmentioned: Arc<Unmentioned>,
    pub(crate) surroundings: Surroundings,
    pub(crate) site: SiteId,
    pub(crate) clock: HybridClock,
    pub(crate) state: State,
    pub(crate) overlay: Overlay,
    pub(crate) stopped: bool,
}

/// How a transaction ended before the flush.
enum Sealed {
    Kept(Commit),
    Undone,
    /// Undone, to be run again under the new actor that is now in force.
    Again,
}

impl Writer {
    /// Serves the queue until the store is dropped.
    pub(crate) fn run(mut self) {
        while let Ok(request) = self.queue.recv() {
            match request {
                Request::Job(job) => self.round(job),
                Request::Open(opened) => self.hold_open(opened),
            }
        }
    }

    fn round(&mut self, first: Box<dyn Job>) {
        let view = self.published.view();
        let before = self.state.clone();
        let mut answers = Vec::with_capacity(16);
        let mut opened = None;
        let mut next = Some(first);
        while let Some(mut job) = next.take() {
            let outcome = self.run_job(&view, &mut *job);
            answers.push((job, outcome));
            if answers.len() < ROUND_JOBS_MAX && self.overlay.batch().size_bytes() < ROUND_BYTES {
                match self.queue.try_recv() {
                    Ok(Request::Job(job)) => next = Some(job),
                    Ok(Request::Open(request)) => opened = Some(request),
                    Err(_) => {}
                }
            }
        }
        self.conclude(before, answers);
        if let Some(opened) = opened {
            self.hold_open(opened);
        }
    }

    /// Makes the round durable, shows it, and only then answers.
    fn conclude(&mut self, before: State, answers: Vec<Answer>) {
        match self.make_durable(before) {
            Ok(()) => answers
                .into_iter()
                .for_each(|(job, outcome)| job.finish(outcome)),
            Err(error) => answers.into_iter().for_each(|(job, outcome)| {
                // Work without change, or that gave an error of its own, may have
                // read what is now lost; only what the store refused stays as it is.
                job.finish(outcome.and_then(|_| Err(error.clone())));
            }),
        }
    }

    fn run_job(&mut self, view: &View, job: &mut dyn Job) -> Result<Option<Commit>, StoreError> {
        if self.stopped {
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
        Transaction::new(desk, self.site, self.surroundings.time.unix_ms())
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

    fn make_durable(&mut self, before: State) -> Result<(), StoreError> {
        if self.overlay.batch().is_empty() {
            self.published.number(self.state.last_number);
            return Ok(());
        }
        self.state.high_water = self.clock.high_water();
        let written = self.write_round();
        self.overlay.clear();
        match written {
            Ok(view) => {
                self.published.publish(view);
                self.published.number(self.state.last_number);
                let first = before.last_commit + 1;
                self.announce(first..=self.state.last_commit);
                Ok(())
            }
            Err(error) => {
                self.stopped = true;
                self.published.stop();
                self.state = before;
                Err(error)
            }
        }
    }

    fn write_round(&mut self) -> Result<View, StoreError> {
        for (number, by) in self.overlay.take_growth() {
            if let Some((key, value)) = self.state.catalog.grow(number, by) {
                self.overlay
                    .set(Keyspace::Meta, key, value.map(Into::into))?;
            }
        }
        self.overlay
            .set(Keyspace::Meta, STATE_KEY, Some(self.state.record().into()))?;
        self.engine.write(self.overlay.batch())?;
        let begun = self.surroundings.time.monotonic();
        self.engine.flush()?;
        let ended = self.surroundings.time.monotonic();
        self.published.flushes.count(ended.saturating_sub(begun));
        self.unmentioned.note(self.overlay.batch());
        let bytes = self.engine.snapshot()?;
        Ok(View {
            bytes,
            state: self.state.clone(),
            site: self.site,
        })
    }

    fn announce(&mut self, commits: RangeInclusive<u64>) {
        if !commits.is_empty() {
            (self.surroundings.on_commit)(commits);
        }
    }

    /// Holds the writer for one owner until the end of the transaction or its deadline.
    fn hold_open(&mut self, opened: Opened) {
        let limit = self.surroundings.transaction_limit;
        let (steps, incoming) = sync_channel(STEPS_WAITING_MAX);
        let expired = Arc::new(AtomicBool::new(false));
        if self.stopped {
            return opened(Err(EngineError::Stopped.into()));
        }
        let owner = OpenTransaction {
            steps,
            expired: Arc::clone(&expired),
            limit,
        };
        opened(Ok(owner));
        let view = self.published.view();
        let before = self.state.clone();
        let (sealed, done) = self.serve_steps(&view, &incoming, &expired);
        let sealed = self.settle(&view, before.clone(), sealed);
        let durable = self.make_durable(before);
        let Some(done) = done else { return };
        done(match (sealed, durable) {
            (Err(error), _) | (Ok(Sealed::Kept(Commit { changed: true, .. })), Err(error)) => {
                Err(error)
            }
            (Ok(Sealed::Kept(commit)), _) => Ok(commit),
            (Ok(Sealed::Undone | Sealed::Again), _) => Err(StoreError::ActorChanged),
        });
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
            dot.stamp,
        );
        transaction.set(
            Keyspace::Changes,
            layout::head_key(number),
            Some(head.write().into()),
        )?;
        if let Some(oldest) = number.checked_sub(HEADS_KEPT) {
            transaction.set(Keyspace::Changes, layout::head_key(oldest), None)?;
        }
        let came = transaction.came();
        let state = &mut *transaction.desk.state;
        state.echo.note(came, state.last_commit);
        (state.last_commit, state.chain) = (number, head.chain);
    }
    transaction.desk.state.last_number = number;
    Ok(Sealed::Kept(Commit {
        number,
        dot,
        changed,
    }))
}
