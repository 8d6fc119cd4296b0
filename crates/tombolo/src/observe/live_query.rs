//! One statement that is run again whenever its answer may have changed. It has
//! no thread and no callback: what it saw and what it gave is all its state.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use tombolo_document::Object;
use tombolo_query::QueryError;
use tombolo_store::{LogId, Snapshot, StoreError};

use crate::access::Access;
use crate::database::Executor;
use crate::error::ExecuteError;
use crate::fingerprint::{self, Fingerprint};
use crate::response::Response;
use crate::statements::Prepared;

/// How the names of virtual collections begin. They follow no document, so any
/// commit may change them.
pub(super) const SYSTEM: &str = "system:";

/// A SELECT with its arguments, and the state of the store that it saw last.
pub(super) struct LiveQuery {
    statement: Prepared,
    arguments: Object,
    access: Access,
    collections: Vec<String>,
    seen: Seen,
    /// Of the rows given last; `None` if the last run failed.
    rows: Option<Fingerprint>,
}

/// A state of the store, by its name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    log: LogId,
    pub(super) commit: u64,
}

impl Seen {
    pub(super) fn of(snapshot: &Snapshot) -> Self {
        Self {
            log: snapshot.log_id(),
            commit: snapshot.last_commit(),
        }
    }

    pub(super) fn is_same_log(self, other: Self) -> bool {
        self.log == other.log
    }
}

impl LiveQuery {
    /// Runs a statement for the first time.
    pub(super) fn begin(
        executor: &Executor,
        snapshot: &Snapshot,
        (statement, arguments, access): (Prepared, Object, Access),
    ) -> Result<(Self, Response), ExecuteError> {
        if !statement.0.is_select() {
            return Err(ExecuteError::NotObservable);
        }
        let mut query = Self {
            collections: statement.0.collections(),
            statement,
            arguments,
            access,
            seen: Seen::of(snapshot),
            rows: None,
        };
        let response = query.run(executor, snapshot, &|| false)?;
        query.rows = Some(fingerprint::of_rows(&response.items));
        Ok((query, response))
    }

    pub(super) fn collections(&self) -> &[String] {
        &self.collections
    }

    pub(super) fn seen(&self) -> Seen {
        self.seen
    }

    /// Whether the answer may be another one at `now`.
    pub(super) fn is_stale(&self, now: Seen, touched: &Touched) -> bool {
        if self.seen.log != now.log {
            // Documents were evicted, and the change log does not tell which.
            return true;
        }
        let mut names = self.collections.iter();
        self.seen.commit < now.commit && names.any(|name| touched.after(name, self.seen.commit))
    }

    /// Takes note that nothing that matters changed until `now`.
    pub(super) fn skip_to(&mut self, now: Seen) {
        if self.seen.commit < now.commit {
            self.seen = now;
        }
    }

    /// Runs again; `None` if the rows are those given last, or `stop` said so.
    pub(super) fn again(
        &mut self,
        executor: &Executor,
        snapshot: &Snapshot,
        stop: &dyn Fn() -> bool,
    ) -> Option<Result<Response, ExecuteError>> {
        let result = self.run(executor, snapshot, stop);
        if let Err(ExecuteError::Query(QueryError::Stopped)) = result {
            return None;
        }
        self.seen = Seen::of(snapshot);
        let before = self.rows;
        let rows = result.as_ref().ok();
        self.rows = rows.map(|response| fingerprint::of_rows(&response.items));
        (self.rows.is_none() || self.rows != before).then_some(result)
    }

    fn run(
        &self,
        executor: &Executor,
        snapshot: &Snapshot,
        stop: &dyn Fn() -> bool,
    ) -> Result<Response, ExecuteError> {
        let outcome = executor.read_as(
            (&self.statement, &self.access),
            snapshot,
            &self.arguments,
            stop,
        )?;
        Ok(Response::new(outcome, None))
    }
}

/// Which collections changed, and in which commit last.
#[derive(Default)]
pub(super) struct Touched {
    collections: BTreeMap<String, u64>,
    /// The change log could not be read, so all of them may have.
    unknown: bool,
}

impl Touched {
    /// What changed after `commit`. A log that cannot be read is not told here:
    /// the queries, run for it, meet the same disk and tell.
    pub(super) fn since(snapshot: &Snapshot, commit: u64) -> Self {
        let mut touched = Self::default();
        let read: Result<(), StoreError> = snapshot.changes_after(commit, &mut |change| {
            // In commit order, so the last one stays.
            match touched.collections.get_mut(change.collection) {
                Some(last) => *last = change.commit,
                None => {
                    let name = change.collection.to_owned();
                    touched.collections.insert(name, change.commit);
                }
            }
            ControlFlow::Continue(())
        });
        touched.unknown = read.is_err();
        touched
    }

    /// The collections; `None` if all of them may have changed.
    pub(super) fn names(&self) -> Option<impl Iterator<Item = &String>> {
        (!self.unknown).then(|| self.collections.keys())
    }

    fn after(&self, collection: &str, commit: u64) -> bool {
        let last = self.collections.get(collection);
        self.unknown || collection.starts_with(SYSTEM) || last.is_some_and(|last| *last > commit)
    }
}
