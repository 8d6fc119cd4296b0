//! How long a dialer waits between two tries: longer after each failure, and by
//! chance, so that a fleet that lost its server does not return in step.

use std::time::Duration;

/// No wait is longer, unless the configured interval is.
pub const BACKOFF_MAX: Duration = Duration::from_secs(60);
/// No wait is shorter: a name that fails at once is not asked in a loop.
const BACKOFF_MIN: Duration = Duration::from_millis(50);

/// Exponential back-off with full jitter.
#[derive(Debug, Clone)]
pub struct Backoff {
    interval: Duration,
    failures: u32,
}

impl Backoff {
    /// Waits of at most `interval` after the first failure, twice that after
    /// the second, and so on up to [`BACKOFF_MAX`].
    #[must_use]
    pub const fn new(interval: Duration) -> Self {
        Self {
            interval,
            failures: 0,
        }
    }

    /// The wait after one more failure: `random` spread evenly over everything
    /// up to the ceiling.
    pub fn next(&mut self, random: u64) -> Duration {
        let ceiling = self.ceiling();
        self.failures = self.failures.saturating_add(1);
        let spread = ceiling.as_nanos().saturating_mul(u128::from(random));
        let nanos = spread / u128::from(u64::MAX);
        let wait = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        wait.max(BACKOFF_MIN)
    }

    /// Forgets the failures.
    pub const fn reset(&mut self) {
        self.failures = 0;
    }

    fn ceiling(&self) -> Duration {
        let factor = 1_u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        let longest = BACKOFF_MAX.max(self.interval);
        self.interval.saturating_mul(factor).min(longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(backoff: &mut Backoff, random: u64) -> Vec<u128> {
        (0..6).map(|_| backoff.next(random).as_millis()).collect()
    }

    #[test]
    fn the_longest_waits_double_up_to_the_cap() {
        let mut backoff = Backoff::new(Duration::from_secs(5));
        let longest = waits(&mut backoff, u64::MAX);
        assert_eq!(longest, [5000, 10_000, 20_000, 40_000, 60_000, 60_000]);
    }

    #[test]
    fn chance_spreads_a_wait_from_the_least_to_the_ceiling() {
        let mut backoff = Backoff::new(Duration::from_secs(5));
        assert_eq!(backoff.next(0), BACKOFF_MIN);
        let half = backoff.next(u64::MAX / 2).as_millis();
        assert!((4999..=5000).contains(&half), "{half}");
    }

    #[test]
    fn a_success_begins_again() {
        let mut backoff = Backoff::new(Duration::from_secs(5));
        waits(&mut backoff, u64::MAX);
        backoff.reset();
        assert_eq!(backoff.next(u64::MAX), Duration::from_secs(5));
    }

    #[test]
    fn no_number_of_failures_and_no_interval_overflows() {
        let mut backoff = Backoff::new(Duration::MAX);
        for _ in 0..200 {
            backoff.next(u64::MAX);
        }
        let mut backoff = Backoff::new(Duration::from_secs(3600));
        assert_eq!(backoff.next(u64::MAX), Duration::from_secs(3600));
        assert_eq!(backoff.next(u64::MAX), Duration::from_secs(3600));
    }
}
