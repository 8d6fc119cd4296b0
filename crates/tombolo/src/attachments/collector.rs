//! Who removes content that no document refers to: a thread that sleeps, or
//! whoever asks for it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tombolo_store::attachments::{AttachmentError, Attachments, Collected, GRACE_DEFAULT};
use tombolo_store::{Store, StoreError, Timekeeper};

use crate::surroundings::ObserverDriver;

/// From one collection to the next.
pub const COLLECT_INTERVAL: Duration = Duration::from_secs(10 * 60);

/// Why a collection did not end. What it had removed is gone; the next one
/// looks at everything.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CollectError {
    /// Which documents there are cannot be told.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Contents cannot be read or removed.
    #[error(transparent)]
    Content(#[from] AttachmentError),
    /// The database is being closed.
    #[error("the database is being closed")]
    Closing,
}

/// Collects, and ends its thread when it is dropped.
pub(crate) struct Collector {
    work: Arc<Work>,
    thread: Option<JoinHandle<()>>,
}

struct Work {
    store: Arc<Store>,
    attachments: Attachments,
    time: Arc<dyn Timekeeper>,
    closing: AtomicBool,
    /// Says that it closes to the thread that sleeps.
    asleep: Mutex<()>,
    wake: Condvar,
}

impl Collector {
    /// # Errors
    /// The thread could not be started.
    pub(crate) fn start(
        store: &Arc<Store>,
        attachments: &Attachments,
        time: &Arc<dyn Timekeeper>,
        driver: ObserverDriver,
    ) -> std::io::Result<Self> {
        let work = Arc::new(Work {
            store: Arc::clone(store),
            attachments: attachments.clone(),
            time: Arc::clone(time),
            closing: AtomicBool::new(false),
            asleep: Mutex::default(),
            wake: Condvar::new(),
        });
        let thread = match driver {
            ObserverDriver::Caller => None,
            ObserverDriver::Thread => {
                let work = Arc::clone(&work);
                let builder = thread::Builder::new().name("tombolo-attachments".to_owned());
                Some(builder.spawn(move || work.run())?)
            }
        };
        Ok(Self { work, thread })
    }

    pub(crate) fn collect(&self) -> Result<Collected, CollectError> {
        self.work.collect()
    }
}

impl Work {
    fn run(&self) {
        while self.sleep() {
            match self.collect() {
                Ok(collected) if collected.removed > 0 => {
                    let removed = collected.removed;
                    tracing::info!(
                        removed,
                        "attachments that no document refers to were removed"
                    );
                }
                Ok(_) | Err(CollectError::Closing) => {}
                Err(error) => {
                    let error: &dyn std::error::Error = &error;
                    tracing::warn!(error, "attachments cannot be collected; it is tried again");
                }
            }
        }
    }

    /// Sleeps until the next collection; false if there is none.
    fn sleep(&self) -> bool {
        let asleep = self.asleep.lock().unwrap_or_else(PoisonError::into_inner);
        let slept = self
            .wake
            .wait_timeout_while(asleep, COLLECT_INTERVAL, |()| !self.is_closing());
        drop(slept);
        !self.is_closing()
    }

    fn collect(&self) -> Result<Collected, CollectError> {
        let suspects = self.store.take_unmentioned();
        let now = self.time.monotonic();
        self.attachments
            .collect(now, GRACE_DEFAULT, suspects, &mut |id| {
                if self.is_closing() {
                    return Err(CollectError::Closing);
                }
                // The newest state each time: a document may have come meanwhile.
                Ok(self.store.snapshot().is_mentioned(id)?)
            })
    }

    fn is_closing(&self) -> bool {
        self.closing.load(Ordering::SeqCst)
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        let asleep = self.work.asleep.lock();
        self.work.closing.store(true, Ordering::SeqCst);
        drop(asleep);
        self.work.wake.notify_all();
        if let Some(thread) = self.thread.take() {
            // It calls nobody, so it can hold no handle of the database.
            let _ = thread.join();
        }
    }
}
