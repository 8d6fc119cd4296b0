//! Where a chain goes on: its last line, what stands behind it that is no line, and what the head says.

use std::io::{self, Read};

use super::head::Head;
use super::line::{Line, Position};
use super::lines::{Found, Lines, Torn};
use super::record::{HeadFound, ResumedRecord};
use crate::rolling::Series;

/// The end of one file.
#[derive(Debug, Default)]
struct FileEnd {
    last: Option<Position>,
    chain: Option<String>,
    torn: Torn,
    /// Whether the last byte ends a line.
    has_end: bool,
}

/// Where to go on.
#[derive(Debug)]
pub(super) struct Resumption {
    pub(super) position: Position,
    /// `None`: no file says of which chain it is.
    pub(super) chain: Option<String>,
    /// The last line lacks its end, which must be written before anything else.
    pub(super) needs_line_end: bool,
    /// `None`: the last end was in good order.
    pub(super) record: Option<ResumedRecord>,
}

/// Looks at the newest files of a chain.
///
/// # Errors
/// One of them cannot be read.
pub(super) fn find(series: &Series, head: Head) -> io::Result<Resumption> {
    let mut end = match std::fs::File::open(series.current()) {
        Ok(file) => file_end(file)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => FileEnd {
            has_end: true,
            ..FileEnd::default()
        },
        Err(error) => return Err(error),
    };
    for closed in series.closed()?.iter().rev() {
        if end.last.is_some() {
            break;
        }
        let before = file_end(closed.open()?)?;
        end.last = before.last;
        end.chain = end.chain.or(before.chain);
    }
    let needs_line_end = !end.has_end;
    if end.torn.bytes > 0 && needs_line_end {
        // The end that will be written belongs to what is torn.
        end.torn.add(b"\n");
    }
    let (position, found) = match (end.last, head) {
        (None, Head::Missing) => (Position::START, HeadFound::Reached),
        (Some(last), Head::Missing) => (last, HeadFound::Missing),
        (last, Head::At(head)) => match last {
            Some(last) if last.sequence >= head.sequence => (last, HeadFound::Reached),
            _ => (head, HeadFound::Ahead),
        },
    };
    let is_good = end.torn.bytes == 0 && found == HeadFound::Reached;
    let record = (!is_good).then(|| ResumedRecord {
        torn_bytes: end.torn.bytes,
        torn_hash: end.torn.hash(),
        head: found,
    });
    Ok(Resumption {
        position,
        chain: end.chain,
        needs_line_end,
        record,
    })
}

#[derive(serde::Deserialize)]
struct ChainName {
    chain: Option<String>,
}

#[derive(serde::Deserialize)]
struct FirstLine {
    previous: Option<Position>,
}

/// Where the file before this one ends, as the first line of this one says.
///
/// # Errors
/// It cannot be read.
pub(super) fn previous_end(file: impl Read) -> io::Result<Option<Position>> {
    let mut lines = Lines::new(file);
    let found = lines.advance(&mut Torn::default())?;
    if found != Found::Text || Line::parse(lines.text()).is_none() {
        return Ok(None);
    }
    let first = serde_json::from_slice::<FirstLine>(lines.text());
    Ok(first.ok().and_then(|first| first.previous))
}

fn file_end(file: impl Read) -> io::Result<FileEnd> {
    let mut lines = Lines::new(file);
    let mut end = FileEnd {
        has_end: true,
        ..FileEnd::default()
    };
    loop {
        match lines.advance(&mut end.torn)? {
            Found::End => return Ok(end),
            Found::TooLong => end.has_end = end.torn.has_end,
            Found::Text => {
                end.has_end = lines.raw().ends_with(b"\n");
                let Some(line) = Line::parse(lines.text()) else {
                    end.torn.add(lines.raw());
                    continue;
                };
                if end.last.is_none() {
                    let name = serde_json::from_slice::<ChainName>(lines.text());
                    end.chain = name.ok().and_then(|name| name.chain);
                }
                // What was torn before a line was told by that line.
                end.torn = Torn::default();
                end.last = Some(Position {
                    sequence: line.sequence,
                    hash: line.hash,
                });
            }
        }
    }
}
