//! How much live queries may hold together. What is held is a value, given back when dropped.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::limits::{OBSERVED_IDENTITY_MAX, OBSERVED_NODE_MAX};

/// The live queries of one node, by who observes.
#[derive(Debug, Default)]
pub(super) struct Places(Arc<Mutex<Taken>>);

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_identity: BTreeMap<String, usize>,
}

/// The right to one live query.
#[derive(Debug)]
pub(super) struct Place {
    taken: Arc<Mutex<Taken>>,
    identity: Option<String>,
}

/// There is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    /// The identity has as many as it may have.
    Identity,
    /// The node has.
    Node,
}

impl Places {
    /// Takes a place for an identity; for nobody in particular where keys are not asked for.
    pub(super) fn take(&self, identity: Option<&str>) -> Result<Place, Full> {
        let mut taken = lock(&self.0);
        let of_identity = identity.and_then(|name| taken.by_identity.get(name));
        if of_identity.is_some_and(|count| *count >= OBSERVED_IDENTITY_MAX) {
            return Err(Full::Identity);
        }
        if taken.all >= OBSERVED_NODE_MAX {
            return Err(Full::Node);
        }
        taken.all += 1;
        if let Some(name) = identity {
            *taken.by_identity.entry(name.to_owned()).or_default() += 1;
        }
        Ok(Place {
            taken: Arc::clone(&self.0),
            identity: identity.map(str::to_owned),
        })
    }

    /// How many there are.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        lock(&self.0).all
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = lock(&self.taken);
        taken.all -= 1;
        if let Some(name) = &self.identity
            && let Some(count) = taken.by_identity.get_mut(name)
        {
            *count -= 1;
            if *count == 0 {
                taken.by_identity.remove(name);
            }
        }
    }
}

fn lock(taken: &Mutex<Taken>) -> MutexGuard<'_, Taken> {
    // Counts are changed together and nothing between can panic.
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An amount of something that many share.
#[derive(Debug)]
pub(super) struct Budget {
    used: AtomicUsize,
    max: usize,
}

/// What one of them holds of it.
#[derive(Debug)]
pub(super) struct Share {
    budget: Arc<Budget>,
    amount: usize,
}

impl Budget {
    pub(super) fn new(max: usize) -> Arc<Self> {
        let used = AtomicUsize::new(0);
        Arc::new(Self { used, max })
    }

    /// A share of nothing yet.
    pub(super) fn share(self: &Arc<Self>) -> Share {
        let budget = Arc::clone(self);
        Share { budget, amount: 0 }
    }

    /// How much is held.
    #[cfg(test)]
    pub(super) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }
}

impl Share {
    /// Holds another amount from now on; `false` if there is not so much, and then it holds what it held.
    pub(super) fn resize(&mut self, amount: usize) -> bool {
        let (used, max) = (&self.budget.used, self.budget.max);
        let resized = used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            let others = used - self.amount;
            let total = others.checked_add(amount)?;
            (total <= max || amount <= self.amount).then_some(total)
        });
        if resized.is_ok() {
            self.amount = amount;
        }
        resized.is_ok()
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.amount, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_has_so_many_places_and_gets_them_back() {
        let places = Places::default();
        let take = |name| places.take(Some(name));
        let mut held: Vec<Place> = (0..OBSERVED_IDENTITY_MAX)
            .map(|_| take("a").unwrap())
            .collect();
        assert_eq!(take("a").unwrap_err(), Full::Identity);
        let _other = take("b").unwrap();
        held.pop();
        drop(take("a").unwrap());
        drop(held);
        assert_eq!(places.count(), 1);
        assert_eq!(lock(&places.0).by_identity.len(), 1);
    }

    #[test]
    fn a_node_has_so_many_places_for_everybody() {
        let places = Places::default();
        let mut held: Vec<Place> = (0..OBSERVED_NODE_MAX)
            .map(|_| places.take(None).unwrap())
            .collect();
        assert_eq!(places.take(Some("a")).unwrap_err(), Full::Node);
        held.pop();
        assert!(places.take(Some("a")).is_ok());
    }

    #[test]
    fn a_budget_is_shared_to_the_last_and_given_back() {
        let budget = Budget::new(10);
        let (mut first, mut second) = (budget.share(), budget.share());
        assert!(first.resize(6) && second.resize(4) && !second.resize(5));
        assert!(first.resize(5) && second.resize(5));
        assert_eq!(budget.used(), 10);
        drop(first);
        assert!(second.resize(10) && !second.resize(11));
        drop(second);
        assert_eq!(budget.used(), 0);
    }
}
