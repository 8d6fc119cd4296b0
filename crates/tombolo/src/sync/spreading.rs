//! Lists of revocations between sessions, the credential and the store: what one
//! session hears the others tell, and what was held is held after a restart.

use bytes::Bytes;
use tombolo_identity::{Adoption, PeerPublicKey};
use tombolo_mesh::{Credential, RevocationsRefused};
use tombolo_store::{Sidecar, Store, StoreError};
use tombolo_sync::record::{REVOCATIONS_KEY, read_revocations, revocations};

use crate::replication::Host;

/// What became of a list that a peer offered.
pub(crate) enum Offer {
    /// It is held, or there is nothing to hold it against.
    Taken,
    /// A newer one is held.
    Older,
    /// No honest peer sends it.
    Refused(RevocationsRefused),
}

/// Takes a list from a peer. Whoever waits for changes of the credential tells
/// the other peers and keeps it.
pub(crate) fn offer(credential: &Credential, list: &Bytes, peer: &PeerPublicKey) -> Offer {
    match credential.adopt_revocations(list) {
        Ok(Adoption::Newer) => {
            tracing::info!(target: "tombolo::sync", %peer, "a peer brought newer revocations");
            Offer::Taken
        }
        Ok(Adoption::Unchanged | Adoption::Conflict) => Offer::Taken,
        Err(RevocationsRefused::NoAuthority) => {
            tracing::debug!(target: "tombolo::sync", %peer, "revocations of an identity service that is not known here are left alone");
            Offer::Taken
        }
        Err(RevocationsRefused::Older(reason)) => {
            tracing::warn!(target: "tombolo::sync", %peer, %reason, "a peer offered older revocations; it is told of the newer");
            Offer::Older
        }
        Err(error @ RevocationsRefused::Unreadable(_)) => Offer::Refused(error),
    }
}

/// Gives the credential the list that was held when the node last ran.
///
/// # Errors
/// The store failed.
pub(crate) fn load(store: &Store, credential: &Credential) -> Result<(), StoreError> {
    let record = store
        .snapshot()
        .sidecar(Sidecar::Sessions, REVOCATIONS_KEY)?;
    let Some(list) = record.as_deref().and_then(read_revocations) else {
        return Ok(());
    };
    match credential.adopt_revocations(list) {
        // What came with a login may be newer already.
        Ok(_) | Err(RevocationsRefused::Older(_)) => {}
        Err(reason) => {
            tracing::warn!(target: "tombolo::sync", %reason, "the revocations that were held before do not count any more");
        }
    }
    Ok(())
}

/// Writes the list that is held; it counts at once, and is told to peers, whether
/// or not that succeeds.
pub(crate) fn keep(host: &Host, credential: &Credential) {
    let Some(held) = credential.revocations() else {
        return;
    };
    let record = revocations(held.as_bytes());
    let failed = |error: &StoreError| {
        tracing::warn!(target: "tombolo::sync", %error, "the revocations were not written: after a restart they have to be learned anew");
    };
    let written = host.queue_records(
        vec![(REVOCATIONS_KEY.to_vec(), Some(record))],
        move |written| {
            if let Err(error) = written {
                failed(&error);
            }
        },
    );
    if let Err(error) = written {
        failed(&error);
    }
}
