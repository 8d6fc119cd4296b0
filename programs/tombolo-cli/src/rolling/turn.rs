//! Which turn of the clock a moment belongs to: a file is closed when the turn changes.

use crate::config::Frequency;

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;
/// The first day of 1970 was a Thursday.
const DAYS_FROM_MONDAY: u64 = 3;

/// A number that changes when a file of this frequency is due to be closed. `now_ms` is unix milliseconds.
pub(crate) fn period(frequency: Frequency, now_ms: u64) -> u64 {
    match frequency {
        Frequency::Minutely => now_ms / MINUTE_MS,
        Frequency::Hourly => now_ms / HOUR_MS,
        Frequency::Daily => now_ms / DAY_MS,
        Frequency::Weekly => (now_ms / DAY_MS + DAYS_FROM_MONDAY) / 7,
        Frequency::Never => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_changes_at_the_boundary_and_not_before() {
        // 2026-11-23 is a Monday.
        let monday_ms = 1_795_392_000_000;
        for frequency in [
            Frequency::Minutely,
            Frequency::Hourly,
            Frequency::Daily,
            Frequency::Weekly,
        ] {
            let at = period(frequency, monday_ms);
            assert_eq!(period(frequency, monday_ms - 1) + 1, at, "{frequency:?}");
            assert_eq!(period(frequency, monday_ms + 1), at, "{frequency:?}");
        }
        let week = period(Frequency::Weekly, monday_ms);
        assert_eq!(period(Frequency::Weekly, monday_ms + 7 * DAY_MS - 1), week);
        assert_eq!(period(Frequency::Never, u64::MAX), 0);
    }
}
