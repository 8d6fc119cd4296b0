//! Whether somebody is logged in, and who wants to know of changes.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError, Weak};

use crate::error::ExecuteError;

/// Observers of the status that a database has at most.
pub const AUTH_OBSERVERS_MAX: usize = 64;

/// Whether somebody is logged in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuthStatus {
    /// Whether there is a certificate that holds now.
    pub is_authenticated: bool,
    /// Who is logged in, also after the certificate has ended; `None` before the
    /// first login and after a logout.
    pub user_id: Option<String>,
    /// When the certificate ends or ended, in unix milliseconds.
    pub expires_ms: Option<u64>,
}

type Callback = Arc<dyn Fn(&AuthStatus) + Send + Sync>;

/// A place among the observers of the status, given up when dropped.
#[must_use = "dropping it ends the observation"]
pub struct AuthObserver {
    all: Weak<AuthObservers>,
    number: u64,
}

/// All observers of the status of one database.
#[derive(Default)]
pub(super) struct AuthObservers {
    held: Mutex<Held>,
    /// What was told last; held while callbacks run, so that they run one after
    /// another and the newest is the last.
    told: Mutex<Option<AuthStatus>>,
}

#[derive(Default)]
struct Held {
    made: u64,
    callbacks: BTreeMap<u64, Callback>,
    /// Something may have changed since the last look.
    is_stale: bool,
}

impl AuthObservers {
    /// Calls `callback` at every change from now on.
    pub(super) fn add(
        self: &Arc<Self>,
        callback: impl Fn(&AuthStatus) + Send + Sync + 'static,
    ) -> Result<AuthObserver, ExecuteError> {
        let mut held = self.lock();
        if held.callbacks.len() >= AUTH_OBSERVERS_MAX {
            return Err(ExecuteError::TooMany {
                what: "observers of the login",
                max: AUTH_OBSERVERS_MAX,
            });
        }
        held.made += 1;
        let number = held.made;
        held.callbacks.insert(number, Arc::new(callback));
        Ok(AuthObserver {
            all: Arc::downgrade(self),
            number,
        })
    }

    /// Tells everybody what `look` gives, if it is something new. Whoever is
    /// already telling does it; a callback may log in or out.
    pub(super) fn tell(&self, look: &dyn Fn() -> AuthStatus) {
        self.lock().is_stale = true;
        loop {
            let mut told = match self.told.try_lock() {
                Ok(told) => told,
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => return,
            };
            while std::mem::take(&mut self.lock().is_stale) {
                let status = look();
                if told.as_ref() != Some(&status) {
                    self.call(&status);
                    *told = Some(status);
                }
            }
            drop(told);
            // Somebody may have come between the last look and the end of telling.
            if !self.lock().is_stale {
                return;
            }
        }
    }

    fn call(&self, status: &AuthStatus) {
        let callbacks = self.lock().callbacks.clone();
        for (number, callback) in callbacks {
            if catch_unwind(AssertUnwindSafe(|| callback(status))).is_err() {
                tracing::error!(target: "tombolo::login", "an observer of the login panicked and was removed");
                self.remove(number);
            }
        }
    }

    fn remove(&self, number: u64) {
        // What a callback holds is dropped without the lock.
        let removed = self.lock().callbacks.remove(&number);
        drop(removed);
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        // Nothing of others runs under the lock.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for AuthObserver {
    fn drop(&mut self) {
        if let Some(all) = self.all.upgrade() {
            all.remove(self.number);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;

    fn status(expires_ms: u64) -> AuthStatus {
        AuthStatus {
            is_authenticated: true,
            user_id: Some("ann".to_owned()),
            expires_ms: Some(expires_ms),
        }
    }

    #[test]
    fn each_change_is_told_once_until_the_observer_leaves() {
        let all = Arc::new(AuthObservers::default());
        let (told, heard) = sync_channel(8);
        let observer = all.add(move |status| told.try_send(status.expires_ms).unwrap());
        for expires_ms in [1, 1, 2] {
            all.tell(&|| status(expires_ms));
        }
        drop(observer.unwrap());
        all.tell(&|| status(3));
        assert_eq!(heard.iter().collect::<Vec<_>>(), [Some(1), Some(2)]);
    }

    #[test]
    fn a_callback_may_change_what_it_is_told_of() {
        let all = Arc::new(AuthObservers::default());
        let (told, heard) = sync_channel(8);
        let again = Arc::downgrade(&all);
        let _observer = all.add(move |status_now| {
            told.try_send(status_now.expires_ms).unwrap();
            if status_now.expires_ms == Some(1) {
                again.upgrade().unwrap().tell(&|| status(2));
            }
        });
        let looks = Mutex::new(0);
        all.tell(&|| {
            let mut looks = looks.lock().unwrap();
            *looks += 1;
            status(*looks)
        });
        assert_eq!(heard.try_iter().collect::<Vec<_>>(), [Some(1), Some(2)]);
    }

    #[test]
    fn there_are_at_most_so_many_and_one_that_panics_is_removed() {
        let all = Arc::new(AuthObservers::default());
        let mut held: Vec<_> = (0..AUTH_OBSERVERS_MAX)
            .map(|_| all.add(|_| panic!("the test's observer panics")).unwrap())
            .collect();
        let refused = all.add(|_| ());
        assert!(matches!(refused, Err(ExecuteError::TooMany { .. })));
        held.pop();
        assert!(all.add(|_| ()).is_ok());
        all.tell(&AuthStatus::default);
        assert!(all.lock().callbacks.is_empty());
    }
}
