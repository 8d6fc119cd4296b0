//! Our replica: canonical bytes and nothing else, so that opening a document costs a copy.
//! Deltas name actors by number, as they travel between two peers that have introduced themselves.

use serde_json::Value as Json;
use tombolo_document::merge::{delta_interned, merge_interned, version_vector};
use tombolo_document::{
    Actor, DocumentView, Dot, Edit, Object, Schema, SiteId, Stamp, Value, json,
};

use super::Replica;

/// Milliseconds of the first write; the value only has to look like a date.
const START_MS: u64 = 1_767_225_600_000;

/// A document of ours.
pub(super) struct Ours {
    bytes: Vec<u8>,
    actor: u8,
}

impl Replica for Ours {
    const NAME: &'static str = "tombolo";

    fn create(order: &Json, actor: u8) -> Self {
        let fields = object(order);
        let mut replica = Self {
            bytes: Vec::new(),
            actor,
        };
        replica.commit(None, |edit| {
            edit.set_object(&fields, &Schema::INFERRED)
                .expect("an order is a valid document")
        });
        replica
    }

    fn open(bytes: &[u8], actor: u8) -> Self {
        Self {
            bytes: bytes.to_vec(),
            actor,
        }
    }

    fn overwrite(&mut self, status: &str) -> Vec<u8> {
        let before = std::mem::take(&mut self.bytes);
        let value = Value::String(status.to_owned());
        self.commit(Some(&before), |edit| {
            edit.set(&["status"], &value, &Schema::INFERRED)
                .expect("status is a register")
        });
        let known = version_vector(&before).expect("we wrote this document");
        let mut number = |actor: &Actor| u64::from(actor.site.0[0]);
        let delta =
            delta_interned(&self.bytes, &known, &mut number).expect("we wrote this document");
        delta.expect("the overwrite is news")
    }

    fn apply(&mut self, delta: &[u8]) {
        let resolve = |number: u64| Some(actor(u8::try_from(number).ok()?));
        self.bytes = merge_interned(Some(&self.bytes), delta, &resolve)
            .expect("a peer of ours wrote this delta")
            .document;
    }

    fn bytes(&self) -> Vec<u8> {
        self.bytes.clone()
    }

    fn status(&self) -> String {
        let view = DocumentView::new(&self.bytes).expect("we wrote this document");
        let fields = view
            .to_object(&Schema::INFERRED)
            .expect("we wrote this document");
        format!("{:?}", fields.get("status"))
    }
}

impl Ours {
    /// Makes one commit, later than everything in the document.
    fn commit(&mut self, before: Option<&[u8]>, change: impl FnOnce(&mut Edit)) {
        let newest = before.and_then(|bytes| version_vector(bytes).ok()?.newest());
        let stamp = newest
            .and_then(Stamp::next)
            .unwrap_or(Stamp::new(START_MS, 0));
        let mut edit =
            Edit::open(before, Dot::new(actor(self.actor), stamp)).expect("the stamp is later");
        change(&mut edit);
        self.bytes = edit
            .finish()
            .expect("few actors")
            .expect("something changed");
    }
}

fn actor(number: u8) -> Actor {
    Actor::new(SiteId([number; 16]), Actor::FIRST_EPOCH)
}

fn object(order: &Json) -> Object {
    match json::parse(order.to_string().as_bytes()) {
        Ok(Value::Object(fields)) => fields,
        other => unreachable!("an order is an object: {other:?}"),
    }
}
