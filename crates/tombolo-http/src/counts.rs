//! What became of the connections of a listener, for whoever watches the server.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counts since a listener was bound. They are read one by one and need not fit together to the last connection.
#[derive(Debug, Default)]
pub struct ConnectionCounts {
    open: AtomicU64,
    accepted: AtomicU64,
    turned_away: AtomicU64,
    handshakes_failed: AtomicU64,
}

impl ConnectionCounts {
    /// Connections that are open now, those that switched to another protocol among them.
    pub fn open(&self) -> u64 {
        self.open.load(Relaxed)
    }

    /// Connections that were let in.
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Relaxed)
    }

    /// Connections that were turned away because all were in use.
    pub fn turned_away(&self) -> u64 {
        self.turned_away.load(Relaxed)
    }

    /// TLS handshakes that failed or took too long.
    pub fn handshakes_failed(&self) -> u64 {
        self.handshakes_failed.load(Relaxed)
    }

    pub(crate) fn turn_away(&self) {
        self.turned_away.fetch_add(1, Relaxed);
    }

    pub(crate) fn fail_handshake(&self) {
        self.handshakes_failed.fetch_add(1, Relaxed);
    }

    /// Counts a connection as open until the returned mark is dropped.
    pub(crate) fn open_one(self: &Arc<Self>) -> OpenConnection {
        self.accepted.fetch_add(1, Relaxed);
        self.open.fetch_add(1, Relaxed);
        OpenConnection(Arc::clone(self))
    }
}

/// Held while a connection is open.
#[derive(Debug)]
pub(crate) struct OpenConnection(Arc<ConnectionCounts>);

impl OpenConnection {
    pub(crate) fn counts(&self) -> &ConnectionCounts {
        &self.0
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_open_until_its_mark_is_gone() {
        let counts = Arc::new(ConnectionCounts::default());
        let marks = [counts.open_one(), counts.open_one()];
        assert_eq!((counts.open(), counts.accepted()), (2, 2));
        drop(marks);
        assert_eq!((counts.open(), counts.accepted()), (0, 2));
    }
}
