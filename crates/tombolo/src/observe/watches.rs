//! Those who want to know that an answer may have changed, without its being run
//! again. A commit costs as much as the collections that it touched have
//! watchers; who watches others is not even looked at.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError, Weak};

use tombolo_store::Store;

use super::live_query::{SYSTEM, Seen, Touched};
use crate::error::ExecuteError;

/// Watches that a database has at most.
pub const WATCHES_MAX: usize = 16 * 1024;

type Callback = Arc<dyn Fn() + Send + Sync>;

/// A place among those who are told of commits that touched certain
/// collections, given up when dropped. A call that is under way on another
/// thread may then still end later.
#[must_use = "dropping it ends the watching"]
pub struct Watch {
    table: Weak<Mutex<Table>>,
    number: u64,
    collections: Vec<String>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(table) = self.table.upgrade() {
            let removed = lock(&table).remove(self.number, &self.collections);
            // What a callback holds may watch itself: dropped without the lock.
            drop(removed);
        }
    }
}

/// The watches of one database.
pub(crate) struct Watches {
    store: Arc<Store>,
    table: Arc<Mutex<Table>>,
    polling: Mutex<()>,
}

#[derive(Default)]
struct Table {
    /// How many there ever were.
    made: u64,
    by_collection: BTreeMap<String, BTreeMap<u64, Callback>>,
    /// How many there are, for the writer's thread, which must not wait.
    count: Arc<AtomicUsize>,
    /// Up to where everybody was told; `None` while nobody watches.
    seen: Option<Seen>,
}

impl Table {
    fn remove(&mut self, number: u64, collections: &[String]) -> Vec<Callback> {
        let mut removed = Vec::new();
        for name in collections {
            if let Some(watching) = self.by_collection.get_mut(name) {
                removed.extend(watching.remove(&number));
                if watching.is_empty() {
                    self.by_collection.remove(name);
                }
            }
        }
        if self.count.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.seen = None;
        }
        removed
    }

    /// Who watches a collection that was touched, each once.
    fn concerned(&self, touched: Option<&Touched>) -> BTreeMap<u64, Callback> {
        let mut concerned = BTreeMap::new();
        let mut add = |watching: &BTreeMap<u64, Callback>| {
            let cloned = watching
                .iter()
                .map(|(number, call)| (*number, Arc::clone(call)));
            concerned.extend(cloned);
        };
        match touched.and_then(Touched::names) {
            None => self.by_collection.values().for_each(add),
            Some(names) => {
                names
                    .filter_map(|name| self.by_collection.get(name))
                    .for_each(&mut add);
                // Virtual collections follow no document, so any commit may change them.
                let system = self.by_collection.range(SYSTEM.to_owned()..);
                let system = system.take_while(|(name, _)| name.starts_with(SYSTEM));
                system.for_each(|(_, watching)| add(watching));
            }
        }
        concerned
    }
}

impl Watches {
    pub(super) fn new(store: Arc<Store>) -> Self {
        Self {
            store,
            table: Arc::default(),
            polling: Mutex::default(),
        }
    }

    /// Tells whether there is anybody, without waiting.
    pub(super) fn counter(&self) -> impl Fn() -> bool + Send + Sync + 'static {
        let count = Arc::clone(&lock(&self.table).count);
        move || count.load(Ordering::SeqCst) > 0
    }

    /// Tells `on_touched` of commits from now on.
    pub(super) fn begin(
        &self,
        mut collections: Vec<String>,
        on_touched: Callback,
    ) -> Result<Watch, ExecuteError> {
        collections.dedup();
        let mut table = lock(&self.table);
        if table.count.load(Ordering::SeqCst) >= WATCHES_MAX {
            return Err(ExecuteError::TooMany {
                what: "watches",
                max: WATCHES_MAX,
            });
        }
        // Before the snapshot: a commit that it does not show finds somebody to tell.
        table.count.fetch_add(1, Ordering::SeqCst);
        if table.seen.is_none() {
            table.seen = Some(Seen::of(&self.store.snapshot()));
        }
        table.made += 1;
        let number = table.made;
        for name in &collections {
            let watching = table.by_collection.entry(name.clone()).or_default();
            watching.insert(number, Arc::clone(&on_touched));
        }
        Ok(Watch {
            table: Arc::downgrade(&self.table),
            number,
            collections,
        })
    }

    /// Tells those whose collections were touched since the poll before, and
    /// gives how many they were. Does nothing while another poll is under way.
    pub(super) fn poll(&self) -> usize {
        let _polling = match self.polling.try_lock() {
            Ok(polling) => polling,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return 0,
        };
        let seen = lock(&self.table).seen;
        let snapshot = self.store.snapshot();
        let now = Seen::of(&snapshot);
        let Some(seen) = seen.filter(|seen| *seen != now) else {
            return 0;
        };
        // Documents that were evicted are not told by the change log.
        let touched = seen
            .is_same_log(now)
            .then(|| Touched::since(&snapshot, seen.commit));
        let mut table = lock(&self.table);
        let concerned = table.concerned(touched.as_ref());
        table.seen = table.seen.map(|_| now);
        drop(table);
        for call in concerned.values() {
            if catch_unwind(AssertUnwindSafe(|| call())).is_err() {
                tracing::error!("a callback of a watch panicked");
            }
        }
        concerned.len()
    }
}

fn lock(table: &Mutex<Table>) -> MutexGuard<'_, Table> {
    // Nothing of others runs under the lock, so nothing is ever half done.
    table.lock().unwrap_or_else(PoisonError::into_inner)
}
