//! What a connection's watchdog looks at: requests in work and any progress since it last looked.
//! It exists so that a request costs two counters instead of a timer of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// Looks that must all find a connection quiet before it is closed.
pub(crate) const QUIET_LOOKS: u32 = 4;

/// Counters of one connection, written by its requests and its socket, read by its watchdog.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    in_work: AtomicU32,
    progress: AtomicU64,
}

impl Activity {
    /// Marks a request as in work until the returned mark is dropped.
    pub(crate) fn request(self: &Arc<Self>) -> InWork {
        self.in_work.fetch_add(1, Relaxed);
        self.advance();
        InWork(Arc::clone(self))
    }

    /// Notes that the client took bytes or that a request began or ended.
    pub(crate) fn advance(&self) {
        self.progress.fetch_add(1, Relaxed);
    }

    /// Whether a request waits for its answer.
    pub(crate) fn is_working(&self) -> bool {
        self.in_work.load(Relaxed) > 0
    }
}

/// Held while one request is in work.
pub(crate) struct InWork(Arc<Activity>);

impl Drop for InWork {
    fn drop(&mut self) {
        self.0.in_work.fetch_sub(1, Relaxed);
        self.0.advance();
    }
}

/// Remembers how many looks in a row found nothing new.
#[derive(Debug, Default)]
pub(crate) struct Watchdog {
    progress_seen: u64,
    quiet_looks: u32,
}

impl Watchdog {
    /// One look; true once the connection was quiet for [`QUIET_LOOKS`] looks in a row.
    pub(crate) fn finds_quiet(&mut self, activity: &Activity) -> bool {
        let progress = activity.progress.load(Relaxed);
        if activity.is_working() || progress != self.progress_seen {
            self.progress_seen = progress;
            self.quiet_looks = 0;
            return false;
        }
        self.quiet_looks += 1;
        self.quiet_looks >= QUIET_LOOKS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quiet_connection_is_found_after_the_last_look_and_not_before() {
        let activity = Arc::new(Activity::default());
        let mut watchdog = Watchdog::default();
        for _ in 1..QUIET_LOOKS {
            assert!(!watchdog.finds_quiet(&activity));
        }
        assert!(watchdog.finds_quiet(&activity));
    }

    #[test]
    fn a_request_in_work_is_never_quiet() {
        let activity = Arc::new(Activity::default());
        let in_work = activity.request();
        let mut watchdog = Watchdog::default();
        for _ in 0..3 * QUIET_LOOKS {
            assert!(!watchdog.finds_quiet(&activity));
        }
        drop(in_work);
        assert!(!activity.is_working());
    }

    #[test]
    fn progress_starts_the_count_again() {
        let activity = Arc::new(Activity::default());
        let mut watchdog = Watchdog::default();
        for _ in 1..QUIET_LOOKS {
            watchdog.finds_quiet(&activity);
        }
        activity.advance();
        assert!(!watchdog.finds_quiet(&activity));
        assert!(!watchdog.finds_quiet(&activity));
    }
}
