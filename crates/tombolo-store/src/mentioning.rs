//! Finding once what documents refer to, in a store that was written before that was kept.
//!
//! It runs while the store is opened, before anything is written: nobody who asks what refers to
//! an attachment is answered too early. How far it came is kept with what it found, so that a
//! store that is killed meanwhile goes on from there.

use std::{collections::BTreeSet, ops::ControlFlow};

use tombolo_document::attachment::{AttachmentId, mentions};

use crate::{
    StoreError,
    codec::{RECORD_VERSION, RecordReader, put_bytes},
    engine::{Batch, Direction, Engine, EngineSnapshot, KeyRange, Keyspace},
    layout::DocumentRecord,
    mentions::{key, record},
};

/// The key in `Meta` that says how far it came.
pub(crate) const KEY: &[u8] = b"m";

/// Documents that are read between two flushes, after each of which progress is told.
pub const DOCUMENTS_READ_AT_ONCE: usize = 4096;

const ALL: u8 = 1;
const SOME: u8 = 0;

/// How far the opening of a store is that must read its documents first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpeningProgress {
    /// Documents that were read since the process began, removed ones among them.
    pub documents: u64,
    /// Of these the ones that are damaged. What they refer to cannot be told.
    pub damaged: u64,
    /// Whether it is over.
    pub is_over: bool,
}

/// The record of a store whose commits kept from the first one on what documents refer to.
pub(crate) fn all() -> Vec<u8> {
    vec![RECORD_VERSION, ALL]
}

/// Finds what is not known yet, and tells each step of it.
pub(crate) fn find(
    engine: &dyn Engine,
    tell: &mut dyn FnMut(OpeningProgress),
) -> Result<(), StoreError> {
    let snapshot = engine.snapshot()?;
    let Some(mut start) = load(&*snapshot)? else {
        return Ok(());
    };
    let mut opening = OpeningProgress::default();
    while !opening.is_over {
        let step = read_some(&*snapshot, &start, &mut opening)?;
        let (mut batch, last) = (step.batch, step.last);
        opening.is_over = step.documents < DOCUMENTS_READ_AT_ONCE;
        let place = match (opening.is_over, last) {
            (false, Some(last)) => {
                let mut place = vec![RECORD_VERSION, SOME];
                put_bytes(&mut place, &last);
                start = [&last[..], &[0]].concat();
                place
            }
            _ => all(),
        };
        batch.put(Keyspace::Meta, KEY, place)?;
        engine.write(&batch)?;
        engine.flush()?;
        tell(opening);
    }
    Ok(())
}

/// The key from which on documents are to be read; `None` if all were.
fn load(snapshot: &dyn EngineSnapshot) -> Result<Option<Vec<u8>>, StoreError> {
    let Some(place) = snapshot.get(Keyspace::Meta, KEY)? else {
        return Ok(Some(Vec::new()));
    };
    let mut reader = RecordReader::open("mentions", &place)?;
    let start = match reader.byte()? {
        ALL => None,
        SOME => Some([reader.bytes()?, &[0]].concat()),
        _ => return Err(reader.damaged()),
    };
    reader.close()?;
    Ok(start)
}

/// What was read at once.
#[derive(Default)]
struct Step {
    batch: Batch,
    documents: usize,
    last: Option<Vec<u8>>,
}

fn read_some(
    snapshot: &dyn EngineSnapshot,
    start: &[u8],
    opening: &mut OpeningProgress,
) -> Result<Step, StoreError> {
    let range = KeyRange {
        start: start.to_vec(),
        end: None,
    };
    let (mut step, mut outcome) = (Step::default(), Ok(()));
    let mut visit = |document_key: &[u8], value: &[u8]| {
        match ids_of(value) {
            Ok(ids) => {
                for id in ids {
                    outcome = step
                        .batch
                        .put(Keyspace::Attachments, key(id, document_key), record())
                        .map_err(StoreError::from);
                    if outcome.is_err() {
                        return ControlFlow::Break(());
                    }
                }
            }
            // It can neither be read nor changed, and must not keep the store closed.
            Err(StoreError::DamagedDocument(_) | StoreError::DamagedRecord { .. }) => {
                opening.damaged += 1;
            }
            Err(error) => {
                outcome = Err(error);
                return ControlFlow::Break(());
            }
        }
        opening.documents += 1;
        step.documents += 1;
        if step.documents < DOCUMENTS_READ_AT_ONCE {
            return ControlFlow::Continue(());
        }
        step.last = Some(document_key.to_vec());
        ControlFlow::Break(())
    };
    snapshot.scan(Keyspace::Documents, &range, Direction::Forward, &mut visit)?;
    outcome.map(|()| step)
}

fn ids_of(value: &[u8]) -> Result<BTreeSet<AttachmentId>, StoreError> {
    let stored = DocumentRecord::read(value)?;
    if !stored.live {
        return Ok(BTreeSet::new());
    }
    let tokens = mentions(stored.document).map_err(StoreError::DamagedDocument)?;
    Ok(tokens.into_iter().map(|token| token.id).collect())
}
