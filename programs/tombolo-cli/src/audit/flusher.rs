//! The thread that makes what was written last. A flush of a busy disk takes longer than the queue of the audit log has
//! room for, so whoever writes lines never waits for one, but at the end of a file.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use super::Shared;
use super::book::Sync;

/// One flush after another.
#[derive(Debug)]
pub(super) struct Flusher {
    /// Taken when it ends.
    orders: Option<SyncSender<Sync>>,
    is_busy: Arc<AtomicBool>,
    has_failed: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Flusher {
    /// `shared` is told when a flush failed: the system may have forgotten what it failed to write, so nothing later
    /// can be trusted.
    ///
    /// # Errors
    /// There is no thread.
    pub(super) fn start(shared: Arc<Shared>) -> io::Result<Self> {
        let (orders, incoming) = sync_channel::<Sync>(1);
        let (is_busy, has_failed) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
        let (busy, failed) = (Arc::clone(&is_busy), Arc::clone(&has_failed));
        let named = std::thread::Builder::new().name("audit-flush".to_owned());
        let thread = named.spawn(move || {
            while let Ok(order) = incoming.recv() {
                if let Err(error) = order.run() {
                    failed.store(true, Ordering::Release);
                    shared.is_failing.store(true, Ordering::Release);
                    tell(&error);
                }
                busy.store(false, Ordering::Release);
            }
        })?;
        Ok(Self {
            orders: Some(orders),
            is_busy,
            has_failed,
            thread: Some(thread),
        })
    }

    /// Whether the last order is still being carried out.
    pub(super) fn is_busy(&self) -> bool {
        self.is_busy.load(Ordering::Acquire)
    }

    /// Whether a flush failed, which has been told.
    pub(super) fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::Acquire)
    }

    /// Begins a flush. There is room for one order, so this is for when it is not busy.
    pub(super) fn order(&self, sync: Sync) {
        self.is_busy.store(true, Ordering::Release);
        if let Some(orders) = &self.orders {
            // The thread lives as long as this does.
            let _ = orders.try_send(sync);
        }
    }
}

/// Tells the operator that a flush failed.
pub(super) fn tell(error: &io::Error) {
    tracing::error!(
        "the audit log cannot be flushed to the disk: {error}; requests are refused until this node is started anew"
    );
}

impl Drop for Flusher {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
