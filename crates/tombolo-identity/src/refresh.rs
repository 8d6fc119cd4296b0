//! When a certificate is asked for anew: at half of its life with some jitter,
//! so that a fleet that logged in at once does not come back at once.

/// Shortest pause after a refresh that failed, in milliseconds.
const RETRY_MS_MIN: u64 = 10 * 1000;
/// Longest pause: an hour.
const RETRY_MS_MAX: u64 = 60 * 60 * 1000;
/// Which part of a life the jitter takes at most.
const JITTER_PART: u64 = 10;

/// When to refresh what lives from `issued_ms` to `expires_ms`: from half of
/// its life to a tenth later, evenly by `random`.
#[must_use]
pub const fn refresh_ms(issued_ms: u64, expires_ms: u64, random: u64) -> u64 {
    let life_ms = expires_ms.saturating_sub(issued_ms);
    let jitter_ms = random % (life_ms / JITTER_PART + 1);
    issued_ms
        .saturating_add(life_ms / 2)
        .saturating_add(jitter_ms)
}

/// How long to wait after `failures` refreshes that failed one after the other:
/// twice as long each time, up to an hour, less up to a half by `random`.
#[must_use]
pub const fn retry_pause_ms(failures: u32, random: u64) -> u64 {
    let doublings = if failures > 16 { 16 } else { failures };
    let pause_ms = RETRY_MS_MIN << doublings;
    let pause_ms = if pause_ms > RETRY_MS_MAX {
        RETRY_MS_MAX
    } else {
        pause_ms
    };
    pause_ms - random % (pause_ms / 2 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refresh_falls_between_half_and_six_tenths_of_a_life() {
        let at = |random| refresh_ms(1000, 11_000, random);
        assert_eq!(at(0), 6000);
        assert_eq!(at(1000), 7000);
        assert_eq!(at(1001), 6000);
        assert_eq!(refresh_ms(5, 5, u64::MAX), 5);
        assert_eq!(refresh_ms(9, 5, 7), 9);
    }

    /// A refresh loop that ran ever faster was a bug of another product.
    #[test]
    fn t23_pauses_grow_to_an_hour_and_a_day_of_failures_is_few_calls() {
        for random in [0, 1, u64::MAX / 2, u64::MAX] {
            let (mut now_ms, mut calls) = (0, 0);
            while now_ms < 24 * 3600 * 1000 {
                let pause_ms = retry_pause_ms(calls, random);
                assert!((RETRY_MS_MIN / 2..=RETRY_MS_MAX).contains(&pause_ms));
                now_ms += pause_ms;
                calls += 1;
            }
            assert!((30..80).contains(&calls), "{calls}");
        }
        assert_eq!(retry_pause_ms(u32::MAX, 0), RETRY_MS_MAX);
    }
}
