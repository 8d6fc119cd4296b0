//! The door of slow hashing: one key at a time in the whole process, a bounded line before it, and what became of
//! those who stood in it. Identities may be replaced while it is busy; the door stays.
//! What is hashed there gives way to everything else: whoever sends keys that nobody knows takes processor time that
//! is left over, and none of those who are known.

use std::sync::Arc;
use std::sync::atomic::{
    AtomicU64, AtomicUsize,
    Ordering::{AcqRel, Relaxed},
};
use std::thread;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::Instant;

/// Requests that may wait for the slow hash, the running one included.
pub(super) const WAITING_MAX: usize = 8;

/// The one door of a process.
#[derive(Debug, Clone)]
pub(crate) struct SlowDoor(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    one: Arc<Semaphore>,
    /// Places that are taken.
    waiting: AtomicUsize,
    checked: AtomicU64,
    refused: AtomicU64,
    waited_us: AtomicU64,
}

/// Sums for whoever watches the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SlowSums {
    /// Keys that are hashed or wait for it.
    pub(crate) waiting: usize,
    /// Keys that had their turn.
    pub(crate) checked: u64,
    /// Keys for which there was no place.
    pub(crate) refused: u64,
    /// How long those that had their turn waited for it, together.
    pub(crate) waited_us: u64,
}

impl SlowDoor {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Inner {
            one: Arc::new(Semaphore::new(1)),
            waiting: AtomicUsize::new(0),
            checked: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            waited_us: AtomicU64::new(0),
        }))
    }

    /// Waits for the turn of one key. `None`: too many wait.
    pub(super) async fn enter(&self) -> Option<Turn> {
        let Some(place) = Place::take(&self.0) else {
            self.0.refused.fetch_add(1, Relaxed);
            return None;
        };
        let since = Instant::now();
        let permit = Arc::clone(&self.0.one).acquire_owned().await.ok()?;
        let waited_us = u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.0.waited_us.fetch_add(waited_us, Relaxed);
        self.0.checked.fetch_add(1, Relaxed);
        Some(Turn {
            _permit: permit,
            _place: place,
        })
    }

    pub(crate) fn sums(&self) -> SlowSums {
        SlowSums {
            waiting: self.0.waiting.load(Relaxed),
            checked: self.0.checked.load(Relaxed),
            refused: self.0.refused.load(Relaxed),
            waited_us: self.0.waited_us.load(Relaxed),
        }
    }
}

/// The right to hash one key slowly, until it is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    _permit: OwnedSemaphorePermit,
    _place: Place,
}

impl Turn {
    /// Does the work of this turn on a thread of the lowest priority, which ends with it: a thread of a pool could not
    /// rise again. It runs to its end even if nobody waits any more. `None`: there is no thread, or the work panicked.
    pub(super) async fn run<T: Send + 'static>(
        self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let (tell, told) = oneshot::channel();
        let thread = thread::Builder::new().name("slow-key".to_owned());
        let started = thread.spawn(move || {
            let turn = self;
            give_way();
            let done = work();
            // Before the answer, so that whoever has it finds the door open.
            drop(turn);
            let _ = tell.send(done);
        });
        started.ok()?;
        told.await.ok()
    }
}

/// Lowers this thread, and it alone, below all others. A system that has no priority for a thread, or does not let us
/// set it, hashes beside the others as an equal.
fn give_way() {
    #[cfg(target_os = "linux")]
    {
        use rustix::{process::setpriority_process, thread::gettid};
        let _ = setpriority_process(Some(gettid()), LOWEST);
    }
}

/// The least favourable of the nice values.
#[cfg(target_os = "linux")]
const LOWEST: i32 = 19;

/// One of the [`WAITING_MAX`] places; given back when dropped, also when the request was given up.
#[derive(Debug)]
struct Place(Arc<Inner>);

impl Place {
    fn take(inner: &Arc<Inner>) -> Option<Self> {
        // A refused place gives back what it took when it is dropped here.
        let place = Self(Arc::clone(inner));
        (inner.waiting.fetch_add(1, AcqRel) < WAITING_MAX).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl SlowDoor {
        /// Takes all places for as long as the answer is kept.
        pub(in super::super) fn fill(&self) -> Vec<impl Sized + use<>> {
            (0..WAITING_MAX)
                .map(|_| Place::take(&self.0).unwrap())
                .collect()
        }
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_slow_hash_gives_way_and_nothing_else_does() {
        use rustix::process::getpriority_process;
        use rustix::thread::gettid;

        let own = getpriority_process(Some(gettid())).unwrap();
        let turn = SlowDoor::new().enter().await.unwrap();
        let hashing = turn.run(|| getpriority_process(Some(gettid())));
        assert_eq!(hashing.await.unwrap().unwrap(), LOWEST);
        assert_eq!(getpriority_process(Some(gettid())).unwrap(), own);
    }

    #[tokio::test]
    async fn a_turn_ends_with_its_work_even_if_that_panics() {
        let door = SlowDoor::new();
        let turn = door.enter().await.unwrap();
        assert_eq!(turn.run(|| -> () { panic!("on purpose") }).await, None);
        assert_eq!(door.enter().await.unwrap().run(|| 7).await, Some(7));
        assert_eq!(door.sums().waiting, 0);
    }

    #[tokio::test]
    async fn one_more_waiter_than_allowed_is_refused_and_counted() {
        let door = SlowDoor::new();
        let turn = door.enter().await.unwrap();
        let places: Vec<_> = (1..WAITING_MAX)
            .map(|_| Place::take(&door.0).unwrap())
            .collect();
        assert!(door.enter().await.is_none());
        let sums = door.sums();
        assert_eq!((sums.waiting, sums.checked, sums.refused), (8, 1, 1));
        drop((turn, places));
        assert!(door.enter().await.is_some());
        assert_eq!(door.sums().waiting, 0);
    }
}
