//! Statements that are kept together or not at all, run for one caller.

use std::sync::Arc;
use std::time::Duration;

use tombolo_document::Object;
use tombolo_query::{Drafted, Outcome, OutcomeKind, StatementKind};
use tombolo_store::{Commit, WriteError};

use super::Access;
use crate::database::{Database, Executor};
use crate::error::ExecuteError;
use crate::login::Outside;
use crate::response::Response;
use crate::statements::Prepared;

/// Most statements of one batch.
pub const BATCH_STATEMENTS_MAX: usize = 1024;
/// Most bytes of all rows that one batch gives back.
pub const BATCH_ITEM_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Statements in the order in which they run; each sees what those before it wrote.
#[derive(Debug, Clone)]
pub struct Batch {
    /// 1 to [`BATCH_STATEMENTS_MAX`].
    pub steps: Vec<Step>,
}

/// One statement of a batch.
#[derive(Debug, Clone)]
pub struct Step {
    /// What is run.
    pub statement: Prepared,
    /// Keep a clone until the answer: then freeing them is not the writer's work.
    pub arguments: Arc<Object>,
    /// What the statement may read and write.
    pub access: Access,
}

/// Why a batch did not succeed. Nothing of it was kept.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct BatchError {
    /// Which statement failed, from zero; the first one if none did.
    pub at: usize,
    /// What failed.
    pub error: ExecuteError,
}

impl BatchError {
    pub(super) const fn at(at: usize) -> impl Fn(ExecuteError) -> Self {
        move |error| Self { at, error }
    }

    pub(super) fn whole(error: impl Into<ExecuteError>) -> Self {
        Self {
            at: 0,
            error: error.into(),
        }
    }
}

/// A batch on its way to the writer.
pub(super) struct Work {
    batch: Batch,
    drafts: Vec<Option<Drafted>>,
    until: Option<Duration>,
    engine: Arc<Executor>,
}

/// What a batch gave, before it is durable.
pub(super) struct Done {
    outcomes: Outcomes,
    pub(super) withheld: u64,
}

impl Database {
    /// Runs a statement that only reads, for somebody, on this thread, for
    /// `time_left` at most.
    ///
    /// # Errors
    /// [`ExecuteError`]; a statement that writes is refused.
    pub fn read_as(
        &self,
        (statement, access): (&Prepared, &Access),
        arguments: &Object,
        time_left: Option<Duration>,
    ) -> Result<Response, ExecuteError> {
        let (snapshot, until) = (self.store.snapshot(), self.engine.until(time_left));
        let stop = || self.engine.is_over(until);
        let who = (statement, access);
        let outcome = self.engine.read_as(who, &snapshot, arguments, &stop)?;
        Ok(Response::new(outcome, None))
    }

    /// Runs a batch that only reads, all of it on one state of the documents.
    ///
    /// # Errors
    /// [`BatchError`]; a statement that writes is refused.
    pub fn read_batch(
        &self,
        batch: &Batch,
        time_left: Option<Duration>,
    ) -> Result<Vec<Response>, BatchError> {
        check(batch)?;
        let (snapshot, until) = (self.store.snapshot(), self.engine.until(time_left));
        let stop = || self.engine.is_over(until);
        let mut outcomes = Outcomes::default();
        for (at, step) in batch.steps.iter().enumerate() {
            let who = (&step.statement, &step.access);
            let outcome = self.engine.read_as(who, &snapshot, &step.arguments, &stop);
            outcomes.add(outcome.map_err(BatchError::at(at))?)?;
        }
        Ok(outcomes.responses(None))
    }

    /// Queues a batch for the writer and returns at once; what of it needs no
    /// transaction is done here, on this thread. A document that no peer would
    /// take from this device, or that the caller may not write, refuses the
    /// batch. `done` is called on the writer's thread when the change is durable
    /// or refused; it must not wait for anything. Time in the queue counts
    /// towards `time_left`.
    ///
    /// # Errors
    /// [`ExecuteError::Busy`] if too many writes wait, or what fails at once;
    /// `done` is not called then.
    pub fn write_batch(
        &self,
        batch: Batch,
        time_left: Option<Duration>,
        done: impl FnOnce(Result<Vec<Response>, BatchError>) + Send + 'static,
    ) -> Result<(), BatchError> {
        let work = Work::begin(&self.engine, batch, time_left)?;
        let counting = Arc::clone(&self.engine);
        let run = move |transaction: &mut tombolo_store::Transaction<'_>| work.run(transaction);
        let finish = move |result: Result<(Commit, Done), WriteError<BatchError>>| {
            let response = match result {
                Ok((commit, kept)) => {
                    counting.rights().count(kept.withheld);
                    Ok(kept.responses(commit.number))
                }
                Err(WriteError::Work(error)) => Err(error),
                Err(WriteError::Store(error)) => Err(BatchError::whole(error)),
            };
            // Whoever waits may close the database next: nothing here may hold it.
            drop(counting);
            done(response);
        };
        self.store.write(run, finish).map_err(BatchError::whole)
    }
}

impl Work {
    /// Does what of a batch needs no transaction.
    pub(super) fn begin(
        engine: &Arc<Executor>,
        batch: Batch,
        time_left: Option<Duration>,
    ) -> Result<Self, BatchError> {
        check(&batch)?;
        let until = engine.until(time_left);
        let mut drafts = Vec::with_capacity(batch.steps.len());
        for (at, step) in batch.steps.iter().enumerate() {
            let drafted = engine.draft(&step.statement, &step.arguments, until);
            drafts.push(drafted.map_err(BatchError::at(at))?);
        }
        Ok(Self {
            batch,
            drafts,
            until,
            engine: Arc::clone(engine),
        })
    }

    pub(super) fn run(
        &self,
        transaction: &mut tombolo_store::Transaction<'_>,
    ) -> Result<Done, BatchError> {
        let mut outcomes = Outcomes::default();
        let mut withheld = 0;
        for at in 0..self.batch.steps.len() {
            let (outcome, kept_back) = self.step(at, transaction).map_err(BatchError::at(at))?;
            withheld += kept_back;
            outcomes.add(outcome)?;
        }
        Ok(Done { outcomes, withheld })
    }

    fn step(
        &self,
        at: usize,
        transaction: &mut tombolo_store::Transaction<'_>,
    ) -> Result<(Outcome, u64), ExecuteError> {
        let Step {
            statement,
            arguments,
            access,
        } = &self.batch.steps[at];
        let inserted = match &self.drafts[at] {
            Some(drafted) => {
                let who = (drafted, access);
                self.engine.insert_as(who, transaction, self.until)?
            }
            None => None,
        };
        let mut outcome = match inserted {
            Some(outcome) => outcome,
            None => {
                let who = (statement, access);
                self.engine
                    .write_as(who, transaction, arguments, self.until)?
            }
        };
        let rights = self.engine.rights();
        let withheld = rights.judge(statement, &mut outcome, Outside::Refuse)?;
        Ok((outcome, withheld))
    }
}

impl Done {
    /// What it gave, in this commit.
    pub(super) fn responses(self, commit: u64) -> Vec<Response> {
        self.outcomes.responses(Some(commit))
    }
}

/// The outcomes of a batch so far.
#[derive(Default)]
struct Outcomes {
    held: Vec<Outcome>,
    item_bytes: usize,
}

impl Outcomes {
    fn add(&mut self, outcome: Outcome) -> Result<(), BatchError> {
        self.item_bytes += outcome.item_bytes();
        if self.item_bytes > BATCH_ITEM_BYTES_MAX {
            return Err(BatchError {
                at: self.held.len(),
                error: ExecuteError::TooMany {
                    what: "bytes of rows in the answers of one batch",
                    max: BATCH_ITEM_BYTES_MAX,
                },
            });
        }
        self.held.push(outcome);
        Ok(())
    }

    fn responses(self, commit: Option<u64>) -> Vec<Response> {
        let held = self.held.into_iter();
        held.map(|outcome| respond(outcome, commit)).collect()
    }
}

/// Only what writes names the commit.
fn respond(outcome: Outcome, commit: Option<u64>) -> Response {
    let commit = commit.filter(|_| outcome.kind == OutcomeKind::Mutation);
    Response::new(outcome, commit)
}

fn check(batch: &Batch) -> Result<(), BatchError> {
    let count = batch.steps.len();
    if !(1..=BATCH_STATEMENTS_MAX).contains(&count) {
        let max = BATCH_STATEMENTS_MAX;
        return Err(BatchError::whole(ExecuteError::BatchLength { max }));
    }
    let alters = |step: &Step| step.statement.kind() == StatementKind::AlterSystem;
    match batch.steps.iter().position(alters) {
        Some(at) if count > 1 => Err(BatchError::at(at)(ExecuteError::NotInBatch)),
        _ => Ok(()),
    }
}
