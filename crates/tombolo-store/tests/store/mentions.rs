//! The store knows which documents refer to an attachment, and what ceased to be referred to.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::ControlFlow,
};

use proptest::prelude::*;
use tombolo_document::{
    Edit, Field, Kind, Object, Schema, Undeclared, Value,
    attachment::{AttachmentId, AttachmentToken},
};
use tombolo_query::source::{SourceError, Target};
use tombolo_store::{Snapshot, Store, Transaction, engine::MemoryEngine};

use crate::bench::{World, delete, id, write};

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
