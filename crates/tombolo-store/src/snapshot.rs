//! A view of the store at one durable commit. Taking one costs a reference count and never waits
//! for a writer; what is not yet durable is never seen through it.

use std::{
    ops::{Bound, ControlFlow},
    sync::Arc,
};

use tombolo_document::{Actor, DocumentId, SiteId, Stamp, order};
use tombolo_query::source::{IndexDefinition, Source, SourceError, Visit};

use crate::{
    StoreError,
    arrival::Origin,
    catalog::{Catalog, Collection},
    chain::{self, Verified},
    engine::{Direction, EngineError, EngineSnapshot, KeyRange, Keyspace, StoredBytes, Visitor},
    layout::{self, HeadRecord},
    reads::{self, Change, Reads, StoredDocument, VisitStored, serve_queries},
    sidecar::Sidecar,
    state::{LogId, State},
};

pub(crate) struct View {
    pub(crate) bytes: Box<dyn EngineSnapshot>,
    pub(crate) state: State,
    pub(crate) site: SiteId,
}

/// The store at one commit.
#[derive(Clone)]
pub struct Snapshot(pub(crate) Arc<View>);

impl Snapshot {
    /// The newest commit in the change log here; zero before the first.
    pub fn last_commit(&self) -> u64 {
        self.0.state.last_commit
    }

    /// How many live documents all collections have. The catalog counts them, so none is read.
    pub fn live_documents(&self) -> u64 {
        let collections = self.0.state.catalog.collections.values();
        collections.map(|collection| collection.live).sum()
    }

    /// The running hash of the change log at [`Snapshot::last_commit`].
    pub fn chain(&self) -> [u8; 16] {
        self.0.state.chain
    }

    /// The running hash at an earlier commit, if its head is still kept: see
    /// [`crate::HEADS_KEPT`].
    ///
    /// # Errors
    /// The engine failed, or the head is damaged.
    pub fn chain_at(&self, commit: u64) -> Result<Option<[u8; 16]>, StoreError> {
        let found = self
            .0
            .bytes
            .get(Keyspace::Changes, &layout::head_key(commit))?;
        let head = found.map(|bytes| HeadRecord::read(&bytes)).transpose()?;
        Ok(head.map(|head| head.chain))
    }

    /// The name of this life of the change log.
    pub fn log_id(&self) -> LogId {
        self.0.state.log
    }

    /// Under whose name this device writes.
    pub fn actor(&self) -> Actor {
        Actor::new(self.0.site, self.0.state.epoch)
    }

    /// The greatest stamp that was issued or accepted here.
    pub fn high_water(&self) -> Stamp {
        self.0.state.high_water
    }

    /// How arrival notes name a remote log; `None` if nothing ever came from it.
    pub fn origin(&self, log: LogId) -> Option<Origin> {
        self.0.state.catalog.origin(log)
    }

    /// Whether all that changed after `commit` is known to have come from the log of that origin
    /// alone: then [`Snapshot::changes_after`] visits nothing that a peer with that log lacks.
    pub fn is_echo(&self, origin: Origin, commit: u64) -> bool {
        self.0.state.echo.is_all(origin, commit)
    }

    /// A document as stored, tombstones included. `id` is the canonical bytes of its id.
    ///
    /// # Errors
    /// The engine failed, or the record is damaged.
    pub fn stored(
        &self,
        collection: &str,
        id: &[u8],
    ) -> Result<Option<StoredDocument>, StoreError> {
        reads::stored_document(self, collection, id)
    }

    /// Visits the documents of a collection with ids after `after`, in the order of their ids: the
    /// id, whether it is live (a tombstone is not), and the canonical bytes.
    ///
    /// # Errors
    /// The engine failed, or a record is damaged.
    pub fn scan_stored(
        &self,
        collection: &str,
        after: Option<&[u8]>,
        visit: VisitStored<'_>,
    ) -> Result<(), StoreError> {
        reads::scan_stored(self, collection, after, visit)
    }

    /// Visits the newest change of each document that changed after `commit`, in commit order.
    ///
    /// # Errors
    /// The engine failed, or the log is damaged.
    pub fn changes_after(
        &self,
        commit: u64,
        visit: &mut dyn FnMut(Change<'_>) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        reads::changes_after(self, commit, visit)
    }

    /// Bytes that stand beside the documents.
    ///
    /// # Errors
    /// The engine failed.
    pub fn sidecar(&self, sidecar: Sidecar, key: &[u8]) -> Result<Option<StoredBytes>, StoreError> {
        Ok(self.0.bytes.get(sidecar.keyspace(), key)?)
    }

    /// Visits the bytes that stand beside the documents, in key order.
    ///
    /// # Errors
    /// The engine failed.
    pub fn scan_sidecar(
        &self,
        sidecar: Sidecar,
        range: &KeyRange,
        visitor: &mut Visitor<'_>,
    ) -> Result<(), StoreError> {
        let bytes = &self.0.bytes;
        Ok(bytes.scan(sidecar.keyspace(), range, Direction::Forward, visitor)?)
    }

    /// Checks the whole change log: its chain, its digests, and each entry against its document.
    ///
    /// # Errors
    /// [`StoreError::DamagedLog`] names the first commit that is wrong.
    pub fn verify(&self) -> Result<Verified, StoreError> {
        let View { bytes, state, .. } = &*self.0;
        let commits = chain::check_links(&**bytes, state, 0)?;
        let documents = chain::check_entries(&**bytes)?;
        Ok(Verified { commits, documents })
    }
}

impl Reads for Snapshot {
    fn catalog(&self) -> &Catalog {
        &self.0.state.catalog
    }

    fn live(&self, collection: &Collection) -> u64 {
        collection.live
    }

    fn get(&self, keyspace: Keyspace, key: &[u8]) -> Result<Option<StoredBytes>, EngineError> {
        self.0.bytes.get(keyspace, key)
    }

    fn scan_bytes(
        &self,
        keyspace: Keyspace,
        range: &KeyRange,
        direction: Direction,
        visitor: &mut Visitor<'_>,
    ) -> Result<(), EngineError> {
        self.0.bytes.scan(keyspace, range, direction, visitor)
    }
}

serve_queries!(Snapshot);
