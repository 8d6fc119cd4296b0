//! The one place where the edge server reads clocks. Everything behind it takes the moment as an argument.

use std::time::{Duration, Instant, SystemTime};

/// Now, by both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    /// For people and dates.
    pub(crate) wall: SystemTime,
    /// Since some moment before the start; never goes back.
    pub(crate) monotonic: Duration,
}

/// A source of moments.
pub(crate) trait Clock: Send + Sync + std::fmt::Debug {
    fn now(&self) -> Moment;
}

/// The clocks of the machine.
#[derive(Debug)]
pub(crate) struct SystemClock(Instant);

#[expect(
    clippy::disallowed_methods,
    reason = "the outermost door: everything behind it takes the time as an argument"
)]
impl SystemClock {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }
}

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the outermost door: everything behind it takes the time as an argument"
    )]
    fn now(&self) -> Moment {
        Moment {
            wall: SystemTime::now(),
            monotonic: self.0.elapsed(),
        }
    }
}
