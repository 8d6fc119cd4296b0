//! One open database: statements in, results out.
//!
//! Reads run where they are asked, on a snapshot, and never wait for writers.
//! Writes pass the store's one queue and are durable before they are answered.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tombolo_document::Object;
use tombolo_query::{Context, Drafted, Limits, Outcome, Parameters, QueryError, Source, Target};
use tombolo_store::attachments::Attachments;
use tombolo_store::{Store, Timekeeper};

use crate::attachments::Collector;
use crate::commit_feed::CommitFeed;
use crate::error::{ExecuteError, OpenError, TransactionError};
use crate::login::{LoginShell, Outside, OwnRights};
use crate::observe::ObserverShell;
use crate::options::Options;
use crate::peer_key::PeerKey;
use crate::response::Response;
use crate::statements::{Prepared, StatementCache};
use crate::surroundings::{Device, Entropy, ObserverDriver, RandomIds};
use crate::sync::{Board, Fetches, Subscriptions, SyncShell};
use crate::transaction::{ReadTransaction, Transaction};

/// An open database. Dropping it waits for the writes that were begun.
pub struct Database {
    /// First, so that its sessions end before what they work on.
    pub(crate) sync: Arc<SyncShell>,
    /// Next, so that nothing asks for a login any more.
    pub(crate) login: LoginShell,
    /// Then these, so that their thread lets go of the store before it closes.
    pub(crate) observers: ObserverShell,
    pub(crate) collector: Collector,
    pub(crate) subscriptions: Arc<Subscriptions>,
    pub(crate) board: Arc<Board>,
    /// What the device proves itself with; none in surroundings without a key.
    pub(crate) peer_key: Option<PeerKey>,
    pub(crate) options: Options,
    pub(crate) commit_feed: Arc<CommitFeed>,
    pub(crate) store: Arc<Store>,
    pub(crate) attachments: Attachments,
    pub(crate) fetches: Arc<Fetches>,
    pub(crate) engine: Arc<Executor>,
}

/// What runs statements, wherever they are run.
pub(crate) struct Executor {
    time: Arc<dyn Timekeeper>,
    entropy: Entropy,
    parameters: watch::Sender<Arc<Parameters>>,
    statements: StatementCache,
    board: Arc<Board>,
    rights: OwnRights,
}

impl Database {
    pub(crate) fn assemble(
        (options, device): (Options, Option<Device>),
        (store, attachments): (Arc<Store>, Attachments),
        engine: Arc<Executor>,
        commit_feed: Arc<CommitFeed>,
        driver: ObserverDriver,
    ) -> Result<Self, OpenError> {
        let fetches = Fetches::new(attachments.clone(), Arc::clone(engine.time()));
        let (observed, executor) = (Arc::clone(&store), Arc::clone(&engine));
        let sync = Arc::default();
        let collector = Collector::start(&store, &attachments, engine.time(), driver)
            .map_err(OpenError::Thread)?;
        let whose = (options.database_id.as_str(), device.as_ref());
        let login = LoginShell::open(&engine, &sync, whose, driver).map_err(OpenError::Thread)?;
        Ok(Self {
            sync,
            login,
            observers: ObserverShell::start(observed, executor, &commit_feed, driver)?,
            collector,
            subscriptions: Arc::default(),
            board: Arc::clone(engine.board()),
            peer_key: device.map(|device| device.key),
            options,
            commit_feed,
            store,
            attachments,
            fetches: Arc::new(fetches),
            engine,
        })
    }

    /// Runs one statement with `arguments` for its `:name` parameters, and
    /// waits for it.
    ///
    /// # Errors
    /// [`ExecuteError`]; nothing of the statement is kept then.
    pub fn execute(&self, statement: &str, arguments: Object) -> Result<Response, ExecuteError> {
        let statement = self.prepare(statement)?;
        if !statement.is_mutation() {
            return self.read(&statement, &arguments, None);
        }
        let arguments = Arc::new(arguments);
        let (answer, answered) = std::sync::mpsc::sync_channel(1);
        self.write(&statement, Arc::clone(&arguments), None, move |result| {
            // Whoever waited may have died meanwhile.
            let _ = answer.try_send(result);
        })?;
        answered.recv().unwrap_or(Err(ExecuteError::Closed))
    }

    /// Parses a statement, or finds it among those parsed before.
    ///
    /// # Errors
    /// The text is not a statement.
    pub fn prepare(&self, statement: &str) -> Result<Prepared, ExecuteError> {
        self.engine.prepare(statement)
    }

    /// Runs a statement that only reads, on this thread, for `time_left` at
    /// most.
    ///
    /// # Errors
    /// [`ExecuteError`]; a statement that writes is refused.
    pub fn read(
        &self,
        statement: &Prepared,
        arguments: &Object,
        time_left: Option<Duration>,
    ) -> Result<Response, ExecuteError> {
        let until = self.engine.until(time_left);
        let outcome = self
            .engine
            .read(statement, &self.store.snapshot(), arguments, until)?;
        Ok(Response::new(outcome, None))
    }

    /// Queues a statement that writes and returns at once; what of it needs no
    /// transaction is done here, on this thread. `done` is called on the
    /// writer's thread when the change is durable or refused; it must not
    /// wait for anything. Time in the queue counts towards `time_left`. Keep a
    /// clone of `arguments` until the answer: then freeing them is not the
    /// writer's work.
    ///
    /// # Errors
    /// [`ExecuteError::Busy`] if too many writes wait, or what fails at once;
    /// `done` is not called then.
    pub fn write(
        &self,
        statement: &Prepared,
        arguments: Arc<Object>,
        time_left: Option<Duration>,
        done: impl FnOnce(Result<Response, ExecuteError>) + Send + 'static,
    ) -> Result<(), ExecuteError> {
        let until = self.engine.until(time_left);
        let drafted = self.engine.draft(statement, &arguments, until)?;
        let (engine, statement) = (Arc::clone(&self.engine), statement.clone());
        let counting = Arc::clone(&self.engine);
        let work = move |transaction: &mut tombolo_store::Transaction<'_>| {
            let inserted = match &drafted {
                Some(drafted) => engine.insert(drafted, transaction, until)?,
                None => None,
            };
            let mut outcome = match inserted {
                Some(outcome) => outcome,
                None => engine.write(&statement, transaction, &arguments, until)?,
            };
            let withheld = engine
                .rights
                .judge(&statement, &mut outcome, Outside::Warn)?;
            Ok((outcome, withheld))
        };
        let finish = move |result: Result<(tombolo_store::Commit, (Outcome, u64)), _>| {
            let response = match result {
                Ok((commit, (outcome, withheld))) => {
                    counting.rights.count(withheld);
                    Ok(Response::new(outcome, Some(commit.number)))
                }
                Err(error) => Err(ExecuteError::from(error)),
            };
            // Whoever waits may close the database next: nothing here may hold it.
            drop(counting);
            done(response);
        };
        Ok(self.store.write(work, finish)?)
    }

    /// Runs `work` in a transaction: kept as a whole if it gives `Ok`, undone
    /// if it gives `Err` or panics. Gives the work's value and the local
    /// commit. A statement that fails inside leaves the transaction usable.
    ///
    /// One transaction is open at a time and other writes wait for it, so it
    /// is rolled back after `Options::transaction_limit`. Writing through the
    /// database itself inside `work` waits for that moment.
    ///
    /// # Errors
    /// [`TransactionError`]; nothing is kept then.
    pub fn transaction<T, E>(
        &self,
        work: impl FnOnce(&mut Transaction) -> Result<T, E>,
    ) -> Result<(T, u64), TransactionError<E>> {
        let mut transaction = Transaction::begin(&self.store, Arc::clone(&self.engine))?;
        match work(&mut transaction) {
            Ok(value) => Ok((value, transaction.commit()?)),
            Err(error) => Err(TransactionError::Work(error)),
        }
    }

    /// A consistent view for several reads, which never waits for writers.
    #[must_use]
    pub fn read_transaction(&self) -> ReadTransaction {
        ReadTransaction::new(self.store.snapshot(), Arc::clone(&self.engine))
    }

    /// Waits for the writes that were begun and releases the directory. The
    /// same as dropping the database, under a name that says so.
    pub fn close(self) {
        drop(self);
    }
}

impl Executor {
    pub(crate) fn new(time: Arc<dyn Timekeeper>, entropy: Entropy, board: Arc<Board>) -> Self {
        Self {
            time,
            entropy,
            parameters: watch::Sender::default(),
            statements: StatementCache::default(),
            board,
            rights: OwnRights::default(),
        }
    }

    /// What this device may write to peers.
    pub(crate) const fn rights(&self) -> &OwnRights {
        &self.rights
    }

    pub(crate) const fn board(&self) -> &Arc<Board> {
        &self.board
    }

    pub(crate) fn time(&self) -> &Arc<dyn Timekeeper> {
        &self.time
    }

    pub(crate) fn random_16(&self) -> [u8; 16] {
        self.entropy.draw()
    }

    pub(crate) fn parameters(&self) -> Arc<Parameters> {
        Arc::clone(&self.parameters.borrow())
    }

    /// The system parameters whenever they change.
    pub(crate) fn watch_parameters(&self) -> watch::Receiver<Arc<Parameters>> {
        self.parameters.subscribe()
    }

    pub(crate) fn prepare(&self, statement: &str) -> Result<Prepared, ExecuteError> {
        Ok(self.statements.prepare(statement)?)
    }

    /// The moment that ends a run.
    pub(crate) fn until(&self, time_left: Option<Duration>) -> Option<Duration> {
        time_left.map(|left| self.time.monotonic().saturating_add(left))
    }

    pub(crate) fn read(
        &self,
        statement: &Prepared,
        source: &dyn Source,
        arguments: &Object,
        until: Option<Duration>,
    ) -> Result<Outcome, ExecuteError> {
        self.read_unless(statement, source, arguments, &|| self.is_over(until))
    }

    /// As [`Executor::read`], until `stop` says so.
    pub(crate) fn read_unless(
        &self,
        statement: &Prepared,
        source: &dyn Source,
        arguments: &Object,
        stop: &dyn Fn() -> bool,
    ) -> Result<Outcome, ExecuteError> {
        self.run(arguments, stop, |context| statement.0.read(source, context))
    }

    pub(crate) fn write(
        &self,
        statement: &Prepared,
        target: &mut dyn Target,
        arguments: &Object,
        until: Option<Duration>,
    ) -> Result<Outcome, ExecuteError> {
        self.run(arguments, &|| self.is_over(until), |context| {
            statement.0.execute(target, context)
        })
    }

    /// What of a statement can be done before its transaction.
    pub(crate) fn draft(
        &self,
        statement: &Prepared,
        arguments: &Object,
        until: Option<Duration>,
    ) -> Result<Option<Drafted>, ExecuteError> {
        let stop = || self.is_over(until);
        self.with_context(arguments, &stop, |context| statement.0.draft(context))
    }

    /// The rest of a drafted statement; `None` if it is to be written as a whole.
    pub(crate) fn insert(
        &self,
        drafted: &Drafted,
        target: &mut dyn Target,
        until: Option<Duration>,
    ) -> Result<Option<Outcome>, ExecuteError> {
        if self.is_over(until) {
            return Err(QueryError::Stopped.into());
        }
        Ok(drafted.insert(target)?)
    }

    pub(crate) fn is_over(&self, until: Option<Duration>) -> bool {
        until.is_some_and(|until| self.time.monotonic() >= until)
    }

    pub(crate) fn run(
        &self,
        arguments: &Object,
        stop: &dyn Fn() -> bool,
        run: impl FnOnce(&Context<'_>) -> Result<Outcome, QueryError>,
    ) -> Result<Outcome, ExecuteError> {
        let outcome = self.with_context(arguments, stop, run)?;
        if let Some(change) = &outcome.parameter_change {
            self.parameters
                .send_modify(|held| Arc::make_mut(held).apply(change));
        }
        Ok(outcome)
    }

    fn with_context<T>(
        &self,
        arguments: &Object,
        stop: &dyn Fn() -> bool,
        work: impl FnOnce(&Context<'_>) -> Result<T, QueryError>,
    ) -> Result<T, ExecuteError> {
        let parameters = self.parameters();
        let ids = RandomIds::new(&self.entropy);
        Ok(work(&Context {
            arguments,
            parameters: &parameters,
            now_ms: self.time.unix_ms(),
            random: &|| ids.next(),
            limits: Limits::DEFAULT,
            stop,
            system: &*self.board,
        })?)
    }
}
