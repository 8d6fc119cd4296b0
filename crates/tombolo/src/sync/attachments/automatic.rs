//! Fetches what documents refer to, without being asked: looks at documents as
//! they change, and at all of them once when it begins. What does not fit into
//! the queue is found by looking again, so that nothing grows with what is missing.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use tombolo_store::attachments::Attachments;
use tombolo_store::{Snapshot, Store};

use super::fetches::{Fetches, visit_mentions};

/// After how long documents are looked at again whose attachments no neighbour
/// gave: at first, and at most; the pause doubles.
const LOOK_AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));
/// Without any reason there is nothing to be found.
const NO_REASON: Duration = Duration::from_secs(3600);

/// How far the documents were looked at.
struct Looker {
    /// Everything up to this commit was looked at.
    looked: u64,
    /// Where to go back to when there is reason to hope.
    missed: Option<u64>,
    links_ever: u64,
    pause: Duration,
}

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
        due = looker.missed.and(due.or(Some(now + looker.pause)));
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
            looked: 0,
            missed: None,
            links_ever: 0,
            pause: LOOK_AGAIN.0,
        }
    }
}

impl Looker {
    fn look(&mut self, fetches: &Fetches, snapshot: &Snapshot) {
        let (missed, links_ever) = fetches.missed();
        self.missed = self.missed.into_iter().chain(missed).min();
        if links_ever > self.links_ever {
            // A new neighbour may have what the others had not.
            self.links_ever = links_ever;
            self.go_back();
            self.pause = LOOK_AGAIN.0;
        }
        let last = snapshot.last_commit();
        let reached = refer(fetches, fetches.shelf(), snapshot, self.looked);
        self.looked = reached.unwrap_or(last);
    }

    /// Looks again at what was missed, the next time later.
    fn go_back(&mut self) {
        let Some(missed) = self.missed.take() else {
            return;
        };
        self.looked = self.looked.min(missed.saturating_sub(1));
        self.pause = (self.pause * 2).clamp(LOOK_AGAIN.0, LOOK_AGAIN.1);
    }
}

/// Wants what is missing of what documents refer to that changed after a commit;
/// gives the commit up to which there was room for everything, if not for all.
fn refer(fetches: &Fetches, shelf: &Attachments, snapshot: &Snapshot, after: u64) -> Option<u64> {
    let mut reached = None;
    let looked = visit_mentions(snapshot, after, &mut |commit, token, place| {
        // What cannot be told now is told when it is fetched.
        if shelf.holds(token.id).unwrap_or(false) {
            return ControlFlow::Continue(());
        }
        if fetches.refer(token.id, place, commit).is_ok() {
            return ControlFlow::Continue(());
        }
        reached = Some(commit - 1);
        ControlFlow::Break(())
    });
    if let Err(error) = looked {
        tracing::warn!(target: "tombolo::sync", %error, "documents could not be looked at for attachments");
    }
    reached
}
