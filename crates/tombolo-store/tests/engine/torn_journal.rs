//! A journal whose last batch lost a page in the middle, as a power cut may leave it.
//!
//! The story: fjall refuses such a journal with a checksum error, though nothing in the torn
//! batch was ever acknowledged. A group of commits is one large batch, so this is no rare case.

use std::{fs::OpenOptions, os::unix::fs::FileExt, path::Path};

use tempfile::TempDir;
use tombolo_store::engine::{Batch, Engine, EngineError, FjallEngine, FjallSettings, Keyspace};

const PAGE: [u8; 4096] = [0; 4096];

fn open(directory: &Path) -> Result<FjallEngine, EngineError> {
    FjallEngine::open(directory, &FjallSettings::default())
}

/// Writes one key, then a value of many pages, then `after`; loses a page of the value.
fn torn(after: &[&[u8]]) -> TempDir {
    let directory = TempDir::new().unwrap();
    let engine = open(directory.path()).unwrap();
    let mut bits = 1u32;
    let noise = (0..30_000).map(|_| {
        bits = bits.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        bits.to_be_bytes()[0]
    });
    write(&engine, b"first", b"1");
    write(&engine, b"large", &noise.collect::<Vec<_>>());
    for key in after {
        write(&engine, key, b"1");
    }
    drop(engine);
    let journal = directory.path().join("fjall/0.jnl");
    let file = OpenOptions::new().write(true).open(journal).unwrap();
    file.write_all_at(&PAGE, 8192).unwrap();
    directory
}

fn write(engine: &FjallEngine, key: &[u8], value: &[u8]) {
    let mut batch = Batch::new();
    batch.put(Keyspace::Documents, key, value).unwrap();
    engine.write(&batch).unwrap();
    engine.flush().unwrap();
}

fn holds(engine: &FjallEngine, key: &[u8]) -> bool {
    let snapshot = engine.snapshot().unwrap();
    snapshot.get(Keyspace::Documents, key).unwrap().is_some()
}

#[test]
fn a_last_batch_that_lost_a_page_is_cut_off_and_the_rest_is_kept() {
    let directory = torn(&[]);
    let engine = open(directory.path()).unwrap();
    assert!(holds(&engine, b"first") && !holds(&engine, b"large"));
    write(&engine, b"later", b"1");
    drop(engine);
    let engine = open(directory.path()).unwrap();
    assert!(holds(&engine, b"first") && holds(&engine, b"later"));
}

#[test]
fn a_damaged_batch_that_others_follow_is_never_cut_off() {
    let directory = torn(&[b"second"]);
    for _ in 0..2 {
        assert!(matches!(
            open(directory.path()).err(),
            Some(EngineError::Damaged { .. })
        ));
    }
}
