//! Which links are up: one for each peer. Of two that crossed, both sides keep
//! the one that the smaller key dialled; of two in one direction, the newer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tombolo_identity::{PeerPublicKey, Permissions};

use crate::link::CloseReason;
use crate::refusal::HandshakeError;
use crate::standing::Basis;
use crate::status::LinkStatus;
use crate::tcp::{CloseSignal, closed};

/// The links of one node.
pub(crate) struct Registry {
    own: PeerPublicKey,
    links_max: usize,
    state: Mutex<State>,
    changed: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    up: BTreeMap<PeerPublicKey, Entry>,
    /// Guards that are alive, replaced links included.
    held: usize,
    serial: u64,
    stopped: bool,
}

struct Entry {
    serial: u64,
    dialled: bool,
    address: String,
    since_ms: u64,
    basis: Arc<Basis>,
    close: watch::Sender<Option<CloseReason>>,
}

/// Which of two links to one peer stays.
#[derive(Debug, PartialEq, Eq)]
enum Stays {
    Older,
    Newer,
}

/// `smaller` says whether this node's key is the smaller one.
const fn choose(smaller: bool, older_dialled: bool, newer_dialled: bool) -> Stays {
    if older_dialled == newer_dialled || newer_dialled == smaller {
        Stays::Newer
    } else {
        Stays::Older
    }
}

impl Registry {
    pub(crate) fn new(
        own: PeerPublicKey,
        links_max: usize,
        changed: watch::Sender<u64>,
    ) -> Arc<Self> {
        Arc::new(Self {
            own,
            links_max,
            state: Mutex::default(),
            changed,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a link in, closing the one that it replaces.
    pub(crate) fn admit(
        self: &Arc<Self>,
        basis: &Arc<Basis>,
        dialled: bool,
        address: &str,
        now_ms: u64,
    ) -> Result<LinkGuard, HandshakeError> {
        let peer = basis.peer.peer_key();
        let mut state = self.state();
        self.judge(&state, peer, dialled)?;
        state.serial += 1;
        state.held += 1;
        let serial = state.serial;
        let (close, signal) = watch::channel(None);
        let entry = Entry {
            serial,
            dialled,
            address: address.to_owned(),
            since_ms: now_ms,
            basis: Arc::clone(basis),
            close,
        };
        if let Some(older) = state.up.insert(peer.clone(), entry) {
            older.close.send_replace(Some(CloseReason::Replaced));
        }
        drop(state);
        self.tell();
        Ok(LinkGuard {
            registry: Arc::clone(self),
            basis: Arc::clone(basis),
            serial,
            signal,
        })
    }

    /// Closes the links that are refused now, and gives each with its reason.
    pub(crate) fn review(
        &self,
        judge: impl Fn(&Basis) -> Result<(), HandshakeError>,
    ) -> Vec<(Arc<Basis>, HandshakeError)> {
        // Judging takes longer than anybody should wait for this lock.
        let state = self.state();
        let up = state.up.values();
        let up: Vec<_> = up
            .map(|entry| (entry.serial, Arc::clone(&entry.basis)))
            .collect();
        drop(state);
        let refused: Vec<_> = up
            .into_iter()
            .filter_map(|(serial, basis)| Some((serial, judge(&basis).err()?, basis)))
            .collect();
        let state = self.state();
        let closed = refused.into_iter().filter_map(|(serial, error, basis)| {
            let entry = state.up.get(basis.peer.peer_key())?;
            let is_open = entry.serial == serial && entry.close.borrow().is_none();
            is_open.then(|| {
                entry.close.send_replace(Some(error.close_reason()));
                (basis, error)
            })
        });
        closed.collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.state().up.is_empty()
    }

    fn judge(
        &self,
        state: &State,
        peer: &PeerPublicKey,
        dialled: bool,
    ) -> Result<(), HandshakeError> {
        if state.stopped {
            return Err(HandshakeError::Stopped);
        }
        match state.up.get(peer) {
            Some(older) if choose(self.own < *peer, older.dialled, dialled) == Stays::Older => {
                Err(HandshakeError::Duplicate)
            }
            // Replaced links count until their users let go of them.
            Some(_) if state.held < self.links_max.saturating_mul(2) => Ok(()),
            None if state.up.len() < self.links_max
                && state.held < self.links_max.saturating_mul(2) =>
            {
                Ok(())
            }
            _ => Err(HandshakeError::Full),
        }
    }

    pub(crate) fn has(&self, peer: &PeerPublicKey) -> bool {
        self.state().up.contains_key(peer)
    }

    /// Notified when links come and go.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Resolves when no link to the peer is up.
    pub(crate) async fn gone(&self, peer: &PeerPublicKey) {
        self.until(|state| !state.up.contains_key(peer)).await;
    }

    /// Resolves when no guard is alive.
    pub(crate) async fn empty(&self) {
        self.until(|state| state.held == 0).await;
    }

    async fn until(&self, is_so: impl Fn(&State) -> bool) {
        let mut changed = self.changed.subscribe();
        loop {
            changed.borrow_and_update();
            let now = is_so(&self.state());
            // The sender is ours, so waiting does not fail.
            if now || changed.changed().await.is_err() {
                return;
            }
        }
    }

    /// Closes every link and lets no other in.
    pub(crate) fn stop(&self) {
        let mut state = self.state();
        state.stopped = true;
        for entry in state.up.values() {
            entry.close.send_replace(Some(CloseReason::Stopped));
        }
    }

    pub(crate) fn status(&self) -> Vec<LinkStatus> {
        let state = self.state();
        let up = state.up.iter().map(|(peer, entry)| LinkStatus {
            peer_key: peer.clone(),
            dialled: entry.dialled,
            address: entry.address.clone(),
            since_ms: entry.since_ms,
        });
        up.collect()
    }

    fn release(&self, peer: &PeerPublicKey, serial: u64) {
        let mut state = self.state();
        state.held -= 1;
        if state
            .up
            .get(peer)
            .is_some_and(|entry| entry.serial == serial)
        {
            state.up.remove(peer);
        }
        drop(state);
        self.tell();
    }

    fn tell(&self) {
        self.changed.send_modify(|version| *version += 1);
    }
}

/// The place of one link among the links of this node. Dropping it says that
/// the link has ended: its halves then fail, and a known server is dialled anew.
pub struct LinkGuard {
    registry: Arc<Registry>,
    basis: Arc<Basis>,
    serial: u64,
    signal: CloseSignal,
}

impl LinkGuard {
    /// Resolves when this node wants the link to end. The link's halves fail at
    /// the same moment.
    pub async fn closed(&self) -> CloseReason {
        closed(&mut self.signal.clone()).await
    }

    /// To whom the link leads.
    #[must_use]
    pub fn peer_key(&self) -> &PeerPublicKey {
        self.basis.peer.peer_key()
    }

    /// What this node may read and write under the certificate that the link was
    /// made with. A link is ended when another certificate says otherwise.
    #[must_use]
    pub fn own_permissions(&self) -> &Permissions {
        &self.basis.leaf.permissions
    }

    pub(crate) fn signal(&self) -> CloseSignal {
        self.signal.clone()
    }
}

impl Drop for LinkGuard {
    fn drop(&mut self) {
        self.registry.release(self.peer_key(), self.serial);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{basis, peer_key, public};

    /// Two keys, the smaller one first.
    fn keys() -> (PeerPublicKey, PeerPublicKey) {
        let (one, other) = (public(&peer_key()), public(&peer_key()));
        (one.clone().min(other.clone()), one.max(other))
    }

    fn registry(own: &PeerPublicKey, links_max: usize) -> Arc<Registry> {
        Registry::new(own.clone(), links_max, watch::Sender::new(0))
    }

    fn reason(guard: &LinkGuard) -> Option<CloseReason> {
        *guard.signal.borrow()
    }

    #[test]
    fn both_ends_choose_the_same_of_two_links_that_crossed() {
        // One end dialled what the other accepted, and their order may differ.
        for (older_dialled, newer_dialled) in [(true, false), (false, true)] {
            let smaller = choose(true, older_dialled, newer_dialled);
            let greater = choose(false, !older_dialled, !newer_dialled);
            assert_eq!(smaller, greater);
            let dialled = if smaller == Stays::Newer {
                newer_dialled
            } else {
                older_dialled
            };
            assert!(dialled, "the smaller key dialled the one that stays");
        }
        for smaller in [true, false] {
            assert_eq!(choose(smaller, true, true), Stays::Newer);
            assert_eq!(choose(smaller, false, false), Stays::Newer);
        }
    }

    #[test]
    fn a_newer_link_in_one_direction_replaces_the_older() {
        let (own, peer) = keys();
        let registry = registry(&own, 1);
        let older = registry.admit(&basis(&peer), false, "older", 1).unwrap();
        let newer = registry.admit(&basis(&peer), false, "newer", 2).unwrap();
        assert_eq!(reason(&older), Some(CloseReason::Replaced));
        assert_eq!(reason(&newer), None);
        drop(older);
        assert_eq!(registry.status()[0].address, "newer");
        drop(newer);
        assert!(registry.status().is_empty());
    }

    #[test]
    fn the_greater_key_gives_way() {
        let (smaller, greater) = keys();
        let registry = registry(&smaller, 8);
        let ours = registry.admit(&basis(&greater), true, "", 1).unwrap();
        let theirs = registry.admit(&basis(&greater), false, "", 2);
        assert!(matches!(theirs, Err(HandshakeError::Duplicate)));
        assert_eq!(reason(&ours), None);
    }

    #[test]
    fn links_are_bounded_and_a_known_peer_may_return() {
        let (own, peer) = keys();
        let (other, _) = keys();
        let registry = registry(&own, 1);
        let guard = registry.admit(&basis(&peer), true, "", 1).unwrap();
        let full = registry.admit(&basis(&other), true, "", 1);
        assert!(matches!(full, Err(HandshakeError::Full)));
        let again = registry.admit(&basis(&peer), true, "", 1).unwrap();
        // Replaced links that nobody lets go of are bounded too.
        let full = registry.admit(&basis(&peer), true, "", 1);
        assert!(matches!(full, Err(HandshakeError::Full)));
        drop((guard, again));
        assert!(registry.admit(&basis(&other), true, "", 1).is_ok());
    }

    #[test]
    fn nothing_is_let_in_after_the_stop() {
        let (own, peer) = keys();
        let registry = registry(&own, 8);
        let guard = registry.admit(&basis(&peer), true, "", 1).unwrap();
        registry.stop();
        assert_eq!(reason(&guard), Some(CloseReason::Stopped));
        let late = registry.admit(&basis(&peer), true, "", 1);
        assert!(matches!(late, Err(HandshakeError::Stopped)));
    }
}
