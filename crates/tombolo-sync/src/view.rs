//! The door through which a session reads a store: a consistent view of one
//! commit. Whoever drives the session stands behind it.

use std::ops::ControlFlow;

use tombolo_document::{DocumentId, VersionVector};

/// 128 bits that name one life of a change log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogId(pub [u8; 16]);

/// A place in a change log with the running hash there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Position {
    /// The commit.
    pub commit: u64,
    /// The running hash of the log up to it.
    pub chain: [u8; 16],
}

/// A document as it is stored, tombstones included.
#[derive(Debug, Clone, Copy)]
pub struct Stored<'v> {
    /// False for a tombstone.
    pub live: bool,
    /// Canonical bytes.
    pub document: &'v [u8],
}

/// The newest change of one document.
pub struct Changed<'v> {
    /// The commit that made it.
    pub commit: u64,
    /// Its collection.
    pub collection: &'v str,
    /// The canonical bytes of its id.
    pub id: &'v [u8],
    /// The document.
    pub stored: Stored<'v>,
    /// What a peer at the cursor that was asked about is known to cover.
    pub base: VersionVector,
}

/// Which changes are asked for.
pub struct Since<'a> {
    /// The commit that the peer is at.
    pub commit: u64,
    /// The peer's log: what came from there it has.
    pub echo: Option<LogId>,
    /// Whether a collection is of interest; others are passed over unread.
    pub collection: &'a dyn Fn(&str) -> bool,
}

/// The store failed; our fault or the operator's, never the peer's.
#[derive(Debug, thiserror::Error)]
#[error("the store could not be read")]
pub struct ViewError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// Called with an id's canonical bytes and its document; `Break` ends the scan.
pub type VisitStored<'a> = &'a mut dyn FnMut(&[u8], Stored<'_>) -> ControlFlow<()>;

/// Called with a record's key and value; `Break` ends the scan.
pub type VisitRecord<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>;

/// A consistent view of a store.
pub trait View {
    /// The newest commit, with the running hash there.
    fn position(&self) -> Position;

    /// The running hash at an earlier commit, if it is still known.
    ///
    /// # Errors
    /// The store failed.
    fn chain_at(&self, commit: u64) -> Result<Option<[u8; 16]>, ViewError>;

    /// Calls `visit` with one document, if it is there.
    ///
    /// # Errors
    /// The store failed.
    fn stored(
        &self,
        collection: &str,
        id: &DocumentId,
        visit: &mut dyn FnMut(Stored<'_>),
    ) -> Result<(), ViewError>;

    /// Visits the documents of a collection with ids after `after`, in the order
    /// of their ids, tombstones included.
    ///
    /// # Errors
    /// The store failed.
    fn scan(
        &self,
        collection: &str,
        after: Option<&[u8]>,
        visit: VisitStored<'_>,
    ) -> Result<(), ViewError>;

    /// Visits the newest change of each document that changed since, in commit
    /// order.
    ///
    /// # Errors
    /// The store failed.
    fn changes(
        &self,
        since: &Since<'_>,
        visit: &mut dyn FnMut(Changed<'_>) -> ControlFlow<()>,
    ) -> Result<(), ViewError>;

    /// A record that a session left: [`crate::record`] has their keys.
    ///
    /// # Errors
    /// The store failed.
    fn record(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ViewError>;

    /// Visits the records whose keys begin so, in their order.
    ///
    /// # Errors
    /// The store failed.
    fn records(&self, prefix: &[u8], visit: VisitRecord<'_>) -> Result<(), ViewError>;
}
