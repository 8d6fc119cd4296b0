//! Simulated time, and the clocks of nodes, which are wrong in their own ways.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use tombolo::Timekeeper;
use tombolo_sync::Now;

use crate::identity::EPOCH_MS;

/// Microseconds since a run began, for all of its nodes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Time(Arc<AtomicU64>);

impl Time {
    pub(crate) fn us(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn set(&self, us: u64) {
        self.0.store(us, Ordering::Relaxed);
    }
}

/// The clock of one node.
#[derive(Debug)]
pub(crate) struct NodeClock {
    time: Time,
    /// How far it is ahead, in milliseconds.
    ahead_ms: AtomicI64,
    /// How much too fast it runs, in millionths.
    drift: i64,
}

impl NodeClock {
    pub(crate) fn new(time: Time, ahead_ms: i64, drift: i64) -> Self {
        Self {
            time,
            ahead_ms: AtomicI64::new(ahead_ms),
            drift,
        }
    }

    /// Puts it ahead of the time by so much.
    pub(crate) fn set_ahead_ms(&self, ahead_ms: i64) {
        self.ahead_ms.store(ahead_ms, Ordering::Relaxed);
    }

    pub(crate) fn now(&self) -> Now {
        Now {
            unix_ms: self.unix_ms(),
            monotonic: self.monotonic(),
        }
    }
}

impl Timekeeper for NodeClock {
    fn unix_ms(&self) -> u64 {
        let us = i64::try_from(self.time.us()).unwrap_or(i64::MAX);
        let drifted = us / 1_000 + us / 1_000_000 * self.drift / 1_000;
        EPOCH_MS.saturating_add_signed(drifted + self.ahead_ms.load(Ordering::Relaxed))
    }

    fn monotonic(&self) -> Duration {
        Duration::from_micros(self.time.us())
    }
}
