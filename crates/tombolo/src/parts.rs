//! The parts of an open database, for those who work below statements:
//! replication, simulators and tools.

use std::ops::RangeInclusive;
use std::sync::Arc;

use tombolo_query::Parameters;
use tombolo_store::attachments::Attachments;
use tombolo_store::{Snapshot, Store, Timekeeper};

use crate::commit_feed::CommitListener;
use crate::database::Database;
use crate::error::ExecuteError;

impl Database {
    /// The newest durable state. Never waits for a writer.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.store.snapshot()
    }

    /// The store below the statements. What is written there directly passes
    /// no check of the query language. Whoever keeps a clone keeps the directory
    /// held after the database is closed.
    #[must_use]
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// The contents of attachments that this device holds, whole or in part: to
    /// list them, to remove them, and to take in what comes chunk by chunk.
    #[must_use]
    pub const fn attachments(&self) -> &Attachments {
        &self.attachments
    }

    /// The values of the system parameters now.
    #[must_use]
    pub fn parameters(&self) -> Arc<Parameters> {
        self.engine.parameters()
    }

    /// The clocks of the database.
    #[must_use]
    pub fn time(&self) -> &Arc<dyn Timekeeper> {
        self.engine.time()
    }

    /// 128 bits from the randomness of the database.
    #[must_use]
    pub fn random_16(&self) -> [u8; 16] {
        self.engine.random_16()
    }

    /// Calls `listener` with the numbers of the commits of each round, local
    /// ones and those that came from peers, once they are durable and
    /// [`Database::snapshot`] shows them. It is called on the writer's thread
    /// and must not wait for anything, least of all for the database.
    ///
    /// # Errors
    /// [`ExecuteError::TooMany`] beyond [`crate::COMMIT_LISTENERS_MAX`].
    pub fn on_commit(
        &self,
        listener: impl Fn(RangeInclusive<u64>) + Send + Sync + 'static,
    ) -> Result<CommitListener, ExecuteError> {
        self.commit_feed.listen(listener)
    }
}
