//! The store: opening it, reading from it, and the queue to its one writer.

use std::{
    collections::BTreeSet,
    ops::RangeInclusive,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{SyncSender, TrySendError, sync_channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use tombolo_document::{
    HybridClock, SiteId, attachment::AttachmentId, clock::DEFAULT_SKEW_LIMIT_MS,
};

use crate::{
    StoreError,
    catalog::Catalog,
    chain::{self, HEADS_CHECKED_ON_OPEN},
    engine::{Batch, Engine, EngineStats, Keyspace},
    flush_times::{FlushCounts, FlushTimes},
    job::{Commit, Done, TypedJob, WriteError},
    mentioning::{self, OpeningProgress},
    mentions::Unmentioned,
    open_transaction::OpenTransaction,
    overlay::Overlay,
    snapshot::{Snapshot, View},
    state::{IDENTITY_KEY, Identity, LogId, STATE_KEY, State},
    transaction::Transaction,
    writer::{Request, Writer},
};

/// Writes that may wait for the writer; one more is answered [`StoreError::Busy`].
pub const WRITES_WAITING_MAX: usize = 4096;

/// How long a transaction may be held open unless the settings say otherwise.
pub const DEFAULT_TRANSACTION_LIMIT: Duration = Duration::from_secs(10);

/// The clocks of the machine, which this crate never reads by itself.
pub trait Timekeeper: Send + Sync {
    /// Milliseconds since the Unix epoch.
    fn unix_ms(&self) -> u64;

    /// Time since any fixed moment; it never goes back.
    fn monotonic(&self) -> Duration;
}

/// Called on the writer's thread with the commits of a round, once they are durable and visible.
/// It must not wait for anything, least of all for the store.
pub type OnCommit = Box<dyn FnMut(RangeInclusive<u64>) + Send>;

/// Called while a store is opened whose documents must be read first.
pub type OnOpening = Box<dyn FnMut(OpeningProgress) + Send>;

/// What a store needs from outside.
pub struct StoreSettings {
    /// The database that the data belongs to.
    pub database_id: String,
    /// Whose writes these are. Another site than last time is a new peer key.
    pub site: SiteId,
    /// How far ahead a remote stamp may be, in milliseconds.
    pub skew_limit_ms: u64,
    /// How long a transaction may be held open.
    pub transaction_limit: Duration,
    /// The clocks.
    pub time: Arc<dyn Timekeeper>,
    /// 128 bits of randomness for each log id.
    pub entropy: Box<dyn FnMut() -> [u8; 16] + Send>,
    /// Told of each round.
    pub on_commit: OnCommit,
    /// Told how far the opening is, if that takes long.
    pub on_opening: OnOpening,
}

impl StoreSettings {
    /// Settings with the default limits, telling nobody of anything.
    pub fn new(
        database_id: impl Into<String>,
        site: SiteId,
        time: Arc<dyn Timekeeper>,
        entropy: impl FnMut() -> [u8; 16] + Send + 'static,
    ) -> Self {
        Self {
            database_id: database_id.into(),
            site,
            skew_limit_ms: DEFAULT_SKEW_LIMIT_MS,
            transaction_limit: DEFAULT_TRANSACTION_LIMIT,
            time,
            entropy: Box::new(entropy),
            on_commit: Box::new(|_| ()),
            on_opening: Box::new(|_| ()),
        }
    }
}

/// The settings that the writer goes on using.
pub(crate) struct Surroundings {
    pub(crate) transaction_limit: Duration,
    pub(crate) time: Arc<dyn Timekeeper>,
    pub(crate) entropy: Box<dyn FnMut() -> [u8; 16] + Send>,
    pub(crate) on_commit: OnCommit,
}

/// The newest durable view.
pub(crate) struct Published {
    view: Mutex<Arc<View>>,
    /// The newest number that was answered: commits without change have numbers too.
    last_number: AtomicU64,
    has_stopped: AtomicBool,
    pub(crate) flushes: FlushCounts,
}

impl Published {
    pub(crate) fn view(&self) -> Arc<View> {
        // Held for one clone of a pointer; a panic in there is not possible.
        Arc::clone(&self.view.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Says that numbers up to this one are about to be answered.
    pub(crate) fn number(&self, last_number: u64) {
        self.last_number.store(last_number, Ordering::Release);
    }

    /// Says that nothing will be written any more.
    pub(crate) fn stop(&self) {
        self.has_stopped.store(true, Ordering::Release);
    }

    pub(crate) fn publish(&self, view: View) {
        *self.view.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(view);
    }
}

/// An open store. Dropping it ends the writer, after what waits in its queue.
pub struct Store {
    /// Taken when the store is dropped, which ends the writer.
    queue: Option<SyncSender<Request>>,
    engine: Arc<dyn Engine>,
    published: Arc<Published>,
    unmentioned: Arc<Unmentioned>,
    writer: Option<JoinHandle<()>>,
}

impl Store {
    /// Opens the store in an engine, or makes it in an empty one, and starts its writer thread.
    /// The first time that a store is opened which was written before it kept what documents
    /// refer to, all of them are read; [`StoreSettings::on_opening`] is told how far that is.
    ///
    /// # Errors
    /// The engine failed; [`StoreError::OtherDatabase`]; [`StoreError::NewerFormat`];
    /// [`StoreError::DamagedLog`] if the newest commits do not hang together.
    pub fn open(engine: Arc<dyn Engine>, mut settings: StoreSettings) -> Result<Self, StoreError> {
        let state = recover(&*engine, &mut settings)?;
        mentioning::find(&*engine, &mut settings.on_opening)?;
        let view = View {
            bytes: engine.snapshot()?,
            state: state.clone(),
            site: settings.site,
        };
        let published = Arc::new(Published {
            view: Mutex::new(Arc::new(view)),
            last_number: AtomicU64::new(state.last_number),
            has_stopped: AtomicBool::new(false),
            flushes: FlushCounts::default(),
        });
        let unmentioned = Arc::new(Unmentioned::default());
        let (queue, requests) = sync_channel(WRITES_WAITING_MAX);
        let writer = Writer {
            engine: Arc::clone(&engine),
            queue: requests,
            published: Arc::clone(&published),
            unmentioned: Arc::clone(&unmentioned),
            site: settings.site,
            clock: HybridClock::new(state.high_water, settings.skew_limit_ms),
            state,
            overlay: Overlay::default(),
            stopped: false,
            surroundings: Surroundings {
                transaction_limit: settings.transaction_limit,
                time: settings.time,
                entropy: settings.entropy,
                on_commit: settings.on_commit,
            },
        };
        let writer = thread::Builder::new()
            .name("tombolo-writer".to_owned())
            .spawn(move || writer.run())
            .map_err(|source| {
                let action = "start the writer thread";
                crate::engine::EngineError::Io {
                    action,
                    source: source.into(),
                }
            })?;
        Ok(Self {
            queue: Some(queue),
            engine,
            published,
            unmentioned,
            writer: Some(writer),
        })
    }

    /// The newest durable state. Never waits for a writer.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot(self.published.view())
    }

    /// The attachments that live documents ceased to refer to since this was last called; whether
    /// others refer to them is not said. `None` if there were more than
    /// [`crate::UNMENTIONED_MAX`].
    pub fn take_unmentioned(&self) -> Option<BTreeSet<AttachmentId>> {
        self.unmentioned.take()
    }

    /// The newest local number that was answered, also to a transaction that changed nothing. What has such a number
    /// is in every snapshot that is taken from now on.
    pub fn last_number(&self) -> u64 {
        self.published.last_number.load(Ordering::Acquire)
    }

    /// Whether a write or a flush failed, so that nothing is written until the store is opened anew.
    pub fn has_stopped(&self) -> bool {
        self.published.has_stopped.load(Ordering::Acquire)
    }

    /// Size and counters of the engine.
    pub fn engine_stats(&self) -> EngineStats {
        self.engine.stats()
    }

    /// How long the flushes of the writer took.
    pub fn flush_times(&self) -> FlushTimes {
        self.published.flushes.times()
    }

    /// Queues `work` for the writer, and returns at once. `done` is called on the writer's thread
    /// when the transaction is durable or refused; it must not wait. If `work` gives an error,
    /// what it wrote is undone. `work` may be run a second time, over a fresh transaction.
    ///
    /// # Errors
    /// [`StoreError::Busy`] if [`WRITES_WAITING_MAX`] writes wait; `done` is not called then.
    pub fn write<T, E, W, D>(&self, work: W, done: D) -> Result<(), StoreError>
    where
        T: Send + 'static,
        E: Send + 'static,
        W: FnMut(&mut Transaction<'_>) -> Result<T, E> + Send + 'static,
        D: FnOnce(Result<(Commit, T), WriteError<E>>) + Send + 'static,
    {
        let done: Done<T, E> = Box::new(done);
        self.send(Request::Job(Box::new(TypedJob {
            work,
            result: None,
            done,
        })))
    }

    /// As [`Store::write`], waiting for the answer. Never to be called on the writer's thread.
    ///
    /// # Errors
    /// What `done` would have been given, or [`StoreError::Busy`].
    pub fn write_and_wait<T, E, W>(&self, work: W) -> Result<(Commit, T), WriteError<E>>
    where
        T: Send + 'static,
        E: Send + 'static,
        W: FnMut(&mut Transaction<'_>) -> Result<T, E> + Send + 'static,
    {
        let (answer, answered) = sync_channel(1);
        self.write(work, move |result| {
            // Whoever waited may have died meanwhile.
            let _ = answer.try_send(result);
        })?;
        answered
            .recv()
            .unwrap_or(Err(WriteError::Store(StoreError::Closed)))
    }

    /// Opens a transaction over several steps. `opened` is called on the writer's thread when it
    /// is this transaction's turn; the writer serves no one else until it ends.
    ///
    /// # Errors
    /// [`StoreError::Busy`] as for [`Store::write`]; `opened` is not called then.
    pub fn begin(
        &self,
        opened: impl FnOnce(Result<OpenTransaction, StoreError>) + Send + 'static,
    ) -> Result<(), StoreError> {
        self.send(Request::Open(Box::new(opened)))
    }

    fn send(&self, request: Request) -> Result<(), StoreError> {
        let queue = self.queue.as_ref().ok_or(StoreError::Closed)?;
        queue.try_send(request).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Busy,
            TrySendError::Disconnected(_) => StoreError::Closed,
        })
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(writer) = self.writer.take() {
            // A callback may hold the last handle: the writer cannot wait for itself.
            if writer.thread().id() != thread::current().id() {
                // A panic of the writer was already told to those who waited.
                let _ = writer.join();
            }
        }
    }
}

/// Finds out what is in the engine, checks it, and makes what a new store needs.
fn recover(engine: &dyn Engine, settings: &mut StoreSettings) -> Result<State, StoreError> {
    let snapshot = engine.snapshot()?;
    let wanted = Identity {
        database_id: settings.database_id.clone(),
        site: settings.site,
    };
    let found = Identity::load(&*snapshot)?;
    if let Some(other) = found
        .as_ref()
        .filter(|found| found.database_id != wanted.database_id)
    {
        let (found, wanted) = (other.database_id.clone(), wanted.database_id);
        return Err(StoreError::OtherDatabase { found, wanted });
    }
    let stored = State::load(&*snapshot)?;
    let is_new = stored.is_none() && found.is_none();
    let state = match stored {
        Some(state) => {
            let first = state.last_commit.saturating_sub(HEADS_CHECKED_ON_OPEN);
            chain::check_links(&*snapshot, &state, first)?;
            state
        }
        None => State::new(LogId((settings.entropy)()), Catalog::load(&*snapshot)?),
    };
    if found.as_ref() != Some(&wanted) {
        let mut batch = Batch::new();
        batch.put(Keyspace::Meta, IDENTITY_KEY, wanted.record())?;
        batch.put(Keyspace::Meta, STATE_KEY, state.record())?;
        if is_new {
            batch.put(Keyspace::Meta, mentioning::KEY, mentioning::all())?;
        }
        engine.write(&batch)?;
        engine.flush()?;
    }
    Ok(state)
}
