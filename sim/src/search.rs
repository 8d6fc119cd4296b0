//! Looking for seeds that break a promise: many runs, one after another on each
//! of some threads.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::{Settings, Trace, Violation, run};

/// A seed that broke a promise.
#[derive(Debug, Clone)]
pub struct Found {
    /// The seed.
    pub seed: u64,
    /// The kind of its world.
    pub profile: &'static str,
    /// What it broke.
    pub violation: Violation,
}

/// What a search did.
#[derive(Debug, Default)]
pub struct Searched {
    /// How many seeds were run.
    pub seeds: u64,
    /// Those that broke a promise, in their order.
    pub found: Vec<Found>,
}

/// How a search goes.
#[derive(Debug, Clone)]
pub struct Search {
    /// Which seeds are run.
    pub seeds: Range<u64>,
    /// After so many that failed it ends.
    pub failures_max: usize,
    /// On so many threads.
    pub threads: usize,
    /// What all runs have.
    pub settings: Settings,
}

impl Search {
    /// Runs seeds until they or the failures are exhausted, or `goes_on` says no.
    /// It is asked before each seed, with the number of those that were run.
    #[must_use]
    pub fn run(&self, goes_on: impl Fn(u64) -> bool + Sync) -> Searched {
        let next = AtomicU64::new(self.seeds.start);
        let (done, stop) = (AtomicU64::new(0), AtomicBool::new(false));
        let found = Mutex::new(Vec::new());
        let work = || {
            while !stop.load(Ordering::Relaxed) && goes_on(done.load(Ordering::Relaxed)) {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if !self.seeds.contains(&seed) {
                    break;
                }
                let ended = run(seed, self.settings, Trace::off());
                done.fetch_add(1, Ordering::Relaxed);
                if let Err(violation) = ended.outcome {
                    let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                    found.push(Found {
                        seed,
                        profile: ended.profile,
                        violation,
                    });
                    if found.len() >= self.failures_max {
                        stop.store(true, Ordering::Relaxed);
                    }
                }
            }
        };
        thread::scope(|scope| {
            for _ in 0..self.threads {
                scope.spawn(work);
            }
        });
        let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        found.sort_by_key(|found| found.seed);
        Searched {
            seeds: done.into_inner(),
            found,
        }
    }
}
