//! How often somebody may try: so many at once, and as many again in each minute.
//! The table is bounded; when it is full, all newcomers share what fifty of them would have.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;

/// Most addresses, and most users, that are counted one by one.
pub(super) const THROTTLE_ENTRIES_MAX: usize = 16 * 1024;

const MINUTE_US: u64 = 60_000_000;
/// How many the crowd of newcomers counts as, when the table is full.
const CROWD: u64 = 50;
/// How often at most a full table is looked through for what can go.
const SWEEP_PAUSE_US: u64 = 1_000_000;

/// Somebody has to wait this long, in whole seconds.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooOften {
    pub(super) retry_after_s: u64,
}

/// When each of many may try again, by the generic cell rate algorithm.
#[derive(Debug)]
pub(super) struct Throttle<K> {
    interval_us: u64,
    /// The time up to which each has used what it may, in unix microseconds.
    used_until_us: HashMap<K, u64>,
    /// The same for all that found the table full.
    crowd_us: u64,
    entries_max: usize,
    swept_us: u64,
}

impl<K: Eq + Hash> Throttle<K> {
    pub(super) fn new(per_minute: u32, entries_max: usize) -> Self {
        Self {
            interval_us: MINUTE_US / u64::from(per_minute.max(1)),
            used_until_us: HashMap::new(),
            crowd_us: 0,
            entries_max,
            swept_us: 0,
        }
    }

    /// Counts one try at `now_ms` (unix milliseconds).
    ///
    /// # Errors
    /// There were too many; this one is not counted.
    pub(super) fn admit(&mut self, key: K, now_ms: u64) -> Result<(), TooOften> {
        let now_us = now_ms.saturating_mul(1000);
        if !self.used_until_us.contains_key(&key) {
            self.make_room(now_us);
        }
        let is_full = self.used_until_us.len() >= self.entries_max;
        let (used_until_us, interval_us) = if is_full && !self.used_until_us.contains_key(&key) {
            (&mut self.crowd_us, self.interval_us / CROWD)
        } else {
            (self.used_until_us.entry(key).or_insert(0), self.interval_us)
        };
        let next_us = now_us.max(*used_until_us) + interval_us;
        let over_us = next_us.saturating_sub(now_us.saturating_add(MINUTE_US));
        if over_us > 0 {
            let retry_after_s = over_us.div_ceil(1_000_000);
            return Err(TooOften { retry_after_s });
        }
        *used_until_us = next_us;
        Ok(())
    }

    fn make_room(&mut self, now_us: u64) {
        let is_due = now_us.abs_diff(self.swept_us) >= SWEEP_PAUSE_US;
        if self.used_until_us.len() >= self.entries_max && is_due {
            self.swept_us = now_us;
            self.used_until_us
                .retain(|_, used_until_us| *used_until_us > now_us);
        }
    }
}

/// Whom an address stands for: the machine, or in IPv6 the network that one customer gets.
pub(super) fn origin(address: IpAddr) -> [u8; 8] {
    let mut origin = [0; 8];
    match address.to_canonical() {
        // No network of IPv6 begins with these bytes.
        IpAddr::V4(address) => {
            origin[..4].copy_from_slice(&[0, 0, 0xff, 0xff]);
            origin[4..].copy_from_slice(&address.octets());
        }
        IpAddr::V6(address) => origin.copy_from_slice(&address.octets()[..8]),
    }
    origin
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: u64 = 1_795_000_000_000;

    #[test]
    fn so_many_pass_at_once_and_then_one_in_each_interval() {
        let mut throttle = Throttle::new(6, 10);
        for _ in 0..6 {
            assert_eq!(throttle.admit("a", NOW_MS), Ok(()));
        }
        let refused = Err(TooOften { retry_after_s: 10 });
        assert_eq!(throttle.admit("a", NOW_MS), refused);
        assert_eq!(throttle.admit("b", NOW_MS), Ok(()));
        let almost = Err(TooOften { retry_after_s: 1 });
        assert_eq!(throttle.admit("a", NOW_MS + 9_999), almost);
        assert_eq!(throttle.admit("a", NOW_MS + 10_000), Ok(()));
        assert!(throttle.admit("a", NOW_MS + 10_000).is_err());
        assert_eq!(throttle.admit("a", NOW_MS + 200_000), Ok(()));
    }

    #[test]
    fn a_full_table_counts_newcomers_together_and_does_not_grow() {
        let mut throttle = Throttle::new(2, 100);
        for key in 0..100 {
            assert_eq!(throttle.admit(key, NOW_MS), Ok(()));
        }
        let passed = (100..10_000).filter(|key| throttle.admit(*key, NOW_MS).is_ok());
        assert_eq!(passed.count(), 2 * CROWD as usize);
        assert_eq!(throttle.used_until_us.len(), 100);
        // Those that were there before are not hurt by the crowd.
        assert_eq!(throttle.admit(7, NOW_MS), Ok(()));
        // What was used up is forgotten once it counts for nothing.
        assert_eq!(throttle.admit(10_000, NOW_MS + 60_001), Ok(()));
        assert!(
            throttle.used_until_us.len() <= 2,
            "{}",
            throttle.used_until_us.len()
        );
    }

    #[test]
    fn one_network_of_ipv6_is_one_origin() {
        let of = |text: &str| origin(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_ne!(of("10.0.0.1"), of("10.0.0.2"));
        assert_eq!(of("10.0.0.1"), of("::ffff:10.0.0.1"));
    }
}
