//! What a session reads of a store: its door over one snapshot.

use std::ops::ControlFlow;

use tombolo_document::DocumentId;
use tombolo_store::engine::KeyRange;
use tombolo_store::{HEADS_KEPT, Sidecar, Snapshot, StoreError};
use tombolo_sync::view::{Changed, LogId, Position, Since, Stored, View, ViewError, VisitStored};

/// The running hash at a number that no commit has, where all commits are still
/// known: it is that of no cursor, so that one which names it was given out by a
/// log that is gone.
const NEVER_MADE: [u8; 16] = [0; 16];

/// A snapshot as sessions see it.
#[derive(Clone)]
pub struct StoreView(pub(crate) Snapshot);

impl StoreView {
    /// The door over a snapshot.
    #[must_use]
    pub const fn new(snapshot: Snapshot) -> Self {
        Self(snapshot)
    }
}

impl View for StoreView {
    fn position(&self) -> Position {
        Position {
            commit: self.0.last_commit(),
            chain: self.0.chain(),
        }
    }

    fn chain_at(&self, commit: u64) -> Result<Option<[u8; 16]>, ViewError> {
        let found = self.0.chain_at(commit).map_err(failed)?;
        let is_kept = commit.saturating_add(HEADS_KEPT) > self.0.last_commit();
        Ok(match found {
            None if is_kept && commit > 0 => Some(NEVER_MADE),
            found => found,
        })
    }

    fn stored(
        &self,
        collection: &str,
        id: &DocumentId,
        visit: &mut dyn FnMut(Stored<'_>),
    ) -> Result<(), ViewError> {
        let found = self.0.stored(collection, id.as_bytes()).map_err(failed)?;
        if let Some(found) = found {
            visit(Stored {
                live: found.live,
                document: &found.document,
            });
        }
        Ok(())
    }

    fn scan(
        &self,
        collection: &str,
        after: Option<&[u8]>,
        visit: VisitStored<'_>,
    ) -> Result<(), ViewError> {
        let mut visit = |id: &[u8], live, document: &[u8]| visit(id, Stored { live, document });
        self.0
            .scan_stored(collection, after, &mut visit)
            .map_err(failed)
    }

    fn changes(
        &self,
        since: &Since<'_>,
        visit: &mut dyn FnMut(Changed<'_>) -> ControlFlow<()>,
    ) -> Result<(), ViewError> {
        let echo = since
            .echo
            .and_then(|log| self.0.origin(tombolo_store::LogId(log.0)));
        if echo.is_some_and(|echo| self.0.is_echo(echo, since.commit)) {
            return Ok(());
        }
        let mut outcome = Ok(());
        let walked = self.0.changes_after(since.commit, &mut |change| {
            if !(since.collection)(change.collection) {
                return ControlFlow::Continue(());
            }
            // The peer has all of what came from its own log alone.
            if echo.is_some() && change.only_log == echo {
                return ControlFlow::Continue(());
            }
            let found = match self.0.stored(change.collection, change.id) {
                Ok(Some(found)) => found,
                Ok(None) => return ControlFlow::Continue(()),
                Err(error) => {
                    outcome = Err(error);
                    return ControlFlow::Break(());
                }
            };
            visit(Changed {
                commit: change.commit,
                collection: change.collection,
                id: change.id,
                stored: Stored {
                    live: found.live,
                    document: &found.document,
                },
                base: found.arrivals.covered_by(since.commit, echo),
            })
        });
        walked.and(outcome).map_err(failed)
    }

    fn record(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ViewError> {
        let found = self.0.sidecar(Sidecar::Sessions, key).map_err(failed)?;
        Ok(found.map(|bytes| bytes.to_vec()))
    }

    fn records(
        &self,
        prefix: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> Result<(), ViewError> {
        self.0
            .scan_sidecar(Sidecar::Sessions, &KeyRange::prefix(prefix), visit)
            .map_err(failed)
    }
}

/// The log of a snapshot, as sessions name it.
pub(crate) fn log_of(snapshot: &Snapshot) -> LogId {
    LogId(snapshot.log_id().0)
}

fn failed(error: StoreError) -> ViewError {
    ViewError(Box::new(error))
}
