//! What the store knows beside its documents: who it is, how far it has come.
//!
//! One record holds all that moves with every commit, so that each round writes it once.

use tombolo_document::{Actor, SiteId, Stamp};

use crate::{
    StoreError,
    catalog::Catalog,
    codec::{RECORD_VERSION, RecordReader, put_bytes, put_varint},
    echo::Echo,
    engine::{EngineSnapshot, Keyspace},
};

/// The key of the state record in `Meta`.
pub(crate) const STATE_KEY: &[u8] = b"s";
/// The key of the identity record in `Meta`.
pub(crate) const IDENTITY_KEY: &[u8] = b"d";

/// 128 random bits that name one life of a change log: new at creation, restore, eviction and
/// engine migration, so that a peer never continues an old cursor in another log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogId(pub [u8; 16]);

/// The part of the store that every commit moves. Cloning copies no registry.
#[derive(Clone, Debug)]
pub(crate) struct State {
    /// The newest number that was given out; above `last_commit` after commits without change.
    pub(crate) last_number: u64,
    /// The newest commit in the change log.
    pub(crate) last_commit: u64,
    /// The running hash of the change log there.
    pub(crate) chain: [u8; 16],
    /// The greatest stamp issued or accepted.
    pub(crate) high_water: Stamp,
    pub(crate) log: LogId,
    pub(crate) epoch: u32,
    pub(crate) collections_made: u32,
    pub(crate) indexes_made: u32,
    /// How many evicted documents are remembered.
    pub(crate) evicted: u64,
    /// Not part of the record: each registry has records of its own.
    pub(crate) catalog: Catalog,
    /// Not part of the record either.
    pub(crate) echo: Echo,
}

impl State {
    /// The state of a store that holds nothing.
    pub(crate) fn new(log: LogId, catalog: Catalog) -> Self {
        Self {
            last_number: 0,
            last_commit: 0,
            chain: [0; 16],
            high_water: Stamp::ZERO,
            log,
            epoch: Actor::FIRST_EPOCH,
            collections_made: 0,
            indexes_made: 0,
            evicted: 0,
            catalog,
            echo: Echo::default(),
        }
    }

    /// The stored state; `None` in a new store.
    pub(crate) fn load(snapshot: &dyn EngineSnapshot) -> Result<Option<Self>, StoreError> {
        let Some(record) = snapshot.get(Keyspace::Meta, STATE_KEY)? else {
            return Ok(None);
        };
        let mut reader = RecordReader::open("state", &record)?;
        let state = Self {
            last_number: reader.varint()?,
            last_commit: reader.varint()?,
            chain: reader.array()?,
            high_water: Stamp::from_bits(reader.varint()?),
            log: LogId(reader.array()?),
            epoch: reader.number()?,
            collections_made: reader.number()?,
            indexes_made: reader.number()?,
            evicted: reader.varint()?,
            catalog: Catalog::load(snapshot)?,
            echo: Echo::default(),
        };
        reader.close()?;
        Ok(Some(state))
    }

    pub(crate) fn record(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(80);
        out.push(RECORD_VERSION);
        put_varint(&mut out, self.last_number);
        put_varint(&mut out, self.last_commit);
        out.extend_from_slice(&self.chain);
        put_varint(&mut out, self.high_water.bits());
        out.extend_from_slice(&self.log.0);
        put_varint(&mut out, u64::from(self.epoch));
        put_varint(&mut out, u64::from(self.collections_made));
        put_varint(&mut out, u64::from(self.indexes_made));
        put_varint(&mut out, self.evicted);
        out
    }
}

/// Which database and which site the data belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) database_id: String,
    pub(crate) site: SiteId,
}

impl Identity {
    pub(crate) fn load(snapshot: &dyn EngineSnapshot) -> Result<Option<Self>, StoreError> {
        let Some(record) = snapshot.get(Keyspace::Meta, IDENTITY_KEY)? else {
            return Ok(None);
        };
        let mut reader = RecordReader::open("identity", &record)?;
        let database_id = reader.text()?.to_owned();
        let site = SiteId(reader.array()?);
        reader.close()?;
        Ok(Some(Self { database_id, site }))
    }

    pub(crate) fn record(&self) -> Vec<u8> {
        let mut out = vec![RECORD_VERSION];
        put_bytes(&mut out, self.database_id.as_bytes());
        out.extend_from_slice(&self.site.0);
        out
    }
}
