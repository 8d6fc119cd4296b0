//! Links between peers, and the exchange of changes over them.

use std::collections::{BTreeMap, BTreeSet};

use tombolo_document::{DocumentId, Object, Value, merge};

use crate::failure::Failure;
use crate::peer::{Call, Peer};
use crate::store::is_live;

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

    /// Exchanges changes until nobody learns anything new.
    pub(crate) fn sync(
        &self,
        peers: &mut BTreeMap<String, Peer>,
        now_ms: u64,
    ) -> Result<(), Failure> {
        for _ in 0..ROUNDS_MAX {
            let mut quiet = true;
            for (left, right) in &self.links {
                quiet &= !transfer(peers, (left, right), now_ms)?;
                quiet &= !transfer(peers, (right, left), now_ms)?;
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
    id: Vec<u8>,
    bytes: Vec<u8>,
}

/// Brings what the receiver wants and lacks; gives whether anything changed.
fn transfer(
    peers: &mut BTreeMap<String, Peer>,
    (sender, receiver): (&str, &str),
    now_ms: u64,
) -> Result<bool, Failure> {
    let unknown = |name: &str| Failure::Case(format!("there is no peer {name}"));
    let from = peers.get(sender).ok_or_else(|| unknown(sender))?;
    let to = peers.get(receiver).ok_or_else(|| unknown(receiver))?;
    let parcels = wanted(from, to, now_ms)?;
    let to = peers.get_mut(receiver).ok_or_else(|| unknown(receiver))?;
    let mut changed = false;
    for parcel in parcels {
        changed |= receive(to, parcel, now_ms)?;
    }
    Ok(changed)
}

fn broken(error: impl std::fmt::Display) -> Failure {
    Failure::Expectation(error.to_string())
}

fn wanted(from: &Peer, to: &Peer, now_ms: u64) -> Result<Vec<Parcel>, Failure> {
    let mut parcels = Vec::new();
    for (collection, states) in &from.store.collections {
        if !leaves(from, collection) {
            continue;
        }
        let held = to.store.collections.get(collection);
        for (id, state) in states {
            let theirs = held.and_then(|held| held.get(id));
            let matches = matches(to, collection, (id, state), now_ms)?;
            let known = match theirs {
                Some(theirs) => self::matches(to, collection, (id, theirs), now_ms)?,
                None => false,
            };
            if !matches && !known {
                continue;
            }
            let bytes = match theirs {
                None => Some(state.clone()),
                Some(theirs) => {
                    let base = merge::version_vector(theirs).map_err(broken)?;
                    merge::delta(state, &base).map_err(broken)?
                }
            };
            parcels.extend(bytes.map(|bytes| Parcel {
                collection: collection.clone(),
                id: id.clone(),
                bytes,
            }));
        }
    }
    Ok(parcels)
}

/// Whether the sender's sync scopes let a collection go to a small peer.
fn leaves(from: &Peer, collection: &str) -> bool {
    let scopes = from.parameters.show("user_collection_sync_scopes");
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
    (id, state): (&[u8], &[u8]),
    now_ms: u64,
) -> Result<bool, Failure> {
    if !is_live(state).map_err(broken)? {
        return Ok(false);
    }
    let id = DocumentId::from_bytes(id).map_err(broken)?;
    let arguments = Object::new();
    for subscription in peer.subscriptions.values() {
        let call = Call {
            statement: subscription.text(),
            arguments: &arguments,
            now_ms,
        };
        let within = subscription.collection() == Some(collection)
            && peer
                .with_context(call, |context| subscription.matches(&id, state, context))
                .map_err(broken)?;
        if within {
            return Ok(true);
        }
    }
    Ok(false)
}

fn receive(to: &mut Peer, parcel: Parcel, now_ms: u64) -> Result<bool, Failure> {
    let states = to.store.collections.entry(parcel.collection).or_default();
    let local = states.get(&parcel.id).map(Vec::as_slice);
    let merged = merge::merge(local, &parcel.bytes).map_err(broken)?;
    if let Some(newest) = merge::version_vector(&merged.document)
        .map_err(broken)?
        .newest()
    {
        to.clock.observe(newest, now_ms).map_err(broken)?;
    }
    states.insert(parcel.id, merged.document);
    Ok(merged.changed)
}
