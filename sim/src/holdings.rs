//! What a node's store holds, beside the store: kept up from commit to commit,
//! so that every checker is told what each commit changed.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use tombolo::{DocumentId, Snapshot};
use tombolo_document::merge;
use tombolo_store::{LogId, StoreError};

use crate::violation::{Promise, Violation};

/// A document by name.
pub(crate) type Place = (String, DocumentId);

/// A document as it is held, tombstones included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) live: bool,
    pub(crate) document: Vec<u8>,
}

/// What one commit, or several that were seen at once, did to a document.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) place: Place,
    pub(crate) before: Option<Held>,
    /// None if it was evicted.
    pub(crate) after: Option<Held>,
}

/// All documents of one node.
#[derive(Debug, Default)]
pub(crate) struct Holdings {
    pub(crate) documents: BTreeMap<Place, Held>,
    commit: u64,
    log: Option<LogId>,
}

impl Holdings {
    /// Whether a snapshot shows nothing new.
    pub(crate) fn is_of(&self, snapshot: &Snapshot) -> bool {
        self.log == Some(snapshot.log_id()) && self.commit == snapshot.last_commit()
    }

    /// Looks at a newer snapshot; gives what changed.
    pub(crate) fn look(&mut self, snapshot: &Snapshot) -> Result<Vec<Change>, Violation> {
        let is_same_log = self.log == Some(snapshot.log_id());
        let from = if is_same_log { self.commit } else { 0 };
        let found = read(snapshot, from).map_err(|error| Violation::store(&error))?;
        let mut changes = Vec::new();
        if !is_same_log {
            // A new log may follow an eviction: what is gone has no change.
            let gone = self.documents.keys().filter(|at| !found.contains_key(at));
            for place in gone.cloned().collect::<Vec<_>>() {
                let before = self.documents.remove(&place);
                changes.push(Change {
                    place,
                    before,
                    after: None,
                });
            }
        }
        for (place, held) in found {
            let before = self.documents.insert(place.clone(), held.clone());
            if before.as_ref() != Some(&held) {
                let after = Some(held);
                changes.push(Change {
                    place,
                    before,
                    after,
                });
            }
        }
        self.commit = snapshot.last_commit();
        self.log = Some(snapshot.log_id());
        Ok(changes)
    }
}

/// The documents that changed after a commit.
fn read(snapshot: &Snapshot, after: u64) -> Result<BTreeMap<Place, Held>, StoreError> {
    let mut names = Vec::new();
    snapshot.changes_after(after, &mut |change| {
        names.push((change.collection.to_owned(), change.id.to_vec()));
        ControlFlow::Continue(())
    })?;
    let mut found = BTreeMap::new();
    for (collection, id) in names {
        let Some(stored) = snapshot.stored(&collection, &id)? else {
            continue;
        };
        let id = DocumentId::from_bytes(&id).map_err(|_| StoreError::DamagedRecord {
            record: "document id",
        })?;
        let held = Held {
            live: stored.live,
            document: stored.document,
        };
        found.insert((collection, id), held);
    }
    Ok(found)
}

/// Documents by name, each the union of all that was put in.
#[derive(Debug, Clone, Default)]
pub(crate) struct Union(pub(crate) BTreeMap<Place, Vec<u8>>);

impl Union {
    /// Unites a state with what is there.
    pub(crate) fn add(&mut self, place: &Place, document: &[u8]) -> Result<(), Violation> {
        match self.0.get_mut(place) {
            Some(held) if held == document => {}
            Some(held) => *held = unite(held, document)?,
            None => {
                self.0.insert(place.clone(), document.to_vec());
            }
        }
        Ok(())
    }
}

/// The union of two states.
pub(crate) fn unite(one: &[u8], other: &[u8]) -> Result<Vec<u8>, Violation> {
    let merged = merge::merge(Some(one), other);
    let merged = merged.map_err(|error| Violation::new(Promise::Store, error.to_string()))?;
    Ok(merged.document)
}

/// Whether a state holds everything that another does.
pub(crate) fn covers(whole: &[u8], part: &[u8]) -> Result<bool, Violation> {
    Ok(whole == part || unite(whole, part)? == whole)
}
