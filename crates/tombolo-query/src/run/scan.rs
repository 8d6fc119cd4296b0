//! Reads one collection the way its plan says and hands each document on.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use tombolo_document::order::Direction;

use crate::error::QueryError;
use crate::limits::{Budget, Limit, Limits};
use crate::plan::Access;
use crate::source::{Source, SourceError};

/// Bytes that a remembered id costs besides its own.
const ID_BYTES: usize = 48;

/// Called with id and document.
pub(crate) type Each<'e> = &'e mut dyn FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>, QueryError>;

/// Visits the documents of a stored collection.
pub(crate) fn scan(
    source: &dyn Source,
    collection: &str,
    access: &Access,
    limits: &Limits,
    each: Each<'_>,
) -> Result<ControlFlow<()>, QueryError> {
    match access {
        Access::System => Ok(ControlFlow::Continue(())),
        Access::Collection => guarded(each, |visit| source.scan(collection, visit)),
        Access::Ids(ids) => {
            for id in ids {
                if let Some(document) = source.document(collection, id)?
                    && each(id.as_bytes(), &document)?.is_break()
                {
                    return Ok(ControlFlow::Break(()));
                }
            }
            Ok(ControlFlow::Continue(()))
        }
        Access::Index {
            index,
            spans,
            direction,
        } => {
            let mut at = 0..spans.len();
            let mut next = || match direction {
                Direction::Ascending => at.next(),
                Direction::Descending => at.next_back(),
            };
            while let Some(at) = next() {
                let flow = guarded(each, |visit| {
                    source.scan_index(index, spans[at].bounds(), *direction, visit)
                })?;
                if flow.is_break() {
                    return Ok(flow);
                }
            }
            Ok(ControlFlow::Continue(()))
        }
        Access::Union(parts) => union(source, collection, parts, limits, each),
    }
}

/// Each document once, whichever part it comes from first.
fn union(
    source: &dyn Source,
    collection: &str,
    parts: &[Access],
    limits: &Limits,
    each: Each<'_>,
) -> Result<ControlFlow<()>, QueryError> {
    let mut seen: BTreeSet<Vec<u8>> = BTreeSet::new();
    let mut budget = Budget::new(limits.distinct_bytes, Limit::Distinct);
    for part in parts {
        let flow = scan(source, collection, part, limits, &mut |id, document| {
            if seen.contains(id) {
                return Ok(ControlFlow::Continue(()));
            }
            budget.take(id.len() + ID_BYTES)?;
            seen.insert(id.to_vec());
            each(id, document)
        })?;
        if flow.is_break() {
            return Ok(flow);
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// Runs a scan of the source and brings an error of the visitor back out.
fn guarded(
    each: Each<'_>,
    scan: impl FnOnce(&mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>) -> Result<(), SourceError>,
) -> Result<ControlFlow<()>, QueryError> {
    let mut outcome = Ok(ControlFlow::Continue(()));
    scan(&mut |id, document| {
        outcome = each(id, document);
        match outcome {
            Ok(ControlFlow::Continue(())) => ControlFlow::Continue(()),
            _ => ControlFlow::Break(()),
        }
    })?;
    outcome
}
