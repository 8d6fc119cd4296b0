//! Links between peers, and the exchange of changes over them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use tombolo::{Object, Snapshot, Value};
use tombolo_document::{DocumentId, IdError, merge};
use tombolo_query::{Context, Limits, NoSystemRows};
use tombolo_store::{LogId, StoreError, StoredDocument, Transaction};

use crate::failure::Failure;
use crate::peer::Peer;

/// Rounds of exchange after which a mesh is never quiet.
const ROUNDS_MAX: usize = 32;

/// Which peers are linked, each pair in alphabetical order.
#[derive(Debug, Default)]
pub(crate) struct Mesh {
    links: BTreeSet<(String, String)>,
}

fn pair(left: &str, right: &str) -> (String, String) {
    let (left, right) = if left < right {
        (left, right)
    } else {
        (right, left)
    };
    (left.to_owned(), right.to_owned())
}

impl Mesh {
    /// Links each of these peers with each other.
    pub(crate) fn connect(&mut self, peers: &[String]) {
        for (at, left) in peers.iter().enumerate() {
            self.links
                .extend(peers[at + 1..].iter().map(|right| pair(left, right)));
        }
    }

    /// Removes the links among these peers.
    pub(crate) fn disconnect(&mut self, peers: &[String]) {
        self.links
            .retain(|(left, right)| !peers.contains(left) || !peers.contains(right));
    }

    /// Removes all links.
    pub(crate) fn clear(&mut self) {
        self.links.clear();
    }

    /// Exchanges changes until nobody learns anything new. The clocks of the
    /// peers stay where they stand, so that a case orders its writes alone.
    pub(crate) fn sync(&self, peers: &BTreeMap<String, Peer>) -> Result<(), Failure> {
        for _ in 0..ROUNDS_MAX {
            let mut quiet = true;
            for (left, right) in &self.links {
                quiet &= !transfer(peers, (left, right))?;
                quiet &= !transfer(peers, (right, left))?;
            }
            if quiet {
                return Ok(());
            }
        }
        Err(Failure::Expectation(
            "the mesh never became quiet".to_owned(),
        ))
    }
}

/// One document state on its way.
struct Parcel {
    collection: String,
    id: DocumentId,
    bytes: Vec<u8>,
}

/// Brings what the receiver wants and lacks; gives whether anything changed.
fn transfer(
    peers: &BTreeMap<String, Peer>,
    (sender, receiver): (&str, &str),
) -> Result<bool, Failure> {
    let unknown = |name: &str| Failure::Case(format!("there is no peer {name}"));
    let from = peers.get(sender).ok_or_else(|| unknown(sender))?;
    let to = peers.get(receiver).ok_or_else(|| unknown(receiver))?;
    let parcels = wanted(from, to)?;
    match parcels.is_empty() {
        true => Ok(false),
        false => receive(to, parcels, from.database().snapshot().log_id()),
    }
}

fn broken(error: impl std::fmt::Display) -> Failure {
    Failure::Expectation(error.to_string())
}

/// What one peer holds that another wants and lacks, oldest change first.
fn wanted(from: &Peer, to: &Peer) -> Result<Vec<Parcel>, Failure> {
    let (ours, theirs) = (from.database().snapshot(), to.database().snapshot());
    let mut parcels = Vec::new();
    for (collection, id) in changed(&ours)? {
        let bytes = id.as_bytes();
        let stored = |side: &Snapshot| side.stored(&collection, bytes).map_err(broken);
        let (Some(state), held) = (stored(&ours)?, stored(&theirs)?) else {
            continue;
        };
        let is_within = |state: &StoredDocument| matches(to, &collection, (&id, state));
        let known = held.as_ref().map_or(Ok(false), is_within)?;
        if !leaves(from, &collection) || !(known || is_within(&state)?) {
            continue;
        }
        let bytes = match held {
            None => Some(state.document),
            Some(held) => {
                let base = merge::version_vector(&held.document).map_err(broken)?;
                merge::delta(&state.document, &base).map_err(broken)?
            }
        };
        parcels.extend(bytes.map(|bytes| Parcel {
            collection,
            id,
            bytes,
        }));
    }
    Ok(parcels)
}

/// Every document that a peer stores, tombstones included.
fn changed(snapshot: &Snapshot) -> Result<Vec<(String, DocumentId)>, Failure> {
    let mut found = Vec::new();
    let read = snapshot.changes_after(0, &mut |change| {
        found.push((change.collection.to_owned(), change.id.to_vec()));
        ControlFlow::Continue(())
    });
    read.map_err(broken)?;
    let found = found.into_iter();
    let found = found.map(|(collection, id)| Ok((collection, DocumentId::from_bytes(&id)?)));
    let found: Result<_, IdError> = found.collect();
    found.map_err(broken)
}

/// Whether the sender's sync scopes let a collection go to a small peer.
fn leaves(from: &Peer, collection: &str) -> bool {
    let scopes = from.parameter("user_collection_sync_scopes");
    let scope = scopes.as_object().and_then(|scopes| scopes.get(collection));
    match scope.and_then(Value::as_str) {
        None => true,
        Some(scope) => matches!(scope, "AllPeers" | "SmallPeersOnly"),
    }
}

/// Whether a state is live and within a subscription of `peer`.
fn matches(
    peer: &Peer,
    collection: &str,
    (id, state): (&DocumentId, &StoredDocument),
) -> Result<bool, Failure> {
    if !state.live {
        return Ok(false);
    }
    let context = Context {
        arguments: &Object::new(),
        parameters: &peer.database().parameters(),
        now_ms: peer.database().time().unix_ms(),
        random: &|| [0; 16],
        limits: Limits::DEFAULT,
        stop: &|| false,
        system: &NoSystemRows,
    };
    for subscription in peer.subscriptions.values() {
        let is_of_collection = subscription.collection() == Some(collection);
        let within = is_of_collection && {
            let within = subscription.matches(id, &state.document, &context);
            within.map_err(broken)?
        };
        if within {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Unites what arrives with what is there, in one commit.
fn receive(to: &Peer, parcels: Vec<Parcel>, log: LogId) -> Result<bool, Failure> {
    let merge = move |transaction: &mut Transaction<'_>| {
        let mut changed = false;
        for Parcel {
            collection,
            id,
            bytes,
        } in &parcels
        {
            changed |= transaction.merge(collection, id, bytes, Some(log))?.changed;
        }
        Ok::<_, StoreError>(changed)
    };
    let store = to.database().store();
    let (_, changed) = store.write_and_wait(merge).map_err(broken)?;
    Ok(changed)
}
