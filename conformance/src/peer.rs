//! One peer of a case: a real database in memory, with a clock and randomness
//! that the case holds.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tombolo::engine::MemoryEngine;
use tombolo::{
    Database, ExecuteError, Object, Observer, ObserverDriver, Options, Response, SiteId,
    Subscription, Surroundings, Timekeeper,
};

use crate::failure::Failure;
use crate::identity::{DATABASE, key};

/// One peer of a case.
pub struct Peer {
    database: Database,
    clock: Arc<SetClock>,
    pub(crate) subscriptions: BTreeMap<String, Subscription>,
    observations: Vec<Observation>,
}

/// A statement with its arguments.
#[derive(Debug, Clone, Copy)]
pub struct Call<'c> {
    /// The text.
    pub statement: &'c str,
    /// The values of its parameters.
    pub arguments: &'c Object,
    /// The physical clock, in unix milliseconds.
    pub now_ms: u64,
}

/// A clock that stands where the case put it.
struct SetClock(AtomicU64);

impl Timekeeper for SetClock {
    fn unix_ms(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.unix_ms())
    }
}

/// An observed statement and what its observer was given last.
struct Observation {
    statement: String,
    last: Arc<Mutex<Option<Result<Response, ExecuteError>>>>,
    _observer: Observer,
}

impl Peer {
    /// An empty peer; the name makes its key and its randomness.
    ///
    /// # Errors
    /// The system has no thread to give.
    pub fn open(name: &str) -> Result<Self, Failure> {
        let clock = Arc::new(SetClock(AtomicU64::new(0)));
        let site = SiteId::derive(DATABASE, key(name)?.as_bytes());
        let (name, mut drawn) = (name.to_owned(), 0_u64);
        let entropy = move || {
            drawn += 1;
            SiteId::derive(&name, &drawn.to_be_bytes()).0
        };
        let engine = Arc::new(MemoryEngine::new());
        let mut surroundings = Surroundings::new(engine, clock.clone(), entropy, site);
        surroundings.observers = ObserverDriver::Caller;
        let mut options = Options::memory(DATABASE);
        // Clocks in cases may be far apart.
        options.skew_limit = Duration::MAX;
        Ok(Self {
            database: Database::open_with(options, surroundings).map_err(Failure::Peer)?,
            clock,
            subscriptions: BTreeMap::new(),
            observations: Vec::new(),
        })
    }

    /// The database, with its clock where it stands.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// The database, with its clock moved to `now_ms`.
    pub(crate) fn at(&self, now_ms: u64) -> &Database {
        self.clock.0.store(now_ms, Ordering::SeqCst);
        &self.database
    }

    /// Runs a statement in a commit of its own.
    ///
    /// # Errors
    /// Whatever the statement fails with; nothing of it is kept then.
    pub fn execute(&self, call: Call<'_>) -> Result<Response, ExecuteError> {
        let database = self.at(call.now_ms);
        database.execute(call.statement, call.arguments.clone())
    }

    /// Observes a statement from now on.
    pub(crate) fn observe(&mut self, call: Call<'_>) -> Result<(), ExecuteError> {
        let last = Arc::new(Mutex::new(None));
        let told = Arc::clone(&last);
        let on_result = move |result| {
            *told.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        };
        let (statement, arguments) = (call.statement, call.arguments.clone());
        let database = self.at(call.now_ms);
        let observer = database.register_observer(statement, arguments, on_result)?;
        self.observations.push(Observation {
            statement: statement.to_owned(),
            last,
            _observer: observer,
        });
        Ok(())
    }

    /// Takes what the observer of a statement was given last, if anything is
    /// new to it.
    pub(crate) fn last_observed(&self, statement: &str) -> Option<Result<Response, ExecuteError>> {
        let mut observations = self.observations.iter();
        let observed = observations.find(|observed| observed.statement == statement)?;
        let mut last = observed.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.take()
    }
}
