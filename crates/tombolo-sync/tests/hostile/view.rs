//! A store of a few documents in memory, as a session reads it.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use tombolo_document::attachment::AttachmentToken;
use tombolo_document::{
    Actor, DocumentId, Dot, Draft, Field, Kind, Object, Schema, SiteId, Stamp, Undeclared, Value,
    VersionVector,
};
use tombolo_sync::RecordChange;
use tombolo_sync::view::{Changed, Position, Since, Stored, View, ViewError, VisitStored};

/// Documents with the commit that changed each last, and records.
#[derive(Clone, Default)]
pub(crate) struct MemoryView {
    documents: BTreeMap<(String, Vec<u8>), (u64, Vec<u8>)>,
    records: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(crate) commit: u64,
}

/// A document with one text that no compression makes small.
pub(crate) fn document(text: &str) -> Vec<u8> {
    let fields = Object::from([("text".to_owned(), Value::String(text.to_owned()))]);
    let dot = Dot::new(Actor::new(SiteId([8; 16]), 1), Stamp::new(1_000, 0));
    Draft::new(&fields, &Schema::INFERRED).unwrap().under(dot)
}

/// An id of text.
pub(crate) fn id(name: &str) -> DocumentId {
    DocumentId::from_value(&Value::String(name.to_owned())).unwrap()
}

/// Text of so many bytes that does not repeat.
pub(crate) fn noise(bytes: usize) -> String {
    let mut stream = blake3::Hasher::new().finalize_xof();
    let mut half = vec![0; bytes.div_ceil(2)];
    stream.fill(&mut half);
    let digits = half.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    let text: String = digits.map(|digit| char::from(b'a' + digit)).collect();
    text[..bytes].to_owned()
}

impl MemoryView {
    /// Puts one document in a commit of its own.
    pub(crate) fn put(&mut self, collection: &str, name: &str, text: &str) {
        self.commit += 1;
        let place = (collection.to_owned(), id(name).as_bytes().to_vec());
        self.documents.insert(place, (self.commit, document(text)));
    }

    /// Puts one document that refers to an attachment.
    pub(crate) fn put_token(&mut self, collection: &str, name: &str, token: &AttachmentToken) {
        let field = Field {
            kind: Kind::Attachment,
            fields: BTreeMap::new(),
        };
        let schema = Schema {
            fields: BTreeMap::from([("file".to_owned(), field)]),
            undeclared: Undeclared::Infer,
        };
        let fields = Object::from([("file".to_owned(), token.to_value())]);
        let dot = Dot::new(Actor::new(SiteId([8; 16]), 1), Stamp::new(1_000, 0));
        let document = Draft::new(&fields, &schema).unwrap().under(dot);
        self.commit += 1;
        let place = (collection.to_owned(), id(name).as_bytes().to_vec());
        self.documents.insert(place, (self.commit, document));
    }

    /// Writes records.
    pub(crate) fn remember(&mut self, records: Vec<RecordChange>) {
        for (key, value) in records {
            match value {
                Some(value) => self.records.insert(key, value),
                None => self.records.remove(&key),
            };
        }
    }
}

fn chain(commit: u64) -> [u8; 16] {
    (u128::from(commit) + 1).to_be_bytes()
}

impl View for MemoryView {
    fn position(&self) -> Position {
        Position {
            commit: self.commit,
            chain: chain(self.commit),
        }
    }

    fn chain_at(&self, commit: u64) -> Result<Option<[u8; 16]>, ViewError> {
        Ok(Some(chain(commit)))
    }

    fn stored(
        &self,
        collection: &str,
        id: &DocumentId,
        visit: &mut dyn FnMut(Stored<'_>),
    ) -> Result<(), ViewError> {
        let place = (collection.to_owned(), id.as_bytes().to_vec());
        if let Some((_, document)) = self.documents.get(&place) {
            visit(Stored {
                live: true,
                document,
            });
        }
        Ok(())
    }

    fn scan(
        &self,
        collection: &str,
        after: Option<&[u8]>,
        visit: VisitStored<'_>,
    ) -> Result<(), ViewError> {
        let of = self.documents.iter().filter(|(place, _)| {
            place.0 == collection && after.is_none_or(|after| place.1.as_slice() > after)
        });
        for ((_, id), (_, document)) in of {
            let live = true;
            if visit(id, Stored { live, document }).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn changes(
        &self,
        since: &Since<'_>,
        visit: &mut dyn FnMut(Changed<'_>) -> ControlFlow<()>,
    ) -> Result<(), ViewError> {
        let mut changed: Vec<_> = self.documents.iter().collect();
        changed.sort_by_key(|(_, (commit, _))| *commit);
        for ((collection, id), (commit, document)) in changed {
            if *commit <= since.commit || !(since.collection)(collection) {
                continue;
            }
            let flow = visit(Changed {
                commit: *commit,
                collection,
                id,
                stored: Stored {
                    live: true,
                    document,
                },
                base: VersionVector::new(),
            });
            if flow.is_break() {
                break;
            }
        }
        Ok(())
    }

    fn record(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ViewError> {
        Ok(self.records.get(key).cloned())
    }

    fn records(
        &self,
        prefix: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> Result<(), ViewError> {
        for (key, value) in self
            .records
            .iter()
            .filter(|(key, _)| key.starts_with(prefix))
        {
            if visit(key, value).is_break() {
                break;
            }
        }
        Ok(())
    }
}
