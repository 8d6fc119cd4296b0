//! Surroundings whose clock and randomness the test holds.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tombolo::engine::Engine;
use tombolo::{SiteId, Surroundings, Timekeeper};

/// A clock that stands still until it is told.
struct SetClock(AtomicU64);

impl Timekeeper for SetClock {
    fn unix_ms(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.unix_ms())
    }
}

/// Surroundings that repeat themselves for the same site and seed.
pub(crate) fn surroundings(engine: Arc<dyn Engine>, site: &str, seed: u128) -> Surroundings {
    let clock = Arc::new(SetClock(AtomicU64::new(1_000_000)));
    let mut next = seed;
    let entropy = move || {
        next += 1;
        next.to_be_bytes()
    };
    Surroundings::new(
        engine,
        clock,
        entropy,
        SiteId::derive("test", site.as_bytes()),
    )
}
