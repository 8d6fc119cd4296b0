//! How it stands with the certificate from the ACME server, for whoever looks after the node.

use std::sync::{Mutex, PoisonError};

/// Shared between the task and those who ask.
#[derive(Debug, Default)]
pub(crate) struct Standing(Mutex<Sums>);

/// What the task has come to. Times are in seconds since 1970.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    /// Orders begun since the start.
    pub(crate) orders: u64,
    /// Certificates received since the start.
    pub(crate) certificates: u64,
    /// Tries that failed since the start.
    pub(crate) failures: u64,
    /// Why the last try failed; `None` if it did not.
    pub(crate) failure: Option<String>,
    /// When the next try is due.
    pub(crate) next_try_unix_s: Option<i64>,
}

impl Standing {
    pub(crate) fn sums(&self) -> Sums {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn tell(&self, change: impl FnOnce(&mut Sums)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
