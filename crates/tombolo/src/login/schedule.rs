//! When somebody is asked to log in, and when a login has run out. A machine
//! without a clock: time and chance are arguments, so a day passes in a test.

use std::time::Duration;

use tombolo_identity::{refresh_ms, retry_pause_ms};

/// What is to be done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Due {
    /// The certificate ran out just now: sync is to be stopped.
    pub(super) has_expired: bool,
    /// Whoever can log in is to be asked, with the time that is left; none is
    /// left where a login is needed.
    pub(super) ask: Option<Duration>,
}

/// The state of one device's login.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    /// When the certificate ends, in unix milliseconds, if there is one.
    expires_ms: Option<u64>,
    /// Its end was told.
    told_expired: bool,
    /// When to ask next; `None` after a logout, when nobody is asked.
    ask_ms: Option<u64>,
    /// How often it was asked since the last login.
    asked: u32,
}

impl Schedule {
    /// Somebody logged in: until `expires_ms` with a certificate of `issued_ms`.
    pub(super) fn logged_in(&mut self, issued_ms: u64, expires_ms: u64, random: u64) {
        *self = Self {
            expires_ms: Some(expires_ms),
            told_expired: false,
            ask_ms: Some(refresh_ms(issued_ms, expires_ms, random)),
            asked: 0,
        };
    }

    /// Somebody logged out on purpose: nobody is asked.
    pub(super) fn logged_out(&mut self) {
        *self = Self::default();
    }

    /// Nobody is logged in and somebody should be.
    pub(super) fn login_required(&mut self, now_ms: u64) {
        self.ask_ms = Some(self.ask_ms.map_or(now_ms, |ask_ms| ask_ms.min(now_ms)));
    }

    /// What is to be done at `now_ms`. Each thing is said once; whoever cannot be
    /// asked now (`can_ask`) is asked as soon as that changes.
    pub(super) fn poll(&mut self, now_ms: u64, random: u64, can_ask: bool) -> Due {
        let left_ms = self.expires_ms.map_or(0, |end| end.saturating_sub(now_ms));
        let has_expired = self.expires_ms.is_some() && left_ms == 0 && !self.told_expired;
        if has_expired {
            self.told_expired = true;
            self.ask_ms = Some(now_ms);
        }
        let is_due = self.ask_ms.is_some_and(|ask_ms| ask_ms <= now_ms);
        if !is_due || !can_ask {
            let ask = None;
            return Due { has_expired, ask };
        }
        let next_ms = now_ms.saturating_add(retry_pause_ms(self.asked, random));
        self.asked = self.asked.saturating_add(1);
        self.ask_ms = Some(next_ms);
        Due {
            has_expired,
            ask: Some(Duration::from_millis(left_ms)),
        }
    }

    /// How long nothing will be due, from `now_ms`; `None`: until something
    /// happens.
    pub(super) fn quiet(&self, now_ms: u64, can_ask: bool) -> Option<Duration> {
        let expiry = self.expires_ms.filter(|_| !self.told_expired);
        let ask = self.ask_ms.filter(|_| can_ask);
        let next_ms = expiry.into_iter().chain(ask).min()?;
        Some(Duration::from_millis(next_ms.saturating_sub(now_ms)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: u64 = 3600 * 1000;

    /// Walks through `hours`, from one moment at which something is due to the
    /// next, and gives when it asked and when it expired.
    fn walk(schedule: &mut Schedule, hours: u64, random: u64) -> (Vec<(u64, u64)>, Vec<u64>) {
        let (mut asked, mut expired, mut now_ms) = (Vec::new(), Vec::new(), 0);
        while now_ms < hours * HOUR_MS {
            let due = schedule.poll(now_ms, random, true);
            if due.has_expired {
                expired.push(now_ms);
            }
            if let Some(left) = due.ask {
                asked.push((now_ms, left.as_millis() as u64));
            }
            let Some(quiet) = schedule.quiet(now_ms, true) else {
                break;
            };
            now_ms += (quiet.as_millis() as u64).max(1);
        }
        (asked, expired)
    }

    #[test]
    fn t23_a_refresh_that_fails_for_a_day_is_asked_for_seldom_and_ends_exactly() {
        for random in [0, 1, 7_777_777, u64::MAX] {
            let mut schedule = Schedule::default();
            schedule.logged_in(0, 8 * HOUR_MS, random);
            let (asked, expired) = walk(&mut schedule, 24, random);
            assert_eq!(expired, [8 * HOUR_MS]);
            assert!((20..80).contains(&asked.len()), "{}", asked.len());
            let (first_ms, left_ms) = asked[0];
            assert!((4 * HOUR_MS..=4 * HOUR_MS + 48 * 60 * 1000).contains(&first_ms));
            assert_eq!(left_ms, 8 * HOUR_MS - first_ms);
            for (at_ms, left_ms) in &asked {
                assert_eq!(*left_ms, (8 * HOUR_MS).saturating_sub(*at_ms));
            }
            // Once more when it ends, and never twice within five seconds but there.
            let pauses = asked
                .windows(2)
                .map(|pair| (pair[1].0 - pair[0].0, pair[1].0));
            for (pause_ms, at_ms) in pauses {
                assert!(
                    pause_ms >= 5_000 || at_ms == 8 * HOUR_MS,
                    "{pause_ms} {at_ms}"
                );
            }
        }
    }

    #[test]
    fn who_was_never_logged_in_is_asked_at_once_and_who_logged_out_never() {
        let mut schedule = Schedule::default();
        assert_eq!(schedule.poll(5, 0, true).ask, None);
        schedule.login_required(5);
        assert_eq!(schedule.poll(5, 0, true).ask, Some(Duration::ZERO));
        assert_eq!(schedule.poll(6, 0, true).ask, None);
        schedule.logged_out();
        assert_eq!(schedule.quiet(6, true), None);
        assert_eq!(schedule.poll(u64::MAX, 0, true).ask, None);
    }

    #[test]
    fn who_cannot_be_asked_is_asked_later_and_the_end_is_told_all_the_same() {
        let mut schedule = Schedule::default();
        schedule.logged_in(0, 100, 0);
        assert_eq!(schedule.quiet(0, false), Some(Duration::from_millis(100)));
        let due = schedule.poll(100, 0, false);
        assert!(due.has_expired && due.ask.is_none());
        assert_eq!(schedule.quiet(100, false), None);
        let due = schedule.poll(101, 0, true);
        assert!(!due.has_expired && due.ask == Some(Duration::ZERO));
    }
}
