//! Telling whether a file changed without reading it, through links as renewal programs make them.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// What changes when a file is written or replaced; `None` if it cannot be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp(Option<(u64, u64, u64, i64, i64)>);

pub(super) fn stamps(files: &[PathBuf]) -> Vec<Stamp> {
    let stamp = |file: &PathBuf| {
        let found = std::fs::metadata(file).ok().map(|found| {
            let changed = (found.ctime(), found.ctime_nsec());
            (found.dev(), found.ino(), found.len(), changed.0, changed.1)
        });
        Stamp(found)
    };
    files.iter().map(stamp).collect()
}
