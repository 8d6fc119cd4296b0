//! What runs while a round is being flushed, and what nobody learns before it is durable.

use std::sync::{
    Arc, Mutex,
    mpsc::{Receiver, SyncSender, sync_channel},
};

use tombolo_query::source::{Source, SourceError};
use tombolo_store::{
    Commit, Store, StoreError, Transaction, WriteError,
    engine::{
        Batch, Engine, EngineError, EngineSnapshot, EngineStats, Fault, FaultyDisk, FaultyEngine,
    },
};

use crate::bench::{World, set};

/// An engine whose flush tells that it has begun, and waits to be let go.
struct Held {
    engine: FaultyEngine,
    begun: SyncSender<()>,
    released: Mutex<Receiver<()>>,
}

impl Engine for Held {
    fn snapshot(&self) -> Result<Box<dyn EngineSnapshot>, EngineError> {
        self.engine.snapshot()
    }

    fn write(&self, batch: &Batch) -> Result<(), EngineError> {
        self.engine.write(batch)
    }

    fn flush(&self) -> Result<(), EngineError> {
        // The test that listened may have ended.
        let _ = self.begun.send(());
        let _ = self.released.lock().unwrap().recv();
        self.engine.flush()
    }

    fn stats(&self) -> EngineStats {
        self.engine.stats()
    }
}

type Answered = (u64, Result<(Commit, u64), WriteError<SourceError>>);

/// A store with its first round held in its flush, and ways to go on.
struct Bench {
    store: Store,
    world: World,
    disk: FaultyDisk,
    begun: Receiver<()>,
    release: SyncSender<()>,
    ran: (SyncSender<u64>, Receiver<u64>),
    answers: (SyncSender<Answered>, Receiver<Answered>),
}

impl Bench {
    fn holding_the_first_round() -> Self {
        let (world, disk) = (World::default(), FaultyDisk::new());
        // The identity of a new store is flushed on another way in.
        drop(world.open(disk.open()));
        let (begin, begun) = sync_channel(8);
        let (release, released) = sync_channel(8);
        let store = world.open(Held {
            engine: disk.open(),
            begun: begin,
            released: Mutex::new(released),
        });
        let (ran, answers) = (sync_channel(8), sync_channel(8));
        let bench = Self {
            store,
            world,
            disk,
            begun,
            release,
            ran,
            answers,
        };
        bench.write(1, true);
        bench.begun.recv().unwrap();
        assert_eq!(bench.ran.1.recv().unwrap(), 1);
        bench
    }

    /// Queues a write that gives the number of documents it saw, and waits until it has run.
    fn run(&self, number: u64, changes: bool) {
        self.write(number, changes);
        assert_eq!(self.ran.1.recv().unwrap(), number);
    }

    fn write(&self, number: u64, changes: bool) {
        let (ran, answer) = (self.ran.0.clone(), self.answers.0.clone());
        let work = move |transaction: &mut Transaction<'_>| {
            let seen = transaction.count("cars")?;
            if changes {
                set(transaction, "cars", number, "{}")?;
            }
            ran.send(number).unwrap();
            Ok(seen)
        };
        let done = move |result| answer.send((number, result)).unwrap();
        self.store.write(work, done).unwrap();
    }

    fn answer(&self) -> Answered {
        self.answers.1.recv().unwrap()
    }
}

fn is_stopped(error: &StoreError) -> bool {
    matches!(error, StoreError::Engine(error) if matches!(**error, EngineError::Stopped))
}

#[test]
fn the_next_round_runs_during_a_flush_and_is_answered_after_its_own() {
    let bench = Bench::holding_the_first_round();
    bench.run(2, true);
    assert!(bench.answers.1.try_recv().is_err());
    // One batch at most is unsynced: the second waits for the flush of the first.
    assert_eq!(bench.disk.unflushed(), 1);
    assert_eq!(bench.store.snapshot().count("cars").unwrap(), 0);

    bench.release.send(()).unwrap();
    let (number, result) = bench.answer();
    assert!(matches!((number, result), (1, Ok((commit, 0))) if commit.number == 1));
    bench.begun.recv().unwrap();
    assert!(bench.answers.1.try_recv().is_err());
    assert_eq!(bench.disk.unflushed(), 1);
    assert_eq!(bench.store.snapshot().count("cars").unwrap(), 1);

    bench.release.send(()).unwrap();
    let (number, result) = bench.answer();
    assert!(matches!((number, result), (2, Ok((commit, 1))) if commit.number == 2));
    let snapshot = bench.store.snapshot();
    assert_eq!(snapshot.count("cars").unwrap(), 2);
    snapshot.verify().unwrap();
    assert_eq!(*bench.world.announced.lock().unwrap(), [1..=1, 2..=2]);
}

#[test]
fn a_write_without_change_waits_until_what_it_read_is_durable() {
    let bench = Bench::holding_the_first_round();
    bench.run(2, false);
    assert!(bench.answers.1.try_recv().is_err());
    bench.release.send(()).unwrap();
    assert_eq!(bench.answer().0, 1);
    let (number, result) = bench.answer();
    assert!(matches!((number, result), (2, Ok((commit, 1))) if !commit.changed));
}

#[test]
fn a_failed_flush_refuses_the_round_that_ran_meanwhile() {
    let bench = Bench::holding_the_first_round();
    bench.run(2, false);
    bench.run(3, true);
    bench.disk.set_fault(Fault::FlushFails { after: 0 });
    bench.release.send(()).unwrap();
    let (number, result) = bench.answer();
    let Err(WriteError::Store(StoreError::Engine(error))) = result else {
        panic!("{result:?}");
    };
    assert!(number == 1 && matches!(*error, EngineError::Io { .. }));
    for expected in 2..=3 {
        let (number, result) = bench.answer();
        let Err(WriteError::Store(error)) = result else {
            panic!("{result:?}");
        };
        assert!(number == expected && is_stopped(&error));
    }
    let snapshot = bench.store.snapshot();
    assert_eq!(
        (snapshot.last_commit(), snapshot.count("cars").unwrap()),
        (0, 0)
    );
    assert!(bench.world.announced.lock().unwrap().is_empty());
}

#[test]
fn a_transaction_is_not_opened_over_what_is_not_durable() {
    for fails in [false, true] {
        let bench = Bench::holding_the_first_round();
        let (open, opened) = sync_channel(1);
        bench
            .store
            .begin(move |owner| open.send(owner).unwrap())
            .unwrap();
        assert!(opened.try_recv().is_err());
        if fails {
            bench.disk.set_fault(Fault::FlushFails { after: 0 });
        }
        bench.release.send(()).unwrap();
        let owner = opened.recv().unwrap();
        assert_eq!(bench.answer().0, 1);
        match owner {
            Ok(owner) => {
                assert!(!fails);
                drop(owner);
            }
            Err(error) => assert!(fails && is_stopped(&error)),
        }
    }
}

#[test]
fn a_store_that_is_dropped_during_a_flush_answers_all_that_waits() {
    let Bench {
        store,
        release,
        answers,
        ran,
        ..
    } = {
        let bench = Bench::holding_the_first_round();
        bench.run(2, true);
        bench.write(3, true);
        bench
    };
    (0..3).for_each(|_| release.send(()).unwrap());
    drop(store);
    drop((answers.0, ran));
    let numbers: Vec<_> = answers
        .1
        .iter()
        .map(|(number, result)| (number, result.is_ok()))
        .collect();
    assert_eq!(numbers, [(1, true), (2, true), (3, true)]);
}

#[test]
fn an_answer_may_hold_the_last_handle_of_the_store() {
    let store = Arc::new(World::default().open(FaultyDisk::new().open()));
    let (answer, answered) = sync_channel(1);
    let (go, wait) = sync_channel::<()>(1);
    let last = Arc::clone(&store);
    let work = move |transaction: &mut Transaction<'_>| set(transaction, "cars", 1, "{}");
    let done = move |result: Result<(Commit, ()), WriteError<SourceError>>| {
        wait.recv().unwrap();
        drop(last);
        answer.send(result.is_ok()).unwrap();
    };
    store.write(work, done).unwrap();
    drop(store);
    go.send(()).unwrap();
    assert!(answered.recv().unwrap());
}
