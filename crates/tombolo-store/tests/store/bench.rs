//! A store for tests, with a clock and randomness that tests control.

use std::{
    ops::RangeInclusive,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tombolo_document::{DocumentId, Edit, Object, Schema, SiteId, Value, json};
use tombolo_query::source::{IndexDefinition, IndexKey, Source, SourceError, Target};
use tombolo_store::{
    Commit, Store, StoreError, StoreSettings, Timekeeper, Transaction, WriteError,
    engine::{Engine, FaultyDisk},
};

pub(crate) const DATABASE: &str = "test-database";

/// Clocks that stand still unless moved.
#[derive(Debug, Default)]
pub(crate) struct HandClock {
    pub(crate) unix_ms: AtomicU64,
    pub(crate) monotonic_ms: AtomicU64,
}

impl Timekeeper for HandClock {
    fn unix_ms(&self) -> u64 {
        self.unix_ms.load(Ordering::SeqCst)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.monotonic_ms.load(Ordering::SeqCst))
    }
}

/// What outlives one opening of the store.
#[derive(Clone, Default)]
pub(crate) struct World {
    pub(crate) clock: Arc<HandClock>,
    pub(crate) entropy: Arc<AtomicU64>,
    pub(crate) announced: Arc<Mutex<Vec<RangeInclusive<u64>>>>,
}

impl World {
    pub(crate) fn settings(&self) -> StoreSettings {
        let entropy = Arc::clone(&self.entropy);
        let announced = Arc::clone(&self.announced);
        let time: Arc<dyn Timekeeper> = Arc::<HandClock>::clone(&self.clock);
        let mut settings = StoreSettings::new(DATABASE, SiteId([7; 16]), time, move || {
            u128::from(entropy.fetch_add(1, Ordering::SeqCst)).to_be_bytes()
        });
        settings.on_commit = Box::new(move |commits| announced.lock().unwrap().push(commits));
        settings
    }

    pub(crate) fn open(&self, engine: impl Engine + 'static) -> Store {
        Store::open(Arc::new(engine), self.settings()).unwrap()
    }
}

/// A store on the faulty twin.
pub(crate) struct Faulty {
    pub(crate) world: World,
    pub(crate) disk: FaultyDisk,
    pub(crate) store: Option<Store>,
}

impl Faulty {
    pub(crate) fn new() -> Self {
        let (world, disk) = (World::default(), FaultyDisk::new());
        let store = Some(world.open(disk.open()));
        Self { world, disk, store }
    }

    pub(crate) fn store(&self) -> &Store {
        self.store.as_ref().unwrap()
    }

    /// Cuts the power and opens what is left.
    pub(crate) fn power_cut(&mut self, seed: u64) {
        self.disk.power_cut(seed);
        self.store = None;
        self.store = Some(self.world.open(self.disk.open()));
    }
}

pub(crate) fn id(number: u64) -> DocumentId {
    DocumentId::from_value(&Value::String(format!("id{number}"))).unwrap()
}

pub(crate) fn object(text: &str) -> Object {
    match json::parse(text.as_bytes()).unwrap() {
        Value::Object(object) => object,
        other => panic!("not an object: {other:?}"),
    }
}

/// Writes fields into a document, as UPDATE or INSERT does.
pub(crate) fn set(
    transaction: &mut Transaction<'_>,
    name: &str,
    number: u64,
    fields: &str,
) -> Result<(), SourceError> {
    let (id, schema) = (id(number), Schema::INFERRED);
    let held = transaction.state(name, &id)?;
    let mut edit = Edit::open(held.as_deref(), transaction.dot()).unwrap();
    edit.set_object(&object(fields), &schema).unwrap();
    match edit.finish().unwrap() {
        Some(document) => transaction.put(name, &id, document),
        None => Ok(()),
    }
}

/// Removes a document, as DELETE does.
pub(crate) fn delete(
    transaction: &mut Transaction<'_>,
    name: &str,
    number: u64,
) -> Result<(), SourceError> {
    let id = id(number);
    let held = transaction.state(name, &id)?;
    let mut edit = Edit::open(held.as_deref(), transaction.dot()).unwrap();
    edit.delete();
    match edit.finish().unwrap() {
        Some(document) => transaction.put(name, &id, document),
        None => Ok(()),
    }
}

/// One write, waited for.
pub(crate) fn write(
    store: &Store,
    mut work: impl FnMut(&mut Transaction<'_>) -> Result<(), SourceError> + Send + 'static,
) -> Result<Commit, StoreError> {
    match store.write_and_wait(move |transaction| work(transaction)) {
        Ok((commit, ())) => Ok(commit),
        Err(WriteError::Store(error)) => Err(error),
        Err(WriteError::Work(error)) => panic!("{error:?}"),
    }
}

/// The fields of a live document, as text.
pub(crate) fn read(source: &dyn Source, name: &str, number: u64) -> Option<String> {
    let document = source.document(name, &id(number)).unwrap()?;
    Some(text(&document))
}

pub(crate) fn text(document: &[u8]) -> String {
    let view = tombolo_document::DocumentView::new(document).unwrap();
    json::print(&Value::Object(view.to_object(&Schema::INFERRED).unwrap()))
}

pub(crate) fn index(name: &str, collection: &str, path: &[&str]) -> IndexDefinition {
    let path = path.iter().map(|name| (*name).to_owned()).collect();
    let keys = vec![IndexKey {
        path,
        direction: Default::default(),
    }];
    IndexDefinition {
        name: name.to_owned(),
        collection: collection.to_owned(),
        keys,
    }
}
