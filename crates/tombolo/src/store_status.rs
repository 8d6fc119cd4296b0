//! How the store of a database is, for whoever watches the program around it.

use tombolo_store::FlushTimes;
use tombolo_store::engine::EngineStats;

use crate::Database;

/// The store at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreStatus {
    /// Size and counters of the engine.
    pub engine: EngineStats,
    /// The newest commit; they are counted from 1.
    pub last_commit: u64,
    /// Live documents of all collections.
    pub documents: u64,
    /// How long the writer's flushes took.
    pub flush_times: FlushTimes,
    /// A write or a flush to the disk failed: reads go on, and every write is refused until the
    /// database is opened anew.
    pub has_stopped: bool,
}

impl Database {
    /// The newest commit that was answered here, also to a write that changed nothing: what has a number up to it
    /// is seen by every read from now on. Waits for nobody.
    pub fn last_commit(&self) -> u64 {
        self.store.last_number()
    }

    /// How the store is. Waits for nobody.
    pub fn store_status(&self) -> StoreStatus {
        let snapshot = self.store.snapshot();
        StoreStatus {
            engine: self.store.engine_stats(),
            last_commit: snapshot.last_commit(),
            documents: snapshot.live_documents(),
            flush_times: self.store.flush_times(),
            has_stopped: self.store.has_stopped(),
        }
    }
}
