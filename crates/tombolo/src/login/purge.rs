//! What becomes of documents that a login no longer lets this device read.

use std::ops::ControlFlow;

use tombolo_document::DocumentId;
use tombolo_identity::Rules;
use tombolo_query::{Source, Target};
use tombolo_store::{Store, Transaction, WriteError};

use super::credentials::Credentials;
use super::error::LoginError;
use crate::database::Database;
use crate::options::OnLostAccess;

/// Most documents that one transaction evicts, so that other writers wait for no more.
const PURGE_DOCUMENTS_MAX: usize = 1024;

/// Most kept answers that one transaction forgets.
const PURGE_ANSWERS_MAX: usize = 1024;

/// What might be read before, and what may be read from now on.
struct Lost<'r> {
    before: &'r Rules,
    after: &'r Rules,
}

impl Database {
    /// Keeps what a login gave. Under [`OnLostAccess::Purge`] it evicts first what
    /// the last one let this device read and this one does not: a crash in between
    /// leaves the last one in force, and the next login begins again. Sync is
    /// suspended for that, since what goes would come back under the last one.
    pub(super) fn take_over(&self, credentials: Credentials) -> Result<(), LoginError> {
        let keeper = &self.login.keeper;
        let held = keeper.credentials();
        let lost = held.as_ref().map(|held| Lost {
            before: &held.permissions().read,
            after: &credentials.permissions().read,
        });
        let purges = self.options.on_lost_access == OnLostAccess::Purge;
        let Some(lost) = lost.filter(|lost| purges && lost.may_be_some()) else {
            return Ok(keeper.keep(credentials)?);
        };
        self.sync.suspend();
        let purged = lost.purge(self);
        let taken = purged.and_then(|documents| {
            keeper.keep(credentials)?;
            tracing::info!(target: "tombolo::login", documents, "evicted what this device may read no longer");
            Ok(())
        });
        if taken.is_err() {
            self.renew_sync();
        }
        taken
    }
}

impl Lost<'_> {
    fn may_be_some(&self) -> bool {
        !self.after.is_everything() && self.before != self.after
    }

    fn holds(&self, collection: &str, id: &DocumentId) -> bool {
        self.before.allows(collection, id) && !self.after.allows(collection, id)
    }

    /// Evicts it, and gives how many documents it was.
    fn purge(&self, database: &Database) -> Result<usize, LoginError> {
        let snapshot = database.snapshot();
        let mut documents = 0;
        for collection in Source::collections(&snapshot)? {
            let mut ids = Vec::new();
            let mut evicted = Ok(());
            let scanned = Source::scan(&snapshot, &collection, &mut |id, _| {
                // One that is not canonical is damage, which a scan of the store reports.
                let id = DocumentId::from_bytes(id);
                ids.extend(id.ok().filter(|id| self.holds(&collection, id)));
                if ids.len() < PURGE_DOCUMENTS_MAX {
                    return ControlFlow::Continue(());
                }
                documents += ids.len();
                evicted = evict(&database.store, &collection, std::mem::take(&mut ids));
                match evicted {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(_) => ControlFlow::Break(()),
                }
            });
            scanned?;
            evicted?;
            documents += ids.len();
            if !ids.is_empty() {
                evict(&database.store, &collection, ids)?;
            }
        }
        // Some of them may show what was evicted.
        while forget_answers(&database.store)? == PURGE_ANSWERS_MAX {}
        Ok(documents)
    }
}

fn evict(store: &Store, collection: &str, ids: Vec<DocumentId>) -> Result<(), LoginError> {
    let collection = collection.to_owned();
    let evicted = store.write_and_wait(move |transaction: &mut Transaction<'_>| {
        let mut ids = ids.iter();
        ids.try_for_each(|id| transaction.evict(&collection, id))
    });
    match evicted {
        Ok(_) => Ok(()),
        Err(WriteError::Store(error)) => Err(error.into()),
        Err(WriteError::Work(error)) => Err(error.into()),
    }
}

fn forget_answers(store: &Store) -> Result<usize, LoginError> {
    let forgotten = store.write_and_wait(|transaction: &mut Transaction<'_>| {
        transaction.forget_answers(PURGE_ANSWERS_MAX)
    });
    match forgotten {
        Ok((_, count)) => Ok(count),
        Err(WriteError::Store(error) | WriteError::Work(error)) => Err(error.into()),
    }
}
