//! Checking a client's key against all identities at request time.
//! A key is hashed slowly once; afterwards its keyed digest answers. One slow hash runs at a time,
//! and who would have to wait behind too many others is told to come back.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering::AcqRel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use subtle::ConstantTimeEq;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{KeyHash, looks_like_key};

/// Keys known to be wrong that are remembered; the oldest is forgotten.
const REFUSED_MAX: usize = 1024;
/// Requests that may wait for the slow hash, the running one included.
const WAITING_MAX: usize = 8;

type Digest = [u8; 32];

/// All identities' hashes and what was learned about keys since the start.
#[derive(Clone)]
pub(crate) struct KeyRing {
    inner: Arc<Inner>,
}

struct Inner {
    hashes: Vec<KeyHash>,
    /// Per process, so that a digest found in a core dump is worth nothing elsewhere.
    digest_key: [u8; 32],
    learned: Mutex<Learned>,
    slow: Arc<Semaphore>,
    waiting: AtomicUsize,
}

#[derive(Default)]
struct Learned {
    /// The digest of each identity's key once it was seen, in the order of the hashes.
    accepted: Vec<Option<Digest>>,
    refused: HashSet<Digest>,
    refused_order: VecDeque<Digest>,
}

/// What a key turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyVerdict {
    /// The key of the identity at this index.
    Identity(usize),
    /// Nobody's key.
    Unknown,
    /// Too many unknown keys are being checked: 503.
    Busy,
}

impl KeyRing {
    /// `digest_key` is drawn at random once per process.
    pub(crate) fn new(hashes: Vec<KeyHash>, digest_key: [u8; 32]) -> Self {
        let learned = Learned {
            accepted: vec![None; hashes.len()],
            ..Learned::default()
        };
        let inner = Inner {
            hashes,
            digest_key,
            learned: Mutex::new(learned),
            slow: Arc::new(Semaphore::new(1)),
            waiting: AtomicUsize::new(0),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Finds whose key this is.
    pub(crate) async fn check(&self, key: &str) -> KeyVerdict {
        if !looks_like_key(key) {
            return KeyVerdict::Unknown;
        }
        let digest: Digest = *blake3::keyed_hash(&self.inner.digest_key, key.as_bytes()).as_bytes();
        if let Some(verdict) = self.inner.learned().verdict(&digest) {
            return verdict;
        }
        let Some(place) = Place::take(&self.inner) else {
            return KeyVerdict::Busy;
        };
        let Ok(permit) = Arc::clone(&self.inner.slow).acquire_owned().await else {
            return KeyVerdict::Busy;
        };
        // Whoever went before may have settled this very key.
        if let Some(verdict) = self.inner.learned().verdict(&digest) {
            return verdict;
        }
        let key = key.to_owned();
        let slow = tokio::task::spawn_blocking(move || place.search(&key, digest, permit));
        slow.await.unwrap_or(KeyVerdict::Busy)
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("KeyRing")
            .field("identities", &self.inner.hashes.len())
            .finish_non_exhaustive()
    }
}

impl Inner {
    fn learned(&self) -> MutexGuard<'_, Learned> {
        self.learned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Learned {
    fn verdict(&self, digest: &Digest) -> Option<KeyVerdict> {
        let is_same =
            |known: &Option<Digest>| known.is_some_and(|known| bool::from(known.ct_eq(digest)));
        if let Some(index) = self.accepted.iter().position(is_same) {
            return Some(KeyVerdict::Identity(index));
        }
        self.refused.contains(digest).then_some(KeyVerdict::Unknown)
    }

    fn refuse(&mut self, digest: Digest) {
        if self.refused.insert(digest) {
            self.refused_order.push_back(digest);
        }
        if self.refused_order.len() > REFUSED_MAX
            && let Some(oldest) = self.refused_order.pop_front()
        {
            self.refused.remove(&oldest);
        }
    }
}

/// One of the [`WAITING_MAX`] places; given back when dropped, also when the request was given up.
struct Place(Arc<Inner>);

impl Place {
    fn take(inner: &Arc<Inner>) -> Option<Self> {
        if inner.waiting.fetch_add(1, AcqRel) >= WAITING_MAX {
            inner.waiting.fetch_sub(1, AcqRel);
            return None;
        }
        Some(Self(Arc::clone(inner)))
    }

    /// Runs to its end even if nobody waits any more, so that the next request finds the verdict.
    fn search(self, key: &str, digest: Digest, permit: OwnedSemaphorePermit) -> KeyVerdict {
        let found = self.0.hashes.iter().position(|hash| hash.matches(key));
        let mut learned = self.0.learned();
        let verdict = match found {
            Some(index) => {
                learned.accepted[index] = Some(digest);
                KeyVerdict::Identity(index)
            }
            None => {
                learned.refuse(digest);
                KeyVerdict::Unknown
            }
        };
        drop(learned);
        drop(permit);
        verdict
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api_key::GeneratedKey;

    fn ring_with(keys: usize) -> (KeyRing, Vec<String>) {
        let made: Vec<_> = (0..keys)
            .map(|index| GeneratedKey::from_randomness([index as u8; 32], [9; 16]).unwrap())
            .collect();
        let hashes = made
            .iter()
            .map(|key| KeyHash::parse(&key.public_hash).unwrap())
            .collect();
        (
            KeyRing::new(hashes, [1; 32]),
            made.into_iter().map(|key| key.private_key).collect(),
        )
    }

    #[tokio::test]
    async fn each_key_finds_its_identity_and_a_wrong_key_finds_none() {
        let (ring, keys) = ring_with(2);
        assert_eq!(ring.check(&keys[1]).await, KeyVerdict::Identity(1));
        assert_eq!(ring.check(&keys[0]).await, KeyVerdict::Identity(0));
        assert_eq!(ring.check(&"A".repeat(44)).await, KeyVerdict::Unknown);
    }

    #[tokio::test]
    async fn a_checked_key_needs_no_slow_hash_again() {
        let (ring, keys) = ring_with(1);
        let wrong = "A".repeat(44);
        ring.check(&keys[0]).await;
        ring.check(&wrong).await;
        let _held = Arc::clone(&ring.inner.slow).acquire_owned().await.unwrap();
        assert_eq!(ring.check(&keys[0]).await, KeyVerdict::Identity(0));
        assert_eq!(ring.check(&wrong).await, KeyVerdict::Unknown);
        assert_eq!(ring.check("garbage").await, KeyVerdict::Unknown);
    }

    #[tokio::test]
    async fn one_more_waiter_than_allowed_is_told_to_come_back() {
        let (ring, keys) = ring_with(1);
        let places: Vec<_> = (1..WAITING_MAX)
            .map(|_| Place::take(&ring.inner).unwrap())
            .collect();
        assert_eq!(ring.check(&keys[0]).await, KeyVerdict::Identity(0));
        let last = Place::take(&ring.inner).unwrap();
        assert_eq!(ring.check(&"A".repeat(44)).await, KeyVerdict::Busy);
        drop((places, last));
        assert_eq!(ring.check(&"A".repeat(44)).await, KeyVerdict::Unknown);
    }

    #[test]
    fn the_oldest_refused_key_is_forgotten_at_the_limit() {
        let digest = |number: usize| *blake3::hash(&number.to_le_bytes()).as_bytes();
        let mut learned = Learned::default();
        for number in 0..=REFUSED_MAX {
            learned.refuse(digest(number));
        }
        assert_eq!(learned.refused.len(), REFUSED_MAX);
        assert_eq!(learned.verdict(&digest(0)), None);
        assert_eq!(learned.verdict(&digest(1)), Some(KeyVerdict::Unknown));
    }
}
