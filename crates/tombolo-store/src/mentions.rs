//! Which live document refers to which attachment, kept by the commits that write the documents.
//!
//! What is kept are keys: the attachment's id, then the document's key. What a commit takes away
//! is noted, so that whoever collects attachments need not look at all of them.

use std::{
    collections::BTreeSet,
    ops::ControlFlow,
    sync::{Mutex, PoisonError},
};

use tombolo_document::{
    DocumentId,
    attachment::{AttachmentId, mentions},
};

use crate::{
    Snapshot, StoreError,
    codec::RECORD_VERSION,
    engine::{Batch, Direction, KeyRange, Keyspace, StoredBytes},
    layout::DocumentRecord,
    reads::Reads,
    transaction::Transaction,
};

/// Attachments that are remembered as having lost a document; with more, all are suspects.
pub const UNMENTIONED_MAX: usize = 65_536;

/// Called with an attachment, and the number of the collection and the id of a document.
type VisitMention<'v> =
    &'v mut dyn FnMut(AttachmentId, u32, &[u8]) -> Result<ControlFlow<()>, StoreError>;

const ID_BYTES: usize = 32;

/// Moves what one document refers to from what `old` gave to what `new` gives.
pub(crate) fn move_mentions(
    transaction: &mut Transaction<'_>,
    document_key: &[u8],
    old: Option<&DocumentRecord<'_>>,
    new: Option<&[u8]>,
) -> Result<(), StoreError> {
    let old = old.filter(|old| old.live).map(|old| old.document);
    let (before, after) = (ids_in(old)?, ids_in(new)?);
    for id in before.difference(&after) {
        transaction.set(Keyspace::Attachments, key(*id, document_key), None)?;
    }
    for id in after.difference(&before) {
        let record = record().into();
        transaction.set(Keyspace::Attachments, key(*id, document_key), Some(record))?;
    }
    Ok(())
}

fn ids_in(document: Option<&[u8]>) -> Result<BTreeSet<AttachmentId>, StoreError> {
    let Some(document) = document else {
        return Ok(BTreeSet::new());
    };
    let tokens = mentions(document).map_err(StoreError::DamagedDocument)?;
    Ok(tokens.into_iter().map(|token| token.id).collect())
}

pub(crate) fn key(id: AttachmentId, document_key: &[u8]) -> StoredBytes {
    StoredBytes::joined(id.as_bytes(), document_key)
}

pub(crate) fn record() -> Vec<u8> {
    vec![RECORD_VERSION]
}

/// Divides a key into the attachment, the number of the collection and the document's id.
fn read_key(key: &[u8]) -> Result<(AttachmentId, u32, &[u8]), StoreError> {
    let damaged = StoreError::DamagedRecord { record: "mention" };
    let (id, document) = key
        .split_first_chunk::<ID_BYTES>()
        .ok_or_else(|| damaged.clone())?;
    let (collection, document) = document.split_first_chunk().ok_or(damaged)?;
    let collection = u32::from_be_bytes(*collection);
    Ok((AttachmentId::from_bytes(*id), collection, document))
}

impl Snapshot {
    /// Whether a live document refers to an attachment.
    ///
    /// # Errors
    /// The engine failed.
    pub fn is_mentioned(&self, attachment: AttachmentId) -> Result<bool, StoreError> {
        let mut found = false;
        let range = KeyRange::prefix(attachment.as_bytes());
        self.scan_bytes(
            Keyspace::Attachments,
            &range,
            Direction::Forward,
            &mut |_, _| {
                found = true;
                ControlFlow::Break(())
            },
        )?;
        Ok(found)
    }

    /// Visits the live documents that refer to an attachment: collection and id, in no order that
    /// means anything.
    ///
    /// # Errors
    /// The engine failed, or a record is damaged.
    pub fn documents_mentioning(
        &self,
        attachment: AttachmentId,
        visit: &mut dyn FnMut(&str, &DocumentId) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let range = KeyRange::prefix(attachment.as_bytes());
        self.scan_mentions(&range, &mut |_, collection, id| {
            let Some(name) = self.catalog().name(collection) else {
                return Ok(ControlFlow::Continue(()));
            };
            let id = DocumentId::from_bytes(id);
            let id = id.map_err(|_| StoreError::DamagedRecord { record: "mention" })?;
            Ok(visit(name, &id))
        })
    }

    /// Visits the attachments that live documents refer to, each once, in the order of their ids,
    /// from the first one after `after` on.
    ///
    /// # Errors
    /// The engine failed, or a record is damaged.
    pub fn mentioned_attachments(
        &self,
        after: Option<AttachmentId>,
        visit: &mut dyn FnMut(AttachmentId) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let mut last = after;
        let range = KeyRange {
            start: after.map_or_else(Vec::new, |after| after.as_bytes().to_vec()),
            end: None,
        };
        self.scan_mentions(&range, &mut |attachment, _, _| {
            if last == Some(attachment) {
                return Ok(ControlFlow::Continue(()));
            }
            last = Some(attachment);
            Ok(visit(attachment))
        })
    }

    fn scan_mentions(&self, range: &KeyRange, visit: VisitMention<'_>) -> Result<(), StoreError> {
        let mut outcome = Ok(());
        let forward = Direction::Forward;
        self.scan_bytes(Keyspace::Attachments, range, forward, &mut |key, _| {
            let visited =
                read_key(key).and_then(|(id, number, document)| visit(id, number, document));
            visited.unwrap_or_else(|error| {
                outcome = Err(error);
                ControlFlow::Break(())
            })
        })?;
        outcome
    }
}

/// The attachments that lost a document since somebody last asked.
#[derive(Debug)]
pub(crate) struct Unmentioned(Mutex<Option<BTreeSet<AttachmentId>>>);

impl Default for Unmentioned {
    fn default() -> Self {
        Self(Mutex::new(Some(BTreeSet::new())))
    }
}

impl Unmentioned {
    /// Notes what a batch that is durable took away.
    pub(crate) fn note(&self, batch: &Batch) {
        let all = KeyRange {
            start: Vec::new(),
            end: None,
        };
        let removed = batch
            .range(Keyspace::Attachments, &all)
            .filter(|(_, value)| value.is_none());
        let mut removed = removed.filter_map(|(key, _)| read_key(key).ok()).peekable();
        if removed.peek().is_none() {
            return;
        }
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = &mut *noted {
            held.extend(removed.map(|(id, _, _)| id));
            if held.len() > UNMENTIONED_MAX {
                *noted = None;
            }
        }
    }

    pub(crate) fn take(&self) -> Option<BTreeSet<AttachmentId>> {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        noted.replace(BTreeSet::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout;

    #[test]
    fn a_mentions_key_is_read_back() {
        let id = AttachmentId::of(b"content");
        let document_key = layout::document_key(7, b"document");
        let key = key(id, &document_key);
        assert_eq!(key.len(), ID_BYTES + 4 + 8);
        assert_eq!(read_key(&key).unwrap(), (id, 7, &b"document"[..]));
        assert!(read_key(&key[..ID_BYTES + 3]).is_err());
    }
}
