//! When a certificate is renewed, and when a try that failed is repeated. The time and the chance are arguments.
//! The numbers stay below the limits of Let's Encrypt: five failed proofs of a name and hour, and 300 orders in three hours.

use std::time::Duration;

use tombolo_http::About;

/// Orders that are begun within an hour, also across restarts; the next one waits.
const ORDERS_PER_HOUR_MAX: usize = 4;
const HOUR_S: i64 = 60 * 60;
/// Pauses after a server that was not reached, the first and the longest.
const UNREACHED_PAUSES: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(3600));
/// Pauses after one that refused.
const REFUSED_PAUSES: (Duration, Duration) =
    (Duration::from_secs(5 * 60), Duration::from_secs(6 * 3600));
/// Longest pause that a server may ask for; it is asked again then.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 3600);

/// How fast a try may be repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// Nothing was counted against the operator.
    Unreached,
    /// The server keeps account of what it refused.
    Refused,
}

/// The moment from which on a certificate is renewed: a third of its life is left. Seconds since 1970.
pub(super) fn renewal_unix_s(about: &About) -> i64 {
    let life_s = about.not_after_unix_s - about.not_before_unix_s;
    about.not_after_unix_s - life_s / 3
}

/// How long to wait after this many `failures` in a row, at least as long as the server asked for.
/// `chance` spreads nodes that failed together, by an eighth in both directions.
pub(super) fn pause(
    pace: Pace,
    failures: u32,
    retry_after: Option<Duration>,
    chance: u8,
) -> Duration {
    let (first, longest) = match pace {
        Pace::Unreached => UNREACHED_PAUSES,
        Pace::Refused => REFUSED_PAUSES,
    };
    let doublings = failures.saturating_sub(1).min(16);
    let pause = first.saturating_mul(1 << doublings).min(longest);
    let spread = pause * (896 + u32::from(chance)) / 1024;
    spread.max(retry_after.unwrap_or_default().min(RETRY_AFTER_MAX))
}

/// When the next order may begin, not before `now_s`; what is older than an hour is taken out of `orders_s`.
pub(super) fn next_order_s(orders_s: &mut Vec<i64>, now_s: i64) -> i64 {
    // One from the future was written under another clock and tells nothing.
    orders_s.retain(|at_s| (now_s - HOUR_S..=now_s).contains(at_s));
    orders_s.sort_unstable();
    let full = orders_s.len().checked_sub(ORDERS_PER_HOUR_MAX);
    full.and_then(|index| orders_s.get(index))
        .map_or(now_s, |at_s| (at_s + HOUR_S + 1).max(now_s))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_hour_sees_more_orders_than_its_limit() {
        let mut orders = Vec::new();
        let mut begun = Vec::new();
        for now_s in 0..4 * HOUR_S {
            if next_order_s(&mut orders, now_s) == now_s {
                orders.push(now_s);
                begun.push(now_s);
            }
        }
        assert_eq!(begun.len(), 4 * ORDERS_PER_HOUR_MAX);
        for window in begun.windows(ORDERS_PER_HOUR_MAX + 1) {
            assert!(window[ORDERS_PER_HOUR_MAX] - window[0] > HOUR_S);
        }
        assert!(orders.len() <= ORDERS_PER_HOUR_MAX);
    }

    #[test]
    fn orders_of_a_clock_that_was_ahead_do_not_count() {
        let mut orders = vec![1_000_000; ORDERS_PER_HOUR_MAX];
        assert_eq!(next_order_s(&mut orders, 10), 10);
        assert!(orders.is_empty());
    }

    #[test]
    fn pauses_grow_to_their_longest_and_are_spread() {
        for pace in [Pace::Unreached, Pace::Refused] {
            let pauses: Vec<_> = (1..40).map(|n| pause(pace, n, None, 128)).collect();
            assert!(pauses.is_sorted());
            let longest = match pace {
                Pace::Unreached => UNREACHED_PAUSES.1,
                Pace::Refused => REFUSED_PAUSES.1,
            };
            assert_eq!(pauses[38], longest);
            assert!(pause(pace, 1, None, 0) < pause(pace, 1, None, 255));
        }
        assert_eq!(pause(Pace::Refused, 1, None, 128), REFUSED_PAUSES.0);
    }

    #[test]
    fn a_server_that_asks_for_time_gets_it_up_to_a_day() {
        let asked = |seconds| pause(Pace::Refused, 1, Some(Duration::from_secs(seconds)), 128);
        assert_eq!(asked(0), REFUSED_PAUSES.0);
        assert_eq!(asked(5000), Duration::from_secs(5000));
        assert_eq!(asked(u64::MAX), RETRY_AFTER_MAX);
    }
}
