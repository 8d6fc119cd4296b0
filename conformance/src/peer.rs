//! One peer: a store, a clock, system parameters and subscriptions.

use std::cell::Cell;
use std::collections::BTreeMap;

use tombolo_document::{Actor, Dot, HybridClock, Object, SiteId, Stamp};
use tombolo_query::{
    Context, Limits, NoSystemRows, Outcome, Parameters, QueryError, Statement, Subscription,
};

use crate::store::{Store, Transaction};

/// Clocks in cases may be far apart.
const SKEW_LIMIT_MS: u64 = u64::MAX;

/// One peer of a case.
#[derive(Debug)]
pub struct Peer {
    /// Its documents and indexes.
    pub store: Store,
    pub(crate) clock: HybridClock,
    /// Its system parameters.
    pub parameters: Parameters,
    pub(crate) subscriptions: BTreeMap<String, Subscription>,
    /// How many commits it made.
    pub(crate) commits: u64,
    site: SiteId,
    epoch: u32,
    drawn: Cell<u8>,
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

impl Peer {
    /// An empty peer; the name makes its site.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            store: Store::default(),
            clock: HybridClock::new(Stamp::ZERO, SKEW_LIMIT_MS),
            parameters: Parameters::default(),
            subscriptions: BTreeMap::new(),
            commits: 0,
            site: SiteId::derive("conformance", name.as_bytes()),
            epoch: Actor::FIRST_EPOCH,
            drawn: Cell::new(0),
        }
    }

    /// Opens a transaction at `now_ms`.
    pub(crate) fn begin(&mut self, now_ms: u64) -> Result<Transaction, QueryError> {
        let stamp = self
            .clock
            .tick(now_ms)
            .map_err(|error| QueryError::Evaluation(error.to_string()))?;
        Ok(Transaction {
            store: self.store.clone(),
            dot: Dot::new(Actor::new(self.site, self.epoch), stamp),
        })
    }

    /// Keeps what a transaction wrote. Evicting starts a new epoch, since the
    /// peer no longer knows what it wrote before.
    pub(crate) fn commit(&mut self, transaction: Transaction) {
        if transaction.store.evictions > self.store.evictions {
            self.epoch += 1;
        }
        self.store = transaction.store;
        self.commits += 1;
    }

    /// Runs a statement within a transaction.
    pub(crate) fn run_within(
        &self,
        transaction: &mut Transaction,
        call: Call<'_>,
    ) -> Result<Outcome, QueryError> {
        let statement = Statement::parse(call.statement)?;
        self.with_context(call, |context| statement.execute(transaction, context))
    }

    /// Runs a statement that reads.
    pub(crate) fn read(&self, call: Call<'_>) -> Result<Outcome, QueryError> {
        let statement = Statement::parse(call.statement)?;
        self.with_context(call, |context| statement.read(&self.store, context))
    }

    /// Runs a statement in a commit of its own; gives the commit's number if it
    /// wrote.
    ///
    /// # Errors
    /// Whatever the statement fails with; nothing of it is kept then.
    pub fn execute(&mut self, call: Call<'_>) -> Result<(Outcome, Option<u64>), QueryError> {
        if !Statement::parse(call.statement)?.writes() {
            let outcome = self.read(call)?;
            if let Some(change) = &outcome.parameter_change {
                self.parameters.apply(change);
            }
            return Ok((outcome, None));
        }
        let mut transaction = self.begin(call.now_ms)?;
        let outcome = self.run_within(&mut transaction, call)?;
        self.commit(transaction);
        Ok((outcome, Some(self.commits)))
    }

    /// Hands a context to `work`.
    pub(crate) fn with_context<T>(
        &self,
        call: Call<'_>,
        work: impl FnOnce(&Context<'_>) -> T,
    ) -> T {
        let draw = || {
            self.drawn.set(self.drawn.get().wrapping_add(1));
            [self.drawn.get(); 16]
        };
        work(&Context {
            arguments: call.arguments,
            parameters: &self.parameters,
            now_ms: call.now_ms,
            random: &draw,
            limits: Limits::DEFAULT,
            stop: &|| false,
            system: &NoSystemRows,
        })
    }
}
