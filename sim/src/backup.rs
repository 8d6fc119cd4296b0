//! Copies of a node's disk: backups, and copied directories.

use std::ops::ControlFlow;

use tombolo::engine::{Batch, Direction, Engine, EngineError, FaultyDisk, KeyRange, Keyspace};

use crate::violation::Violation;

/// Another disk with what is on this one now: a backup, or a copied directory.
pub(crate) fn copy(disk: &FaultyDisk) -> Result<FaultyDisk, Violation> {
    let copied = || -> Result<FaultyDisk, EngineError> {
        let (source, target) = (disk.open().snapshot()?, FaultyDisk::new());
        let mut batch = Batch::new();
        for keyspace in Keyspace::ALL {
            let mut entries = Vec::new();
            let all = KeyRange::prefix(&[]);
            source.scan(keyspace, &all, Direction::Forward, &mut |key, value| {
                entries.push((key.to_vec(), value.to_vec()));
                ControlFlow::Continue(())
            })?;
            for (key, value) in entries {
                batch.put(keyspace, key, value)?;
            }
        }
        let engine = target.open();
        engine.write(&batch)?;
        engine.flush()?;
        Ok(target)
    };
    copied().map_err(|error| Violation::store(&error))
}
