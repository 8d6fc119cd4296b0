//! Eviction forgets here and nowhere else, and never lets an old name claim what was forgotten.

use tombolo_document::Actor;
use tombolo_query::source::{Source, Target};
use tombolo_store::{LogId, engine::MemoryEngine};

use crate::bench::{World, id, read, set, write};

const REMOTE: LogId = LogId([9; 16]);

#[test]
fn an_evicted_document_is_gone_without_a_tombstone_and_the_log_is_a_new_one() {
    let store = World::default().open(MemoryEngine::new());
    write(&store, |transaction| set(transaction, "cars", 1, "{}")).unwrap();
    let log = store.snapshot().log_id();
    write(&store, |transaction| transaction.evict("cars", &id(1))).unwrap();
    let snapshot = store.snapshot();
    assert_eq!(snapshot.stored("cars", id(1).as_bytes()).unwrap(), None);
    assert_eq!(snapshot.count("cars").unwrap(), 0);
    assert_ne!(snapshot.log_id(), log);
    assert_eq!(snapshot.actor().epoch, Actor::FIRST_EPOCH);
    assert_eq!(snapshot.verify().unwrap().documents, 0);
}

#[test]
fn evicting_what_is_not_there_changes_nothing() {
    let store = World::default().open(MemoryEngine::new());
    let log = store.snapshot().log_id();
    let commit = write(&store, |transaction| transaction.evict("cars", &id(1))).unwrap();
    assert!(!commit.changed);
    assert_eq!(store.snapshot().log_id(), log);
}

#[test]
fn writing_an_evicted_document_again_takes_a_new_epoch() {
    let store = World::default().open(MemoryEngine::new());
    write(&store, |transaction| {
        set(transaction, "cars", 1, r#"{"a":1}"#)
    })
    .unwrap();
    write(&store, |transaction| transaction.evict("cars", &id(1))).unwrap();
    let commit = write(&store, |transaction| {
        set(transaction, "cars", 1, r#"{"b":2}"#)
    })
    .unwrap();
    assert_eq!(commit.dot.actor.epoch, Actor::FIRST_EPOCH + 1);
    assert_eq!(store.snapshot().actor(), commit.dot.actor);
    assert_eq!(read(&store.snapshot(), "cars", 1).unwrap(), r#"{"b":2}"#);
    // The memory is spent: the next write keeps its name.
    let commit = write(&store, |transaction| {
        set(transaction, "cars", 1, r#"{"b":3}"#)
    })
    .unwrap();
    assert_eq!(commit.dot.actor.epoch, Actor::FIRST_EPOCH + 1);
}

#[test]
fn evicting_and_writing_in_one_transaction_takes_a_new_epoch_too() {
    let store = World::default().open(MemoryEngine::new());
    write(&store, |transaction| {
        set(transaction, "cars", 1, r#"{"a":1}"#)
    })
    .unwrap();
    let commit = write(&store, |transaction| {
        transaction.evict("cars", &id(1))?;
        set(transaction, "cars", 1, r#"{"b":2}"#)
    })
    .unwrap();
    assert_eq!(commit.dot.actor.epoch, Actor::FIRST_EPOCH + 1);
}

/// Found by the model test: such a transaction asked for a new actor at each of its runs.
#[test]
fn what_one_transaction_writes_and_evicts_it_may_write_again() {
    let store = World::default().open(MemoryEngine::new());
    let commit = write(&store, |transaction| {
        set(transaction, "cars", 1, r#"{"a":1}"#)?;
        transaction.evict("cars", &id(1))?;
        set(transaction, "cars", 1, r#"{"b":2}"#)
    })
    .unwrap();
    assert_eq!(commit.dot.actor.epoch, Actor::FIRST_EPOCH);
    assert_eq!(read(&store.snapshot(), "cars", 1).unwrap(), r#"{"b":2}"#);
    store.snapshot().verify().unwrap();
}

#[test]
fn a_copy_that_came_back_first_keeps_the_epoch() {
    let store = World::default().open(MemoryEngine::new());
    write(&store, |transaction| {
        set(transaction, "cars", 1, r#"{"a":1}"#)
    })
    .unwrap();
    let copy = store.snapshot().document("cars", &id(1)).unwrap().unwrap();
    write(&store, |transaction| transaction.evict("cars", &id(1))).unwrap();
    write(&store, move |transaction| {
        transaction.merge("cars", &id(1), &copy, Some(REMOTE))?;
        Ok(())
    })
    .unwrap();
    let commit = write(&store, |transaction| {
        set(transaction, "cars", 1, r#"{"b":2}"#)
    })
    .unwrap();
    assert_eq!(commit.dot.actor.epoch, Actor::FIRST_EPOCH);
    assert_eq!(
        read(&store.snapshot(), "cars", 1).unwrap(),
        r#"{"a":1,"b":2}"#
    );
}

#[test]
fn a_copy_that_lacks_what_was_forgotten_does_not_keep_the_epoch() {
    let store = World::default().open(MemoryEngine::new());
    write(&store, |transaction| {
        set(transaction, "cars", 1, r#"{"a":1}"#)
    })
    .unwrap();
    let old_copy = store.snapshot().document("cars", &id(1)).unwrap().unwrap();
    write(&store, |transaction| {
        set(transaction, "cars", 1, r#"{"a":2}"#)
    })
    .unwrap();
    write(&store, |transaction| transaction.evict("cars", &id(1))).unwrap();
    write(&store, move |transaction| {
        transaction.merge("cars", &id(1), &old_copy, Some(REMOTE))?;
        Ok(())
    })
    .unwrap();
    let commit = write(&store, |transaction| {
        set(transaction, "cars", 1, r#"{"b":2}"#)
    })
    .unwrap();
    assert_eq!(commit.dot.actor.epoch, Actor::FIRST_EPOCH + 1);
}

#[test]
fn a_copied_device_takes_a_new_log_and_a_new_epoch() {
    let store = World::default().open(MemoryEngine::new());
    let (log, actor) = (store.snapshot().log_id(), store.snapshot().actor());
    write(&store, |transaction| Ok(transaction.renew_identity()?)).unwrap();
    assert_ne!(store.snapshot().log_id(), log);
    assert_eq!(store.snapshot().actor().epoch, actor.epoch + 1);
}
