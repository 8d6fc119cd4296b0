//! The faulty twin loses what a power cut loses and nothing else, and stops at the first failure.

use crate::door::{Model, contents, put_one};
use proptest::prelude::*;
use tombolo_store::engine::{Batch, Engine, EngineError, Fault, FaultyDisk, Keyspace};

fn keys(disk: &FaultyDisk) -> Vec<u8> {
    let snapshot = disk.open().snapshot().unwrap();
    contents(&*snapshot, Keyspace::Meta)
        .into_iter()
        .map(|(key, _)| key[0])
        .collect()
}

#[test]
fn a_power_cut_keeps_a_prefix_of_what_was_not_flushed() {
    for (seed, kept) in [
        (0, b"a".to_vec()),
        (1, b"ab".to_vec()),
        (2, b"abc".to_vec()),
    ] {
        let disk = FaultyDisk::new();
        let engine = disk.open();
        put_one(&engine, b"a", b"");
        engine.flush().unwrap();
        put_one(&engine, b"b", b"");
        put_one(&engine, b"c", b"");
        assert_eq!(disk.unflushed(), 2);
        disk.power_cut(seed);
        assert_eq!(keys(&disk), kept);
    }
}

#[test]
fn an_engine_opened_before_a_power_cut_is_dead() {
    let disk = FaultyDisk::new();
    let engine = disk.open();
    disk.power_cut(0);
    assert!(matches!(
        engine.write(&Batch::new()),
        Err(EngineError::Stopped)
    ));
    assert!(matches!(engine.flush(), Err(EngineError::Stopped)));
    assert!(matches!(
        engine.snapshot().err(),
        Some(EngineError::Stopped)
    ));
}

#[test]
fn after_a_failed_flush_nothing_is_accepted_until_reopening() {
    let disk = FaultyDisk::new();
    let engine = disk.open();
    put_one(&engine, b"a", b"");
    disk.set_fault(Fault::FlushFails { after: 0 });
    assert!(matches!(engine.flush(), Err(EngineError::Io { .. })));
    assert!(matches!(engine.flush(), Err(EngineError::Stopped)));
    assert!(matches!(
        engine.write(&Batch::new()),
        Err(EngineError::Stopped)
    ));
    assert!(engine.snapshot().is_ok());
    disk.power_cut(0);
    assert_eq!(keys(&disk), b"");
    put_one(&disk.open(), b"b", b"");
}

#[test]
fn a_full_disk_is_told_apart_from_a_broken_one() {
    let disk = FaultyDisk::new();
    let engine = disk.open();
    disk.set_fault(Fault::WriteFull { after: 1 });
    put_one(&engine, b"a", b"");
    assert!(matches!(
        engine.write(&Batch::new()),
        Err(EngineError::Full { .. })
    ));
    assert!(matches!(engine.flush(), Err(EngineError::Stopped)));
    let engine = disk.open();
    disk.set_fault(Fault::WriteFails { after: 0 });
    assert!(matches!(
        engine.write(&Batch::new()),
        Err(EngineError::Io { .. })
    ));
}

proptest! {
    #[test]
    fn after_a_cut_the_disk_holds_every_flushed_batch_and_a_prefix_of_the_rest(
        flushed in 0usize..8, unflushed in 0usize..8, seed in any::<u64>(),
    ) {
        let disk = FaultyDisk::new();
        let engine = disk.open();
        let mut models = vec![Model::default()];
        for number in 0..flushed + unflushed {
            let mut batch = Batch::new();
            batch.put(Keyspace::Meta, [u8::try_from(number % 3).unwrap()], vec![0; number]).unwrap();
            engine.write(&batch).unwrap();
            let mut model = models[number].clone();
            model.apply(&batch);
            models.push(model);
            if number + 1 == flushed {
                engine.flush().unwrap();
            }
        }
        let survivors = disk.power_cut(seed);
        let snapshot = disk.open().snapshot().unwrap();
        models[flushed + survivors].assert_same(&*snapshot);
    }
}
