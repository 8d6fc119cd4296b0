//! All observers of one database: who they are, and a poll that brings each
//! its newest answer. Without threads: whoever polls runs the callbacks.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError, Weak};

use tombolo_document::Object;
use tombolo_store::Store;

use super::live_query::{LiveQuery, Seen, Touched};
use crate::access::Access;
use crate::database::Executor;
use crate::error::ExecuteError;
use crate::response::Response;
use crate::statements::Prepared;

/// Observers that a database has at most.
pub const OBSERVERS_MAX: usize = 1024;

type Callback = Box<dyn FnMut(Result<Response, ExecuteError>) + Send>;

/// A statement that is being observed. Dropping it ends that, and so does the
/// end of the database.
#[must_use = "dropping it cancels the observer"]
pub struct Observer {
    entries: Weak<Entries>,
    number: u64,
}

impl Observer {
    /// Ends the observation. A call that is under way on another thread may
    /// still end later; no further one begins.
    pub fn cancel(self) {
        drop(self);
    }

    /// Whether it may be called again: false once its callback has panicked or
    /// the database is gone.
    #[must_use]
    pub fn is_active(&self) -> bool {
        let entries = self.entries.upgrade();
        entries.is_some_and(|entries| entries.lock().held.contains_key(&self.number))
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        if let Some(entries) = self.entries.upgrade() {
            entries.remove(self.number);
        }
    }
}

struct Entry {
    query: LiveQuery,
    on_result: Callback,
}

/// Those who are registered.
#[derive(Default)]
struct Entries {
    table: Mutex<Table>,
    /// How many there are, for the writer's thread, which must not wait.
    count: AtomicUsize,
}

#[derive(Default)]
struct Table {
    /// How many there ever were.
    made: u64,
    /// An entry is away while it runs, so that no callback runs under the lock.
    held: BTreeMap<u64, Option<Box<Entry>>>,
}

impl Entries {
    /// A place without an entry yet.
    fn reserve(self: &Arc<Self>) -> Result<Observer, ExecuteError> {
        let mut table = self.lock();
        if table.held.len() >= OBSERVERS_MAX {
            return Err(ExecuteError::TooMany {
                what: "observers",
                max: OBSERVERS_MAX,
            });
        }
        table.made += 1;
        let number = table.made;
        table.held.insert(number, None);
        self.count.store(table.held.len(), Ordering::SeqCst);
        Ok(Observer {
            entries: Arc::downgrade(self),
            number,
        })
    }

    fn take(&self, number: u64) -> Option<Box<Entry>> {
        self.lock().held.get_mut(&number)?.take()
    }

    /// Puts an entry into its place, unless it was cancelled meanwhile.
    fn put(&self, number: u64, entry: Box<Entry>) {
        let mut table = self.lock();
        if let Some(place) = table.held.get_mut(&number) {
            *place = Some(entry);
            return;
        }
        // What its callback holds may be an observer: dropped without the lock.
        drop(table);
        drop(entry);
    }

    fn remove(&self, number: u64) {
        let mut table = self.lock();
        let removed = table.held.remove(&number);
        self.count.store(table.held.len(), Ordering::SeqCst);
        drop(table);
        drop(removed);
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // Nothing of others runs under the lock, so nothing is ever half done.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The observers of one database.
pub(crate) struct Observers {
    store: Arc<Store>,
    executor: Arc<Executor>,
    entries: Arc<Entries>,
    polling: Mutex<()>,
    closing: AtomicBool,
}

impl Observers {
    pub(super) fn new(store: Arc<Store>, executor: Arc<Executor>) -> Self {
        Self {
            store,
            executor,
            entries: Arc::default(),
            polling: Mutex::default(),
            closing: AtomicBool::new(false),
        }
    }

    /// Ends the run that is under way, and all that would follow.
    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::SeqCst);
    }

    fn is_closing(&self) -> bool {
        self.closing.load(Ordering::SeqCst)
    }

    /// Tells whether there is anybody, without waiting.
    pub(super) fn counter(&self) -> impl Fn() -> bool + Send + Sync + 'static {
        let entries = Arc::clone(&self.entries);
        move || entries.count.load(Ordering::SeqCst) > 0
    }

    /// Runs a statement and has it run again whenever its answer may change.
    pub(super) fn register(
        &self,
        query: (Prepared, Object, Access),
        mut on_result: Callback,
    ) -> Result<Observer, ExecuteError> {
        // Before the snapshot: a commit that it does not show finds somebody to tell.
        let observer = self.entries.reserve()?;
        let snapshot = self.store.snapshot();
        let (query, first) = LiveQuery::begin(&self.executor, &snapshot, query)?;
        on_result(Ok(first));
        let entry = Box::new(Entry { query, on_result });
        self.entries.put(observer.number, entry);
        Ok(observer)
    }

    /// Brings each observer whose answer changed the newest one, and gives how
    /// many were called. Does nothing while another poll is under way.
    pub(super) fn poll(&self) -> usize {
        let _polling = match self.polling.try_lock() {
            Ok(polling) => polling,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return 0,
        };
        let stale = self.stale();
        let called = stale.into_iter().filter(|number| self.run_again(*number));
        called.count()
    }

    /// Who is to be run again, in the order of registration.
    fn stale(&self) -> Vec<u64> {
        let snapshot = self.store.snapshot();
        let now = Seen::of(&snapshot);
        let table = self.entries.lock();
        let queries = table.held.values().flatten().map(|entry| &entry.query);
        let oldest = queries
            .map(|query| query.seen())
            .filter(|seen| *seen != now);
        let Some(oldest) = oldest.map(|seen| seen.commit).min() else {
            return Vec::new();
        };
        drop(table);
        let touched = Touched::since(&snapshot, oldest);
        let mut table = self.entries.lock();
        let entries = table.held.iter_mut();
        let entries = entries.filter_map(|(number, entry)| Some((*number, entry.as_mut()?)));
        let mut stale = Vec::new();
        for (number, entry) in entries {
            match entry.query.is_stale(now, &touched) {
                true => stale.push(number),
                false => entry.query.skip_to(now),
            }
        }
        stale
    }

    /// Runs one again, on what is newest by now; tells whether it was called.
    fn run_again(&self, number: u64) -> bool {
        let Some(mut entry) = self.entries.take(number) else {
            return false;
        };
        let (snapshot, stop) = (self.store.snapshot(), || self.is_closing());
        let Some(result) = entry.query.again(&self.executor, &snapshot, &stop) else {
            self.entries.put(number, entry);
            return false;
        };
        let called = catch_unwind(AssertUnwindSafe(|| (entry.on_result)(result)));
        if called.is_err() {
            let collections = entry.query.collections();
            tracing::error!(
                ?collections,
                "the callback of an observer panicked and the observer was cancelled"
            );
            self.entries.remove(number);
        } else {
            self.entries.put(number, entry);
        }
        true
    }
}
