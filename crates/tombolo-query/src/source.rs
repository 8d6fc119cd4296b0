//! The two doors between a query and the documents that it works on.
//!
//! A query reads through [`Source`] and writes through [`Target`]; it never
//! knows what stands behind them. Documents pass as canonical bytes.

use std::ops::{Bound, ControlFlow};

use tombolo_document::order::Direction;
use tombolo_document::{DocumentId, Dot};

/// What stands behind the door failed: our fault or the operator's, never the
/// statement's.
#[derive(Debug, thiserror::Error)]
#[error("the store could not serve the query")]
pub struct SourceError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// Called with an id's canonical bytes and its document's canonical bytes, both
/// borrowed for the call alone; `Break` ends the scan.
pub type Visit<'v> = &'v mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>;

/// One index of one collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexDefinition {
    /// Unique within the collection.
    pub name: String,
    /// The collection it belongs to.
    pub collection: String,
    /// The indexed fields, most significant first.
    pub keys: Vec<IndexKey>,
}

/// One field of an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexKey {
    /// Field names from the document's root.
    pub path: Vec<String>,
    /// Which way the index sorts it.
    pub direction: Direction,
}

/// A consistent view of the documents, at one commit.
///
/// Tombstones are never shown. An unknown collection is an empty one.
pub trait Source {
    /// The live document with this id.
    ///
    /// # Errors
    /// The store failed.
    fn document(&self, collection: &str, id: &DocumentId) -> Result<Option<Vec<u8>>, SourceError>;

    /// Visits the live documents of a collection in the order of their ids.
    ///
    /// # Errors
    /// The store failed.
    fn scan(&self, collection: &str, visit: Visit<'_>) -> Result<(), SourceError>;

    /// Visits the live documents whose entry in the index lies in the span, in
    /// the order of the index, or in its reverse if `direction` is descending.
    /// The bounds are keys of `tombolo_document::order`, one field's key behind
    /// the other, each in the direction of its [`IndexKey`]; a bound may be a
    /// prefix of whole entries, and `Included` as upper bound then takes every
    /// entry that starts with it.
    ///
    /// # Errors
    /// The store failed.
    fn scan_index(
        &self,
        index: &IndexDefinition,
        span: (Bound<&[u8]>, Bound<&[u8]>),
        direction: Direction,
        visit: Visit<'_>,
    ) -> Result<(), SourceError>;

    /// How many live documents the collection has, without reading them.
    ///
    /// # Errors
    /// The store failed.
    fn count(&self, collection: &str) -> Result<u64, SourceError>;

    /// The names of the collections that were ever written, sorted.
    ///
    /// # Errors
    /// The store failed.
    fn collections(&self) -> Result<Vec<String>, SourceError>;

    /// The indexes of one collection, or of all, sorted by collection and name.
    ///
    /// # Errors
    /// The store failed.
    fn indexes(&self, collection: Option<&str>) -> Result<Vec<IndexDefinition>, SourceError>;
}

/// One open transaction: reads see its own writes.
pub trait Target: Source {
    /// The commit that every write of this transaction belongs to.
    fn dot(&self) -> Dot;

    /// The stored state of a document, tombstones included, for merging into.
    ///
    /// # Errors
    /// The store failed.
    fn state(&self, collection: &str, id: &DocumentId) -> Result<Option<Vec<u8>>, SourceError>;

    /// Replaces the state of a document by canonical bytes that extend it.
    ///
    /// # Errors
    /// The store failed.
    fn put(
        &mut self,
        collection: &str,
        id: &DocumentId,
        document: Vec<u8>,
    ) -> Result<(), SourceError>;

    /// Forgets a document here; other replicas keep it.
    ///
    /// # Errors
    /// The store failed.
    fn evict(&mut self, collection: &str, id: &DocumentId) -> Result<(), SourceError>;

    /// Makes an index over the documents present and to come. The caller has
    /// checked that the name is free.
    ///
    /// # Errors
    /// The store failed.
    fn create_index(&mut self, index: &IndexDefinition) -> Result<(), SourceError>;

    /// Removes an index.
    ///
    /// # Errors
    /// The store failed.
    fn drop_index(&mut self, collection: &str, name: &str) -> Result<(), SourceError>;
}
