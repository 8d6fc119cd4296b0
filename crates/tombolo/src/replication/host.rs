//! What a session needs of the database that it works for, without a thread or
//! a socket: whoever drives sessions works through it, our own driver as well as
//! a simulator.

use std::sync::Arc;

use tombolo_query::Parameters;
use tombolo_store::{Sidecar, Store, StoreError, Timekeeper, WriteError};
use tombolo_sync::record::SECRET_KEY;
use tombolo_sync::{Applied, Apply, Outcome, RecordChange, Standing};

use super::applying::{Undone, answer, apply, write_records};
use super::view::{StoreView, log_of};
use crate::database::{Database, Executor};

/// A database as sessions see it.
#[derive(Clone)]
pub struct Host {
    store: Arc<Store>,
    executor: Arc<Executor>,
}

impl Host {
    /// The host of a database.
    #[must_use]
    pub fn new(database: &Database) -> Self {
        Self {
            store: Arc::clone(&database.store),
            executor: Arc::clone(&database.engine),
        }
    }

    /// The newest durable state.
    #[must_use]
    pub fn view(&self) -> StoreView {
        StoreView::new(self.store.snapshot())
    }

    /// What the store is now.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let snapshot = self.store.snapshot();
        Standing {
            log: log_of(&snapshot),
            actor: snapshot.actor(),
            commit: snapshot.last_commit(),
        }
    }

    /// The system parameters now.
    #[must_use]
    pub fn parameters(&self) -> Arc<Parameters> {
        self.executor.parameters()
    }

    /// The secret that seals this store's cursors, made and kept at first use.
    ///
    /// # Errors
    /// The store failed.
    pub fn secret(&self) -> Result<[u8; 32], StoreError> {
        let (high, low) = (self.executor.random_16(), self.executor.random_16());
        let fresh = [high, low].concat();
        let made = self.store.write_and_wait(move |transaction| {
            if let Some(held) = transaction.sidecar(Sidecar::Sessions, SECRET_KEY)? {
                return Ok(held.to_vec());
            }
            transaction.set_sidecar(Sidecar::Sessions, SECRET_KEY, Some(fresh.clone()))?;
            Ok(fresh.clone())
        });
        let (_, secret) = made.map_err(flat)?;
        let secret: Result<[u8; 32], _> = secret.try_into();
        secret.map_err(|_| StoreError::DamagedRecord { record: "secret" })
    }

    /// Applies documents and waits until they are durable.
    #[must_use]
    pub fn apply(&self, work: Apply) -> Applied {
        let written = self
            .store
            .write_and_wait(move |transaction| apply(transaction, &work));
        answer(written)
    }

    /// Queues documents to be applied; `done` is called on the writer's thread
    /// and must not wait.
    pub fn queue_apply(&self, work: Apply, done: impl FnOnce(Applied) + Send + 'static) {
        let done = Arc::new(std::sync::Mutex::new(Some(done)));
        let tell = move |applied| {
            let done = done
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .take();
            if let Some(done) = done {
                done(applied);
            }
        };
        let told = tell.clone();
        let queued = self.store.write(
            move |transaction| apply(transaction, &work),
            move |written: Result<(_, Vec<Outcome>), WriteError<Undone>>| told(answer(written)),
        );
        if let Err(error) = queued {
            tell(answer::<()>(Err(WriteError::Store(error))));
        }
    }

    /// Queues records to be written; `done` as for [`Host::queue_apply`].
    ///
    /// # Errors
    /// [`StoreError::Busy`] or [`StoreError::Closed`].
    pub fn queue_records(
        &self,
        records: Vec<RecordChange>,
        done: impl FnOnce(Result<(), StoreError>) + Send + 'static,
    ) -> Result<(), StoreError> {
        self.store.write(
            move |transaction| write_records(transaction, records.clone()),
            move |written| done(written.map(|_| ()).map_err(flat)),
        )
    }

    /// Writes records and waits until they are durable.
    ///
    /// # Errors
    /// The store failed, or is busy.
    pub fn write_records(&self, records: Vec<RecordChange>) -> Result<(), StoreError> {
        let written = self
            .store
            .write_and_wait(move |transaction| write_records(transaction, records.clone()));
        written.map(|_| ()).map_err(flat)
    }

    /// The clocks.
    #[must_use]
    pub fn time(&self) -> &Arc<dyn Timekeeper> {
        self.executor.time()
    }

    /// As [`Host::renew_identity`], without waiting; the commit tells.
    pub(crate) fn queue_renewal(&self) {
        let failed = |error: &dyn std::fmt::Display| {
            tracing::error!(target: "tombolo::sync", %error, "the store could not take a new identity");
        };
        let queued = self.store.write(
            |transaction| transaction.renew_identity(),
            move |renewed: Result<_, WriteError<StoreError>>| {
                if let Err(error) = renewed {
                    failed(&flat(error));
                }
            },
        );
        if let Err(error) = queued {
            failed(&error);
        }
    }

    /// Gives the store a new log id and a new actor epoch, and waits.
    ///
    /// # Errors
    /// The store failed, or is busy.
    pub fn renew_identity(&self) -> Result<(), StoreError> {
        let renewed = self
            .store
            .write_and_wait(|transaction| transaction.renew_identity());
        renewed.map(|_| ()).map_err(flat)
    }
}

fn flat(error: WriteError<StoreError>) -> StoreError {
    match error {
        WriteError::Store(error) | WriteError::Work(error) => error,
    }
}
