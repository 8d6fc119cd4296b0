//! What a connection's watchdog looks at: whose turn it is, and any progress since it last looked.
//! It exists so that a request costs two counters instead of a timer of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, Ordering::Relaxed};

use crate::limits::Limits;

/// Looks within the shortest time that a connection may be quiet.
pub(crate) const QUIET_LOOKS: u32 = 4;

/// Counters of one connection, written by its requests, its bodies and its socket, read by its watchdog.
#[derive(Debug)]
pub(crate) struct Activity {
    /// Requests and answers that wait for the program, less those of them that wait for the client.
    /// A body that outlives its request may take it below zero for a while.
    in_work: AtomicI32,
    /// Streaming answers that are not at their end.
    sending: AtomicU32,
    /// Bytes of bodies that arrived or were taken; the begin and the end of a request count as enough of them.
    progress: AtomicU64,
    /// Whether the client has begun a head that is not complete. A new connection is expected to.
    owes_head: AtomicBool,
    /// Whether an answer is ready that the client does not take.
    is_blocked: AtomicBool,
}

impl Default for Activity {
    fn default() -> Self {
        Self {
            in_work: AtomicI32::default(),
            sending: AtomicU32::default(),
            progress: AtomicU64::default(),
            owes_head: AtomicBool::new(true),
            is_blocked: AtomicBool::default(),
        }
    }
}

impl Activity {
    /// Marks a request as in work until the returned mark is dropped.
    pub(crate) fn request(self: &Arc<Self>) -> InWork {
        self.in_work.fetch_add(1, Relaxed);
        self.advance(Limits::PROGRESS_BYTES_MIN);
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

    /// Notes that the client took bytes, or that some of a body arrived.
    pub(crate) fn advance(&self, bytes: u64) {
        self.progress.fetch_add(bytes, Relaxed);
    }

    /// Notes that bytes arrived, whatever they are.
    pub(crate) fn hear(&self) {
        self.owes_head.store(true, Relaxed);
    }

    /// Notes whether the client's side has room for what was written last.
    pub(crate) fn block(&self, is_blocked: bool) {
        self.is_blocked.store(is_blocked, Relaxed);
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
        self.0.owes_head.store(false, Relaxed);
        self.0.advance(Limits::PROGRESS_BYTES_MIN);
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

/// Remembers how many looks in a row found too little.
#[derive(Debug)]
pub(crate) struct Watchdog {
    progress_seen: u64,
    quiet_looks: u32,
    /// Looks in a row after which a client that owes something is too slow.
    slow_looks: u32,
    /// The same for one that owes nothing.
    idle_looks: u32,
}

impl Watchdog {
    pub(crate) fn new(slow_looks: u32, idle_looks: u32) -> Self {
        Self {
            progress_seen: 0,
            quiet_looks: 0,
            slow_looks,
            idle_looks,
        }
    }

    /// One look; true once the connection was quiet for as many looks in a row as it may be.
    /// A client that does not take its answer is quiet, and one that drips a body too.
    pub(crate) fn finds_quiet(&mut self, activity: &Activity) -> bool {
        let progress = activity.progress.load(Relaxed);
        let moved = progress.wrapping_sub(self.progress_seen);
        if activity.is_working() || moved >= Limits::PROGRESS_BYTES_MIN {
            self.progress_seen = progress;
            self.quiet_looks = 0;
            return false;
        }
        self.quiet_looks += 1;
        let owes = activity.owes_head.load(Relaxed)
            || activity.is_blocked.load(Relaxed)
            || activity.is_sending()
            || activity.in_work.load(Relaxed) != 0;
        let looks_max = if owes {
            self.slow_looks
        } else {
            self.idle_looks
        };
        self.quiet_looks >= looks_max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quiet_connection_is_found_after_the_last_look_and_not_before() {
        let activity = Arc::new(Activity::default());
        let mut watchdog = Watchdog::new(QUIET_LOOKS, QUIET_LOOKS);
        for _ in 1..QUIET_LOOKS {
            assert!(!watchdog.finds_quiet(&activity));
        }
        assert!(watchdog.finds_quiet(&activity));
    }

    #[test]
    fn a_request_in_work_is_never_quiet() {
        let activity = Arc::new(Activity::default());
        let in_work = activity.request();
        let mut watchdog = Watchdog::new(QUIET_LOOKS, QUIET_LOOKS);
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
        let mut watchdog = Watchdog::new(QUIET_LOOKS, QUIET_LOOKS);
        for _ in 1..QUIET_LOOKS {
            watchdog.finds_quiet(&activity);
        }
        activity.advance(Limits::PROGRESS_BYTES_MIN);
        assert!(!watchdog.finds_quiet(&activity));
        assert!(!watchdog.finds_quiet(&activity));
    }
    #[test]
    fn t52_a_drip_below_the_least_progress_is_quiet_and_at_it_is_not() {
        for (bytes_per_look, is_cut) in [(1, true), (255, true), (256, false)] {
            let activity = Arc::new(Activity::default());
            let _in_work = activity.request();
            let _waiting = activity.awaits_client();
            let mut watchdog = Watchdog::new(QUIET_LOOKS, u32::MAX);
            // What the request's begin counted for is seen first.
            watchdog.finds_quiet(&activity);
            let cut = (0..100).any(|_| {
                activity.advance(bytes_per_look);
                watchdog.finds_quiet(&activity)
            });
            assert_eq!(cut, is_cut, "{bytes_per_look} bytes in each look");
        }
    }

    #[test]
    fn t52_a_dripped_head_is_no_progress_and_an_idle_connection_has_its_own_time() {
        let activity = Arc::new(Activity::default());
        let mut watchdog = Watchdog::new(2, 5);
        activity.hear();
        assert!(!watchdog.finds_quiet(&activity));
        activity.hear();
        assert!(watchdog.finds_quiet(&activity));
        drop(activity.request());
        let mut watchdog = Watchdog::new(2, 5);
        watchdog.finds_quiet(&activity);
        let looks = (1..100).find(|_| watchdog.finds_quiet(&activity));
        assert_eq!(looks, Some(5));
        activity.block(true);
        let mut watchdog = Watchdog::new(2, 5);
        watchdog.finds_quiet(&activity);
        let looks = (1..100).find(|_| watchdog.finds_quiet(&activity));
        assert_eq!(looks, Some(2), "an answer that is not taken");
    }
}
