//! Checking a client's key against all identities at request time.
//! A key is hashed slowly once; afterwards its keyed digest answers. An identity whose key was seen has no other one,
//! so wrong keys cost no slow hash once all right ones are known. Nothing here grows with the number of identities
//! but the first check of a key that another program made.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::own::{self, KeyId, KeyText};
use super::slow::SlowDoor;
use super::{KeyHash, looks_like_key};

/// Keys known to be wrong that are remembered; the oldest is forgotten.
const REFUSED_MAX: usize = 1024;

type Digest = [u8; 32];

/// All identities' hashes and what was learned about keys since the start.
#[derive(Clone)]
pub(crate) struct KeyRing {
    inner: Arc<Inner>,
}

struct Inner {
    hashes: Vec<KeyHash>,
    /// The places of the hashes, by the id of the key; without an id, those that other programs made.
    places: HashMap<Option<KeyId>, Vec<usize>>,
    /// Per process, so that a digest found in a core dump is worth nothing elsewhere.
    digest_key: [u8; 32],
    learned: Mutex<Learned>,
    slow: SlowDoor,
}

#[derive(Default)]
struct Learned {
    /// Each key that was seen and the place of its hash. The digests are keyed, so nobody learns how to come near one
    /// by how long it takes to find none.
    accepted: HashMap<Digest, usize>,
    /// Whether the key of each hash was seen.
    is_seen: Vec<bool>,
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
    pub(crate) fn new(hashes: Vec<KeyHash>, digest_key: [u8; 32], slow: SlowDoor) -> Self {
        let learned = Learned {
            is_seen: vec![false; hashes.len()],
            ..Learned::default()
        };
        let mut places: HashMap<_, Vec<usize>> = HashMap::new();
        for (at, hash) in hashes.iter().enumerate() {
            places.entry(hash.id()).or_default().push(at);
        }
        let inner = Inner {
            hashes,
            places,
            digest_key,
            learned: Mutex::new(learned),
            slow,
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
            KeyText::Own(id) => (self.inner.unseen(Some(id)), false),
            KeyText::Foreign => (self.inner.unseen(None), true),
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
        let Some(turn) = self.inner.slow.enter().await else {
            return KeyVerdict::Busy;
        };
        // Whoever went before may have settled this very key.
        if let Some(verdict) = self.inner.learned().verdict(&slow.digest) {
            return verdict;
        }
        let (inner, key) = (Arc::clone(&self.inner), key.to_owned());
        let searched = turn.run(move || inner.search(&key, &slow)).await;
        searched.unwrap_or(KeyVerdict::Busy)
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
    /// The hashes of keys with this id, or those that other programs made, whose key was not seen yet.
    fn unseen(&self, id: Option<KeyId>) -> Vec<usize> {
        let Some(places) = self.places.get(&id) else {
            return Vec::new();
        };
        let learned = self.learned();
        let unseen = places.iter().filter(|at| !learned.is_seen[**at]);
        unseen.copied().collect()
    }

    /// Keeps the verdict for the next request with this key.
    fn search(&self, key: &str, slow: &Slow) -> KeyVerdict {
        let digest = slow.digest;
        let mut candidates = slow.candidates.iter().copied();
        let found = candidates.find(|at| self.hashes[*at].matches(key));
        let mut learned = self.learned();
        match found {
            Some(index) => {
                learned.accept(digest, index);
                KeyVerdict::Identity(index)
            }
            None => {
                learned.refuse(digest);
                KeyVerdict::Unknown
            }
        }
    }

    fn learned(&self) -> MutexGuard<'_, Learned> {
        self.learned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Learned {
    fn verdict(&self, digest: &Digest) -> Option<KeyVerdict> {
        if let Some(index) = self.accepted.get(digest) {
            return Some(KeyVerdict::Identity(*index));
        }
        self.refused.contains(digest).then_some(KeyVerdict::Unknown)
    }

    fn accept(&mut self, digest: Digest, index: usize) {
        // The same key may stand with two identities; the first one counts.
        let first = *self.accepted.entry(digest).or_insert(index);
        self.is_seen[first] = true;
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
        (KeyRing::new(hashes, [1; 32], SlowDoor::new()), keys)
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
        let ring = KeyRing::new(vec![hash], [1; 32], SlowDoor::new());
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
    async fn wrong_keys_cost_no_slow_hash_once_all_right_ones_are_known() {
        let made = GeneratedKey::from_randomness([1; 32], [5; 12]).unwrap();
        let (_, foreign) = foreign_ring();
        let mut hashes: Vec<_> = foreign.iter().map(|key| KeyHash::foreign(key)).collect();
        hashes.push(KeyHash::parse(&made.public_hash).unwrap());
        let ring = KeyRing::new(hashes, [1; 32], SlowDoor::new());
        let wrong = ["A".repeat(44), own::write([5; 12], [2; 32])];
        ring.check(&foreign[0]).await;
        for key in &wrong {
            assert!(matches!(ring.look(key), Looked::Slow(_)), "{key}");
        }
        ring.check(&foreign[1]).await;
        ring.check(&made.private_key).await;
        for key in &wrong {
            let looked = ring.look(key);
            assert!(
                matches!(looked, Looked::Known(KeyVerdict::Unknown)),
                "{key}: {looked:?}"
            );
        }
        let all = [&foreign[0], &foreign[1], &made.private_key];
        for (at, key) in all.into_iter().enumerate() {
            assert_eq!(ring.check(key).await, KeyVerdict::Identity(at));
        }
    }

    #[tokio::test]
    async fn who_would_wait_behind_too_many_is_told_to_come_back() {
        let door = SlowDoor::new();
        let keys = ["a".repeat(44)];
        let hashes = keys.iter().map(|key| KeyHash::foreign(key)).collect();
        let ring = KeyRing::new(hashes, [1; 32], door.clone());
        let full = door.fill();
        assert_eq!(ring.check(&keys[0]).await, KeyVerdict::Busy);
        drop(full);
        assert_eq!(ring.check(&keys[0]).await, KeyVerdict::Identity(0));
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
