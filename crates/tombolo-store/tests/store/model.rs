//! Random operations against plain maps, through reopenings and a power cut at any flush.

use std::{
    collections::BTreeMap,
    ops::{Bound, ControlFlow},
};

use proptest::prelude::*;
use tempfile::TempDir;
use tombolo_document::{Value, json, order};
use tombolo_query::source::{IndexDefinition, Source, SourceError, Target};
use tombolo_store::{
    Snapshot, Store, StoreError, Transaction, WriteError,
    engine::{Fault, FjallEngine, FjallSettings, MemoryEngine},
};

use crate::bench::{Faulty, World, delete, id, index, set, text};

const COLLECTIONS: [&str; 2] = ["boats", "cars"];

#[derive(Clone, Debug)]
enum Change {
    Set {
        collection: usize,
        number: u64,
        a: Option<i64>,
        b: bool,
    },
    Delete {
        collection: usize,
        number: u64,
    },
    Evict {
        collection: usize,
        number: u64,
    },
    CreateIndex {
        collection: usize,
    },
    DropIndex {
        collection: usize,
    },
}

#[derive(Clone, Debug)]
enum Step {
    Commit(Vec<Change>),
    RollBack(Vec<Change>),
    Reopen,
    /// The next flush fails, and then the power does; the seed chooses what survives.
    Cut {
        seed: u64,
        change: Change,
    },
}

fn change() -> impl Strategy<Value = Change> {
    let collection = 0..COLLECTIONS.len();
    let at = (collection.clone(), 0..6u64);
    prop_oneof![
        6 => (at.clone(), prop::option::of(-3..3i64), any::<bool>())
            .prop_map(|((collection, number), a, b)| Change::Set { collection, number, a, b }),
        2 => at.clone().prop_map(|(collection, number)| Change::Delete { collection, number }),
        1 => at.prop_map(|(collection, number)| Change::Evict { collection, number }),
        1 => collection.clone().prop_map(|collection| Change::CreateIndex { collection }),
        1 => collection.prop_map(|collection| Change::DropIndex { collection }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let changes = || prop::collection::vec(change(), 0..5);
    prop_oneof![
        6 => changes().prop_map(Step::Commit),
        2 => changes().prop_map(Step::RollBack),
        1 => Just(Step::Reopen),
        2 => (any::<u64>(), change()).prop_map(|(seed, change)| Step::Cut { seed, change }),
    ]
}

/// What the store must show.
#[derive(Clone, Debug, Default, PartialEq)]
struct Model {
    /// The fields of live documents.
    documents: [BTreeMap<u64, BTreeMap<String, Value>>; 2],
    indexed: [bool; 2],
}

impl Model {
    fn apply(&mut self, change: &Change) {
        match *change {
            Change::Set {
                collection,
                number,
                a,
                b,
            } => {
                let fields = self.documents[collection].entry(number).or_default();
                if let Some(a) = a {
                    fields.insert(
                        "a".to_owned(),
                        json::parse(a.to_string().as_bytes()).unwrap(),
                    );
                }
                fields.insert("b".to_owned(), Value::Bool(b));
            }
            Change::Delete { collection, number } | Change::Evict { collection, number } => {
                self.documents[collection].remove(&number);
            }
            Change::CreateIndex { collection } => self.indexed[collection] = true,
            Change::DropIndex { collection } => self.indexed[collection] = false,
        }
    }

    fn of(snapshot: &Snapshot) -> Self {
        let mut model = Self::default();
        for (at, name) in COLLECTIONS.iter().enumerate() {
            let documents = &mut model.documents[at];
            for number in 0..6 {
                let Some(document) = snapshot.document(name, &id(number)).unwrap() else {
                    continue;
                };
                let Value::Object(fields) = json::parse(text(&document).as_bytes()).unwrap() else {
                    continue;
                };
                documents.insert(number, fields.into_iter().collect());
            }
            model.indexed[at] = !snapshot.indexes(Some(name)).unwrap().is_empty();
        }
        model
    }
}

fn by_a_and_b(collection: &str) -> IndexDefinition {
    let mut definition = index("by_a_and_b", collection, &["a"]);
    definition.keys.extend(index("", "", &["b"]).keys);
    definition.keys[1].direction = order::Direction::Descending;
    definition
}

fn apply(transaction: &mut Transaction<'_>, change: &Change) -> Result<(), SourceError> {
    let name = |collection: usize| COLLECTIONS[collection];
    match *change {
        Change::Set {
            collection,
            number,
            a,
            b,
        } => {
            let a = a.map(|a| format!(r#""a":{a},"#)).unwrap_or_default();
            set(
                transaction,
                name(collection),
                number,
                &format!(r#"{{{a}"b":{b}}}"#),
            )
        }
        Change::Delete { collection, number } => delete(transaction, name(collection), number),
        Change::Evict { collection, number } => transaction.evict(name(collection), &id(number)),
        Change::CreateIndex { collection } => {
            match transaction.indexes(Some(name(collection)))?.is_empty() {
                true => transaction.create_index(&by_a_and_b(name(collection))),
                false => Ok(()),
            }
        }
        Change::DropIndex { collection } => transaction.drop_index(name(collection), "by_a_and_b"),
    }
}

fn run(store: &Store, changes: Vec<Change>, keep: bool) -> Result<(), StoreError> {
    let result = store.write_and_wait(move |transaction| {
        for change in &changes {
            apply(transaction, change).map_err(|error| error.to_string())?;
        }
        if keep {
            Ok(())
        } else {
            Err("rolled back".to_owned())
        }
    });
    match result {
        Ok(_) => Ok(()),
        Err(WriteError::Work(message)) if !keep && message == "rolled back" => Ok(()),
        Err(WriteError::Work(message)) => panic!("{message}"),
        Err(WriteError::Store(error)) => Err(error),
    }
}

/// Everything that must agree with everything else.
fn check(snapshot: &Snapshot, model: &Model) {
    assert_eq!(Model::of(snapshot), *model);
    snapshot.verify().unwrap();
    for (at, name) in COLLECTIONS.iter().enumerate() {
        let scanned = visited(|visit| snapshot.scan(name, visit));
        assert_eq!(scanned.len(), model.documents[at].len());
        assert_eq!(snapshot.count(name).unwrap(), scanned.len() as u64);
        let span = (Bound::Unbounded, Bound::Unbounded);
        let definition = by_a_and_b(name);
        let up = visited(|visit| {
            snapshot.scan_index(&definition, span, order::Direction::Ascending, visit)
        });
        let mut down = visited(|visit| {
            snapshot.scan_index(&definition, span, order::Direction::Descending, visit)
        });
        down.reverse();
        assert_eq!(up, down);
        if model.indexed[at] {
            assert_eq!(up, sorted_by_index(&model.documents[at]));
        } else {
            assert!(up.is_empty());
        }
    }
}

fn visited(
    scan: impl FnOnce(&mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>) -> Result<(), SourceError>,
) -> Vec<Vec<u8>> {
    let mut ids = Vec::new();
    scan(&mut |id, _| {
        ids.push(id.to_vec());
        ControlFlow::Continue(())
    })
    .unwrap();
    ids
}

fn sorted_by_index(documents: &BTreeMap<u64, BTreeMap<String, Value>>) -> Vec<Vec<u8>> {
    let mut keyed: Vec<_> = documents
        .iter()
        .map(|(number, fields)| {
            let mut key = Vec::new();
            order::append(&mut key, fields.get("a"), order::Direction::Ascending);
            order::append(&mut key, fields.get("b"), order::Direction::Descending);
            (key, id(*number).as_bytes().to_vec())
        })
        .collect();
    keyed.sort();
    keyed.into_iter().map(|(_, id)| id).collect()
}

fn apply_all(model: &mut Model, changes: &[Change]) {
    changes.iter().for_each(|change| model.apply(change));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_twin_agrees_with_the_model_through_power_cuts(steps in prop::collection::vec(step(), 1..30)) {
        let (mut faulty, mut model) = (Faulty::new(), Model::default());
        for step in steps {
            match step {
                Step::Commit(changes) => {
                    run(faulty.store(), changes.clone(), true).unwrap();
                    apply_all(&mut model, &changes);
                }
                Step::RollBack(changes) => run(faulty.store(), changes, false).unwrap(),
                Step::Reopen => faulty.power_cut(0),
                Step::Cut { seed, change } => {
                    faulty.disk.set_fault(Fault::FlushFails { after: 0 });
                    let answered = run(faulty.store(), vec![change.clone()], true);
                    let mut survived = model.clone();
                    survived.apply(&change);
                    faulty.power_cut(seed);
                    let found = Model::of(&faulty.store().snapshot());
                    // Never acknowledged, so it may be there or not; but nothing in between.
                    prop_assert!(found == survived || (found == model && answered.is_err()));
                    model = found;
                }
            }
            check(&faulty.store().snapshot(), &model);
        }
    }

    #[test]
    fn the_engine_in_memory_agrees_with_the_model(steps in prop::collection::vec(step(), 1..30)) {
        let (store, mut model) = (World::default().open(MemoryEngine::new()), Model::default());
        for step in steps {
            match step {
                Step::Commit(changes) => {
                    run(&store, changes.clone(), true).unwrap();
                    apply_all(&mut model, &changes);
                }
                Step::RollBack(changes) => run(&store, changes, false).unwrap(),
                Step::Reopen | Step::Cut { .. } => {}
            }
            check(&store.snapshot(), &model);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_engine_on_disk_agrees_with_the_model_through_reopenings(steps in prop::collection::vec(step(), 1..20)) {
        let (directory, world) = (TempDir::new().unwrap(), World::default());
        let open = || world.open(FjallEngine::open(directory.path(), &FjallSettings::default()).unwrap());
        let (mut store, mut model) = (Some(open()), Model::default());
        for step in steps {
            match step {
                Step::Commit(changes) => {
                    run(store.as_ref().unwrap(), changes.clone(), true).unwrap();
                    apply_all(&mut model, &changes);
                }
                Step::RollBack(changes) => run(store.as_ref().unwrap(), changes, false).unwrap(),
                Step::Reopen | Step::Cut { .. } => {
                    drop(store.take());
                    store = Some(open());
                }
            }
        }
        check(&store.unwrap().snapshot(), &model);
    }
}
