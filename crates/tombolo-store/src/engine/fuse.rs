//! The fuse of an engine: once a write or flush has failed, it never conducts again.
//!
//! After a failed fsync the kernel may mark the dirty pages clean, so that a second fsync
//! succeeds without the bytes being on the device. Only opening again finds out what is there.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::EngineError;

/// Counts writes and flushes, and refuses them all after the first failure.
#[derive(Debug, Default)]
pub(super) struct Fuse {
    blown: AtomicBool,
    batches_written: AtomicU64,
    flushes: AtomicU64,
}

impl Fuse {
    pub(super) fn write(
        &self,
        write: impl FnOnce() -> Result<(), EngineError>,
    ) -> Result<(), EngineError> {
        self.pass(&self.batches_written, write)
    }

    pub(super) fn flush(
        &self,
        flush: impl FnOnce() -> Result<(), EngineError>,
    ) -> Result<(), EngineError> {
        self.pass(&self.flushes, flush)
    }

    pub(super) fn batches_written(&self) -> u64 {
        self.batches_written.load(Ordering::Relaxed)
    }

    pub(super) fn flushes(&self) -> u64 {
        self.flushes.load(Ordering::Relaxed)
    }

    fn pass(
        &self,
        counter: &AtomicU64,
        act: impl FnOnce() -> Result<(), EngineError>,
    ) -> Result<(), EngineError> {
        if self.blown.load(Ordering::Acquire) {
            return Err(EngineError::Stopped);
        }
        match act() {
            Ok(()) => {
                counter.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            Err(error) => {
                self.blown.store(true, Ordering::Release);
                Err(error)
            }
        }
    }
}
