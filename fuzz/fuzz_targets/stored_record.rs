//! One stored record with arbitrary bytes in its place: the store tells of damage, or answers; it never panics.
//! A small store is written once; each run changes one record of it, opens it and reads everything.

#![no_main]

use std::ops::ControlFlow;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use tombolo_document::order::Direction as Order;
use tombolo_document::{DocumentId, Edit, Schema, SiteId, Value, json};
use tombolo_query::{IndexDefinition, IndexKey, Source, Target};
use tombolo_store::engine::{Batch, Direction, Engine, KeyRange, Keyspace, MemoryEngine};
use tombolo_store::{Store, StoreSettings, Timekeeper, Transaction};

const COLLECTION: &str = "orders";

/// One record: where, under which key, which bytes.
type Record = (Keyspace, Vec<u8>, Vec<u8>);

#[derive(Debug, Arbitrary)]
struct Damage {
    record: u8,
    keep_bytes: u8,
    then: Vec<u8>,
    flip_key: bool,
}

struct Still;

impl Timekeeper for Still {
    fn unix_ms(&self) -> u64 {
        1_767_225_600_000
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

fn settings() -> StoreSettings {
    StoreSettings::new("fuzz", SiteId([1; 16]), Arc::new(Still), || [9; 16])
}

fn write_document(transaction: &mut Transaction<'_>, name: &str, text: &str) -> Result<(), String> {
    let id = DocumentId::from_value(&Value::String(name.to_owned()))
        .map_err(|error| error.to_string())?;
    let state = transaction
        .state(COLLECTION, &id)
        .map_err(|error| error.to_string())?;
    let Ok(Value::Object(fields)) = json::parse(text.as_bytes()) else {
        return Err("not an object".to_owned());
    };
    let mut edit =
        Edit::open(state.as_deref(), transaction.dot()).map_err(|error| error.to_string())?;
    edit.set_object(&fields, &Schema::INFERRED)
        .map_err(|error| error.to_string())?;
    let bytes = edit
        .finish()
        .map_err(|error| error.to_string())?
        .unwrap_or_default();
    transaction
        .put(COLLECTION, &id, bytes)
        .map_err(|error| error.to_string())
}

fn index() -> IndexDefinition {
    let key = IndexKey {
        path: vec!["make".to_owned()],
        direction: Order::Ascending,
    };
    IndexDefinition {
        name: "by_make".to_owned(),
        collection: COLLECTION.to_owned(),
        keys: vec![key],
    }
}

/// The records of a store that was written by its own rules.
fn sound_records() -> &'static [Record] {
    static RECORDS: OnceLock<Vec<Record>> = OnceLock::new();
    RECORDS.get_or_init(|| {
        let engine = Arc::new(MemoryEngine::new());
        let store = Store::open(Arc::clone(&engine) as Arc<dyn Engine>, settings())
            .expect("a new store opens");
        store
            .write_and_wait(|transaction| transaction.create_index(&index()))
            .expect("an index");
        for (name, text) in [
            ("a", r#"{"make":"Ford","year":2019}"#),
            ("b", r#"{"make":"Opel","tags":{"x":1}}"#),
            ("a", r#"{"make":"Fiat"}"#),
        ] {
            store
                .write_and_wait(move |transaction| write_document(transaction, name, text))
                .expect("a document");
        }
        drop(store);
        let snapshot = engine.snapshot().expect("memory has snapshots");
        let mut records = Vec::new();
        for keyspace in Keyspace::ALL {
            let mut visitor = |key: &[u8], value: &[u8]| {
                records.push((keyspace, key.to_vec(), value.to_vec()));
                ControlFlow::Continue(())
            };
            snapshot
                .scan(keyspace, &KeyRange::all(), Direction::Forward, &mut visitor)
                .expect("memory can be read");
        }
        records
    })
}

fuzz_target!(|damage: Damage| {
    let mut records = sound_records().to_vec();
    let chosen = usize::from(damage.record) % records.len();
    let (_, key, value) = &mut records[chosen];
    let bytes = if damage.flip_key { key } else { value };
    bytes.truncate(usize::from(damage.keep_bytes));
    bytes.extend_from_slice(&damage.then);
    let engine = MemoryEngine::new();
    let mut batch = Batch::new();
    for (keyspace, key, value) in records {
        if batch.put(keyspace, key, value).is_err() {
            return;
        }
    }
    engine.write(&batch).expect("memory takes the batch");
    let Ok(store) = Store::open(Arc::new(engine), settings()) else {
        return;
    };
    let snapshot = store.snapshot();
    let _ = snapshot.verify();
    let _ = snapshot.changes_after(0, &mut |_| ControlFlow::Continue(()));
    let _ = snapshot.collections();
    let _ = snapshot.count(COLLECTION);
    let _ = snapshot.scan(COLLECTION, &mut |_, _| ControlFlow::Continue(()));
    let _ = snapshot.indexes(None);
    // Whatever was read, a write ends with an answer.
    let _ =
        store.write_and_wait(|transaction| write_document(transaction, "a", r#"{"make":"Seat"}"#));
});
