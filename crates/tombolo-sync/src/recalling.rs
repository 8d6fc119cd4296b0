//! Recalling what earlier sessions with a peer left behind.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use tombolo_document::DocumentId;
use tombolo_document::bytes::DecodeError;
use tombolo_identity::PeerPublicKey;

use crate::interest::Interests;
use crate::limits::REFUSED_MAX;
use crate::record::{
    self, CursorRecord, Refused, acknowledged_key, cursor_key, read_refused_key, refused_prefix,
};
use crate::view::{View, ViewError};

/// What is to be recalled.
pub struct Recalling {
    pub(crate) peer: PeerPublicKey,
    pub(crate) ours: Arc<Interests>,
    /// Grows with each, so that an old answer is known as one.
    pub(crate) generation: u64,
}

/// What a [`Recalling`] found. Goes back to the session as it is.
pub struct Recalled {
    pub(crate) generation: u64,
    pub(crate) result: Result<Memory, ViewError>,
}

#[derive(Default)]
pub(crate) struct Memory {
    pub(crate) cursor: Option<CursorRecord>,
    pub(crate) acknowledged: u64,
    pub(crate) refused: BTreeMap<(String, DocumentId), Refused>,
    /// Whether the store has documents of the collections that are wanted.
    pub(crate) holds_documents: bool,
}

impl Recalling {
    /// Does the work.
    #[must_use]
    pub fn run(self, view: &dyn View) -> Recalled {
        Recalled {
            generation: self.generation,
            result: self.recall(view),
        }
    }

    fn recall(&self, view: &dyn View) -> Result<Memory, ViewError> {
        let mut memory = Memory::default();
        if let Some(bytes) = view.record(&cursor_key(&self.peer))? {
            memory.cursor = Some(CursorRecord::decode(&bytes).map_err(damaged)?);
        }
        if let Some(bytes) = view.record(&acknowledged_key(&self.peer))? {
            memory.acknowledged = record::read_acknowledged(&bytes).map_err(damaged)?;
        }
        self.recall_refused(view, &mut memory)?;
        for collection in self.ours.collections() {
            view.scan(collection, None, &mut |_, _| {
                memory.holds_documents = true;
                ControlFlow::Break(())
            })?;
        }
        Ok(memory)
    }

    fn recall_refused(&self, view: &dyn View, memory: &mut Memory) -> Result<(), ViewError> {
        let prefix = refused_prefix(&self.peer);
        let mut outcome = Ok(());
        view.records(&prefix, &mut |key, value| {
            let entry = read_refused_key(&prefix, key)
                .and_then(|place| Ok((place, Refused::decode(value)?)));
            match entry {
                Ok((place, refused)) => {
                    memory.refused.insert(place, refused);
                }
                Err(error) => outcome = Err(damaged(error)),
            }
            if memory.refused.len() >= REFUSED_MAX || outcome.is_err() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })?;
        outcome
    }
}

fn damaged(error: DecodeError) -> ViewError {
    ViewError(Box::new(error))
}
