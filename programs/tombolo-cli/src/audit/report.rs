//! What `tombolo audit verify` prints.

use std::io::{self, Write};
use std::path::Path;

use super::line::Position;
use super::verify::{Verified, verify};

/// Whether a chain is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Whole,
    Broken,
}

/// Verifies the log in `directory` and prints what was found.
///
/// # Errors
/// A file cannot be read, or nothing can be printed.
pub(crate) fn report(
    directory: &Path,
    noted: Option<Position>,
    out: &mut dyn Write,
) -> io::Result<Verdict> {
    let Verified {
        files,
        records,
        end,
        breaks,
        breaks_total,
        notes,
    } = verify(directory, noted)?;
    for note in &notes {
        writeln!(out, "note: {note}")?;
    }
    for found in &breaks {
        writeln!(out, "BROKEN {found}")?;
    }
    if breaks_total > breaks.len() as u64 {
        let more = breaks_total - breaks.len() as u64;
        writeln!(out, "and {more} more")?;
    }
    writeln!(out, "{files} files, {records} records")?;
    if let Some(end) = end {
        writeln!(out, "head {end}")?;
    }
    if breaks_total == 0 {
        writeln!(out, "the chain is whole")?;
        return Ok(Verdict::Whole);
    }
    writeln!(out, "the chain is broken in {breaks_total} places")?;
    Ok(Verdict::Broken)
}
