//! Keeps one device's login: what it proves itself with, who is asked for a new
//! one and when, and who is told. It has no thread: whoever polls runs it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use super::credentials::{Credentials, CredentialsError, CredentialsFile};
use super::schedule::Schedule;
use super::status::{AuthObservers, AuthStatus};
use crate::database::Executor;
use crate::peer_key::PeerKey;
use crate::sync::SyncShell;

/// Called when a login is needed, with the time that is left until then.
pub(super) type Handler = Arc<dyn Fn(Duration) + Send + Sync>;

/// The login of one device.
pub(crate) struct Keeper {
    executor: Arc<Executor>,
    sync: Weak<SyncShell>,
    file: CredentialsFile,
    state: Mutex<State>,
    pub(super) observers: Arc<AuthObservers>,
    /// Held by a login or logout from its beginning to its end.
    pub(super) alone: Mutex<()>,
    /// A call of the handler is under way.
    asking: Arc<AtomicBool>,
}

#[derive(Default)]
struct State {
    credentials: Option<Arc<Credentials>>,
    schedule: Schedule,
    handler: Option<Handler>,
}

/// A call of the handler that is due; nobody else is asked until it is dropped.
/// It may outlive the database, so it holds nothing of it.
pub(super) struct Question {
    asking: Arc<AtomicBool>,
    handler: Handler,
    left: Duration,
}

impl Keeper {
    pub(super) fn new(
        executor: Arc<Executor>,
        sync: Weak<SyncShell>,
        file: CredentialsFile,
    ) -> Self {
        Self {
            executor,
            sync,
            file,
            state: Mutex::default(),
            observers: Arc::default(),
            alone: Mutex::default(),
            asking: Arc::default(),
        }
    }

    /// Takes up what was kept for this database and this device. What cannot be
    /// used is left where it is: the documents can be used without it.
    pub(super) fn take_up(&self, database_id: &str, key: &PeerKey) {
        let Some(peer_key) = key.identity() else {
            return;
        };
        match self.file.load(database_id, &peer_key) {
            Ok(Some(credentials)) => self.hold(credentials),
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(target: "tombolo::login", %error, "nobody is logged in, because what was kept cannot be used");
            }
        }
    }

    /// Keeps new credentials, on the disk first.
    pub(super) fn keep(&self, credentials: Credentials) -> Result<(), CredentialsError> {
        self.file.save(&credentials)?;
        self.hold(credentials);
        Ok(())
    }

    fn hold(&self, credentials: Credentials) {
        let permissions = credentials.permissions().clone();
        self.executor.rights().set(Some(permissions));
        let (issued_ms, expires_ms) = (credentials.issued_ms(), credentials.expires_ms());
        let random = self.random();
        let mut state = self.state();
        state.credentials = Some(Arc::new(credentials));
        state.schedule.logged_in(issued_ms, expires_ms, random);
    }

    /// Forgets them, on the disk first.
    pub(super) fn forget(&self) -> Result<(), CredentialsError> {
        self.file.forget()?;
        self.executor.rights().set(None);
        let mut state = self.state();
        state.credentials = None;
        state.schedule.logged_out();
        Ok(())
    }

    pub(super) fn credentials(&self) -> Option<Arc<Credentials>> {
        self.state().credentials.clone()
    }

    pub(super) fn set_handler(&self, handler: Option<Handler>) {
        let now_ms = self.now_ms();
        let mut state = self.state();
        if handler.is_some() && state.credentials.is_none() {
            state.schedule.login_required(now_ms);
        }
        let before = std::mem::replace(&mut state.handler, handler);
        drop(state);
        // What a handler holds may be the last of a database: dropped without the lock.
        drop(before);
    }

    pub(super) fn status(&self) -> AuthStatus {
        let now_ms = self.now_ms();
        let Some(held) = self.credentials() else {
            return AuthStatus::default();
        };
        AuthStatus {
            is_authenticated: held.is_valid_at(now_ms),
            user_id: Some(held.user_id().to_owned()),
            expires_ms: Some(held.expires_ms()),
        }
    }

    pub(super) fn tell(&self) {
        self.observers.tell(&|| self.status());
    }

    /// Does what is due, and gives what the handler is to be asked.
    pub(super) fn poll(&self) -> Option<Question> {
        let (now_ms, random) = (self.now_ms(), self.random());
        let mut state = self.state();
        let can_ask = state.handler.is_some() && !self.asking.load(Ordering::Acquire);
        let due = state.schedule.poll(now_ms, random, can_ask);
        let handler = state.handler.clone();
        drop(state);
        if due.has_expired {
            tracing::warn!(target: "tombolo::login", "the certificate of this device has run out: sync is stopped until somebody logs in; documents can be used as before");
            if let Some(sync) = self.sync.upgrade() {
                sync.suspend();
            }
            self.tell();
        }
        let (left, handler) = (due.ask?, handler?);
        self.asking.store(true, Ordering::Release);
        Some(Question {
            asking: Arc::clone(&self.asking),
            handler,
            left,
        })
    }

    /// How long nothing will be due; `None`: until something happens.
    pub(super) fn quiet(&self) -> Option<Duration> {
        let now_ms = self.now_ms();
        let state = self.state();
        let can_ask = state.handler.is_some() && !self.asking.load(Ordering::Acquire);
        state.schedule.quiet(now_ms, can_ask)
    }

    /// Whether anything can ever become due.
    pub(super) fn has_anything(&self) -> bool {
        let state = self.state();
        state.credentials.is_some() || state.handler.is_some()
    }

    fn now_ms(&self) -> u64 {
        self.executor.time().unix_ms()
    }

    fn random(&self) -> u64 {
        let drawn = self.executor.random_16();
        u64::from_be_bytes([
            drawn[0], drawn[1], drawn[2], drawn[3], drawn[4], drawn[5], drawn[6], drawn[7],
        ])
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing of others runs under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Question {
    /// Asks. It takes as long as a login does.
    pub(super) fn ask(self) {
        let asked = catch_unwind(AssertUnwindSafe(|| (self.handler)(self.left)));
        if asked.is_err() {
            tracing::error!(target: "tombolo::login", "the handler of an expiring login panicked; it is called again later");
        }
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        self.asking.store(false, Ordering::Release);
    }
}
