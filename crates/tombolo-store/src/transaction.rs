//! One open transaction: it reads its own writes, and is kept or undone as a whole.
//!
//! It never flushes and never answers: the writer does, for all transactions of a round at once.

use std::{borrow::Cow, cell::RefCell, ops::Bound};

use tombolo_document::{
    Actor, DocumentId, DocumentView, Dot, HybridClock, SiteId, VersionVector, Whole, order,
};
use tombolo_query::source::{IndexDefinition, Source, SourceError, Target, Visit};

use crate::{
    StoreError,
    arrival::{Arrivals, Origin},
    catalog::{COLLECTION_NAME_BYTES_MAX, COLLECTIONS_MAX, Catalog, Collection},
    echo::Came,
    engine::{Direction, EngineError, EngineSnapshot, KeyRange, Keyspace, StoredBytes, Visitor},
    evicted, indexing,
    layout::{self, DocumentRecord},
    mentions,
    overlay::Overlay,
    reads::{Reads, serve_queries},
    receive::{Body, Incoming, Received, Unknown},
    sidecar::Sidecar,
    state::{LogId, State},
};

/// What the writer lends to a transaction.
pub(crate) struct Desk<'w> {
    pub(crate) below: &'w dyn EngineSnapshot,
    pub(crate) overlay: &'w mut Overlay,
    pub(crate) state: &'w mut State,
    pub(crate) clock: &'w mut HybridClock,
    pub(crate) entropy: &'w mut (dyn FnMut() -> [u8; 16] + Send),
}

/// One transaction, held by the work that runs in it.
pub struct Transaction<'w> {
    pub(crate) desk: Desk<'w>,
    dot: Dot,
    commit: u64,
    pub(crate) now_ms: u64,
    renewed_log: bool,
    /// The document that was looked at last: most are written next.
    pub(crate) seen: RefCell<Option<Before>>,
    pub(crate) unknown: Unknown,
    came: Came,
    /// Set when a write needs a new actor, which a transaction cannot change half-way.
    pub(crate) needs_new_actor: bool,
}

/// A document key with what is known of it before a change.
pub(crate) struct Before {
    pub(crate) key: StoredBytes,
    pub(crate) record: Option<StoredBytes>,
}

/// The bytes that a document changes to, with what is noted of them.
pub(crate) struct NextState<'a> {
    document: &'a [u8],
    vector: Cow<'a, VersionVector>,
    live: bool,
    /// Whether it may refer to attachments.
    may_mention: bool,
}

impl<'a> NextState<'a> {
    pub(crate) fn read(document: &'a [u8]) -> Result<Self, StoreError> {
        let damaged = StoreError::DamagedDocument;
        let (view, vector) = DocumentView::with_vector(document).map_err(damaged)?;
        Ok(Self {
            document,
            vector: Cow::Owned(vector),
            live: view.is_visible().map_err(damaged)?,
            may_mention: true,
        })
    }

    /// A document that was not here.
    pub(crate) fn new(whole: &'a Whole) -> Self {
        Self {
            document: whole.document(),
            vector: Cow::Borrowed(whole.vector()),
            live: true,
            may_mention: false,
        }
    }
}

impl<'w> Transaction<'w> {
    pub(crate) fn new(desk: Desk<'w>, site: SiteId, now_ms: u64) -> Result<Self, StoreError> {
        let stamp = desk.clock.tick(now_ms)?;
        let dot = Dot::new(Actor::new(site, desk.state.epoch), stamp);
        let commit = desk.state.last_number + 1;
        Ok(Self {
            desk,
            dot,
            commit,
            now_ms,
            renewed_log: false,
            seen: RefCell::default(),
            unknown: Unknown::default(),
            came: Came::default(),
            needs_new_actor: false,
        })
    }

    /// The local number that this transaction has if it is kept.
    pub const fn commit(&self) -> u64 {
        self.commit
    }

    /// Where what it changed so far came from.
    pub(crate) const fn came(&self) -> Came {
        self.came
    }

    /// The unix milliseconds at which the transaction began.
    pub const fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// As [`Transaction::receive`], for bytes that name their actors themselves.
    ///
    /// # Errors
    /// [`StoreError::Merge`] if the bytes are refused, [`StoreError::Clock`] if they hold a stamp
    /// too far ahead; the document is unchanged then.
    pub fn merge(
        &mut self,
        collection: &str,
        id: &DocumentId,
        incoming: &[u8],
        log: Option<LogId>,
    ) -> Result<Received, StoreError> {
        let actors = None;
        self.receive(&Incoming {
            collection,
            id,
            body: Body::Delta {
                bytes: incoming,
                actors,
            },
            log,
            acknowledged: 0,
        })
    }

    /// Puts bytes beside the documents, or removes them.
    ///
    /// # Errors
    /// The bytes are beyond the engine's limits, or the transaction became too large.
    pub fn set_sidecar(
        &mut self,
        sidecar: Sidecar,
        key: &[u8],
        value: Option<Vec<u8>>,
    ) -> Result<(), StoreError> {
        self.set(sidecar.keyspace(), key, value.map(Into::into))
    }

    /// Bytes beside the documents, as this transaction sees them.
    ///
    /// # Errors
    /// The engine failed.
    pub fn sidecar(&self, sidecar: Sidecar, key: &[u8]) -> Result<Option<StoredBytes>, StoreError> {
        Ok(self.get(sidecar.keyspace(), key)?)
    }

    /// Begins a new life of the change log: after a restore or when a peer tells that this store
    /// was copied or rolled back. With it comes a new actor epoch from the next transaction on.
    ///
    /// # Errors
    /// The engine failed, or there were four thousand million epochs.
    pub fn renew_identity(&mut self) -> Result<(), StoreError> {
        self.renew_log();
        // Two copies of one store draw apart, so that they do not become one actor again.
        let drawn = (self.desk.entropy)();
        let step = 1 + u32::from(u16::from_be_bytes([drawn[0], drawn[1]]));
        let epoch = self.desk.state.epoch.checked_add(step);
        self.desk.state.epoch = epoch.ok_or(StoreError::TooMany {
            what: "lives",
            max: u32::MAX as usize,
        })?;
        evicted::forget_all(self)
    }

    /// Whether the transaction changed anything.
    pub(crate) fn has_changes(&self) -> bool {
        self.desk.overlay.has_changes() || self.renewed_log
    }

    /// Gives the log a new id, once in a transaction.
    pub(crate) fn renew_log(&mut self) {
        if !self.renewed_log {
            self.desk.state.log = LogId((self.desk.entropy)());
            self.renewed_log = true;
        }
    }

    pub(crate) fn set(
        &mut self,
        keyspace: Keyspace,
        key: impl Into<StoredBytes>,
        value: Option<StoredBytes>,
    ) -> Result<(), StoreError> {
        if keyspace == Keyspace::Documents {
            self.seen.take();
        }
        self.desk.overlay.set(keyspace, key, value)
    }

    /// A document as it is before a change.
    pub(crate) fn look_at(&self, collection: u32, id: &[u8]) -> Result<Before, StoreError> {
        let key = layout::document_key(collection, id);
        match self.seen.take() {
            Some(seen) if seen.key == key => Ok(seen),
            _ => Ok(Before {
                record: self.get(Keyspace::Documents, &key)?,
                key,
            }),
        }
    }

    /// Puts the record of a collection where the registry and the disk both have it.
    pub(crate) fn set_collection(
        &mut self,
        name: &str,
        collection: Collection,
    ) -> Result<(), StoreError> {
        let (key, value) = self.desk.state.catalog.set(name.into(), collection);
        self.set(Keyspace::Meta, key, value.map(Into::into))
    }

    /// The collection of this name, made if it is new.
    pub(crate) fn collection(&mut self, name: &str) -> Result<Collection, StoreError> {
        if let Some(collection) = self.desk.state.catalog.collection(name) {
            return Ok(collection.clone());
        }
        if name.len() > COLLECTION_NAME_BYTES_MAX {
            return Err(StoreError::CollectionName { bytes: name.len() });
        }
        if self.desk.state.catalog.collections.size() >= COLLECTIONS_MAX {
            return Err(StoreError::TooMany {
                what: "collections",
                max: COLLECTIONS_MAX,
            });
        }
        self.desk.state.collections_made += 1;
        let number = self.desk.state.collections_made;
        Ok(Collection {
            number,
            written: false,
            live: 0,
            indexes: Default::default(),
        })
    }

    pub(crate) fn origin(&mut self, log: Option<LogId>) -> Result<Origin, StoreError> {
        let Some(log) = log else {
            return Ok(Origin::UNKNOWN);
        };
        if let Some(origin) = self.desk.state.catalog.origin(log) {
            return Ok(origin);
        }
        match self.desk.state.catalog.remember_log(log) {
            Some((origin, (key, value))) => {
                self.set(Keyspace::Meta, key, value.map(Into::into))?;
                Ok(origin)
            }
            None => Ok(Origin::UNKNOWN),
        }
    }

    /// The one way in which a document changes: record, change log, indexes and count together.
    pub(crate) fn replace(
        &mut self,
        name: &str,
        id: &DocumentId,
        next: &NextState<'_>,
        origin: Origin,
    ) -> Result<(), StoreError> {
        let NextState {
            document,
            vector,
            live,
            may_mention,
        } = next;
        let (document, live) = (*document, *live);
        let mut collection = self.collection(name)?;
        let before = self.look_at(collection.number, id.as_bytes())?;
        let old = before
            .record
            .as_deref()
            .map(DocumentRecord::read)
            .transpose()?;
        if old.as_ref().is_some_and(|old| old.document == document) {
            return Ok(());
        }
        evicted::check(self, &before.key, vector, origin)?;
        let arrivals = self.note_arrival(old.as_ref(), vector, origin, &before.key)?;
        let shown = live.then_some(document);
        indexing::move_entries(self, &collection, id.as_bytes(), old.as_ref(), shown)?;
        let mentioning = shown.filter(|_| *may_mention);
        mentions::move_mentions(self, &before.key, old.as_ref(), mentioning)?;
        let record = DocumentRecord::write(live, &arrivals, vector, document);
        self.set(Keyspace::Documents, before.key.clone(), Some(record))?;
        let only_log = arrivals.only_log();
        self.came.note(only_log);
        self.set(
            Keyspace::Changes,
            layout::change_key(self.commit, &before.key),
            Some(layout::change_record(only_log).into()),
        )?;
        let was_live = old.is_some_and(|old| old.live);
        if live != was_live {
            let by = i64::from(live) - i64::from(was_live);
            self.desk.overlay.grow(collection.number, by);
        }
        if !collection.written {
            collection.written = true;
            self.set_collection(name, collection)?;
        }
        Ok(())
    }

    /// Notes what arrives, and removes the document's older entry in the change log.
    fn note_arrival(
        &mut self,
        old: Option<&DocumentRecord<'_>>,
        vector: &VersionVector,
        origin: Origin,
        key: &[u8],
    ) -> Result<Arrivals, StoreError> {
        let Some(old) = old else {
            let mut arrivals = Arrivals::default();
            arrivals.note(self.commit, origin, &VersionVector::new(), vector);
            return Ok(arrivals);
        };
        let old_vector = old.vector()?;
        let mut arrivals = old.arrivals(&old_vector)?;
        if let Some(commit) = arrivals
            .last_commit()
            .filter(|commit| *commit != self.commit)
        {
            self.set(Keyspace::Changes, layout::change_key(commit, key), None)?;
        }
        arrivals.note(self.commit, origin, &old_vector, vector);
        Ok(arrivals)
    }

    /// Forgets a document here: its record, its entries and its place in the change log.
    fn forget(&mut self, name: &str, id: &DocumentId) -> Result<(), StoreError> {
        let Some(collection) = self.desk.state.catalog.collection(name).cloned() else {
            return Ok(());
        };
        let key = layout::document_key(collection.number, id.as_bytes());
        let Some(bytes) = self.get(Keyspace::Documents, &key)? else {
            return Ok(());
        };
        let record = DocumentRecord::read(&bytes)?;
        let vector = record.vector()?;
        indexing::move_entries(self, &collection, id.as_bytes(), Some(&record), None)?;
        mentions::move_mentions(self, &key, Some(&record), None)?;
        let arrivals = record.arrivals(&vector)?;
        if let Some(commit) = arrivals.last_commit() {
            self.set(Keyspace::Changes, layout::change_key(commit, &key), None)?;
        }
        // What this very transaction wrote has never left the device and needs no memory.
        evicted::remember(self, &key, &arrivals.covered_by(self.commit - 1, None))?;
        self.set(Keyspace::Documents, key, None)?;
        if record.live {
            self.desk.overlay.grow(collection.number, -1);
        }
        self.renew_log();
        Ok(())
    }
}

impl Reads for Transaction<'_> {
    fn catalog(&self) -> &Catalog {
        &self.desk.state.catalog
    }

    fn live(&self, collection: &Collection) -> u64 {
        let grown = self.desk.overlay.growth(collection.number);
        collection.live.saturating_add_signed(grown)
    }

    fn get(&self, keyspace: Keyspace, key: &[u8]) -> Result<Option<StoredBytes>, EngineError> {
        self.desk.overlay.over(self.desk.below).get(keyspace, key)
    }

    fn scan_bytes(
        &self,
        keyspace: Keyspace,
        range: &KeyRange,
        direction: Direction,
        visitor: &mut Visitor<'_>,
    ) -> Result<(), EngineError> {
        let layers = self.desk.overlay.over(self.desk.below);
        layers.scan(keyspace, range, direction, visitor)
    }
}

serve_queries!(Transaction<'_>);

impl Target for Transaction<'_> {
    fn dot(&self) -> Dot {
        self.dot
    }

    fn state(&self, collection: &str, id: &DocumentId) -> Result<Option<Vec<u8>>, SourceError> {
        let Some(collection) = self.catalog().collection(collection) else {
            return Ok(None);
        };
        let seen = self.look_at(collection.number, id.as_bytes())?;
        let record = seen
            .record
            .as_deref()
            .map(DocumentRecord::read)
            .transpose()?;
        let document = record.map(|record| record.document.to_vec());
        self.seen.replace(Some(seen));
        Ok(document)
    }

    fn put(
        &mut self,
        collection: &str,
        id: &DocumentId,
        document: Vec<u8>,
    ) -> Result<(), SourceError> {
        let next = NextState::read(&document)?;
        Ok(self.replace(collection, id, &next, Origin::HERE)?)
    }

    fn evict(&mut self, collection: &str, id: &DocumentId) -> Result<(), SourceError> {
        Ok(self.forget(collection, id)?)
    }

    fn create_index(&mut self, index: &IndexDefinition) -> Result<(), SourceError> {
        Ok(indexing::create(self, index)?)
    }

    fn drop_index(&mut self, collection: &str, name: &str) -> Result<(), SourceError> {
        Ok(indexing::drop_index(self, collection, name)?)
    }
}
