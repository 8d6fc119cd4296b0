//! A transaction that its owner holds open over several steps.
//!
//! It holds the writer, so it has a deadline: then it is rolled back, whoever forgot it. Its steps
//! run on the writer's thread, one after another.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
    mpsc::{SyncSender, TrySendError},
};
use std::time::Duration;

use crate::{StoreError, job::Commit, transaction::Transaction};

/// Steps of one open transaction that may wait for the writer.
pub const STEPS_WAITING_MAX: usize = 16;

pub(crate) type StepWork = Box<dyn FnOnce(&mut Transaction<'_>) + Send>;
pub(crate) type CommitDone = Box<dyn FnOnce(Result<Commit, StoreError>) + Send>;

pub(crate) enum Step {
    Run(StepWork),
    Commit(CommitDone),
}

/// The owner's side of a transaction that is open. Dropping it rolls back.
#[derive(Debug)]
pub struct OpenTransaction {
    pub(crate) steps: SyncSender<Step>,
    pub(crate) expired: Arc<AtomicBool>,
    pub(crate) limit: Duration,
}

impl OpenTransaction {
    /// Runs `work` in the transaction, without waiting for it: the work itself answers. It is
    /// dropped without being run if the transaction ends before its turn.
    ///
    /// # Errors
    /// [`StoreError::Deadline`] if the transaction was rolled back, [`StoreError::Busy`] if
    /// [`STEPS_WAITING_MAX`] steps wait already.
    pub fn run(
        &self,
        work: impl FnOnce(&mut Transaction<'_>) + Send + 'static,
    ) -> Result<(), StoreError> {
        self.send(Step::Run(Box::new(work)))
    }

    /// Keeps the transaction; `done` is called when it is durable. If it could not be queued,
    /// the transaction is rolled back.
    ///
    /// # Errors
    /// As for [`OpenTransaction::run`]; `done` is not called then.
    pub fn commit(
        self,
        done: impl FnOnce(Result<Commit, StoreError>) + Send + 'static,
    ) -> Result<(), StoreError> {
        self.send(Step::Commit(Box::new(done)))
    }

    fn send(&self, step: Step) -> Result<(), StoreError> {
        match self.steps.try_send(step) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(_)) => Err(StoreError::Busy),
            Err(TrySendError::Disconnected(_)) if self.expired.load(Ordering::Acquire) => {
                Err(StoreError::Deadline { limit: self.limit })
            }
            Err(TrySendError::Disconnected(_)) => Err(StoreError::Closed),
        }
    }
}
