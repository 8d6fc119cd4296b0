//! Taking in what a peer sends.

use std::{borrow::Cow, ops::ControlFlow};

use tombolo_document::{
    Actor, DocumentId, Dot, Merged, VersionVector, Whole, merge, merge::MergeError,
};

use crate::{
    StoreError,
    arrival::Origin,
    engine::{Direction, Keyspace},
    layout::{self, DocumentRecord},
    state::LogId,
    transaction::{Before, NextState, Transaction},
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
    /// What it is made of.
    pub body: Body<'a>,
    /// The remote log that it came from, so that it is not sent back there.
    pub log: Option<LogId>,
    /// The local commit up to which the peer was believed to have what is here.
    pub acknowledged: u64,
}

/// The bytes of a document from a peer.
#[derive(Clone, Copy)]
pub enum Body<'a> {
    /// All of a document, read before.
    Whole(&'a Whole),
    /// A document or delta that was not looked at.
    Delta {
        /// The bytes.
        bytes: &'a [u8],
        /// The actors, if the bytes name them by number.
        actors: Option<&'a [Actor]>,
    },
}

/// What taking it in did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Whether the document here changed.
    pub changed: bool,
    /// Commits that came with two contents: a copied device or a liar.
    pub equivocations: Vec<Dot>,
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
            let key = layout::document_key(collection, id);
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
        let vector = incoming.body.vector()?;
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
        let Some(record) = found.map(DocumentRecord::read).transpose()? else {
            return self.receive_new(incoming, before);
        };
        let merged = incoming.body.merge_with(Some(record.document))?;
        if !merged.changed {
            let from = incoming
                .log
                .and_then(|log| self.desk.state.catalog.origin(log));
            return Ok(Received {
                changed: false,
                equivocations: merged.equivocations,
                behind: is_behind(&vector, &record, incoming.acknowledged, from)?,
            });
        }
        // A peer that lacks what is here may have been told of it and not have taken it: then
        // what came from there is no reason to send it nothing.
        let has_all = vector.dominates(&record.vector()?);
        let origin = self.origin(incoming.log.filter(|_| has_all))?;
        self.seen.replace(before);
        let next = NextState::read(&merged.document)?;
        self.replace(incoming.collection, incoming.id, &next, origin)?;
        // What changes here is told of as any change is, in whole transactions.
        Ok(Received {
            changed: true,
            equivocations: merged.equivocations,
            behind: false,
        })
    }

    /// Takes a document that is not here.
    fn receive_new(
        &mut self,
        incoming: &Incoming<'_>,
        before: Option<Before>,
    ) -> Result<Received, StoreError> {
        let Body::Whole(whole) = incoming.body else {
            let merged = incoming.body.merge_with(None)?;
            let next = NextState::read(&merged.document)?;
            return self.put_new(incoming, before, &next);
        };
        self.put_new(incoming, before, &NextState::new(whole))
    }

    fn put_new(
        &mut self,
        incoming: &Incoming<'_>,
        before: Option<Before>,
        next: &NextState<'_>,
    ) -> Result<Received, StoreError> {
        let origin = self.origin(incoming.log)?;
        self.seen.replace(before);
        self.replace(incoming.collection, incoming.id, next, origin)?;
        Ok(Received {
            changed: true,
            equivocations: Vec::new(),
            behind: false,
        })
    }
}

impl<'a> Body<'a> {
    fn vector(self) -> Result<Cow<'a, VersionVector>, StoreError> {
        match self {
            Self::Whole(whole) => Ok(Cow::Borrowed(whole.vector())),
            Self::Delta { bytes, actors } => {
                let vector = match actors {
                    Some(actors) => merge::version_vector_interned(bytes, &resolve(actors)),
                    None => merge::version_vector(bytes),
                };
                let vector = vector.map_err(|error| StoreError::Merge(MergeError::Remote(error)));
                vector.map(Cow::Owned)
            }
        }
    }

    fn merge_with(self, local: Option<&[u8]>) -> Result<Merged, StoreError> {
        let merged = match self {
            Self::Whole(whole) => merge::merge(local, whole.document()),
            Self::Delta {
                bytes,
                actors: Some(actors),
            } => merge::merge_interned(local, bytes, &resolve(actors)),
            Self::Delta {
                bytes,
                actors: None,
            } => merge::merge(local, bytes),
        };
        merged.map_err(StoreError::Merge)
    }
}

fn resolve(actors: &[Actor]) -> impl Fn(u64) -> Option<Actor> {
    |number| actors.get(usize::try_from(number).ok()?).copied()
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
