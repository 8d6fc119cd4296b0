//! The store knows which documents refer to an attachment, and what ceased to be referred to.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::ControlFlow,
    sync::{Arc, Mutex},
};

use proptest::prelude::*;
use tombolo_document::{
    Edit, Field, Kind, Object, Schema, Undeclared, Value,
    attachment::{AttachmentId, AttachmentToken},
};
use tombolo_query::source::{SourceError, Target};
use tombolo_store::{
    DOCUMENTS_READ_AT_ONCE, OpeningProgress, Snapshot, Store, StoreError, Transaction,
    engine::{Batch, Direction, Engine, Fault, FaultyDisk, KeyRange, Keyspace, MemoryEngine},
};

use crate::bench::{Faulty, World, delete, id, set, write};

fn attachment(number: u8) -> AttachmentId {
    AttachmentId::of(&[number])
}

/// Writes the token of an attachment into field `a` or `b`, or null.
fn refer(
    transaction: &mut Transaction<'_>,
    collection: &str,
    number: u64,
    (field, attachment): (&str, Option<AttachmentId>),
) -> Result<(), SourceError> {
    let declared = |name: &str| {
        let kind = Kind::Attachment;
        let fields = BTreeMap::new();
        (name.to_owned(), Field { kind, fields })
    };
    let schema = Schema {
        fields: BTreeMap::from([declared("a"), declared("b")]),
        undeclared: Undeclared::Infer,
    };
    let held = transaction.state(collection, &id(number))?;
    let mut edit = Edit::open(held.as_deref(), transaction.dot()).unwrap();
    match attachment {
        Some(attachment) => {
            let token = AttachmentToken::new(attachment, 1, BTreeMap::new()).unwrap();
            let fields = Object::from([(field.to_owned(), token.to_value())]);
            edit.set_object(&fields, &schema).unwrap();
        }
        None => {
            let fields = Object::from([("other".to_owned(), Value::Int(1))]);
            edit.set_object(&fields, &schema).unwrap();
            edit.unset(&[field], &schema).unwrap();
        }
    }
    match edit.finish().unwrap() {
        Some(document) => transaction.put(collection, &id(number), document),
        None => Ok(()),
    }
}

fn refer_and_wait(
    store: &Store,
    collection: &'static str,
    number: u64,
    (field, attachment): (&'static str, Option<AttachmentId>),
) {
    write(store, move |transaction| {
        refer(transaction, collection, number, (field, attachment))
    })
    .unwrap();
}

fn documents(snapshot: &Snapshot, attachment: AttachmentId) -> BTreeSet<(String, Vec<u8>)> {
    let mut found = BTreeSet::new();
    snapshot
        .documents_mentioning(attachment, &mut |collection, id| {
            found.insert((collection.to_owned(), id.as_bytes().to_vec()));
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(
        snapshot.is_mentioned(attachment).unwrap(),
        !found.is_empty()
    );
    found
}

fn document(collection: &str, number: u64) -> (String, Vec<u8>) {
    (collection.to_owned(), id(number).as_bytes().to_vec())
}

#[test]
fn a_document_refers_until_it_is_changed_removed_or_evicted() {
    let store = World::default().open(MemoryEngine::new());
    for (collection, number) in [("cars", 1), ("cars", 2), ("boats", 1)] {
        refer_and_wait(&store, collection, number, ("a", Some(attachment(1))));
    }
    let all = BTreeSet::from([
        document("cars", 1),
        document("cars", 2),
        document("boats", 1),
    ]);
    assert_eq!(documents(&store.snapshot(), attachment(1)), all);
    assert_eq!(store.take_unmentioned(), Some(BTreeSet::new()));

    refer_and_wait(&store, "cars", 1, ("a", Some(attachment(2))));
    write(&store, |transaction| delete(transaction, "cars", 2)).unwrap();
    write(&store, |transaction| transaction.evict("boats", &id(1))).unwrap();
    let snapshot = store.snapshot();
    assert_eq!(documents(&snapshot, attachment(1)), BTreeSet::new());
    assert_eq!(
        documents(&snapshot, attachment(2)),
        BTreeSet::from([document("cars", 1)])
    );
    assert_eq!(
        store.take_unmentioned(),
        Some(BTreeSet::from([attachment(1)]))
    );
    assert_eq!(store.take_unmentioned(), Some(BTreeSet::new()));
}

#[test]
fn a_transaction_that_is_undone_changes_nothing() {
    let store = World::default().open(MemoryEngine::new());
    refer_and_wait(&store, "cars", 1, ("a", Some(attachment(1))));
    let undone: Result<_, tombolo_store::WriteError<&str>> = store.write_and_wait(|transaction| {
        refer(transaction, "cars", 1, ("a", None)).unwrap();
        refer(transaction, "cars", 2, ("a", Some(attachment(2)))).unwrap();
        Err::<(), _>("no")
    });
    assert!(undone.is_err());
    let snapshot = store.snapshot();
    assert!(snapshot.is_mentioned(attachment(1)).unwrap());
    assert!(!snapshot.is_mentioned(attachment(2)).unwrap());
    assert_eq!(store.take_unmentioned(), Some(BTreeSet::new()));
}

#[test]
fn attachments_are_listed_once_each_from_any_place() {
    let store = World::default().open(MemoryEngine::new());
    for number in 0..6_u64 {
        let attachment = Some(attachment((number / 2) as u8));
        refer_and_wait(&store, "cars", number, ("a", attachment));
    }
    let snapshot = store.snapshot();
    let listed = |after| {
        let mut listed = Vec::new();
        let mut visit = |attachment| {
            listed.push(attachment);
            ControlFlow::Continue(())
        };
        snapshot.mentioned_attachments(after, &mut visit).unwrap();
        listed
    };
    let mut all: Vec<_> = (0..3).map(attachment).collect();
    all.sort();
    assert_eq!(listed(None), all);
    assert_eq!(listed(Some(all[0])), all[1..]);
    assert_eq!(listed(Some(all[2])), []);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn mentions_are_those_of_the_documents(
        acts in prop::collection::vec(
            (0..3_u64, prop::sample::select(vec!["a", "b"]), prop::option::of(0..4_u8), 0..8_u8),
            1..20,
        ),
    ) {
        let store = World::default().open(MemoryEngine::new());
        let mut model: BTreeMap<(u64, &str), u8> = BTreeMap::new();
        for (number, field, wanted, act) in acts {
            if act == 0 {
                write(&store, move |transaction| delete(transaction, "cars", number)).unwrap();
                model.retain(|(held, _), _| *held != number);
            } else {
                refer_and_wait(&store, "cars", number, (field, wanted.map(attachment)));
                match wanted {
                    Some(wanted) => model.insert((number, field), wanted),
                    None => model.remove(&(number, field)),
                };
            }
            let snapshot = store.snapshot();
            for wanted in 0..4 {
                let holds = model.iter().filter(|(_, held)| **held == wanted);
                let numbers = holds.map(|((number, _), _)| document("cars", *number)).collect();
                prop_assert_eq!(documents(&snapshot, attachment(wanted)), numbers);
            }
        }
    }
}

/// Makes of a store what one was before it kept what documents refer to.
fn forget_mentions(disk: &FaultyDisk) {
    let engine = disk.open();
    let mut batch = Batch::new();
    batch.remove(Keyspace::Meta, *b"m").unwrap();
    let all = KeyRange::prefix(&[]);
    let mut remove = |key: &[u8], _: &[u8]| {
        batch.remove(Keyspace::Attachments, key.to_vec()).unwrap();
        ControlFlow::Continue(())
    };
    let snapshot = engine.snapshot().unwrap();
    snapshot
        .scan(Keyspace::Attachments, &all, Direction::Forward, &mut remove)
        .unwrap();
    engine.write(&batch).unwrap();
    engine.flush().unwrap();
}

/// Opens what a disk holds, and tells how far the opening came each time that it said so.
fn opened(faulty: &Faulty) -> (Result<Store, StoreError>, Vec<OpeningProgress>) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&told);
    let mut settings = faulty.world.settings();
    settings.on_opening = Box::new(move |progress| noted.lock().unwrap().push(progress));
    let store = Store::open(Arc::new(faulty.disk.open()), settings);
    let told = told.lock().unwrap().clone();
    (store, told)
}

/// A store of an older release: `count` cars without attachment, and what `refer` writes.
fn older(count: u64) -> Faulty {
    let mut faulty = Faulty::new();
    let store = faulty.store();
    write(store, move |transaction| {
        (0..count).try_for_each(|number| set(transaction, "cars", number, "{}"))
    })
    .unwrap();
    for number in [0, count - 1] {
        refer_and_wait(store, "cars", number, ("a", Some(attachment(1))));
    }
    refer_and_wait(store, "cars", 1, ("a", Some(attachment(2))));
    write(store, |transaction| delete(transaction, "cars", 1)).unwrap();
    faulty.store = None;
    forget_mentions(&faulty.disk);
    faulty
}

#[test]
fn an_older_store_is_read_once_for_what_its_documents_refer_to() {
    let mut faulty = older(10);
    let (store, told) = opened(&faulty);
    let (store, wanted) = (store.unwrap(), [document("cars", 0), document("cars", 9)]);
    assert_eq!(
        documents(&store.snapshot(), attachment(1)),
        BTreeSet::from(wanted)
    );
    assert_eq!(documents(&store.snapshot(), attachment(2)), BTreeSet::new());
    let whole = OpeningProgress {
        documents: 10,
        damaged: 0,
        is_over: true,
    };
    assert_eq!(told, [whole]);
    drop(store);

    faulty.power_cut(7);
    faulty.store = None;
    let (store, told) = opened(&faulty);
    assert!(
        store
            .unwrap()
            .snapshot()
            .is_mentioned(attachment(1))
            .unwrap()
    );
    assert_eq!(told, []);
}

#[test]
fn a_new_store_has_nothing_to_be_read() {
    let mut faulty = Faulty::new();
    refer_and_wait(faulty.store(), "cars", 1, ("a", Some(attachment(1))));
    faulty.store = None;
    assert_eq!(opened(&faulty).1, []);
}

#[test]
fn an_opening_that_is_cut_goes_on_where_it_was() {
    let faulty = older(DOCUMENTS_READ_AT_ONCE as u64 + 10);
    faulty.disk.set_fault(Fault::WriteFails { after: 1 });
    let (failed, told) = opened(&faulty);
    assert!(failed.is_err());
    assert_eq!(told.len(), 1);
    assert!(!told[0].is_over);

    faulty.disk.power_cut(0);
    let (store, told) = opened(&faulty);
    let rest = OpeningProgress {
        documents: 10,
        damaged: 0,
        is_over: true,
    };
    assert_eq!(told, [rest]);
    let found = documents(&store.unwrap().snapshot(), attachment(1));
    assert_eq!(found.len(), 2);
}

#[test]
fn a_damaged_document_keeps_no_older_store_closed() {
    let faulty = older(10);
    let engine = faulty.disk.open();
    let mut batch = Batch::new();
    let collection = 1_u32.to_be_bytes();
    let damaged = [&collection[..], id(5).as_bytes()].concat();
    let held = engine.snapshot().unwrap();
    assert!(held.get(Keyspace::Documents, &damaged).unwrap().is_some());
    batch.put(Keyspace::Documents, damaged, [1, 1]).unwrap();
    engine.write(&batch).unwrap();
    engine.flush().unwrap();
    let (store, told) = opened(&faulty);
    assert_eq!((told[0].documents, told[0].damaged), (10, 1));
    let found = documents(&store.unwrap().snapshot(), attachment(1));
    assert_eq!(found.len(), 2);
}
