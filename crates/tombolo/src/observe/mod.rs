//! Live queries: a SELECT whose rows are handed over again whenever they change.
//!
//! The core, `observers`, has no thread and is polled. The thread here is a thin
//! shell that sleeps until a commit wakes it, and polls.

mod live_query;
mod observers;
mod watches;

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use tombolo_document::Object;
use tombolo_store::Store;

pub use self::observers::{OBSERVERS_MAX, Observer};
pub use self::watches::{WATCHES_MAX, Watch};

use self::observers::Observers;
use self::watches::Watches;
use crate::access::Access;
use crate::commit_feed::{CommitFeed, CommitListener};
use crate::database::{Database, Executor};
use crate::error::{ExecuteError, OpenError};
use crate::response::Response;
use crate::statements::Prepared;
use crate::surroundings::ObserverDriver;

impl Database {
    /// Observes a SELECT of any shape. `on_result` gets all its rows: at once,
    /// before this returns and on this thread, and then whenever a commit has
    /// changed them, be it local, from a peer or an eviction.
    ///
    /// A commit that leaves the rows as they were is not told. Rows without
    /// ORDER BY come in no order that one may rely on. Who is slow misses what
    /// lies between and gets the newest rows; callbacks run one after another,
    /// so that a slow one makes the others wait. A callback may use the
    /// database, register and cancel. One that panics is cancelled. If the
    /// statement fails later on, `on_result` gets the error, and the statement
    /// is run again after the next change.
    ///
    /// # Errors
    /// [`ExecuteError::NotObservable`] for any other statement,
    /// [`ExecuteError::TooMany`] beyond [`OBSERVERS_MAX`], and what the first
    /// run fails with. `on_result` is not called then.
    pub fn register_observer(
        &self,
        statement: &str,
        arguments: Object,
        on_result: impl FnMut(Result<Response, ExecuteError>) + Send + 'static,
    ) -> Result<Observer, ExecuteError> {
        let whose = Access::everything();
        self.register_observer_as((statement, whose), arguments, on_result)
    }

    /// As [`Database::register_observer`], of the documents that somebody may read.
    ///
    /// # Errors
    /// As for [`Database::register_observer`], and
    /// [`ExecuteError::CallerNotPermitted`].
    pub fn register_observer_as(
        &self,
        (statement, access): (&str, Access),
        arguments: Object,
        on_result: impl FnMut(Result<Response, ExecuteError>) + Send + 'static,
    ) -> Result<Observer, ExecuteError> {
        let callback = Box::new(on_result);
        let statement = self.prepare(statement)?;
        let query = (statement, arguments, access);
        let observer = self.observers.core.register(query, callback)?;
        // A commit may have come between its first run and its registration.
        self.observers.wake.wake();
        Ok(observer)
    }

    /// Tells `on_touched` whenever a commit touched a collection of a SELECT, so
    /// that its answer may be another one. It is told of all commits from now on
    /// and perhaps of some just before; several commits may be told as one.
    /// Nothing is run: who is told reads when it suits them, with whose rights
    /// they like. `on_touched` must only take note, as others wait behind it.
    ///
    /// # Errors
    /// [`ExecuteError::NotObservable`] for any other statement, and
    /// [`ExecuteError::TooMany`] beyond [`WATCHES_MAX`].
    pub fn watch(
        &self,
        statement: &Prepared,
        on_touched: impl Fn() + Send + Sync + 'static,
    ) -> Result<Watch, ExecuteError> {
        if !statement.0.is_select() {
            return Err(ExecuteError::NotObservable);
        }
        let collections = statement.collections();
        self.observers
            .watches
            .begin(collections, Arc::new(on_touched))
    }

    /// Tells the watches whose collections were touched and runs the observers
    /// whose rows may have changed, on this thread, and gives how many were
    /// called. For those who chose [`ObserverDriver::Caller`]; otherwise a
    /// thread of the database does it. A second poll at the same time does
    /// nothing.
    pub fn poll_observers(&self) -> usize {
        self.observers.watches.poll() + self.observers.core.poll()
    }
}

/// The observers with what runs them.
pub(crate) struct ObserverShell {
    core: Arc<Observers>,
    watches: Arc<Watches>,
    wake: Arc<Wake>,
    thread: Option<JoinHandle<()>>,
    /// The core looks at the store by itself, so commits end with the shell.
    _listener: CommitListener,
}

impl ObserverShell {
    pub(crate) fn start(
        store: Arc<Store>,
        executor: Arc<Executor>,
        feed: &Arc<CommitFeed>,
        driver: ObserverDriver,
    ) -> Result<Self, OpenError> {
        let watches = Arc::new(Watches::new(Arc::clone(&store)));
        let core = Arc::new(Observers::new(store, executor));
        let wake = Arc::new(Wake::default());
        let (observes, watched) = (core.counter(), watches.counter());
        let woken = Arc::clone(&wake);
        let listener = feed.listen(move |_| {
            if observes() || watched() {
                woken.wake();
            }
        });
        let thread = match driver {
            ObserverDriver::Caller => None,
            ObserverDriver::Thread => {
                let (core, wake) = (Arc::clone(&core), Arc::clone(&wake));
                let watches = Arc::clone(&watches);
                let builder = thread::Builder::new().name("tombolo-observers".to_owned());
                let thread = builder.spawn(move || {
                    while wake.wait() {
                        watches.poll();
                        core.poll();
                    }
                });
                Some(thread.map_err(OpenError::Thread)?)
            }
        };
        Ok(Self {
            core,
            watches,
            wake,
            thread,
            _listener: listener.expect("invariant: a new feed has room"),
        })
    }
}

impl Drop for ObserverShell {
    fn drop(&mut self) {
        self.core.close();
        self.wake.close();
        if let Some(thread) = self.thread.take() {
            // A callback may hold the last handle: the thread cannot wait for itself.
            if thread.thread().id() != thread::current().id() {
                // Callbacks are caught, so there is no panic to hand on.
                let _ = thread.join();
            }
        }
    }
}

/// A flag that a thread sleeps on; setting it twice is setting it once.
#[derive(Default)]
struct Wake {
    state: Mutex<WakeState>,
    changed: Condvar,
}

#[derive(Default)]
struct WakeState {
    pending: bool,
    closed: bool,
}

impl Wake {
    fn wake(&self) {
        self.lock().pending = true;
        self.changed.notify_one();
    }

    fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_one();
    }

    /// Sleeps until there is something to do; false when it is over.
    fn wait(&self) -> bool {
        let state = self.lock();
        let is_idle = |state: &mut WakeState| !state.pending && !state.closed;
        let woken = self.changed.wait_while(state, is_idle);
        let mut state = woken.unwrap_or_else(PoisonError::into_inner);
        state.pending = false;
        !state.closed
    }

    fn lock(&self) -> MutexGuard<'_, WakeState> {
        // Two flags are never half set.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
