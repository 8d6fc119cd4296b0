//! Tells those who listen which commits became durable.

use std::ops::RangeInclusive;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::error::ExecuteError;

/// Listeners that a database has at most: each makes every commit wait a little.
pub const COMMIT_LISTENERS_MAX: usize = 64;

type Callback = dyn Fn(RangeInclusive<u64>) + Send + Sync;

/// A place among the listeners, given up when dropped. A call that is under way
/// on the writer's thread then may still end later.
#[must_use = "dropping it ends the listening"]
pub struct CommitListener {
    feed: Weak<CommitFeed>,
    number: u64,
}

/// All listeners of one database.
#[derive(Default)]
pub(crate) struct CommitFeed(Mutex<Listeners>);

#[derive(Default)]
struct Listeners {
    /// How many there ever were.
    made: u64,
    /// Replaced as a whole, so that a commit calls them without holding a lock.
    held: Arc<[(u64, Arc<Callback>)]>,
}

impl CommitFeed {
    /// Calls `callback` with the numbers of each round from now on.
    pub(crate) fn listen(
        self: &Arc<Self>,
        callback: impl Fn(RangeInclusive<u64>) + Send + Sync + 'static,
    ) -> Result<CommitListener, ExecuteError> {
        let mut listeners = self.lock();
        if listeners.held.len() >= COMMIT_LISTENERS_MAX {
            return Err(ExecuteError::TooMany {
                what: "listeners to commits",
                max: COMMIT_LISTENERS_MAX,
            });
        }
        listeners.made += 1;
        let number = listeners.made;
        let callback: Arc<Callback> = Arc::new(callback);
        let held = listeners.held.iter().cloned();
        listeners.held = held.chain([(number, callback)]).collect();
        Ok(CommitListener {
            feed: Arc::downgrade(self),
            number,
        })
    }

    /// Tells everybody. One that panics is never called again.
    pub(crate) fn announce(&self, commits: &RangeInclusive<u64>) {
        let held = Arc::clone(&self.lock().held);
        for (number, callback) in &*held {
            if catch_unwind(AssertUnwindSafe(|| callback(commits.clone()))).is_err() {
                tracing::error!("a listener to commits panicked and was removed");
                self.remove(*number);
            }
        }
    }

    fn remove(&self, number: u64) {
        let mut listeners = self.lock();
        let kept = listeners.held.iter().filter(|(held, _)| *held != number);
        let kept = kept.cloned().collect();
        let before = std::mem::replace(&mut listeners.held, kept);
        // What a callback holds may listen itself: it is dropped without the lock.
        drop(listeners);
        drop(before);
    }

    fn lock(&self) -> MutexGuard<'_, Listeners> {
        // The list is replaced as a whole, so it is whole after any panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for CommitListener {
    fn drop(&mut self) {
        if let Some(feed) = self.feed.upgrade() {
            feed.remove(self.number);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, sync_channel};

    use super::*;

    fn listener(feed: &Arc<CommitFeed>) -> (CommitListener, Receiver<RangeInclusive<u64>>) {
        let (told, heard) = sync_channel(8);
        let listener = feed.listen(move |commits| told.try_send(commits).unwrap());
        (listener.unwrap(), heard)
    }

    #[test]
    fn everybody_hears_each_round_until_they_leave() {
        let feed = Arc::new(CommitFeed::default());
        let (first, first_heard) = listener(&feed);
        let (_second, second_heard) = listener(&feed);
        feed.announce(&(1..=2));
        drop(first);
        feed.announce(&(3..=3));
        assert_eq!(first_heard.iter().collect::<Vec<_>>(), [1..=2]);
        assert_eq!(second_heard.try_iter().collect::<Vec<_>>(), [1..=2, 3..=3]);
    }

    #[test]
    fn one_that_panics_is_removed_and_the_others_go_on() {
        let feed = Arc::new(CommitFeed::default());
        let _broken = feed.listen(|_| panic!("the test's listener panics"));
        let (_second, heard) = listener(&feed);
        feed.announce(&(1..=1));
        assert_eq!(feed.lock().held.len(), 1);
        assert_eq!(heard.try_iter().count(), 1);
    }

    #[test]
    fn there_are_at_most_so_many() {
        let feed = Arc::new(CommitFeed::default());
        let mut held: Vec<_> = (0..COMMIT_LISTENERS_MAX)
            .map(|_| feed.listen(|_| ()).unwrap())
            .collect();
        let refused = feed.listen(|_| ());
        assert!(matches!(refused, Err(ExecuteError::TooMany { .. })));
        held.pop();
        assert!(feed.listen(|_| ()).is_ok());
    }
}
