//! Documents and indexes in memory: the smallest store that a query can run on.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};

use tombolo_document::order::{self, Direction};
use tombolo_document::{DocumentId, DocumentView, Dot, Schema, Value};
use tombolo_query::source::Visit;
use tombolo_query::{IndexDefinition, Source, SourceError, Target};

/// States of documents by id bytes, tombstones included.
pub(crate) type Collection = BTreeMap<Vec<u8>, Vec<u8>>;

/// An id and the state of its document.
type Entry<'s> = (&'s [u8], &'s [u8]);

/// Everything that one peer keeps.
#[derive(Debug, Clone, Default)]
pub struct Store {
    pub(crate) collections: BTreeMap<String, Collection>,
    pub(crate) indexes: Vec<IndexDefinition>,
    /// How many documents were evicted.
    pub(crate) evictions: u64,
}

/// The error of damaged bytes, which memory never gives.
fn damaged(error: tombolo_document::DecodeError) -> SourceError {
    SourceError(Box::new(error))
}

/// Whether a state shows a document.
pub(crate) fn is_live(state: &[u8]) -> Result<bool, SourceError> {
    DocumentView::new(state)
        .and_then(DocumentView::is_visible)
        .map_err(damaged)
}

impl Store {
    fn states(&self, collection: &str) -> impl Iterator<Item = (&Vec<u8>, &Vec<u8>)> {
        self.collections.get(collection).into_iter().flatten()
    }

    fn live(&self, collection: &str) -> Result<Vec<Entry<'_>>, SourceError> {
        let mut live = Vec::new();
        for (id, state) in self.states(collection) {
            if is_live(state)? {
                live.push((id.as_slice(), state.as_slice()));
            }
        }
        Ok(live)
    }
}

fn entry(index: &IndexDefinition, id: &[u8], state: &[u8]) -> Result<Vec<u8>, SourceError> {
    let view = DocumentView::new(state).map_err(damaged)?;
    let object = view.to_object(&Schema::INFERRED).map_err(damaged)?;
    let mut key = Vec::new();
    for part in &index.keys {
        let mut value = match part.path[0].as_str() {
            "_id" => order::read(id).map(|(id, _)| id),
            first => object.get(first).cloned(),
        };
        for step in &part.path[1..] {
            value = match value {
                Some(Value::Object(mut members)) => members.remove(step),
                _ => None,
            };
        }
        order::append(&mut key, value.as_ref(), part.direction);
    }
    Ok(key)
}

fn is_within(key: &[u8], (low, high): (Bound<&[u8]>, Bound<&[u8]>)) -> bool {
    let above = match low {
        Bound::Included(low) => key >= low,
        Bound::Excluded(low) => key > low,
        Bound::Unbounded => true,
    };
    let below = match high {
        Bound::Included(high) => key <= high || key.starts_with(high),
        Bound::Excluded(high) => key < high,
        Bound::Unbounded => true,
    };
    above && below
}

impl Source for Store {
    fn document(&self, collection: &str, id: &DocumentId) -> Result<Option<Vec<u8>>, SourceError> {
        let states = self.collections.get(collection);
        match states.and_then(|states| states.get(id.as_bytes())) {
            Some(state) if is_live(state)? => Ok(Some(state.clone())),
            _ => Ok(None),
        }
    }

    fn scan(&self, collection: &str, visit: Visit<'_>) -> Result<(), SourceError> {
        for (id, state) in self.live(collection)? {
            if visit(id, state).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn scan_index(
        &self,
        index: &IndexDefinition,
        span: (Bound<&[u8]>, Bound<&[u8]>),
        direction: Direction,
        visit: Visit<'_>,
    ) -> Result<(), SourceError> {
        let mut entries = Vec::new();
        for (id, state) in self.live(&index.collection)? {
            let key = entry(index, id, state)?;
            if is_within(&key, span) {
                entries.push((key, id, state));
            }
        }
        entries.sort();
        if direction == Direction::Descending {
            entries.reverse();
        }
        for (_, id, state) in entries {
            if visit(id, state) == ControlFlow::Break(()) {
                break;
            }
        }
        Ok(())
    }

    fn count(&self, collection: &str) -> Result<u64, SourceError> {
        Ok(self.live(collection)?.len() as u64)
    }

    fn collections(&self) -> Result<Vec<String>, SourceError> {
        Ok(self.collections.keys().cloned().collect())
    }

    fn indexes(&self, collection: Option<&str>) -> Result<Vec<IndexDefinition>, SourceError> {
        let wanted = |index: &&IndexDefinition| {
            collection.is_none_or(|collection| index.collection == collection)
        };
        let mut indexes: Vec<_> = self.indexes.iter().filter(wanted).cloned().collect();
        indexes.sort_by(|left, right| {
            (&left.collection, &left.name).cmp(&(&right.collection, &right.name))
        });
        Ok(indexes)
    }
}

/// A copy of a store under change by one commit.
#[derive(Debug)]
pub(crate) struct Transaction {
    pub store: Store,
    pub dot: Dot,
}

impl Source for Transaction {
    fn document(&self, collection: &str, id: &DocumentId) -> Result<Option<Vec<u8>>, SourceError> {
        self.store.document(collection, id)
    }

    fn scan(&self, collection: &str, visit: Visit<'_>) -> Result<(), SourceError> {
        self.store.scan(collection, visit)
    }

    fn scan_index(
        &self,
        index: &IndexDefinition,
        span: (Bound<&[u8]>, Bound<&[u8]>),
        direction: Direction,
        visit: Visit<'_>,
    ) -> Result<(), SourceError> {
        self.store.scan_index(index, span, direction, visit)
    }

    fn count(&self, collection: &str) -> Result<u64, SourceError> {
        self.store.count(collection)
    }

    fn collections(&self) -> Result<Vec<String>, SourceError> {
        Source::collections(&self.store)
    }

    fn indexes(&self, collection: Option<&str>) -> Result<Vec<IndexDefinition>, SourceError> {
        Source::indexes(&self.store, collection)
    }
}

impl Target for Transaction {
    fn dot(&self) -> Dot {
        self.dot
    }

    fn state(&self, collection: &str, id: &DocumentId) -> Result<Option<Vec<u8>>, SourceError> {
        let states = self.store.collections.get(collection);
        Ok(states.and_then(|states| states.get(id.as_bytes())).cloned())
    }

    fn put(
        &mut self,
        collection: &str,
        id: &DocumentId,
        document: Vec<u8>,
    ) -> Result<(), SourceError> {
        let states = self.store.collections.entry(collection.to_owned());
        states.or_default().insert(id.as_bytes().to_vec(), document);
        Ok(())
    }

    fn evict(&mut self, collection: &str, id: &DocumentId) -> Result<(), SourceError> {
        if let Some(states) = self.store.collections.get_mut(collection) {
            states.remove(id.as_bytes());
        }
        self.store.evictions += 1;
        Ok(())
    }

    fn create_index(&mut self, index: &IndexDefinition) -> Result<(), SourceError> {
        self.store.indexes.push(index.clone());
        Ok(())
    }

    fn drop_index(&mut self, collection: &str, name: &str) -> Result<(), SourceError> {
        self.store
            .indexes
            .retain(|index| index.collection != collection || index.name != name);
        Ok(())
    }
}
