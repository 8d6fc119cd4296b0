//! The load that the recorder puts on the engine, the same in the child and in the checker.

use std::{io::Write, path::Path};

use tombolo_store::engine::{Batch, Engine, EngineSnapshot, FjallEngine, FjallSettings, Keyspace};

use crate::door::Model;

/// How many batches the child writes.
pub(crate) const BATCHES: usize = 160;

/// Small memtables, so that writing out and compaction happen within the load.
pub(crate) const SETTINGS: FjallSettings = FjallSettings {
    cache_bytes: 1024 * 1024,
    journal_bytes_max: 64 * 1024 * 1024,
    memtable_bytes: 24 * 1024,
};

const LAST: &[u8] = b"last";

/// Runs the load in `directory`, and prints each batch number once it is durable.
#[expect(
    clippy::print_stdout,
    reason = "the parent reads acknowledgements from the recorded writes"
)]
pub(crate) fn run(directory: &Path) {
    let engine = FjallEngine::open(directory, &SETTINGS).unwrap();
    println!();
    for number in 1..=BATCHES {
        engine.write(&batch(number)).unwrap();
        // One flush for each batch, as the writer of the store does.
        engine.flush().unwrap();
        println!("ack {number}");
        std::io::stdout().flush().unwrap();
    }
}

/// The state after each number of batches.
pub(crate) fn models() -> Vec<Model> {
    let mut models = vec![Model::default()];
    for number in 1..=BATCHES {
        let mut model = models[number - 1].clone();
        model.apply(&batch(number));
        models.push(model);
    }
    models
}

/// The number of the newest batch that an engine holds.
pub(crate) fn last(snapshot: &dyn EngineSnapshot) -> usize {
    let found = snapshot.get(Keyspace::Meta, LAST).unwrap();
    found.map_or(0, |bytes| {
        usize::from_be_bytes(bytes.as_ref().try_into().unwrap())
    })
}

fn batch(number: usize) -> Batch {
    let mut batch = Batch::new();
    for entry in 1..=random(number, 1) % 4 {
        let dice = random(number, 1 + entry);
        let key = [b'k', u8::try_from(dice % 40).unwrap()];
        if dice.is_multiple_of(7) {
            batch.remove(Keyspace::Documents, key).unwrap();
        } else {
            // Some batches span many pages, whose middle ones a disk may lose.
            let bytes_max = if number.is_multiple_of(8) {
                30_000
            } else {
                3_000
            };
            let length = usize::try_from(dice / 64 % bytes_max).unwrap();
            let value: Vec<u8> = (0..length)
                .map(|at| random(number, at as u64).to_be_bytes()[7])
                .collect();
            batch.put(Keyspace::Documents, key, value).unwrap();
        }
    }
    batch
        .put(
            Keyspace::Changes,
            number.to_be_bytes(),
            random(number, 2).to_be_bytes(),
        )
        .unwrap();
    if number > 50 {
        batch
            .remove(Keyspace::Changes, (number - 50).to_be_bytes())
            .unwrap();
    }
    batch
        .put(Keyspace::Meta, LAST, number.to_be_bytes())
        .unwrap();
    batch
}

/// Well-mixed bits of (batch, stream): the finalizer of splitmix64.
pub(crate) fn random(number: usize, stream: u64) -> u64 {
    let mut bits = (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ stream.rotate_left(32);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
