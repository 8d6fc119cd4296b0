//! Several statements that are kept or undone together.

use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use tombolo_document::Object;
use tombolo_query::QueryError;
use tombolo_store::{OpenTransaction, Snapshot, Store, StoreError};

use crate::database::Executor;
use crate::error::ExecuteError;
use crate::login::Outside;
use crate::response::Response;

/// A transaction that reads its own writes. Made by `Database::transaction`.
pub struct Transaction {
    open: OpenTransaction,
    executor: Arc<Executor>,
    /// The store failed in the middle of a statement: what it wrote before must
    /// not be kept.
    broken: bool,
    /// Documents that will not sync if it is kept.
    withheld: u64,
}

impl Transaction {
    /// Waits for its turn and opens.
    pub(crate) fn begin(store: &Store, executor: Arc<Executor>) -> Result<Self, ExecuteError> {
        let (answer, answered) = sync_channel(1);
        store.begin(move |opened| {
            // Whoever waited may have died: dropping the transaction ends it.
            let _ = answer.try_send(opened);
        })?;
        let open = answered.recv().unwrap_or(Err(StoreError::Closed))?;
        Ok(Self {
            open,
            executor,
            broken: false,
            withheld: 0,
        })
    }

    /// Runs one statement in the transaction.
    ///
    /// # Errors
    /// [`ExecuteError`]; nothing of the statement is kept, and the transaction
    /// goes on unless it has expired.
    pub fn execute(
        &mut self,
        statement: &str,
        arguments: Object,
    ) -> Result<Response, ExecuteError> {
        let statement = self.executor.prepare(statement)?;
        let executor = Arc::clone(&self.executor);
        let (answer, answered) = sync_channel(1);
        self.open.run(move |transaction| {
            let outcome = executor.write(&statement, transaction, &arguments, None);
            let judged = outcome.and_then(|mut outcome| {
                let rights = executor.rights();
                let withheld = rights.judge(&statement, &mut outcome, Outside::Warn)?;
                Ok((outcome, withheld))
            });
            let _ = answer.try_send(judged);
        })?;
        let Ok(outcome) = answered.recv() else {
            return Err(self.why_ended());
        };
        if let Err(ExecuteError::Query(QueryError::Source(_))) = &outcome {
            self.broken = true;
        }
        let (outcome, withheld) = outcome?;
        self.withheld += withheld;
        Ok(Response::new(outcome, None))
    }

    /// A step was dropped unrun: the next one is told why.
    fn why_ended(&self) -> ExecuteError {
        match self.open.run(|_| ()) {
            Err(error) => error.into(),
            Ok(()) => StoreError::Panicked.into(),
        }
    }

    /// Makes it durable and gives its local commit.
    pub(crate) fn commit(self) -> Result<u64, ExecuteError> {
        if self.broken {
            return Err(ExecuteError::Broken);
        }
        let (answer, answered) = sync_channel(1);
        self.open.commit(move |result| {
            let _ = answer.try_send(result);
        })?;
        let commit = answered.recv().unwrap_or(Err(StoreError::Closed))?;
        self.executor.rights().count(self.withheld);
        Ok(commit.number)
    }
}

/// Several reads of one state. Made by `Database::read_transaction`.
pub struct ReadTransaction {
    snapshot: Snapshot,
    executor: Arc<Executor>,
}

impl ReadTransaction {
    pub(crate) fn new(snapshot: Snapshot, executor: Arc<Executor>) -> Self {
        Self { snapshot, executor }
    }

    /// Runs one statement that only reads.
    ///
    /// # Errors
    /// [`ExecuteError`]; a statement that writes is refused.
    pub fn execute(&self, statement: &str, arguments: &Object) -> Result<Response, ExecuteError> {
        let statement = self.executor.prepare(statement)?;
        let outcome = self
            .executor
            .read(&statement, &self.snapshot, arguments, None)?;
        Ok(Response::new(outcome, None))
    }
}
