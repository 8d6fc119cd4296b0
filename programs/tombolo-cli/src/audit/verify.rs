//! Reads a whole chain and says whether it is whole: at which file and line it breaks, and what was cut or changed.
//! It needs nothing but the files, changes nothing, and may run beside the node.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::Path;

use super::NAME;
use super::head::{self, Head};
use super::line::{Line, Position};
use super::lines::{Found, Lines, Torn};
use crate::rolling::Series;

/// Breaks that are listed.
const BREAKS_MAX: usize = 50;

/// What a chain was found to be.
#[derive(Debug, Default)]
pub(crate) struct Verified {
    pub(crate) files: usize,
    pub(crate) records: u64,
    /// The last line; `None`: there is none.
    pub(crate) end: Option<Position>,
    /// Empty: the chain is whole.
    pub(crate) breaks: Vec<Break>,
    pub(crate) breaks_total: u64,
    /// What is odd and has an honest reason.
    pub(crate) notes: Vec<String>,
}

/// One place where something was cut or changed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Break {
    file: String,
    line: u64,
    what: String,
}

impl fmt::Display for Break {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, what } = self;
        write!(formatter, "{file}:{line}: {what}")
    }
}

/// Verifies the chain in `directory`; `noted` is a position that somebody wrote down elsewhere.
///
/// # Errors
/// A file cannot be read.
pub(crate) fn verify(directory: &Path, noted: Option<Position>) -> io::Result<Verified> {
    // Before the files, because the node may go on writing them.
    let head = head::look(directory)?;
    let series = Series::at(directory, NAME);
    let mut walk = Walk::new(noted);
    for closed in series.closed()? {
        walk.file(&closed.path, closed.open()?)?;
    }
    let current = series.current();
    match File::open(&current) {
        Ok(file) => walk.file(&current, file)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    Ok(walk.conclude(head))
}

/// What some records say of the chain itself.
#[derive(serde::Deserialize)]
struct Meaning {
    kind: String,
    previous: Option<Position>,
    end: Option<Position>,
    torn_bytes: Option<u64>,
    torn_hash: Option<String>,
    head: Option<String>,
}

struct Walk {
    verified: Verified,
    file: String,
    line: u64,
    torn: Torn,
    /// Where the torn bytes begin.
    torn_at: (String, u64),
    /// Where the oldest file says that the chain was before it, and which line says so.
    start: Option<(Position, (String, u64))>,
    /// Ends of files that the chain says were removed.
    removed: Vec<Position>,
    noted: Option<Position>,
}

impl Walk {
    fn new(noted: Option<Position>) -> Self {
        Self {
            verified: Verified::default(),
            file: String::new(),
            line: 0,
            torn: Torn::default(),
            torn_at: (String::new(), 0),
            start: None,
            removed: Vec::new(),
            noted,
        }
    }

    fn file(&mut self, path: &Path, file: impl io::Read) -> io::Result<()> {
        self.file = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        self.line = 0;
        self.verified.files += 1;
        let mut lines = Lines::new(file);
        loop {
            let bytes_before = self.torn.bytes;
            let found = match lines.advance(&mut self.torn) {
                Ok(found) => found,
                Err(error) if is_damage(&error) => {
                    self.line += 1;
                    self.report(format!("the file cannot be inflated from here on: {error}"));
                    return Ok(());
                }
                Err(error) => return Err(error),
            };
            self.line += 1;
            match found {
                Found::End => return Ok(()),
                Found::TooLong => self.tear(bytes_before),
                Found::Text => match Line::parse(lines.text()) {
                    Some(line) => self.judge(&line, lines.text()),
                    None => {
                        self.torn.add(lines.raw());
                        self.tear(bytes_before);
                    }
                },
            }
        }
    }

    fn tear(&mut self, bytes_before: u64) {
        if bytes_before == 0 {
            self.torn_at = (self.file.clone(), self.line);
        }
    }

    fn judge(&mut self, line: &Line<'_>, text: &[u8]) {
        let meaning = serde_json::from_slice::<Meaning>(text).ok();
        self.settle_torn(meaning.as_ref());
        match self.verified.end {
            None => self.first(line, meaning.as_ref()),
            Some(end) => self.next(line, end),
        }
        let position = Position {
            sequence: line.sequence,
            hash: line.hash,
        };
        if let Some(noted) = self
            .noted
            .filter(|noted| noted.sequence == position.sequence)
            && noted.hash != position.hash
        {
            self.report(format!(
                "record {} is not the one that was noted: the chain was written anew",
                noted.sequence
            ));
        }
        // From here on the chain is judged by what this line says of itself, so that one break is told once.
        self.verified.end = Some(position);
        self.verified.records += 1;
        if let Some(meaning) = meaning {
            self.removed
                .extend(meaning.end.filter(|_| meaning.kind == "removed"));
            if meaning.kind == "resumed" && meaning.head.as_deref() == Some("missing") {
                self.report("audit.head was missing when the node started here, so nobody knows whether records before this line were cut".to_owned());
            }
        }
    }

    /// Torn bytes are honest if the next line tells of them.
    fn settle_torn(&mut self, meaning: Option<&Meaning>) {
        let torn = std::mem::take(&mut self.torn);
        let told = meaning.filter(|meaning| meaning.kind == "resumed");
        let told_bytes = told.and_then(|told| told.torn_bytes).unwrap_or(0);
        let told_hash = told.and_then(|told| told.torn_hash.clone());
        if torn.bytes == told_bytes && torn.hash() == told_hash {
            if torn.bytes > 0 {
                let (file, line) = &self.torn_at;
                let bytes = torn.bytes;
                let note = format!(
                    "{file}:{line}: {bytes} bytes are no records; the node found them when it started again and said so"
                );
                self.verified.notes.push(note);
            }
        } else if torn.bytes > 0 {
            let (file, line) = std::mem::take(&mut self.torn_at);
            let what = format!(
                "{} bytes are no records, and the record after them does not tell of them",
                torn.bytes
            );
            self.report_at(file, line, what);
        } else {
            self.report(format!(
                "this record tells of {told_bytes} torn bytes, which are gone"
            ));
        }
    }

    fn first(&mut self, line: &Line<'_>, meaning: Option<&Meaning>) {
        let before = match line.sequence {
            1 => Some(Position::START),
            _ => meaning.and_then(|meaning| meaning.previous),
        };
        let Some(before) = before else {
            let missing = line.sequence - 1;
            self.report(format!(
                "the first {missing} records are missing, with the head of this file"
            ));
            return;
        };
        if before.sequence + 1 != line.sequence || !line.follows(before.hash) {
            self.report(changed(line.sequence));
        }
        if before != Position::START {
            self.start = Some((before, (self.file.clone(), self.line)));
        }
    }

    fn next(&mut self, line: &Line<'_>, end: Position) {
        let expected = end.sequence + 1;
        let found = line.sequence;
        if found == expected {
            if !line.follows(end.hash) {
                self.report(changed(found));
            }
        } else if found > expected {
            let what = match found - expected {
                1 => format!("record {expected} is missing before this line"),
                _ => format!(
                    "records {expected} to {} are missing before this line",
                    found - 1
                ),
            };
            self.report(what);
        } else {
            self.report(format!(
                "record {found} stands behind record {}: it was put in or moved",
                end.sequence
            ));
        }
    }

    fn conclude(mut self, head: Head) -> Verified {
        if self.torn.bytes > 0 {
            let (file, line) = &self.torn_at;
            let note = format!(
                "{file}:{line}: the last {} bytes are no record; a node that runs is about to complete it, and one that was killed tells of it at its next start",
                self.torn.bytes
            );
            self.verified.notes.push(note);
        }
        if let Some((start, (file, line))) = self.start.take() {
            let count = start.sequence;
            if self.removed.contains(&start) {
                let note = format!(
                    "records 1 to {count} were removed by max_files, as a later record says"
                );
                self.verified.notes.push(note);
            } else {
                let what = format!(
                    "records 1 to {count} are missing, and no later record says that they were removed"
                );
                self.report_at(file, line, what);
            }
        }
        let reached = self.verified.end.map_or(0, |end| end.sequence);
        match head {
            Head::At(head) if head.sequence > reached => {
                let what = format!(
                    "the end was cut: audit.head names record {}, and the last one here is {reached}",
                    head.sequence
                );
                self.report(what);
            }
            Head::Missing if reached > 0 => {
                self.report(
                    "audit.head is missing, so nobody knows whether the end was cut".to_owned(),
                );
            }
            Head::At(_) | Head::Missing => {}
        }
        if let Some(noted) = self.noted.filter(|noted| noted.sequence > reached) {
            let what = format!(
                "the end was cut: record {} was noted, and the last one here is {reached}",
                noted.sequence
            );
            self.report(what);
        }
        self.verified
    }

    fn report(&mut self, what: String) {
        self.report_at(self.file.clone(), self.line, what);
    }

    fn report_at(&mut self, file: String, line: u64, what: String) {
        self.verified.breaks_total += 1;
        if self.verified.breaks.len() < BREAKS_MAX {
            self.verified.breaks.push(Break { file, line, what });
        }
    }
}

fn changed(sequence: u64) -> String {
    format!("record {sequence} was changed, or the one before it: its hash does not fit")
}

/// Whether a compressed file is damaged, rather than unreadable.
fn is_damage(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
    )
}
