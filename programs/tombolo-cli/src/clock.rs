//! The one place where the program reads the clock; everything behind takes the time as an argument.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Unix milliseconds.
#[expect(
    clippy::disallowed_methods,
    reason = "the outermost door: everything behind it takes the time as an argument"
)]
pub(crate) fn unix_ms() -> u64 {
    let elapsed = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}

/// The clock that never jumps.
#[expect(
    clippy::disallowed_methods,
    reason = "the outermost door: everything behind it takes the time as an argument"
)]
pub(crate) fn steady() -> Instant {
    Instant::now()
}

/// A moment as people and programs read it: RFC 3339 in UTC, with milliseconds.
pub(crate) fn rfc_3339(unix_ms: u64) -> String {
    let moment =
        i64::try_from(unix_ms).map_or(Ok(jiff::Timestamp::MAX), jiff::Timestamp::from_millisecond);
    format!("{:.3}", moment.unwrap_or(jiff::Timestamp::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_with_milliseconds() {
        assert_eq!(rfc_3339(1_795_392_000_007), "2026-11-23T00:00:00.007Z");
        assert_eq!(rfc_3339(0), "1970-01-01T00:00:00.000Z");
        assert!(rfc_3339(u64::MAX).starts_with("9999-12-3"));
    }
}
