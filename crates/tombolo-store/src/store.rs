//! The store: opening it, reading from it, and the queue to its one writer.

use std::{
    ops::RangeInclusive,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{SyncSender, TrySendError, sync_channel},
    },
    thread::{self, JoinHandle, ThreadId},
    time::Duration,
};

use tombolo_document::{HybridClock, SiteId, clock::DEFAULT_SKEW_LIMIT_MS};

use crate::{
    StoreError,
    catalog::Catalog,
    chain::{self, HEADS_CHECKED_ON_OPEN},
    engine::{Batch, Engine, EngineError, EngineStats, Keyspace},
    flusher::{Flusher, ROUNDS_WAITING_MAX},
    job::{Commit, Done, TypedJob, WriteError},
    open_transaction::OpenTransaction,
    overlay::Overlay,
    pace::Pace,
    snapshot::{Snapshot, View},
    state::{IDENTITY_KEY, Identity, LogId, STATE_KEY, State},
    transaction::Transaction,
    writer::{Handover, Progress, Request, Surroundings, Writer},
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

/// Called on the flusher's thread with the commits of a round, once they are durable and visible.
/// It must not wait for anything, least of all for the store.
pub type OnCommit = Box<dyn FnMut(RangeInclusive<u64>) + Send>;

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
}

impl StoreSettings {
    /// Settings with the default limits, telling nobody of commits.
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
        }
    }
}

/// The newest durable view.
pub(crate) struct Published(Mutex<Arc<View>>);

impl Published {
    pub(crate) fn view(&self) -> Arc<View> {
        // Held for one clone of a pointer; a panic in there is not possible.
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn publish(&self, view: Arc<View>) {
        let mut newest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let older = std::mem::replace(&mut *newest, view);
        drop(newest);
        // The last handle of a view closes a snapshot of the engine: not under the lock.
        drop(older);
    }
}

/// An open store. Dropping it ends the writer, after what waits in its queue.
pub struct Store {
    /// Taken when the store is dropped, which ends the writer.
    queue: Option<SyncSender<Request>>,
    engine: Arc<dyn Engine>,
    published: Arc<Published>,
    writer: Option<JoinHandle<()>>,
    flusher: ThreadId,
}

impl Store {
    /// Opens the store in an engine, or makes it in an empty one, and starts its writer thread.
    ///
    /// # Errors
    /// The engine failed; [`StoreError::OtherDatabase`]; [`StoreError::NewerFormat`];
    /// [`StoreError::DamagedLog`] if the newest commits do not hang together.
    pub fn open(engine: Arc<dyn Engine>, mut settings: StoreSettings) -> Result<Self, StoreError> {
        let state = recover(&*engine, &mut settings)?;
        let view = Arc::new(View {
            bytes: engine.snapshot()?,
            state: state.clone(),
            site: settings.site,
        });
        let published = Arc::new(Published(Mutex::new(Arc::clone(&view))));
        let handover = start_flusher(&engine, &published, &settings.time, settings.on_commit)?;
        let flusher = handover.flusher.thread().id();
        let (queue, requests) = sync_channel(WRITES_WAITING_MAX);
        let writer = Writer {
            engine: Arc::clone(&engine),
            queue: requests,
            handover,
            clock: HybridClock::new(state.high_water, settings.skew_limit_ms),
            view,
            state,
            overlay: Overlay::default(),
            progress: Progress::Free,
            pace: Pace::new(),
            surroundings: Surroundings {
                transaction_limit: settings.transaction_limit,
                time: settings.time,
                entropy: settings.entropy,
            },
        };
        let writer = start("tombolo-writer", move || writer.run())?;
        Ok(Self {
            queue: Some(queue),
            engine,
            published,
            writer: Some(writer),
            flusher,
        })
    }

    /// The newest durable state. Never waits for a writer.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot(self.published.view())
    }

    /// Size and counters of the engine.
    pub fn engine_stats(&self) -> EngineStats {
        self.engine.stats()
    }

    /// Queues `work` for the writer, and returns at once. `done` is called on the flusher's thread
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

    /// As [`Store::write`], waiting for the answer. Never to be called in `work` or `done`.
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

    /// Opens a transaction over several steps. `opened` is called on the flusher's thread when
    /// it is this transaction's turn; the writer serves no one else until it ends.
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
            // A callback may hold the last handle: no thread can wait for itself, and the writer
            // waits for the flusher.
            let current = thread::current().id();
            if current != writer.thread().id() && current != self.flusher {
                // A panic of the writer was already told to those who waited.
                let _ = writer.join();
            }
        }
    }
}

fn start_flusher(
    engine: &Arc<dyn Engine>,
    published: &Arc<Published>,
    time: &Arc<dyn Timekeeper>,
    on_commit: OnCommit,
) -> Result<Handover, StoreError> {
    let (rounds, incoming) = sync_channel(ROUNDS_WAITING_MAX);
    // One answer at most is under way: the writer takes it before it writes again.
    let (flushing, flushed) = sync_channel(1);
    let flusher = Flusher {
        engine: Arc::clone(engine),
        published: Arc::clone(published),
        rounds: incoming,
        flushed: flushing,
        time: Arc::clone(time),
        on_commit,
        stopped: false,
    };
    Ok(Handover {
        rounds,
        flushed,
        flusher: start("tombolo-flusher", move || flusher.run())?,
    })
}

fn start(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StoreError> {
    let started = thread::Builder::new().name(name.to_owned()).spawn(run);
    started.map_err(|source| {
        let (action, source) = ("start a thread of the store", source.into());
        EngineError::Io { action, source }.into()
    })
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
    let state = match State::load(&*snapshot)? {
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
        engine.write(&batch)?;
        engine.flush()?;
    }
    Ok(state)
}
