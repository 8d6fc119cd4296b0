//! Limits on how often a client may ask: so many requests in a window of time.
//!
//! Two counts for each client, of this window and the one before, which weighs as much as of it
//! lies within the last window's length. A steady client gets what is allowed, and nobody twice as
//! much in any span of a window's length. Requests that are refused are not counted.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::mem;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::endpoint::Endpoint;
use crate::config::{Strategy, Throttled};

/// Clients of one strategy that are counted apart in one window; those known from the window
/// before have as many places again. Further ones share counts by their network.
const CLIENTS_MAX: usize = 65_536;
/// Counts for those who share. Two networks may meet in one, which makes it stricter.
const SHARED_COUNTS: usize = 4096;

/// All strategies of one server.
#[derive(Debug)]
pub(crate) struct Throttle {
    strategies: Vec<(Strategy, Mutex<Counts>)>,
    hasher: RandomState,
}

/// A client asked too often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooMany {
    /// From now on.
    pub(crate) retry_after: Duration,
}

/// Whom a request is counted for before its key is looked at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Origin {
    pub(super) address: IpAddr,
    /// `None`: its path leads nowhere.
    pub(super) endpoint: Option<Endpoint>,
}

impl Throttle {
    pub(crate) fn new(strategies: Vec<Strategy>) -> Self {
        let counted = |strategy| (strategy, Mutex::default());
        Self {
            strategies: strategies.into_iter().map(counted).collect(),
            hasher: RandomState::new(),
        }
    }

    /// Counts a request for its address and its route.
    pub(super) fn admit(&self, origin: Origin, now: Duration) -> Result<(), TooMany> {
        let client = client(origin.address);
        let network = self.hasher.hash_one(network(origin.address));
        self.ask(now, |by| match by {
            Throttled::Address => Some((client, network)),
            Throttled::Route(route) => {
                (origin.endpoint == Some(route)).then_some((client, network))
            }
            Throttled::Key => None,
        })
    }

    /// Counts a request for its identity.
    pub(super) fn admit_identity(&self, audit_id: &str, now: Duration) -> Result<(), TooMany> {
        let hash = self.hasher.hash_one(audit_id);
        self.ask(now, |by| match by {
            Throttled::Key => Some((u128::from(hash), hash)),
            Throttled::Address | Throttled::Route(_) => None,
        })
    }

    /// Counts in all strategies that are about the request, or in none.
    fn ask(
        &self,
        now: Duration,
        whom: impl Fn(Throttled) -> Option<(u128, u64)>,
    ) -> Result<(), TooMany> {
        let mut longest = None;
        for (strategy, counts) in &self.strategies {
            if let Some(whom) = whom(strategy.by) {
                let counts = &mut *counts.lock().unwrap_or_else(PoisonError::into_inner);
                longest = longest.max(counts.wait(strategy, whom, now));
            }
        }
        if let Some(retry_after) = longest {
            return Err(TooMany { retry_after });
        }
        for (strategy, counts) in &self.strategies {
            if let Some(whom) = whom(strategy.by) {
                let counts = &mut *counts.lock().unwrap_or_else(PoisonError::into_inner);
                counts.count(whom);
            }
        }
        Ok(())
    }
}

/// Requests of this window and of the one before.
#[derive(Debug, Default)]
struct Counts {
    window: u64,
    now: Window,
    before: Window,
}

#[derive(Debug, Default)]
struct Window {
    clients: HashMap<u128, u32>,
    /// Empty until somebody has to share.
    shared: Vec<u32>,
    /// Clients that were not in the window before.
    new: usize,
}

impl Window {
    fn of(&self, (client, network): (u128, u64)) -> u32 {
        match self.clients.get(&client) {
            Some(count) => *count,
            None => self.shared_of(network),
        }
    }

    fn shared_of(&self, network: u64) -> u32 {
        self.shared.get(shared_place(network)).copied().unwrap_or(0)
    }
}

impl Counts {
    /// How long until the client may ask; `None`: at once.
    fn wait(&mut self, strategy: &Strategy, whom: (u128, u64), now: Duration) -> Option<Duration> {
        let window = strategy.window.as_nanos();
        let elapsed = now.as_nanos() % window;
        self.turn_to(u64::try_from(now.as_nanos() / window).unwrap_or(u64::MAX));
        let max = u128::from(strategy.requests_max);
        let is_shared = self.shares(whom.0);
        let (this, before) = if is_shared {
            (self.now.shared_of(whom.1), self.before.shared_of(whom.1))
        } else {
            let before = self.before.clients.get(&whom.0).copied();
            (self.now.of(whom), before.unwrap_or(0))
        };
        let (this, before) = (u128::from(this), u128::from(before));
        // before * (window - elapsed) / window + this + 1 <= max, without fractions.
        let fits = |this: u128, before: u128, elapsed: u128| {
            before * (window - elapsed) + (this + 1) * window <= max * window
        };
        if fits(this, before, elapsed) {
            return None;
        }
        let wait = if this < max {
            // Until so much of the window before has passed.
            let passed = window - (max - this - 1) * window / before.max(1);
            passed.saturating_sub(elapsed)
        } else {
            let passed = window - (max - 1) * window / this.max(1);
            window - elapsed + passed
        };
        let nanos = u64::try_from(wait.max(1)).unwrap_or(u64::MAX);
        Some(Duration::from_nanos(nanos))
    }

    fn count(&mut self, (client, network): (u128, u64)) {
        if self.shares(client) {
            self.now.shared.resize(SHARED_COUNTS, 0);
            let shared = &mut self.now.shared[shared_place(network)];
            *shared = shared.saturating_add(1);
            return;
        }
        let known = self.before.clients.contains_key(&client);
        let count = self.now.clients.entry(client).or_insert_with(|| {
            self.now.new += usize::from(!known);
            0
        });
        *count = count.saturating_add(1);
    }

    /// Whether there is no place left for a client.
    fn shares(&self, client: u128) -> bool {
        if self.now.clients.contains_key(&client) {
            return false;
        }
        match self.before.clients.contains_key(&client) {
            true => self.now.clients.len() >= 2 * CLIENTS_MAX,
            false => self.now.new >= CLIENTS_MAX,
        }
    }

    fn turn_to(&mut self, window: u64) {
        if window == self.window {
            return;
        }
        let ended = mem::take(&mut self.now);
        self.before = if window == self.window + 1 {
            ended
        } else {
            Window::default()
        };
        self.window = window;
    }
}

fn shared_place(network: u64) -> usize {
    usize::try_from(network % SHARED_COUNTS as u64).unwrap_or(0)
}

/// One client: an IPv4 address, or the /64 that one line of IPv6 is given.
fn client(address: IpAddr) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits() & (u128::MAX << 64),
    }
}

/// The network of a client: a /16 of IPv4, a /32 of IPv6.
fn network(address: IpAddr) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits() & (u128::MAX << 16),
        IpAddr::V6(address) => address.to_bits() & (u128::MAX << 96),
    }
}

#[cfg(test)]
#[path = "throttle_tests.rs"]
mod tests;
