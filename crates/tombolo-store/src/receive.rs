//! Taking in what a peer sends.

use std::ops::ControlFlow;

use tombolo_document::{Actor, DocumentId, Merged, VersionVector, merge, merge::MergeError};

use crate::{
    StoreError,
    arrival::Origin,
    engine::{Direction, Keyspace, StoredBytes},
    layout::{self, DocumentRecord},
    state::LogId,
    transaction::{Before, Transaction},
};

/// Documents looked for in vain before it is asked where those that are here end.
const MISSED_MIN: u32 = 32;

/// A document or delta from a peer.
#[derive(Clone, Copy)]
pub struct Incoming<'a> {
    /// Its collection.
    pub collection: &'a str,
    /// Its id.
    pub id: &'a DocumentId,
    /// The bytes.
    pub delta: &'a [u8],
    /// The actors, if the bytes name them by number.
    pub actors: Option<&'a [Actor]>,
    /// The remote log that it came from, so that it is not sent back there.
    pub log: Option<LogId>,
    /// The local commit up to which the peer was believed to have what is here.
    pub acknowledged: u64,
}

/// What taking it in did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The merged document.
    pub merged: Merged,
    /// Whether the peer lacks something that it was believed to have, and nothing changed here of
    /// which it will be told.
    pub behind: bool,
}

/// Where a transaction need not look, once it was sent many documents that are not here: they
/// come in the order of their ids, and after the last one that is here they are all new.
#[derive(Default)]
pub(crate) struct Unknown {
    collection: u32,
    /// How many were looked for in vain.
    missed: u32,
    /// The last key of the collection before this round; the inner `None` if it has none.
    last: Option<Option<Vec<u8>>>,
}

impl Transaction<'_> {
    /// As [`Transaction::look_at`], for a document that a peer sends.
    fn look_at_arriving(&mut self, collection: u32, id: &[u8]) -> Result<Before, StoreError> {
        if self.unknown.collection != collection {
            self.unknown = Unknown {
                collection,
                ..Unknown::default()
            };
        }
        if self.unknown.missed == MISSED_MIN {
            self.unknown.missed += 1;
            self.unknown.last = Some(self.last_key(collection)?);
        }
        if let Some(last) = &self.unknown.last {
            let key = StoredBytes::from(layout::document_key(collection, id));
            let is_new = last.as_ref().is_none_or(|last| **last < *key);
            let batch = self.desk.overlay.batch();
            if is_new && batch.lookup(Keyspace::Documents, &key).is_none() {
                return Ok(Before { key, record: None });
            }
        }
        let before = self.look_at(collection, id)?;
        if before.record.is_none() && self.unknown.missed < MISSED_MIN {
            self.unknown.missed += 1;
        }
        Ok(before)
    }

    /// The last key of a collection before this round.
    fn last_key(&self, collection: u32) -> Result<Option<Vec<u8>>, StoreError> {
        let (range, mut last) = (layout::collection_range(collection), None);
        let backward = Direction::Backward;
        let below = self.desk.below;
        below.scan(Keyspace::Documents, &range, backward, &mut |key, _| {
            last = Some(key.to_vec());
            ControlFlow::Break(())
        })?;
        Ok(last)
    }

    /// Unites a document or delta from a peer with the local state.
    ///
    /// # Errors
    /// [`StoreError::Merge`] if the bytes are refused, [`StoreError::Clock`] if they hold a stamp
    /// too far ahead; the document is unchanged then.
    pub fn receive(&mut self, incoming: &Incoming<'_>) -> Result<Received, StoreError> {
        let resolve = |number: u64| {
            let number = usize::try_from(number).ok()?;
            incoming.actors?.get(number).copied()
        };
        let vector = match incoming.actors {
            Some(_) => merge::version_vector_interned(incoming.delta, &resolve),
            None => merge::version_vector(incoming.delta),
        };
        let vector = vector.map_err(|error| StoreError::Merge(MergeError::Remote(error)))?;
        if let Some(newest) = vector.newest() {
            self.desk.clock.observe(newest, self.now_ms)?;
        }
        let before = match self.desk.state.catalog.collection(incoming.collection) {
            Some(collection) => {
                let number = collection.number;
                Some(self.look_at_arriving(number, incoming.id.as_bytes())?)
            }
            None => None,
        };
        let found = before.as_ref().and_then(|before| before.record.as_deref());
        let record = found.map(DocumentRecord::read).transpose()?;
        let local = record.as_ref().map(|record| record.document);
        let merged = match incoming.actors {
            Some(_) => merge::merge_interned(local, incoming.delta, &resolve),
            None => merge::merge(local, incoming.delta),
        };
        let merged = merged.map_err(StoreError::Merge)?;
        let from = match incoming.log {
            Some(log) => self.desk.state.catalog.origin(log),
            None => None,
        };
        // What changes here is told of as any change is, in whole transactions.
        let behind = match &record {
            Some(record) if !merged.changed => {
                is_behind(&vector, record, incoming.acknowledged, from)?
            }
            _ => false,
        };
        if merged.changed {
            // A peer that lacks what is here may have been told of it and not have taken it: then
            // what came from there is no reason to send it nothing.
            let has_all = match &record {
                Some(record) => vector.dominates(&record.vector()?),
                None => true,
            };
            let origin = self.origin(incoming.log.filter(|_| has_all))?;
            self.seen.replace(before);
            self.replace(incoming.collection, incoming.id, &merged.document, origin)?;
        }
        Ok(Received { merged, behind })
    }
}

/// Whether a peer that sends this vector lacks what it was believed to have: what had arrived
/// here by the commit that it acknowledged, or came from its own log.
fn is_behind(
    vector: &VersionVector,
    record: &DocumentRecord<'_>,
    acknowledged: u64,
    from: Option<Origin>,
) -> Result<bool, StoreError> {
    let arrivals = record.arrivals(&record.vector()?)?;
    Ok(!vector.dominates(&arrivals.covered_by(acknowledged, from)))
}
