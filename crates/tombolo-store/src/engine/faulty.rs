//! The faulty twin: a disk in memory that a test can unplug, fill and break.
//!
//! It keeps apart what was flushed and what was not. A power cut keeps every flushed batch
//! and, as a real disk may, some prefix of the rest; it never reorders and never tears a batch.
//! Torn bytes are the business of the recorder tests on the real engine.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{Batch, Engine, EngineError, EngineSnapshot, EngineStats, fuse::Fuse, memory::Maps};

/// What a test makes the disk fail at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The write that follows this many good ones finds the disk full.
    WriteFull {
        /// Writes that still succeed.
        after: u32,
    },
    /// The write that follows this many good ones fails.
    WriteFails {
        /// Writes that still succeed.
        after: u32,
    },
    /// The flush that follows this many good ones fails.
    FlushFails {
        /// Flushes that still succeed.
        after: u32,
    },
}

/// The platter and its page cache. Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub struct FaultyDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    /// What a power cut cannot take.
    durable: Maps,
    /// Written after the last good flush, in order.
    pending: Vec<Batch>,
    /// What a reader sees: `durable` and `pending` together.
    current: Maps,
    /// Counts power cuts: an engine opened before the last one is dead.
    life: u64,
    fault: Option<Fault>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            durable: Maps::new(),
            pending: Vec::new(),
            current: Maps::new(),
            life: 0,
            fault: None,
        }
    }
}

impl FaultyDisk {
    /// An empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens the disk as it is now, as after an orderly stop or a killed process.
    pub fn open(&self) -> FaultyEngine {
        FaultyEngine {
            life: self.state().life,
            disk: self.clone(),
            fuse: Fuse::default(),
        }
    }

    /// Cuts the power: unflushed batches are lost, except a prefix whose length `seed` chooses.
    /// Engines opened before are dead from now on; a fault that was set is cleared.
    /// Returns how many unflushed batches survived.
    pub fn power_cut(&self, seed: u64) -> usize {
        let mut state = self.state();
        let pending = std::mem::take(&mut state.pending);
        let choices = pending.len() as u64 + 1;
        let survivors = usize::try_from(seed % choices).expect("at most the length of a vector");
        for batch in &pending[..survivors] {
            state.durable.apply(batch);
        }
        state.current = state.durable.clone();
        state.life += 1;
        state.fault = None;
        survivors
    }

    /// Sets what fails next.
    pub fn set_fault(&self, fault: Fault) {
        self.state().fault = Some(fault);
    }

    /// How many batches wait for a flush.
    pub fn unflushed(&self) -> usize {
        self.state().pending.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An engine on a [`FaultyDisk`].
#[derive(Debug)]
pub struct FaultyEngine {
    disk: FaultyDisk,
    life: u64,
    fuse: Fuse,
}

impl FaultyEngine {
    fn powered_state(&self) -> Result<MutexGuard<'_, State>, EngineError> {
        let state = self.disk.state();
        if state.life == self.life {
            Ok(state)
        } else {
            Err(EngineError::Stopped)
        }
    }
}

impl Engine for FaultyEngine {
    fn snapshot(&self) -> Result<Box<dyn EngineSnapshot>, EngineError> {
        Ok(Box::new(self.powered_state()?.current.clone()))
    }

    fn write(&self, batch: &Batch) -> Result<(), EngineError> {
        self.fuse.write(|| {
            let mut state = self.powered_state()?;
            match &mut state.fault {
                Some(Fault::WriteFull { after: 0 }) => return Err(full()),
                Some(Fault::WriteFails { after: 0 }) => return Err(failed("write a batch")),
                Some(Fault::WriteFull { after } | Fault::WriteFails { after }) => *after -= 1,
                Some(Fault::FlushFails { .. }) | None => {}
            }
            state.current.apply(batch);
            state.pending.push(batch.clone());
            Ok(())
        })
    }

    fn flush(&self) -> Result<(), EngineError> {
        self.fuse.flush(|| {
            let mut state = self.powered_state()?;
            match &mut state.fault {
                Some(Fault::FlushFails { after: 0 }) => return Err(failed("flush")),
                Some(Fault::FlushFails { after }) => *after -= 1,
                Some(Fault::WriteFull { .. } | Fault::WriteFails { .. }) | None => {}
            }
            state.durable = state.current.clone();
            state.pending.clear();
            Ok(())
        })
    }

    fn stats(&self) -> EngineStats {
        let current = self.disk.state().current.clone();
        EngineStats {
            size_bytes: current.size_bytes(),
            batches_written: self.fuse.batches_written(),
            flushes: self.fuse.flushes(),
        }
    }
}

fn full() -> EngineError {
    EngineError::from_io("write a batch", io::ErrorKind::StorageFull.into())
}

fn failed(action: &'static str) -> EngineError {
    EngineError::from_io(action, io::Error::other("injected fault"))
}
