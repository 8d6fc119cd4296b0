//! What this database wants from its peers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::watch;
use tombolo_document::Object;
use tombolo_query::Parameters;
use tombolo_sync::Interests;
use tombolo_sync::limits::STATEMENTS_MAX;
use tombolo_sync::wire::Stated;

use crate::check_subscription::check;
use crate::database::Database;
use crate::error::ExecuteError;

/// Most subscriptions of one database; beyond it one is refused.
pub const SUBSCRIPTIONS_MAX: usize = STATEMENTS_MAX;

/// All subscriptions of one database.
pub(crate) struct Subscriptions {
    held: Mutex<Held>,
    interests: watch::Sender<Arc<Interests>>,
}

#[derive(Default)]
struct Held {
    made: u64,
    stated: BTreeMap<u64, Stated>,
}

/// A subscription, cancelled when dropped. What it brought stays.
#[must_use = "dropping it cancels the subscription"]
pub struct Subscription {
    all: Weak<Subscriptions>,
    number: u64,
}

impl Subscription {
    /// Wants its documents no more.
    pub fn cancel(self) {
        drop(self);
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if let Some(all) = self.all.upgrade() {
            all.change(|held| held.stated.remove(&self.number));
        }
    }
}

impl Default for Subscriptions {
    fn default() -> Self {
        Self {
            held: Mutex::default(),
            interests: watch::Sender::new(Arc::default()),
        }
    }
}

impl Subscriptions {
    /// What is wanted now, and whenever that changes.
    pub(crate) fn watch(&self) -> watch::Receiver<Arc<Interests>> {
        self.interests.subscribe()
    }

    fn add(
        self: &Arc<Self>,
        stated: Stated,
        parameters: &Parameters,
    ) -> Result<Subscription, ExecuteError> {
        let restricted = parameters.is_true("dql_restrict_subscriptions");
        check(&stated.statement, &stated.arguments, restricted)?;
        let number = self.change(|held| {
            if held.stated.len() >= SUBSCRIPTIONS_MAX {
                return None;
            }
            held.made += 1;
            held.stated.insert(held.made, stated);
            Some(held.made)
        });
        match number {
            Some(number) => Ok(Subscription {
                all: Arc::downgrade(self),
                number,
            }),
            None => Err(ExecuteError::TooMany {
                what: "subscriptions",
                max: SUBSCRIPTIONS_MAX,
            }),
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut Held) -> T) -> T {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = change(&mut held);
        let stated = held.stated.values().cloned().collect();
        let (interests, _) = Interests::new(stated);
        // Under the lock, so that the newest is the last.
        self.interests.send_replace(Arc::new(interests));
        changed
    }
}

impl Database {
    /// Wants the documents that a `SELECT * FROM collection [WHERE condition]`
    /// matches, from every peer, as long as the subscription lives.
    ///
    /// # Errors
    /// The statement is none that can be subscribed to or lacks an argument, or
    /// there are [`SUBSCRIPTIONS_MAX`] already.
    pub fn register_subscription(
        &self,
        statement: &str,
        arguments: Object,
    ) -> Result<Subscription, ExecuteError> {
        let stated = Stated {
            statement: statement.to_owned(),
            arguments,
        };
        self.subscriptions.add(stated, &self.parameters())
    }

    /// What is subscribed to now, as sessions want it: for those who drive
    /// sessions themselves.
    #[must_use]
    pub fn interests(&self) -> Arc<Interests> {
        Arc::clone(&self.subscriptions.watch().borrow())
    }
}
