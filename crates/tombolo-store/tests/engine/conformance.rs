//! What every engine must do, run against every engine.
//!
//! A rule of the door is written once, as a function over `Bench`; the macro at the end runs
//! each rule on fjall, redb, memory and the faulty twin.

use std::ops::ControlFlow;

use crate::door::{
    Bench, FaultyBench, FjallBench, MemoryBench, Model, RedbBench, contents, put_one,
};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use tombolo_store::engine::{Batch, Direction, KeyRange, Keyspace};

fn a_batch_is_seen_whole_in_every_keyspace(bench: &mut dyn Bench) {
    let mut batch = Batch::new();
    for keyspace in Keyspace::ALL {
        batch
            .put(keyspace, *b"key", keyspace.name().as_bytes())
            .unwrap();
    }
    let before = bench.engine().snapshot().unwrap();
    bench.engine().write(&batch).unwrap();
    let after = bench.engine().snapshot().unwrap();
    for keyspace in Keyspace::ALL {
        assert_eq!(before.get(keyspace, b"key").unwrap(), None);
        let value = after.get(keyspace, b"key").unwrap().unwrap();
        assert_eq!(&*value, keyspace.name().as_bytes());
    }
}

fn a_snapshot_never_changes(bench: &mut dyn Bench) {
    put_one(bench.engine(), b"a", b"old");
    let snapshot = bench.engine().snapshot().unwrap();
    put_one(bench.engine(), b"a", b"new");
    put_one(bench.engine(), b"b", b"new");
    bench.engine().flush().unwrap();
    assert_eq!(
        contents(&*snapshot, Keyspace::Meta),
        [(b"a".to_vec(), b"old".to_vec())]
    );
}

fn a_removed_key_is_gone_and_removing_it_again_is_no_error(bench: &mut dyn Bench) {
    put_one(bench.engine(), b"a", b"1");
    for _ in 0..2 {
        let mut batch = Batch::new();
        batch.remove(Keyspace::Meta, *b"a").unwrap();
        bench.engine().write(&batch).unwrap();
        let snapshot = bench.engine().snapshot().unwrap();
        assert_eq!(snapshot.get(Keyspace::Meta, b"a").unwrap(), None);
    }
}

fn the_last_word_in_a_batch_wins(bench: &mut dyn Bench) {
    let mut batch = Batch::new();
    batch.put(Keyspace::Meta, *b"a", *b"1").unwrap();
    batch.remove(Keyspace::Meta, *b"a").unwrap();
    batch.put(Keyspace::Meta, *b"b", *b"1").unwrap();
    batch.put(Keyspace::Meta, *b"b", *b"2").unwrap();
    bench.engine().write(&batch).unwrap();
    let snapshot = bench.engine().snapshot().unwrap();
    assert_eq!(
        contents(&*snapshot, Keyspace::Meta),
        [(b"b".to_vec(), b"2".to_vec())]
    );
}

fn a_scan_keeps_to_its_range_in_both_directions(bench: &mut dyn Bench) {
    for key in [&b"a"[..], b"b", b"b\x00", b"b\xff", b"c"] {
        put_one(bench.engine(), key, b"");
    }
    let snapshot = bench.engine().snapshot().unwrap();
    let keys = |range: &KeyRange, direction| {
        let mut keys = Vec::new();
        snapshot
            .scan(Keyspace::Meta, range, direction, &mut |key, _| {
                keys.push(key.to_vec());
                ControlFlow::Continue(())
            })
            .unwrap();
        keys
    };
    let inside = [b"b".to_vec(), b"b\x00".to_vec(), b"b\xff".to_vec()];
    let mut reversed = inside.clone();
    reversed.reverse();
    assert_eq!(keys(&KeyRange::prefix(b"b"), Direction::Forward), inside);
    assert_eq!(keys(&KeyRange::prefix(b"b"), Direction::Backward), reversed);
    assert_eq!(
        keys(&KeyRange::between(*b"b", *b"c"), Direction::Forward),
        inside
    );
    assert_eq!(
        keys(&KeyRange::between(*b"c", *b"b"), Direction::Forward).len(),
        0
    );
    assert_eq!(
        keys(&KeyRange::between(*b"b", *b"b"), Direction::Backward).len(),
        0
    );
    assert_eq!(keys(&KeyRange::all(), Direction::Forward).len(), 5);
}

fn a_visitor_ends_its_scan(bench: &mut dyn Bench) {
    for key in [b"a", b"b", b"c"] {
        put_one(bench.engine(), key, b"");
    }
    let snapshot = bench.engine().snapshot().unwrap();
    for (direction, last) in [(Direction::Forward, b"b"), (Direction::Backward, b"b")] {
        let mut seen = Vec::new();
        snapshot
            .scan(
                Keyspace::Meta,
                &KeyRange::all(),
                direction,
                &mut |key, _| {
                    seen.push(key.to_vec());
                    if key == last {
                        ControlFlow::Break(())
                    } else {
                        ControlFlow::Continue(())
                    }
                },
            )
            .unwrap();
        assert_eq!(seen.len(), 2);
    }
}

fn a_scan_may_read_from_its_own_snapshot(bench: &mut dyn Bench) {
    put_one(bench.engine(), b"a", b"b");
    put_one(bench.engine(), b"b", b"found");
    let snapshot = bench.engine().snapshot().unwrap();
    let mut found = None;
    snapshot
        .scan(
            Keyspace::Meta,
            &KeyRange::all(),
            Direction::Forward,
            &mut |_, value| {
                found = snapshot.get(Keyspace::Meta, value).unwrap();
                ControlFlow::Break(())
            },
        )
        .unwrap();
    assert_eq!(found.as_deref(), Some(&b"found"[..]));
}

fn flushed_bytes_survive_a_reopening(bench: &mut dyn Bench) {
    put_one(bench.engine(), b"a", b"1");
    put_one(bench.engine(), b"b", &[7; 100_000]);
    bench.engine().flush().unwrap();
    if !bench.reopen() {
        return;
    }
    let snapshot = bench.engine().snapshot().unwrap();
    let kept = contents(&*snapshot, Keyspace::Meta);
    assert_eq!(
        kept,
        [
            (b"a".to_vec(), b"1".to_vec()),
            (b"b".to_vec(), vec![7; 100_000])
        ]
    );
}

fn an_empty_batch_and_an_empty_flush_are_no_error(bench: &mut dyn Bench) {
    bench.engine().flush().unwrap();
    bench.engine().write(&Batch::new()).unwrap();
    bench.engine().flush().unwrap();
    bench.engine().flush().unwrap();
}

fn stats_count_writes_and_flushes(bench: &mut dyn Bench) {
    put_one(bench.engine(), b"a", b"1");
    put_one(bench.engine(), b"b", b"2");
    bench.engine().flush().unwrap();
    let stats = bench.engine().stats();
    assert_eq!((stats.batches_written, stats.flushes), (2, 1));
    assert!(stats.size_bytes >= 4);
}

#[derive(Clone, Debug)]
enum Step {
    Write(Vec<(usize, Vec<u8>, Option<Vec<u8>>)>),
    Flush,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let key = prop::collection::vec(prop::sample::select(vec![0u8, 1, b'a', 0xff]), 1..4);
    let value = prop::option::weighted(0.7, prop::collection::vec(any::<u8>(), 0..60));
    let entries = prop::collection::vec((0..Keyspace::COUNT, key, value), 0..8);
    prop_oneof![6 => entries.prop_map(Step::Write), 2 => Just(Step::Flush), 1 => Just(Step::Reopen)]
}

fn it_agrees_with_a_map_through_writes_and_reopenings(bench: &mut dyn Bench) {
    let mut model = Model::default();
    let steps = prop::collection::vec(step(), 1..40);
    // The engine lives on between cases: the model does too, which a fresh one would not test.
    let bench = std::cell::RefCell::new(bench);
    let model = std::cell::RefCell::new(&mut model);
    let config = Config {
        cases: 24,
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new(config)
        .run(&steps, |steps| {
            for step in steps {
                apply(&mut **bench.borrow_mut(), &mut model.borrow_mut(), step);
            }
            let snapshot = bench.borrow().engine().snapshot().unwrap();
            model.borrow().assert_same(&*snapshot);
            Ok(())
        })
        .unwrap();
}

fn apply(bench: &mut dyn Bench, model: &mut Model, step: Step) {
    match step {
        Step::Write(entries) => {
            let mut batch = Batch::new();
            for (index, key, value) in entries {
                let keyspace = Keyspace::ALL[index];
                match value {
                    Some(value) => batch.put(keyspace, key, value).unwrap(),
                    None => batch.remove(keyspace, key).unwrap(),
                }
            }
            bench.engine().write(&batch).unwrap();
            model.apply(&batch);
        }
        Step::Flush => bench.engine().flush().unwrap(),
        Step::Reopen => {
            bench.engine().flush().unwrap();
            bench.reopen();
        }
    }
}

macro_rules! rules {
    ($($rule:ident),+ $(,)?) => {
        mod on_fjall { $(#[test] fn $rule() { super::$rule(&mut super::FjallBench::new()); })+ }
        mod on_redb { $(#[test] fn $rule() { super::$rule(&mut super::RedbBench::new()); })+ }
        mod on_memory { $(#[test] fn $rule() { super::$rule(&mut super::MemoryBench::new()); })+ }
        mod on_the_twin { $(#[test] fn $rule() { super::$rule(&mut super::FaultyBench::new()); })+ }
    };
}

rules![
    a_batch_is_seen_whole_in_every_keyspace,
    a_snapshot_never_changes,
    a_removed_key_is_gone_and_removing_it_again_is_no_error,
    the_last_word_in_a_batch_wins,
    a_scan_keeps_to_its_range_in_both_directions,
    a_visitor_ends_its_scan,
    a_scan_may_read_from_its_own_snapshot,
    flushed_bytes_survive_a_reopening,
    an_empty_batch_and_an_empty_flush_are_no_error,
    stats_count_writes_and_flushes,
    it_agrees_with_a_map_through_writes_and_reopenings,
];
