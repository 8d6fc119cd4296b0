//! Opening again: whose data it is, which format it has, and that nothing goes back.

use std::sync::{Arc, atomic::Ordering};

use tombolo_document::{Actor, SiteId};
use tombolo_store::{
    Store, StoreError,
    engine::{
        Batch, Engine, FaultyDisk, FjallEngine, FjallSettings, KeyRange, Keyspace, RedbEngine,
    },
};

use crate::bench::{Faulty, World, read, set, write};

fn reopened(disk: &FaultyDisk, world: &World) -> Result<Store, StoreError> {
    Store::open(Arc::new(disk.open()), world.settings())
}

fn damage(disk: &FaultyDisk, change: impl Fn(&mut Batch)) {
    let engine = disk.open();
    let mut batch = Batch::new();
    change(&mut batch);
    engine.write(&batch).unwrap();
    engine.flush().unwrap();
}

fn three_commits() -> Faulty {
    let faulty = Faulty::new();
    for number in 1..=3 {
        write(faulty.store(), move |transaction| {
            set(transaction, "cars", number, "{}")
        })
        .unwrap();
    }
    faulty
}

#[test]
fn stamps_and_numbers_never_go_back_though_the_clock_does() {
    let mut faulty = Faulty::new();
    faulty
        .world
        .clock
        .unix_ms
        .store(5_000_000, Ordering::SeqCst);
    let first = write(faulty.store(), |transaction| {
        set(transaction, "cars", 1, "{}")
    })
    .unwrap();
    faulty.world.clock.unix_ms.store(1_000, Ordering::SeqCst);
    faulty.power_cut(0);
    let second = write(faulty.store(), |transaction| {
        set(transaction, "cars", 2, "{}")
    })
    .unwrap();
    assert!(second.dot > first.dot && second.number > first.number);
}

#[test]
fn the_log_id_stays_when_the_store_is_only_reopened() {
    let mut faulty = three_commits();
    let (log, chain) = (
        faulty.store().snapshot().log_id(),
        faulty.store().snapshot().chain(),
    );
    faulty.power_cut(0);
    let snapshot = faulty.store().snapshot();
    assert_eq!(
        (snapshot.log_id(), snapshot.chain(), snapshot.last_commit()),
        (log, chain, 3)
    );
}

#[test]
fn another_database_is_refused_by_name() {
    let faulty = three_commits();
    let mut settings = faulty.world.settings();
    settings.database_id = "other".to_owned();
    let error = Store::open(Arc::new(faulty.disk.open()), settings)
        .err()
        .unwrap();
    assert!(matches!(&error, StoreError::OtherDatabase { found, .. } if found == "test-database"));
}

#[test]
fn a_new_peer_key_writes_under_its_own_site() {
    let faulty = three_commits();
    let mut settings = faulty.world.settings();
    settings.site = SiteId([9; 16]);
    let store = Store::open(Arc::new(faulty.disk.open()), settings).unwrap();
    assert_eq!(
        store.snapshot().actor(),
        Actor::new(SiteId([9; 16]), Actor::FIRST_EPOCH)
    );
}

#[test]
fn a_newer_format_is_told_and_not_guessed_at() {
    let faulty = three_commits();
    damage(&faulty.disk, |batch| {
        batch.put(Keyspace::Meta, *b"s", *b"\x02").unwrap()
    });
    let error = reopened(&faulty.disk, &faulty.world).err().unwrap();
    assert!(matches!(
        error,
        StoreError::NewerFormat {
            record: "state",
            found: 2
        }
    ));
}

#[test]
fn a_commit_that_is_missing_from_the_log_is_found_on_opening() {
    for commit in 2u64..=3 {
        let faulty = three_commits();
        damage(&faulty.disk, |batch| {
            batch
                .remove(Keyspace::Changes, commit.to_be_bytes())
                .unwrap()
        });
        let error = reopened(&faulty.disk, &faulty.world).err().unwrap();
        assert!(
            matches!(error, StoreError::DamagedLog { commit: 3 }),
            "{error:?}"
        );
    }
}

#[test]
fn a_change_or_document_that_is_missing_is_found_by_a_full_check() {
    for keyspace in [Keyspace::Changes, Keyspace::Documents] {
        let faulty = three_commits();
        let snapshot = faulty.disk.open().snapshot().unwrap();
        let mut longest = Vec::new();
        let range = KeyRange::all();
        let mut visit = |key: &[u8], _: &[u8]| {
            if key.len() > 8 || keyspace == Keyspace::Documents {
                longest = key.to_vec();
            }
            std::ops::ControlFlow::Continue(())
        };
        snapshot
            .scan(
                keyspace,
                &range,
                tombolo_store::engine::Direction::Forward,
                &mut visit,
            )
            .unwrap();
        damage(&faulty.disk, |batch| match keyspace {
            Keyspace::Documents => batch.remove(keyspace, longest.clone()).unwrap(),
            _ => {
                let mut forged = longest.clone();
                forged.push(1);
                batch.put(keyspace, forged, *b"\x01").unwrap();
            }
        });
        let store = reopened(&faulty.disk, &faulty.world).unwrap();
        assert!(matches!(
            store.snapshot().verify(),
            Err(StoreError::DamagedLog { commit: 3 })
        ));
    }
}

#[test]
fn both_engines_on_disk_keep_a_store_through_a_reopening() {
    let directory = tempfile::TempDir::new().unwrap();
    let world = World::default();
    let fjall =
        || FjallEngine::open(&directory.path().join("one"), &FjallSettings::default()).unwrap();
    let redb = || RedbEngine::open(&directory.path().join("two"), 1 << 20).unwrap();
    for (first, second) in [
        (
            world.open(fjall()),
            Box::new(|| world.open(fjall())) as Box<dyn Fn() -> Store>,
        ),
        (world.open(redb()), Box::new(|| world.open(redb()))),
    ] {
        write(&first, |transaction| {
            set(transaction, "cars", 1, r#"{"a":1}"#)
        })
        .unwrap();
        drop(first);
        let store = second();
        assert_eq!(read(&store.snapshot(), "cars", 1).unwrap(), r#"{"a":1}"#);
        assert_eq!(store.snapshot().verify().unwrap().documents, 1);
    }
}
