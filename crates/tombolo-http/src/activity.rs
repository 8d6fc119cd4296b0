//! What a connection's watchdog looks at: whose turn it is, and any progress since it last looked.
//! It exists so that a request costs two counters instead of a timer of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering::Relaxed};

/// Looks that must all find a connection quiet before it is closed.
pub(crate) const QUIET_LOOKS: u32 = 4;

/// Counters of one connection, written by its requests, its bodies and its socket, read by its watchdog.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    /// Requests and answers that wait for the program, less those of them that wait for the client.
    /// A body that outlives its request may take it below zero for a while.
    in_work: AtomicI32,
    /// Streaming answers that are not at their end.
    sending: AtomicU32,
    progress: AtomicU64,
}

impl Activity {
    /// Marks a request as in work until the returned mark is dropped.
    pub(crate) fn request(self: &Arc<Self>) -> InWork {
        self.in_work.fetch_add(1, Relaxed);
        self.advance();
        InWork(Arc::clone(self))
    }

    /// Marks that a request in work waits for bytes of its client until the returned mark is dropped.
    pub(crate) fn awaits_client(&self) -> AwaitsClient<'_> {
        self.in_work.fetch_sub(1, Relaxed);
        AwaitsClient(self)
    }

    /// Follows a streaming answer until the returned mark is dropped.
    pub(crate) fn sending(self: &Arc<Self>) -> Sending {
        self.sending.fetch_add(1, Relaxed);
        Sending {
            activity: Arc::clone(self),
            for_route: None,
        }
    }

    /// Notes that the client took bytes, that a piece of a body arrived, or that a request began or ended.
    pub(crate) fn advance(&self) {
        self.progress.fetch_add(1, Relaxed);
    }

    /// Whether a request or an answer waits for the program.
    pub(crate) fn is_working(&self) -> bool {
        self.in_work.load(Relaxed) > 0
    }

    /// Whether an answer is still being sent.
    pub(crate) fn is_sending(&self) -> bool {
        self.sending.load(Relaxed) > 0
    }
}

/// Held while one request is in work.
#[derive(Debug)]
pub(crate) struct InWork(Arc<Activity>);

impl InWork {
    pub(crate) fn activity(&self) -> &Arc<Activity> {
        &self.0
    }
}

impl Drop for InWork {
    fn drop(&mut self) {
        self.0.in_work.fetch_sub(1, Relaxed);
        self.0.advance();
    }
}

/// Held while a request waits for bytes of its client.
#[derive(Debug)]
pub(crate) struct AwaitsClient<'a>(&'a Activity);

impl Drop for AwaitsClient<'_> {
    fn drop(&mut self) {
        self.0.in_work.fetch_add(1, Relaxed);
    }
}

/// Held while a streaming answer is sent.
#[derive(Debug)]
pub(crate) struct Sending {
    activity: Arc<Activity>,
    for_route: Option<InWork>,
}

impl Sending {
    /// Whether the answer waits for its route; otherwise it waits for its client.
    pub(crate) fn waits_for_route(&mut self, waits: bool) {
        if !waits {
            self.for_route = None;
        } else if self.for_route.is_none() {
            self.for_route = Some(self.activity.request());
        }
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.activity.sending.fetch_sub(1, Relaxed);
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
    /// A client that does not take its answer is quiet.
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
    fn a_request_that_waits_for_its_client_is_quiet() {
        let activity = Arc::new(Activity::default());
        let in_work = activity.request();
        let waiting = activity.awaits_client();
        assert!(!activity.is_working());
        drop(waiting);
        assert!(activity.is_working());
        drop(in_work);
    }

    #[test]
    fn an_answer_is_quiet_while_it_waits_for_its_client_and_not_while_it_waits_for_its_route() {
        let activity = Arc::new(Activity::default());
        let mut sending = activity.sending();
        assert!(!activity.is_working());
        sending.waits_for_route(true);
        sending.waits_for_route(true);
        assert!(activity.is_working());
        sending.waits_for_route(false);
        assert!(!activity.is_working() && activity.is_sending());
        sending.waits_for_route(true);
        drop(sending);
        assert!(!activity.is_working() && !activity.is_sending());
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
