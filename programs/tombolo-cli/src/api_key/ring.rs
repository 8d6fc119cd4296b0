//! Checking a client's key against all identities at request time.
//! A key is hashed slowly once; afterwards its keyed digest answers. One slow hash runs at a time,
//! and who would have to wait behind too many others is told to come back.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering::AcqRel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use subtle::ConstantTimeEq;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::own::{self, KeyId, KeyText};
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

    /// What can be told of a key at once.
    pub(crate) fn look(&self, key: &str) -> Looked {
        if !looks_like_key(key) {
            return Looked::Known(KeyVerdict::Unknown);
        }
        let digest: Digest = *blake3::keyed_hash(&self.inner.digest_key, key.as_bytes()).as_bytes();
        if let Some(verdict) = self.inner.learned().verdict(&digest) {
            return Looked::Known(verdict);
        }
        let (candidates, is_foreign) = match own::read(key) {
            KeyText::Damaged => (Vec::new(), false),
            KeyText::Own(id) => (self.inner.places(Some(id)), false),
            KeyText::Foreign => (self.inner.places(None), true),
        };
        if candidates.is_empty() {
            return Looked::Known(KeyVerdict::Unknown);
        }
        Looked::Slow(Slow {
            digest,
            candidates,
            is_foreign,
        })
    }

    /// Hashes a key slowly, unless too many wait for it.
    pub(crate) async fn search(&self, key: &str, slow: Slow) -> KeyVerdict {
        let digest = slow.digest;
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
        let slow = tokio::task::spawn_blocking(move || place.search(&key, &slow, permit));
        slow.await.unwrap_or(KeyVerdict::Busy)
    }
}

/// How far a key can be judged at once.
#[derive(Debug)]
pub(crate) enum Looked {
    Known(KeyVerdict),
    /// It has to be hashed slowly.
    Slow(Slow),
}

/// A key that has to be hashed slowly.
#[derive(Debug)]
pub(crate) struct Slow {
    digest: Digest,
    /// Identities whose key it may be.
    candidates: Vec<usize>,
    /// Anybody can write such a key; one of ours has an id that has to be known.
    pub(crate) is_foreign: bool,
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
    /// The hashes of keys with this id, or those that other programs made.
    fn places(&self, id: Option<KeyId>) -> Vec<usize> {
        let hashes = self.hashes.iter().enumerate();
        let those = hashes.filter(|(_, hash)| hash.id() == id);
        those.map(|(at, _)| at).collect()
    }

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
    fn search(self, key: &str, slow: &Slow, permit: OwnedSemaphorePermit) -> KeyVerdict {
        let digest = slow.digest;
        let mut candidates = slow.candidates.iter().copied();
        let found = candidates.find(|at| self.0.hashes[*at].matches(key));
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

    impl KeyRing {
        async fn check(&self, key: &str) -> KeyVerdict {
            match self.look(key) {
                Looked::Known(verdict) => verdict,
                Looked::Slow(slow) => self.search(key, slow).await,
            }
        }
    }

    /// With keys of another program.
    fn foreign_ring() -> (KeyRing, Vec<String>) {
        let keys: Vec<_> = ["a", "b"].map(|letter| letter.repeat(44)).into();
        let hashes = keys.iter().map(|key| KeyHash::foreign(key)).collect();
        (KeyRing::new(hashes, [1; 32]), keys)
    }

    #[tokio::test]
    async fn each_key_finds_its_identity_and_a_wrong_key_finds_none() {
        let (ring, keys) = foreign_ring();
        assert_eq!(ring.check(&keys[1]).await, KeyVerdict::Identity(1));
        assert_eq!(ring.check(&keys[0]).await, KeyVerdict::Identity(0));
        assert_eq!(ring.check(&"A".repeat(44)).await, KeyVerdict::Unknown);
    }

    #[tokio::test]
    async fn a_checked_key_needs_no_slow_hash_again() {
        let (ring, keys) = foreign_ring();
        let wrong = "A".repeat(44);
        ring.check(&keys[0]).await;
        ring.check(&wrong).await;
        for (key, verdict) in [
            (keys[0].as_str(), KeyVerdict::Identity(0)),
            (&wrong, KeyVerdict::Unknown),
            ("garbage", KeyVerdict::Unknown),
        ] {
            let looked = ring.look(key);
            assert!(
                matches!(looked, Looked::Known(known) if known == verdict),
                "{looked:?}"
            );
        }
    }

    #[tokio::test]
    async fn a_key_that_cannot_be_ours_is_refused_before_any_slow_hash() {
        let made = GeneratedKey::from_randomness([1; 32], [5; 12]).unwrap();
        let hash = KeyHash::parse(&made.public_hash).unwrap();
        let ring = KeyRing::new(vec![hash], [1; 32]);
        let other_id = own::write([6; 12], [1; 32]);
        let mut damaged = made.private_key.clone();
        damaged.pop();
        for key in [other_id, damaged, "A".repeat(44)] {
            let looked = ring.look(&key);
            assert!(
                matches!(looked, Looked::Known(KeyVerdict::Unknown)),
                "{key}: {looked:?}"
            );
        }
        // The id alone, which the configuration tells, is not the key.
        let other_secret = own::write([5; 12], [2; 32]);
        assert!(matches!(ring.look(&other_secret), Looked::Slow(_)));
        assert_eq!(ring.check(&other_secret).await, KeyVerdict::Unknown);
        assert_eq!(ring.check(&made.private_key).await, KeyVerdict::Identity(0));
    }

    #[tokio::test]
    async fn one_more_waiter_than_allowed_is_told_to_come_back() {
        let (ring, keys) = foreign_ring();
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
