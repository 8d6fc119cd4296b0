//! The thread that keeps a login: it sleeps until something is due, and polls.
//! There is none before there is something to keep, and one for all observers.
//! The handler runs on a thread of its own, so that a login that hangs does not
//! keep the end of the certificate from being seen.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::keeper::{Keeper, Question};
use crate::surroundings::ObserverDriver;

/// Clocks jump and machines sleep: it looks at least this often.
const SLEEP_MAX: Duration = Duration::from_secs(10);

/// The keeper with what runs it.
pub(crate) struct LoginShell {
    pub(super) keeper: Arc<Keeper>,
    driver: ObserverDriver,
    wake: Arc<Wake>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl LoginShell {
    pub(super) fn new(keeper: Keeper, driver: ObserverDriver) -> Self {
        Self {
            keeper: Arc::new(keeper),
            driver,
            wake: Arc::default(),
            thread: Mutex::default(),
        }
    }

    /// Something changed: what is due may be due earlier.
    pub(super) fn wake(&self) -> std::io::Result<()> {
        if self.driver == ObserverDriver::Caller || !self.keeper.has_anything() {
            return Ok(());
        }
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if thread.is_none() {
            *thread = Some(self.spawn()?);
        }
        self.wake.wake();
        Ok(())
    }

    fn spawn(&self) -> std::io::Result<JoinHandle<()>> {
        let (keeper, wake) = (Arc::clone(&self.keeper), Arc::clone(&self.wake));
        let builder = thread::Builder::new().name("tombolo-login".to_owned());
        builder.spawn(move || {
            while wake.wait(keeper.quiet()) {
                if let Some(question) = keeper.poll() {
                    ask_aside(question, &wake);
                }
            }
        })
    }
}

impl Drop for LoginShell {
    fn drop(&mut self) {
        self.wake.close();
        let thread = self.thread.get_mut();
        let thread = thread.unwrap_or_else(PoisonError::into_inner).take();
        // An observer may hold the last handle: the thread cannot wait for itself.
        if let Some(thread) = thread.filter(|thread| thread.thread().id() != thread::current().id())
        {
            // Callbacks are caught, so there is no panic to hand on.
            let _ = thread.join();
        }
    }
}

fn ask_aside(question: Question, wake: &Arc<Wake>) {
    let wake = Arc::clone(wake);
    let builder = thread::Builder::new().name("tombolo-asking".to_owned());
    let spawned = builder.spawn(move || {
        question.ask();
        // Another question may have become due meanwhile.
        wake.wake();
    });
    if let Err(error) = spawned {
        tracing::warn!(target: "tombolo::login", %error, "nobody could be asked to log in: it is tried again later");
    }
}

/// A flag that the thread sleeps on.
#[derive(Default)]
struct Wake {
    state: Mutex<WakeState>,
    changed: Condvar,
}

#[derive(Default)]
struct WakeState {
    pending: bool,
    closed: bool,
}

impl Wake {
    fn wake(&self) {
        self.lock().pending = true;
        self.changed.notify_one();
    }

    fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_one();
    }

    /// Sleeps until there may be something to do; false when it is over.
    fn wait(&self, quiet: Option<Duration>) -> bool {
        let limit = quiet.map_or(SLEEP_MAX, |quiet| quiet.min(SLEEP_MAX));
        let is_idle = |state: &mut WakeState| !state.pending && !state.closed;
        let woken = self.changed.wait_timeout_while(self.lock(), limit, is_idle);
        let (mut state, _) = woken.unwrap_or_else(PoisonError::into_inner);
        state.pending = false;
        !state.closed
    }

    fn lock(&self) -> MutexGuard<'_, WakeState> {
        // Two flags are never half set.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
