//! Ends links that would not come to be any more: of peers that were cut off or
//! whose certificate ran out, and of this node if that happened to itself.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::mesh::{Hub, stopped};

/// How often time is looked at while links are up. It is the clock of the day
/// that counts, which is set and which goes on while a device sleeps, so no
/// timer can be set for the moment itself.
const REVIEW_PAUSE: Duration = Duration::from_secs(1);

/// Watches over the links until the mesh stops.
pub(crate) async fn run(hub: Arc<Hub>) {
    let mut stop = hub.stop.clone();
    let credential = Arc::clone(&hub.handshaker.credential);
    let mut revocations = credential.revocation_changes();
    let mut renewals = credential.renewals();
    let mut links = hub.registry.changes();
    let mut serial = None;
    loop {
        let is_idle = hub.registry.is_empty();
        let moved = async {
            tokio::select! {
                Ok(()) = revocations.changed() => {}
                Ok(()) = renewals.changed() => {}
                Ok(()) = links.changed(), if is_idle => {}
            }
        };
        let pause = if is_idle { Duration::MAX } else { REVIEW_PAUSE };
        tokio::select! {
            biased;
            () = stopped(&mut stop) => return,
            _ = timeout(pause, moved) => {}
        }
        review(&hub, &mut serial);
    }
}

/// Judges all links: by everything if something but time moved since the last
/// review, which had this `serial`.
fn review(hub: &Hub, serial: &mut Option<u64>) {
    let now_ms = hub.unix_ms();
    let standing = match hub.handshaker.credential.standing(now_ms) {
        Ok(standing) => standing,
        Err(error) => {
            tracing::error!(target: "tombolo::mesh", reason = %error, "links cannot be watched over");
            return;
        }
    };
    let has_moved = serial.replace(standing.serial) != Some(standing.serial);
    let closed = hub.registry.review(|basis| {
        if has_moved {
            standing.judge(basis, now_ms)
        } else {
            standing.judge_time(basis, now_ms)
        }
    });
    for (basis, reason) in closed {
        let peer_key = basis.peer.peer_key();
        if reason.is_trouble() {
            tracing::warn!(target: "tombolo::mesh", %peer_key, kind = reason.kind(), %reason, "a link is ended");
        }
    }
}
