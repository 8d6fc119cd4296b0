//! When to warn that a certificate ends: at 30, 14, 7 and 1 days, and when it has ended.
//! A certificate that lives less than three times as long as a warning's notice does not get that warning.

use tombolo_http::About;

const DAY_S: i64 = 24 * 60 * 60;
/// Days of notice, the longest first.
const NOTICES: [i64; 5] = [30, 14, 7, 1, 0];

/// Remembers which warning was given.
#[derive(Debug, Default)]
pub(super) struct ExpiryAlarm {
    /// The end it was given for, and its notice.
    told: Option<(i64, i64)>,
}

impl ExpiryAlarm {
    /// Seconds until the end, negative after it, if it is time to warn and this warning was not given yet.
    pub(super) fn rings(&mut self, certificate: &About, now_unix_s: i64) -> Option<i64> {
        let left_s = certificate.not_after_unix_s - now_unix_s;
        let lifetime_s = certificate.not_after_unix_s - certificate.not_before_unix_s;
        let is_due = |days: &i64| left_s <= days * DAY_S && 3 * days * DAY_S <= lifetime_s;
        let notice = NOTICES.into_iter().filter(is_due).min()?;
        let warning = (certificate.not_after_unix_s, notice);
        if self.told == Some(warning) {
            return None;
        }
        self.told = Some(warning);
        Some(left_s)
    }
}

/// Time in words, for example `6 days`.
pub(crate) fn span(seconds: i64) -> String {
    let (count, unit) = match seconds.abs() {
        s if s >= 2 * DAY_S => (s / DAY_S, "days"),
        s if s >= 2 * 3600 => (s / 3600, "hours"),
        s => (s / 60, "minutes"),
    };
    format!("{count} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(lifetime_days: i64) -> About {
        About {
            subject: String::new(),
            issuer: String::new(),
            names: Vec::new(),
            not_before_unix_s: 0,
            not_after_unix_s: lifetime_days * DAY_S,
            key_kind: String::new(),
            is_self_signed: false,
            chain_length: 1,
            chain_break: None,
        }
    }

    #[test]
    fn each_warning_is_given_once_at_its_day() {
        let mut alarm = ExpiryAlarm::default();
        let certificate = certificate(90);
        let mut rung = Vec::new();
        for hour in 0..=91 * 24 {
            let rings = alarm.rings(&certificate, hour * 3600);
            rung.extend(rings.map(|left_s| left_s / DAY_S));
        }
        assert_eq!(rung, [30, 14, 7, 1, 0]);
    }

    #[test]
    fn a_start_within_the_notice_gives_the_nearest_warning_alone() {
        let mut alarm = ExpiryAlarm::default();
        assert_eq!(alarm.rings(&certificate(90), 80 * DAY_S), Some(10 * DAY_S));
        assert_eq!(alarm.rings(&certificate(90), 81 * DAY_S), None);
        assert_eq!(
            alarm.rings(&certificate(91), 81 * DAY_S),
            Some(10 * DAY_S),
            "another one"
        );
    }

    #[test]
    fn a_short_life_has_no_long_notice() {
        let mut alarm = ExpiryAlarm::default();
        let certificate = certificate(6);
        assert_eq!(alarm.rings(&certificate, 0), None);
        assert_eq!(alarm.rings(&certificate, 5 * DAY_S), Some(DAY_S));
        assert_eq!(alarm.rings(&certificate, 6 * DAY_S + 1), Some(-1));
    }

    #[test]
    fn a_span_is_told_in_its_own_unit() {
        for (seconds, text) in [
            (6 * DAY_S, "6 days"),
            (-DAY_S, "24 hours"),
            (119, "1 minutes"),
        ] {
            assert_eq!(span(seconds), text);
        }
    }
}
