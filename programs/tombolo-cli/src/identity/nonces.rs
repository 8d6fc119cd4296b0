//! Which challenges were answered, so that each is used once.
//! A challenge that nobody answered costs nothing: the service does not remember it.

use std::collections::{HashSet, VecDeque};

use tombolo_identity::{CHALLENGE_VALID_MS, NONCE_BYTES};

/// Most answered challenges that are remembered: two thousand logins a second, for as long as one is valid.
pub(super) const NONCES_MAX: usize = 256 * 1024;

type Nonce = [u8; NONCE_BYTES];

/// What became of a challenge that was answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Use {
    First,
    /// Somebody shows an answer again.
    Again,
    /// Too many were answered: nothing is known of this one.
    Full,
}

/// The challenges answered in the last two minutes.
#[derive(Debug)]
pub(super) struct Nonces {
    used: HashSet<Nonce>,
    /// In the order of their use, with the time from when each can be forgotten.
    order: VecDeque<(u64, Nonce)>,
    entries_max: usize,
}

impl Nonces {
    pub(super) fn new(entries_max: usize) -> Self {
        Self {
            used: HashSet::new(),
            order: VecDeque::new(),
            entries_max,
        }
    }

    /// Takes note that a challenge was answered, if it is good until `expires_ms` at most two minutes from now.
    pub(super) fn note(&mut self, nonce: Nonce, now_ms: u64) -> Use {
        while let Some((until_ms, old)) = self.order.front()
            && *until_ms <= now_ms
        {
            self.used.remove(old);
            self.order.pop_front();
        }
        if self.used.contains(&nonce) {
            return Use::Again;
        }
        if self.used.len() >= self.entries_max {
            return Use::Full;
        }
        self.used.insert(nonce);
        // At least as long as the challenge is valid, whenever it was made.
        let until_ms = now_ms.saturating_add(CHALLENGE_VALID_MS);
        self.order.push_back((until_ms, nonce));
        Use::First
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        assert_eq!(self.used.len(), self.order.len());
        self.used.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: u64 = 1_795_000_000_000;

    fn nonce(number: u64) -> Nonce {
        u128::from(number).to_be_bytes()
    }

    #[test]
    fn a_challenge_counts_once_until_it_has_expired() {
        let mut nonces = Nonces::new(10);
        assert_eq!(nonces.note(nonce(1), NOW_MS), Use::First);
        assert_eq!(nonces.note(nonce(2), NOW_MS + 1), Use::First);
        let last_ms = NOW_MS + CHALLENGE_VALID_MS - 1;
        assert_eq!(nonces.note(nonce(1), last_ms), Use::Again);
        assert_eq!(nonces.len(), 2);
        assert_eq!(nonces.note(nonce(3), last_ms + 1), Use::First);
        assert_eq!(nonces.len(), 2);
    }

    #[test]
    fn the_table_is_full_at_its_bound_and_refuses_above_it() {
        let mut nonces = Nonces::new(100);
        for number in 0..100 {
            assert_eq!(nonces.note(nonce(number), NOW_MS), Use::First);
        }
        for number in 100..10_000 {
            assert_eq!(nonces.note(nonce(number), NOW_MS), Use::Full);
        }
        assert_eq!(nonces.note(nonce(7), NOW_MS), Use::Again);
        assert_eq!(nonces.len(), 100);
        let later_ms = NOW_MS + CHALLENGE_VALID_MS;
        assert_eq!(nonces.note(nonce(100), later_ms), Use::First);
        assert_eq!(nonces.len(), 1);
    }
}
