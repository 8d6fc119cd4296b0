//! Fetches what documents refer to, without being asked: looks at documents as
//! they change, and once, when it begins, at all that is referred to. What does not
//! fit into the queue is found by looking again, so that nothing grows with what is
//! missing.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use tombolo_document::attachment::{AttachmentId, mentions};
use tombolo_store::{Snapshot, Store, StoreError};
use tombolo_sync::limits::FETCHES_BY_ITSELF_MAX;

use super::fetches::{Fetches, places_of};

/// After how long documents are looked at again whose attachments no neighbour
/// gave: at first, and at most; the pause doubles.
const LOOK_AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));
/// Without any reason there is nothing to be found.
const NO_REASON: Duration = Duration::from_secs(3600);

/// How far was looked.
struct Looker {
    /// Of all that documents refer to: the attachment behind which to go on, or
    /// the first; `None` when all was looked at.
    everything: Option<After>,
    /// Documents that changed up to this commit were looked at.
    looked: u64,
    /// Whether no neighbour gave something.
    has_missed: bool,
    links_ever: u64,
    pause: Duration,
}

type After = Option<AttachmentId>;

/// Goes on until the service ends.
pub(crate) async fn fetch_by_itself(
    fetches: Arc<Fetches>,
    store: Arc<Store>,
    mut commits: watch::Receiver<u64>,
) {
    fetches.be_automatic();
    let mut looker = Looker::default();
    let mut due = None;
    loop {
        let (told, seen) = (Arc::clone(&fetches), Arc::clone(&store));
        let looking = tokio::task::spawn_blocking(move || {
            looker.look(&told, &seen.snapshot());
            looker
        });
        let Ok(back) = looking.await else { return };
        looker = back;
        let now = Instant::now();
        due = looker.has_missed.then(|| due.unwrap_or(now + looker.pause));
        let reason = async {
            tokio::select! {
                changed = commits.changed() => changed.is_ok(),
                () = fetches.reason_to_look() => true,
            }
        };
        match timeout_at(due.unwrap_or(now + NO_REASON), reason).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(_) => {
                due = None;
                looker.go_back();
            }
        }
    }
}

impl Default for Looker {
    fn default() -> Self {
        Self {
            everything: Some(None),
            looked: u64::MAX,
            has_missed: false,
            links_ever: 0,
            pause: LOOK_AGAIN.0,
        }
    }
}

impl Looker {
    fn look(&mut self, fetches: &Fetches, snapshot: &Snapshot) {
        let (has_missed, links_ever) = fetches.missed();
        self.has_missed |= has_missed;
        if links_ever > self.links_ever {
            // A new neighbour may have what the others had not.
            self.links_ever = links_ever;
            self.go_back();
            self.pause = LOOK_AGAIN.0;
        }
        let looked = self
            .look_at_changes(fetches, snapshot)
            .and_then(|()| self.look_at_everything(fetches, snapshot));
        if let Err(error) = looked {
            tracing::warn!(target: "tombolo::sync", %error, "documents could not be looked at for attachments; it is tried again");
            self.has_missed = true;
        }
    }

    /// Looks at everything again, and the next time later.
    fn go_back(&mut self) {
        if std::mem::take(&mut self.has_missed) {
            self.everything = Some(None);
            self.pause = (self.pause * 2).min(LOOK_AGAIN.1);
        }
    }

    fn look_at_changes(
        &mut self,
        fetches: &Fetches,
        snapshot: &Snapshot,
    ) -> Result<(), StoreError> {
        let last = snapshot.last_commit();
        let after = self.looked.min(last);
        let mut found = BTreeSet::new();
        let mut is_full = false;
        snapshot.changes_after(after, &mut |change| {
            // What cannot be read now is found when everything is looked at.
            let stored = snapshot.stored(change.collection, change.id);
            let stored = stored.ok().flatten().filter(|stored| stored.live);
            let tokens = stored.and_then(|stored| mentions(&stored.document).ok());
            found.extend(tokens.into_iter().flatten().map(|token| token.id));
            is_full = found.len() > FETCHES_BY_ITSELF_MAX;
            if is_full {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })?;
        for id in found {
            is_full = is_full || !refer(fetches, snapshot, id)?;
        }
        if is_full {
            self.everything = Some(None);
        }
        self.looked = last;
        Ok(())
    }

    fn look_at_everything(
        &mut self,
        fetches: &Fetches,
        snapshot: &Snapshot,
    ) -> Result<(), StoreError> {
        let Some(mut after) = self.everything else {
            return Ok(());
        };
        let mut outcome = Ok(true);
        snapshot.mentioned_attachments(after, &mut |id| {
            outcome = refer(fetches, snapshot, id);
            if !matches!(outcome, Ok(true)) {
                return ControlFlow::Break(());
            }
            after = Some(id);
            ControlFlow::Continue(())
        })?;
        self.everything = if outcome? { None } else { Some(after) };
        Ok(())
    }
}

/// Wants an attachment if it is not here; whether there was room for it.
fn refer(fetches: &Fetches, snapshot: &Snapshot, id: AttachmentId) -> Result<bool, StoreError> {
    // What cannot be told of the files now is told when it is fetched.
    if fetches.shelf().holds(id).unwrap_or(false) {
        return Ok(true);
    }
    let places = places_of(snapshot, id)?;
    Ok(fetches.refer(id, places).is_ok())
}
