//! The hybrid logical clock: stamps that never go back, near physical time.
//!
//! The clock never reads time; each call brings `now`. Keeping the high-water
//! mark on disk is the store's part.

use crate::stamp::Stamp;

/// How far ahead of local time a remote stamp may be, in milliseconds: one
/// minute. A stamp further ahead is refused and counted.
pub const DEFAULT_SKEW_LIMIT_MS: u64 = 60_000;

/// Why the clock refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClockError {
    /// A peer's stamp is further ahead than the allowed skew: the peer's clock
    /// or ours is wrong. The local clock did not move.
    #[error(
        "a peer's stamp is {ahead_ms} ms ahead of local time and {limit_ms} ms are allowed: compare the clocks of both devices"
    )]
    RemoteAhead {
        /// How far ahead, in milliseconds.
        ahead_ms: u64,
        /// The allowed skew in milliseconds.
        limit_ms: u64,
    },
    /// No later stamp exists: the local clock ran to the end of its range.
    #[error("the clock has reached its greatest stamp: local time is set wrong")]
    Exhausted,
}

/// Issues stamps for one node.
#[derive(Debug, Clone)]
pub struct HybridClock {
    last: Stamp,
    skew_limit_ms: u64,
}

impl HybridClock {
    /// A clock that continues after `high_water`, the greatest stamp that this
    /// node ever issued or accepted ([`Stamp::ZERO`] for a new node).
    #[must_use]
    pub const fn new(high_water: Stamp, skew_limit_ms: u64) -> Self {
        Self {
            last: high_water,
            skew_limit_ms,
        }
    }

    /// The greatest stamp issued or accepted; make it durable with the write.
    #[must_use]
    pub const fn high_water(&self) -> Stamp {
        self.last
    }

    /// A stamp greater than every one before, at `now_ms` (unix milliseconds)
    /// or later.
    ///
    /// # Errors
    /// [`ClockError::Exhausted`] at the end of the range.
    pub fn tick(&mut self, now_ms: u64) -> Result<Stamp, ClockError> {
        let next = self.last.next().ok_or(ClockError::Exhausted)?;
        self.last = next.max(Stamp::new(now_ms, 0));
        Ok(self.last)
    }

    /// Moves the clock past a stamp that a peer sent.
    ///
    /// # Errors
    /// [`ClockError::RemoteAhead`] if the stamp is further ahead of `now_ms`
    /// than the skew limit; the clock stays where it was.
    pub fn observe(&mut self, remote: Stamp, now_ms: u64) -> Result<(), ClockError> {
        let ahead_ms = remote.millis().saturating_sub(now_ms);
        if ahead_ms > self.skew_limit_ms {
            return Err(ClockError::RemoteAhead {
                ahead_ms,
                limit_ms: self.skew_limit_ms,
            });
        }
        self.last = self.last.max(remote);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_grow_while_time_stands_still_or_goes_back() {
        let mut clock = HybridClock::new(Stamp::ZERO, 10);
        let first = clock.tick(1000).unwrap();
        let second = clock.tick(1000).unwrap();
        let third = clock.tick(900).unwrap();
        assert_eq!(first, Stamp::new(1000, 0));
        assert_eq!(second, Stamp::new(1000, 1));
        assert_eq!(third, Stamp::new(1000, 2));
    }

    #[test]
    fn a_full_counter_carries_into_the_next_millisecond() {
        let mut clock = HybridClock::new(Stamp::new(1000, u16::MAX), 10);
        assert_eq!(clock.tick(1000).unwrap(), Stamp::new(1001, 0));
    }

    #[test]
    fn a_remote_stamp_at_the_limit_is_taken_and_one_above_is_refused() {
        let mut clock = HybridClock::new(Stamp::ZERO, 10);
        clock.observe(Stamp::new(1010, 7), 1000).unwrap();
        assert_eq!(clock.high_water(), Stamp::new(1010, 7));
        let refused = clock.observe(Stamp::new(1011, 0), 1000);
        assert_eq!(
            refused,
            Err(ClockError::RemoteAhead {
                ahead_ms: 11,
                limit_ms: 10
            })
        );
        assert_eq!(clock.high_water(), Stamp::new(1010, 7));
    }

    #[test]
    fn the_end_of_the_range_is_an_error_and_not_a_wrap() {
        let mut clock = HybridClock::new(Stamp::MAX, 10);
        assert_eq!(clock.tick(5), Err(ClockError::Exhausted));
    }
}
