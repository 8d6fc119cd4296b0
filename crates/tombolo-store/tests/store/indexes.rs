//! Spans of an index: bounds are prefixes of entries, and long keys are cut without being lost.

use std::ops::{Bound, ControlFlow};

use tombolo_document::{
    DocumentId, Value,
    order::{self, Direction},
};
use tombolo_query::source::{IndexDefinition, Source, SourceError, Target};
use tombolo_store::{INDEXES_MAX, Snapshot, Store, StoreError, WriteError, engine::MemoryEngine};

use crate::bench::{World, id, index, set, write};

type Span<'s> = (Bound<&'s [u8]>, Bound<&'s [u8]>);

fn found(snapshot: &Snapshot, definition: &IndexDefinition, span: Span<'_>) -> Vec<Vec<u8>> {
    let mut ids = Vec::new();
    snapshot
        .scan_index(definition, span, Direction::Ascending, &mut |id, _| {
            ids.push(id.to_vec());
            ControlFlow::Continue(())
        })
        .unwrap();
    ids
}

fn ids(numbers: &[u64]) -> Vec<Vec<u8>> {
    numbers
        .iter()
        .map(|number| id(*number).as_bytes().to_vec())
        .collect()
}

fn store_with(documents: &'static [&'static str], definition: &IndexDefinition) -> Store {
    let store = World::default().open(MemoryEngine::new());
    let definition = definition.clone();
    write(&store, move |transaction| {
        transaction.create_index(&definition)?;
        for (number, fields) in documents.iter().enumerate() {
            set(transaction, "cars", number as u64, fields)?;
        }
        Ok(())
    })
    .unwrap();
    store
}

fn key(value: i64) -> Vec<u8> {
    order::key(&tombolo_document::json::parse(value.to_string().as_bytes()).unwrap())
}

#[test]
fn bounds_take_or_leave_every_entry_that_starts_with_them() {
    let mut definition = index("ab", "cars", &["a"]);
    definition.keys.extend(index("", "", &["b"]).keys);
    let documents = &[
        r#"{"a":1,"b":1}"#,
        r#"{"a":2,"b":1}"#,
        r#"{"a":2,"b":2}"#,
        r#"{"a":3}"#,
    ];
    let store = store_with(documents, &definition);
    let (snapshot, two, three) = (store.snapshot(), key(2), key(3));
    let span = |lower, upper| found(&snapshot, &definition, (lower, upper));
    assert_eq!(
        span(Bound::Included(&two), Bound::Included(&two)),
        ids(&[1, 2])
    );
    assert_eq!(span(Bound::Excluded(&two), Bound::Unbounded), ids(&[3]));
    assert_eq!(span(Bound::Unbounded, Bound::Excluded(&two)), ids(&[0]));
    assert_eq!(
        span(Bound::Included(&three), Bound::Included(&two)),
        ids(&[])
    );
    assert_eq!(span(Bound::Unbounded, Bound::Unbounded), ids(&[0, 1, 2, 3]));
}

#[test]
fn a_field_of_the_id_and_a_field_within_a_map_are_indexed() {
    let store = World::default().open(MemoryEngine::new());
    let (by_id, by_inner) = (
        index("by_id", "cars", &["_id"]),
        index("by_inner", "cars", &["m", "x"]),
    );
    let (first, second) = (by_id.clone(), by_inner.clone());
    write(&store, move |transaction| {
        set(transaction, "cars", 2, r#"{"m":{"x":1}}"#)?;
        set(transaction, "cars", 1, r#"{"m":{"x":2}}"#)?;
        transaction.create_index(&first)?;
        transaction.create_index(&second)
    })
    .unwrap();
    let all: Span<'_> = (Bound::Unbounded, Bound::Unbounded);
    assert_eq!(found(&store.snapshot(), &by_id, all), ids(&[1, 2]));
    assert_eq!(found(&store.snapshot(), &by_inner, all), ids(&[2, 1]));
    let one = order::key(&id(1).to_value());
    let span: Span<'_> = (Bound::Included(&one), Bound::Included(&one));
    assert_eq!(found(&store.snapshot(), &by_id, span), ids(&[1]));
}

#[test]
fn keys_longer_than_the_limit_are_found_by_their_whole_value() {
    let definition = index("by_a", "cars", &["a"]);
    let store = World::default().open(MemoryEngine::new());
    let long = |end: &str| "x".repeat(40_000) + end;
    let texts = [long("a"), long("b"), long("c")];
    let (created, written) = (definition.clone(), texts.clone());
    write(&store, move |transaction| {
        transaction.create_index(&created)?;
        for (number, text) in written.iter().enumerate() {
            set(
                transaction,
                "cars",
                number as u64,
                &format!(r#"{{"a":"{text}"}}"#),
            )?;
        }
        Ok(())
    })
    .unwrap();
    let keys = texts.map(|text| order::key(&Value::String(text)));
    let span = |lower, upper| found(&store.snapshot(), &definition, (lower, upper));
    assert_eq!(
        span(Bound::Included(&keys[1]), Bound::Included(&keys[1])),
        ids(&[1])
    );
    assert_eq!(
        span(Bound::Excluded(&keys[0]), Bound::Excluded(&keys[2])),
        ids(&[1])
    );
    assert_eq!(span(Bound::Unbounded, Bound::Excluded(&keys[1])), ids(&[0]));
    assert_eq!(
        span(Bound::Included(&keys[1]), Bound::Unbounded),
        ids(&[1, 2])
    );
}

#[test]
fn a_collection_takes_so_many_indexes_and_not_one_more() {
    let store = World::default().open(MemoryEngine::new());
    write(&store, |transaction| {
        for number in 0..INDEXES_MAX {
            transaction.create_index(&index(&format!("i{number}"), "cars", &["a"]))?;
        }
        Ok(())
    })
    .unwrap();
    let result = store
        .write_and_wait(|transaction| transaction.create_index(&index("more", "cars", &["a"])));
    let Err(WriteError::Work(SourceError(error))) = result else {
        panic!("it was taken")
    };
    assert!(matches!(
        error.downcast_ref(),
        Some(StoreError::TooMany {
            max: INDEXES_MAX,
            ..
        })
    ));
    assert_eq!(
        store.snapshot().indexes(Some("cars")).unwrap().len(),
        INDEXES_MAX
    );
}

#[test]
fn the_longest_id_can_be_stored_and_indexed() {
    let longest = DocumentId::from_value(&Value::String("x".repeat(4093))).unwrap();
    let store = World::default().open(MemoryEngine::new());
    let stored = longest.clone();
    write(&store, move |transaction| {
        transaction.create_index(&index("by_id", "cars", &["_id"]))?;
        let mut edit = tombolo_document::Edit::open(None, transaction.dot()).unwrap();
        edit.set_object(
            &crate::bench::object("{}"),
            &tombolo_document::Schema::INFERRED,
        )
        .unwrap();
        let document = edit.finish().unwrap().unwrap();
        transaction.put("cars", &stored, document)
    })
    .unwrap();
    let all: Span<'_> = (Bound::Unbounded, Bound::Unbounded);
    assert_eq!(
        found(&store.snapshot(), &index("by_id", "cars", &["_id"]), all),
        [longest.as_bytes()]
    );
}
