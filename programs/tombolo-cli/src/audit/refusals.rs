//! Refusals that repeat. The first ones of a kind from one client are written whole; further ones are counted, and each
//! count becomes one record when the window ends. So a flood of them costs the log a few lines a minute, and no place
//! of its queue. Kinds are counted apart, so that nobody makes lines by alternating between two of them.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use super::record::{AuditRecord, Outcome, RepeatedRecord, bounded};
use crate::clock::rfc_3339;

/// How long refusals are counted together, from the first one on.
const WINDOW_MS: u64 = 60_000;
/// Refusals of one kind from one client that are written whole in one window.
pub(super) const WHOLE_MAX: u64 = 8;
/// Clients and kinds that are counted apart in one window; further clients are counted together, by kind.
const COUNTS_MAX: usize = 1024;
/// What one line of IPv6 is given; a client is known by it, as for throttling.
const IPV6_PREFIX_BITS: u32 = 64;

/// A refusal that is like others, and tells of no act: nobody was let in, or somebody came too often.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Refusal<'r> {
    pub(crate) address: IpAddr,
    /// Who was throttled; `None`: nobody was identified.
    pub(crate) identity: Option<&'r str>,
    pub(crate) endpoint: &'static str,
    pub(crate) status: u16,
    pub(crate) code: Option<&'static str>,
}

/// What becomes of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// It needs a record of its own.
    Whole,
    /// It is in a count that will be written.
    Counted,
}

/// The counts of the window that runs, if one does.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    /// Unix milliseconds; `None`: nobody was refused since the last window ended.
    begun_ms: Option<u64>,
    counts: BTreeMap<Whom, Count>,
}

/// Who is counted, and of what kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Whom {
    /// `None`: those who came when there was no count left.
    client: Option<IpAddr>,
    identity: Option<String>,
    endpoint: &'static str,
    status: u16,
    code: Option<&'static str>,
}

#[derive(Debug, Default)]
struct Count {
    whole: u64,
    more: u64,
    /// Of those that were not written whole, in unix milliseconds.
    first_ms: u64,
    last_ms: u64,
}

impl Refusals {
    /// Takes in a refusal at `at_ms` (unix milliseconds).
    pub(super) fn tell(&mut self, refusal: Refusal<'_>, at_ms: u64) -> Told {
        self.begun_ms.get_or_insert(at_ms);
        let mut whom = Whom::of(refusal);
        if self.counts.len() >= COUNTS_MAX && !self.counts.contains_key(&whom) {
            (whom.client, whom.identity) = (None, None);
        }
        let count = self.counts.entry(whom).or_default();
        if count.whole < WHOLE_MAX {
            count.whole += 1;
            return Told::Whole;
        }
        if count.more == 0 {
            count.first_ms = at_ms;
        }
        count.more += 1;
        count.last_ms = at_ms;
        Told::Counted
    }

    /// How long until the window ends; `None`: none runs.
    pub(super) fn ends_in(&self, now_ms: u64) -> Option<Duration> {
        let begun_ms = self.begun_ms?;
        // After the clock was put back nobody knows how much of the window is left.
        let left_ms = match now_ms.checked_sub(begun_ms) {
            Some(elapsed_ms) => WINDOW_MS.saturating_sub(elapsed_ms),
            None => 0,
        };
        Some(Duration::from_millis(left_ms))
    }

    /// Ends the window and gives what was counted in it, each with the time of its last refusal.
    pub(super) fn end(&mut self) -> Vec<(AuditRecord, u64)> {
        self.begun_ms = None;
        let counted = std::mem::take(&mut self.counts).into_iter();
        let counted = counted.filter(|(_, count)| count.more > 0);
        counted.map(|(whom, count)| whom.record(&count)).collect()
    }
}

impl Whom {
    fn of(refusal: Refusal<'_>) -> Self {
        Self {
            client: Some(client(refusal.address)),
            identity: refusal.identity.map(str::to_owned),
            endpoint: refusal.endpoint,
            status: refusal.status,
            code: refusal.code,
        }
    }

    fn record(self, count: &Count) -> (AuditRecord, u64) {
        let record = RepeatedRecord {
            address: self.client.map(shown),
            identity: self.identity.as_deref().map(bounded),
            endpoint: self.endpoint,
            result: Outcome::of_status(self.status),
            status: self.status,
            code: self.code,
            requests: count.more,
            since: rfc_3339(count.first_ms),
        };
        (AuditRecord::Repeated(record), count.last_ms)
    }
}

fn client(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let network = address.to_bits() & (u128::MAX << (128 - IPV6_PREFIX_BITS));
            IpAddr::V6(Ipv6Addr::from_bits(network))
        }
    }
}

fn shown(client: IpAddr) -> String {
    match client {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(network) => format!("{network}/{IPV6_PREFIX_BITS}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));

    fn unknown_key(address: IpAddr) -> Refusal<'static> {
        Refusal {
            address,
            identity: None,
            endpoint: "execute",
            status: 401,
            code: Some("unknown_key"),
        }
    }

    fn repeated(refusals: &mut Refusals) -> Vec<(RepeatedRecord, u64)> {
        let ended = refusals.end().into_iter();
        let only = ended.map(|(record, at_ms)| match record {
            AuditRecord::Repeated(record) => (record, at_ms),
            other => panic!("{other:?}"),
        });
        only.collect()
    }

    #[test]
    fn the_first_refusals_are_whole_and_the_others_one_count() {
        let mut refusals = Refusals::default();
        for n in 0..WHOLE_MAX {
            assert_eq!(refusals.tell(unknown_key(ADDRESS), n), Told::Whole);
        }
        assert_eq!(repeated(&mut refusals), [], "nothing was left out");
        for n in 0..WHOLE_MAX + 100 {
            refusals.tell(unknown_key(ADDRESS), n * 10);
        }
        let [(record, at_ms)] = &repeated(&mut refusals)[..] else {
            panic!("not one count");
        };
        assert_eq!(record.requests, 100);
        assert_eq!(record.address.as_deref(), Some("192.0.2.7"));
        assert_eq!(record.since, rfc_3339(WHOLE_MAX * 10));
        assert_eq!(*at_ms, (WHOLE_MAX + 99) * 10);
        assert_eq!(record.result, Outcome::Refused);
    }

    #[test]
    fn a_window_ends_after_its_time_and_when_the_clock_is_put_back() {
        let mut refusals = Refusals::default();
        assert_eq!(refusals.ends_in(0), None);
        refusals.tell(unknown_key(ADDRESS), 1000);
        refusals.tell(unknown_key(ADDRESS), 2000);
        for (now_ms, left_ms) in [
            (1000, WINDOW_MS),
            (1000 + WINDOW_MS - 1, 1),
            (1000 + WINDOW_MS, 0),
            (5000 + WINDOW_MS, 0),
            (999, 0),
        ] {
            let left = refusals.ends_in(now_ms);
            assert_eq!(left, Some(Duration::from_millis(left_ms)), "{now_ms}");
        }
        refusals.end();
        assert_eq!(refusals.ends_in(1000), None);
        assert_eq!(refusals.tell(unknown_key(ADDRESS), 3000), Told::Whole);
    }

    #[test]
    fn who_alternates_between_kinds_gets_a_line_for_each_kind_and_no_more() {
        let mut refusals = Refusals::default();
        let mut throttled = unknown_key(ADDRESS);
        (throttled.status, throttled.code) = (429, Some("too_many_requests"));
        let mut of_somebody = throttled;
        of_somebody.identity = Some("till");
        let whole = (0..3000).filter(|n| {
            let kind = [unknown_key(ADDRESS), throttled, of_somebody][n % 3];
            refusals.tell(kind, 0) == Told::Whole
        });
        assert_eq!(whole.count() as u64, 3 * WHOLE_MAX);
        let counts: Vec<u64> = repeated(&mut refusals)
            .iter()
            .map(|(record, _)| record.requests)
            .collect();
        assert_eq!(counts, [1000 - WHOLE_MAX; 3]);
    }

    #[test]
    fn clients_beyond_the_limit_are_counted_together() {
        let mut refusals = Refusals::default();
        let address = |n: u32| IpAddr::V4(n.into());
        let clients = u32::try_from(COUNTS_MAX).unwrap();
        for n in 0..clients {
            assert_eq!(refusals.tell(unknown_key(address(n)), 0), Told::Whole);
        }
        for n in clients..10 * clients {
            refusals.tell(unknown_key(address(n)), 0);
        }
        assert_eq!(refusals.counts.len(), COUNTS_MAX + 1);
        let [(record, _)] = &repeated(&mut refusals)[..] else {
            panic!("not one count");
        };
        assert_eq!(record.address, None);
        assert_eq!(record.requests, u64::from(9 * clients) - WHOLE_MAX);
    }

    #[test]
    fn all_addresses_of_one_line_of_ipv6_are_one_client() {
        let mut refusals = Refusals::default();
        for n in 0..WHOLE_MAX + 5 {
            let address = format!("2001:db8:1:2::{n:x}").parse().unwrap();
            refusals.tell(unknown_key(address), 0);
        }
        let [(record, _)] = &repeated(&mut refusals)[..] else {
            panic!("not one count");
        };
        assert_eq!(record.address.as_deref(), Some("2001:db8:1:2::/64"));
        assert_eq!(record.requests, 5);
    }
}
