//! The one place where the identity service reads the clock.

use std::time::{SystemTime, UNIX_EPOCH};

/// Unix milliseconds.
#[expect(
    clippy::disallowed_methods,
    reason = "the outermost door: everything behind it takes the time as an argument"
)]
pub(super) fn now_ms() -> u64 {
    let elapsed = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}
