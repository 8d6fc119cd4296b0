//! The engine's own bulk load of what a node holds: the same rows, in the batches of the same commits, each flushed.
//! It knows no document: rows go in as they come out of the node's files.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

use tombolo::engine::{
    Batch, Direction, Engine, EngineError, FjallEngine, FjallSettings, KeyRange, Keyspace,
};

use crate::error::BenchError;
use crate::machine::{self, Stopwatch};

/// Bytes of a commit's number at the front of a key of the change log; a key of no more is its head.
const COMMIT_BYTES: usize = 8;

/// A key and its value.
type Row = (Keyspace, Vec<u8>, Vec<u8>);

/// What a node holds, by the commits that brought it.
pub(crate) struct Rows {
    batches: Vec<Vec<Row>>,
    pub(crate) documents: u64,
}

/// What the engine did.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) seconds: f64,
    pub(crate) cpu_seconds: f64,
}

impl Rows {
    /// Reads the files of a node that has ended.
    pub(crate) fn of(directory: &Path) -> Result<Self, BenchError> {
        let engine = open(directory)?;
        let snapshot = engine.snapshot().map_err(failed)?;
        let mut documents = BTreeMap::new();
        let range = KeyRange::all();
        let forward = Direction::Forward;
        let read = snapshot.scan(Keyspace::Documents, &range, forward, &mut |key, value| {
            documents.insert(key.to_vec(), value.to_vec());
            ControlFlow::Continue(())
        });
        read.map_err(failed)?;
        let mut rows = Self {
            batches: Vec::new(),
            documents: 0,
        };
        let mut commit = Vec::new();
        let read = snapshot.scan(Keyspace::Changes, &range, forward, &mut |key, value| {
            if rows.batches.is_empty() || commit != key[..COMMIT_BYTES] {
                commit = key[..COMMIT_BYTES].to_vec();
                rows.batches.push(Vec::new());
            }
            rows.add(key, value, &mut documents);
            ControlFlow::Continue(())
        });
        read.map_err(failed)?;
        Ok(rows)
    }

    /// Puts an entry of the change log, and the document that it names, into the newest batch.
    fn add(&mut self, key: &[u8], value: &[u8], documents: &mut BTreeMap<Vec<u8>, Vec<u8>>) {
        let Some(batch) = self.batches.last_mut() else {
            return;
        };
        batch.push((Keyspace::Changes, key.to_vec(), value.to_vec()));
        let document = &key[COMMIT_BYTES..];
        if let Some(record) = documents.remove(document) {
            self.documents += 1;
            batch.push((Keyspace::Documents, document.to_vec(), record));
        }
    }

    /// How many documents a batch holds on average.
    pub(crate) fn documents_per_batch(&self) -> f64 {
        self.documents as f64 / self.batches.len().max(1) as f64
    }

    /// Loads an empty engine with the settings of a node, through the door that the node uses too.
    pub(crate) fn load(&self, directory: &Path) -> Result<Load, BenchError> {
        let engine = open(directory)?;
        let process = std::process::id();
        let (watch, cpu_us) = (Stopwatch::start(), machine::own_cpu_us(process));
        for rows in &self.batches {
            let mut batch = Batch::new();
            for (keyspace, key, value) in rows {
                let put = batch.put(*keyspace, key.as_slice(), value.as_slice());
                put.map_err(failed)?;
            }
            engine.write(&batch).map_err(failed)?;
            engine.flush().map_err(failed)?;
        }
        Ok(Load {
            seconds: watch.elapsed().as_secs_f64(),
            cpu_seconds: (machine::own_cpu_us(process) - cpu_us) as f64 / 1e6,
        })
    }
}

fn open(directory: &Path) -> Result<FjallEngine, BenchError> {
    FjallEngine::open(directory, &FjallSettings::default()).map_err(failed)
}

fn failed(error: EngineError) -> BenchError {
    BenchError::Wrong {
        contender: "engine",
        detail: error.to_string(),
    }
}
