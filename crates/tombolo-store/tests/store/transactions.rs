//! What a transaction sees, keeps and undoes, and who waits for whom.

use std::{
    ops::{Bound, ControlFlow},
    sync::{atomic::Ordering, mpsc::sync_channel},
    time::Duration,
};

use tombolo_document::order::Direction;
use tombolo_query::source::{Source, SourceError, Target};
use tombolo_store::{
    STEPS_WAITING_MAX, StoreError, WRITES_WAITING_MAX, WriteError,
    engine::{EngineError, Fault, MemoryEngine},
};

use crate::bench::{Faulty, World, delete, id, index, read, set, write};

#[test]
fn a_write_is_visible_once_it_is_answered_and_a_snapshot_stays_as_it_was() {
    let store = World::default().open(MemoryEngine::new());
    let before = store.snapshot();
    let commit = write(&store, |transaction| {
        set(transaction, "cars", 1, r#"{"a":1}"#)
    })
    .unwrap();
    assert!(commit.changed && commit.number == 1);
    assert_eq!(read(&before, "cars", 1), None);
    assert_eq!(read(&store.snapshot(), "cars", 1).unwrap(), r#"{"a":1}"#);
    assert_eq!(store.snapshot().count("cars").unwrap(), 1);
    assert_eq!(store.snapshot().collections().unwrap(), ["cars"]);
}

#[test]
fn a_transaction_reads_its_own_writes_in_every_way() {
    let store = World::default().open(MemoryEngine::new());
    write(&store, |transaction| {
        set(transaction, "cars", 1, r#"{"a":1}"#)?;
        set(transaction, "cars", 3, r#"{"a":3}"#)?;
        transaction.create_index(&index("by_a", "cars", &["a"]))
    })
    .unwrap();
    write(&store, |transaction| {
        set(transaction, "cars", 2, r#"{"a":0}"#)?;
        set(transaction, "cars", 4, r#"{"a":9}"#)?;
        delete(transaction, "cars", 1)?;
        set(transaction, "cars", 3, r#"{"a":7}"#)?;
        let mut scanned = Vec::new();
        transaction.scan("cars", &mut |id, _| {
            scanned.push(id.to_vec());
            ControlFlow::Continue(())
        })?;
        let expected: Vec<_> = [2, 3, 4]
            .map(|number| id(number).as_bytes().to_vec())
            .into();
        assert_eq!(scanned, expected);
        let mut indexed = Vec::new();
        let span = (Bound::Unbounded, Bound::Unbounded);
        transaction.scan_index(
            &index("by_a", "cars", &["a"]),
            span,
            Direction::Descending,
            &mut |id, _| {
                indexed.push(id.to_vec());
                ControlFlow::Continue(())
            },
        )?;
        let expected: Vec<_> = [4, 3, 2]
            .map(|number| id(number).as_bytes().to_vec())
            .into();
        assert_eq!(indexed, expected);
        assert_eq!(transaction.count("cars")?, 3);
        Ok(())
    })
    .unwrap();
}

#[test]
fn work_that_fails_is_undone_and_its_neighbours_are_kept() {
    let faulty = Faulty::new();
    let (answer, answers) = sync_channel(3);
    // A transaction that is held open makes the three that follow share one round.
    let (opened, opening) = sync_channel(1);
    faulty
        .store()
        .begin(move |transaction| opened.send(transaction.unwrap()).unwrap())
        .unwrap();
    let open = opening.recv().unwrap();
    for number in 1..=3 {
        let answer = answer.clone();
        let work = move |transaction: &mut tombolo_store::Transaction<'_>| {
            set(transaction, "cars", number, "{}").unwrap();
            set(transaction, &format!("only{number}"), number, "{}").unwrap();
            if number == 2 { Err("no") } else { Ok(number) }
        };
        faulty
            .store()
            .write(work, move |result| answer.send(result).unwrap())
            .unwrap();
    }
    drop(open);
    let results: Vec<_> = answers.iter().take(3).collect();
    assert!(matches!(results[0], Ok((commit, 1)) if commit.number == 1));
    assert!(matches!(results[1], Err(WriteError::Work("no"))));
    assert!(matches!(results[2], Ok((commit, 3)) if commit.number == 2));
    assert_eq!(*faulty.world.announced.lock().unwrap(), [1..=2]);
    let snapshot = faulty.store().snapshot();
    assert_eq!(snapshot.collections().unwrap(), ["cars", "only1", "only3"]);
    assert_eq!(snapshot.count("cars").unwrap(), 2);
    snapshot.verify().unwrap();
}

#[test]
fn a_panic_in_the_work_undoes_it_and_the_writer_lives_on() {
    let store = World::default().open(MemoryEngine::new());
    let result = write(&store, |transaction| {
        set(transaction, "cars", 1, "{}")?;
        panic!("the work is wrong");
    });
    assert!(matches!(result, Err(StoreError::Panicked)));
    write(&store, |transaction| set(transaction, "cars", 2, "{}")).unwrap();
    assert_eq!(store.snapshot().count("cars").unwrap(), 1);
}

#[test]
fn a_write_without_change_has_a_number_and_no_flush() {
    let faulty = Faulty::new();
    write(faulty.store(), |transaction| {
        set(transaction, "cars", 1, "{}")
    })
    .unwrap();
    faulty.disk.set_fault(Fault::FlushFails { after: 0 });
    let commit = write(faulty.store(), |_| Ok(())).unwrap();
    assert_eq!((commit.number, commit.changed), (2, false));
    assert_eq!(faulty.store().snapshot().last_commit(), 1);
}

#[test]
fn after_a_failed_flush_writes_are_refused_and_reads_go_on() {
    let mut faulty = Faulty::new();
    write(faulty.store(), |transaction| {
        set(transaction, "cars", 1, r#"{"a":1}"#)
    })
    .unwrap();
    faulty.disk.set_fault(Fault::FlushFails { after: 0 });
    let change = |transaction: &mut tombolo_store::Transaction<'_>| {
        set(transaction, "cars", 1, r#"{"a":2}"#)
    };
    let failed = write(faulty.store(), change).unwrap_err();
    assert!(
        matches!(&failed, StoreError::Engine(error) if matches!(**error, EngineError::Io { .. }))
    );
    let refused = write(faulty.store(), change).unwrap_err();
    assert!(
        matches!(&refused, StoreError::Engine(error) if matches!(**error, EngineError::Stopped))
    );
    assert_eq!(
        read(&faulty.store().snapshot(), "cars", 1).unwrap(),
        r#"{"a":1}"#
    );
    faulty.power_cut(0);
    write(faulty.store(), change).unwrap();
    assert_eq!(
        read(&faulty.store().snapshot(), "cars", 1).unwrap(),
        r#"{"a":2}"#
    );
}

#[test]
fn a_write_without_change_is_refused_with_the_round_that_it_read_from() {
    // The accident: it saw the write before it in the round, whose flush then
    // failed, and was told that all was well.
    let faulty = Faulty::new();
    let (opened, opening) = sync_channel(1);
    let begun = move |transaction: Result<_, _>| opened.send(transaction.unwrap()).unwrap();
    faulty.store().begin(begun).unwrap();
    let held = opening.recv().unwrap();
    // Both wait behind the open transaction, so that one round takes them.
    let (answer, answers) = sync_channel(2);
    for changes in [true, false] {
        let answer = answer.clone();
        let work = move |transaction: &mut tombolo_store::Transaction<'_>| {
            if changes {
                set(transaction, "cars", 1, "{}")?;
            }
            transaction.count("cars")
        };
        let done = move |result: Result<_, _>| answer.send(result).unwrap();
        faulty.store().write(work, done).unwrap();
    }
    faulty.disk.set_fault(Fault::FlushFails { after: 0 });
    drop(held);
    for _ in 0..2 {
        let answered = answers.recv().unwrap();
        assert!(matches!(
            answered,
            Err(WriteError::Store(StoreError::Engine(_)))
        ));
    }
}

#[test]
fn an_open_transaction_is_kept_as_a_whole_and_excludes_others_meanwhile() {
    let store = World::default().open(MemoryEngine::new());
    let (opened, opening) = sync_channel(1);
    store
        .begin(move |transaction| opened.send(transaction.unwrap()).unwrap())
        .unwrap();
    let open = opening.recv().unwrap();
    let (stepped, steps) = sync_channel(2);
    for number in 1..=2 {
        let stepped = stepped.clone();
        open.run(move |transaction| {
            stepped
                .send(set(transaction, "cars", number, "{}").is_ok())
                .unwrap()
        })
        .unwrap();
        assert!(steps.recv().unwrap());
    }
    let (answer, answered) = sync_channel(1);
    store
        .write(
            |transaction| transaction.count("cars"),
            move |result| answer.send(result).unwrap(),
        )
        .unwrap();
    assert_eq!(store.snapshot().count("cars").unwrap(), 0);
    let (committed, commit) = sync_channel(1);
    open.commit(move |result| committed.send(result).unwrap())
        .unwrap();
    assert_eq!(commit.recv().unwrap().unwrap().number, 1);
    assert_eq!(answered.recv().unwrap().unwrap().1, 2);
}

#[test]
fn a_transaction_left_open_is_rolled_back_at_its_deadline() {
    let world = World::default();
    let store = world.open(MemoryEngine::new());
    let (opened, opening) = sync_channel(1);
    store
        .begin(move |transaction| opened.send(transaction.unwrap()).unwrap())
        .unwrap();
    let open = opening.recv().unwrap();
    let clock = world.clock.clone();
    open.run(move |transaction| {
        set(transaction, "cars", 1, "{}").unwrap();
        clock.monotonic_ms.fetch_add(10_000, Ordering::SeqCst);
    })
    .unwrap();
    // Served only once the writer is free again.
    write(&store, |_| Ok(())).unwrap();
    assert_eq!(store.snapshot().count("cars").unwrap(), 0);
    let late = open.run(|_| ()).unwrap_err();
    assert!(matches!(late, StoreError::Deadline { limit } if limit == Duration::from_secs(10)));
}

#[test]
fn full_queues_answer_busy_at_their_limit() {
    let store = World::default().open(MemoryEngine::new());
    let (opened, opening) = sync_channel(1);
    store
        .begin(move |transaction| opened.send(transaction.unwrap()).unwrap())
        .unwrap();
    let open = opening.recv().unwrap();
    let work = |_: &mut tombolo_store::Transaction<'_>| Ok::<(), SourceError>(());
    for _ in 0..WRITES_WAITING_MAX {
        store.write(work, |_| ()).unwrap();
    }
    assert!(matches!(store.write(work, |_| ()), Err(StoreError::Busy)));
    let (hold, held) = sync_channel::<()>(0);
    let (begun, begins) = sync_channel(1);
    open.run(move |_| {
        begun.send(()).unwrap();
        let _ = held.recv();
    })
    .unwrap();
    begins.recv().unwrap();
    for _ in 0..STEPS_WAITING_MAX {
        open.run(|_| ()).unwrap();
    }
    assert!(matches!(open.run(|_| ()), Err(StoreError::Busy)));
    drop(hold);
}
