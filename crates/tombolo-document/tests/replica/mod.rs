//! A replica of one document in memory, for tests: a clock, an actor, bytes.

#![allow(dead_code, reason = "each test program uses its part")]

use tombolo_document::merge::{delta, merge, version_vector};
use tombolo_document::{
    Actor, DocumentId, DocumentView, Dot, Edit, EditError, HybridClock, Object, Schema, SiteId,
    Stamp, Value, VersionVector, initial, json,
};

/// One peer's copy of one document.
#[derive(Debug, Clone)]
pub(crate) struct Replica {
    pub(crate) actor: Actor,
    pub(crate) clock: HybridClock,
    pub(crate) document: Option<Vec<u8>>,
}

impl Replica {
    /// A replica whose site id is made of `site`.
    pub(crate) fn new(site: u8) -> Self {
        Self {
            actor: Actor::new(SiteId([site; 16]), Actor::FIRST_EPOCH),
            clock: HybridClock::new(Stamp::ZERO, u64::MAX),
            document: None,
        }
    }

    /// Runs one commit at `now_ms`.
    pub(crate) fn commit(
        &mut self,
        now_ms: u64,
        act: impl FnOnce(&mut Edit<'_>) -> Result<(), EditError>,
    ) {
        let dot = Dot::new(self.actor, self.clock.tick(now_ms).unwrap());
        self.statement(dot, act);
    }

    /// Runs one statement of the commit `dot`.
    pub(crate) fn statement(
        &mut self,
        dot: Dot,
        act: impl FnOnce(&mut Edit<'_>) -> Result<(), EditError>,
    ) {
        let before = self.document.take();
        let mut edit = Edit::open(before.as_deref(), dot).unwrap();
        act(&mut edit).unwrap();
        let after = edit.finish().unwrap();
        self.document = after.or(before);
    }

    pub(crate) fn insert(&mut self, now_ms: u64, text: &str) {
        self.commit(now_ms, |edit| {
            edit.set_object(&object(text), &Schema::INFERRED)
        });
    }

    pub(crate) fn set(&mut self, now_ms: u64, path: &str, text: &str) {
        self.commit(now_ms, |edit| {
            edit.set(&names(path), &value(text), &Schema::INFERRED)
        });
    }

    pub(crate) fn unset(&mut self, now_ms: u64, path: &str) {
        self.commit(now_ms, |edit| edit.unset(&names(path), &Schema::INFERRED));
    }

    pub(crate) fn delete(&mut self, now_ms: u64) {
        self.commit(now_ms, |edit| {
            edit.delete();
            Ok(())
        });
    }

    pub(crate) fn increment(&mut self, now_ms: u64, path: &str, by: i64) {
        let kind = tombolo_document::Kind::Counter;
        self.commit(now_ms, |edit| {
            edit.increment(&names(path), kind, by, &Schema::INFERRED)
        });
    }

    pub(crate) fn restart(&mut self, now_ms: u64, path: &str, with: i64) {
        self.commit(now_ms, |edit| {
            edit.restart(&names(path), with, &Schema::INFERRED)
        });
    }

    pub(crate) fn seed(&mut self, text: &str) {
        let id = DocumentId::from_value(&Value::from("d")).unwrap();
        let state = self.document.as_deref();
        let seeded = initial::initial("c", &id, &object(text), &Schema::INFERRED, state).unwrap();
        self.document = seeded.or_else(|| self.document.take());
    }

    /// What this replica has seen.
    pub(crate) fn vector(&self) -> VersionVector {
        let vector = self
            .document
            .as_deref()
            .map(|bytes| version_vector(bytes).unwrap());
        vector.unwrap_or_default()
    }

    /// Takes what `other` has, as a delta to what is known here.
    pub(crate) fn pull(&mut self, other: &Self) {
        let Some(theirs) = &other.document else {
            return;
        };
        if let Some(delta) = delta(theirs, &self.vector()).unwrap() {
            self.apply(&delta);
        }
    }

    /// Takes a document or delta.
    pub(crate) fn apply(&mut self, bytes: &[u8]) {
        let merged = merge(self.document.as_deref(), bytes).unwrap();
        assert_eq!(merged.equivocations, []);
        let newest = version_vector(&merged.document).unwrap().newest();
        self.clock
            .observe(newest.unwrap_or(Stamp::ZERO), 0)
            .unwrap();
        self.document = Some(merged.document);
    }

    /// What an undeclared read shows; `None` for no document.
    pub(crate) fn shows(&self) -> Option<Value> {
        let view = DocumentView::new(self.document.as_deref()?).unwrap();
        let visible = view.is_visible().unwrap();
        visible.then(|| Value::Object(view.to_object(&Schema::INFERRED).unwrap()))
    }
}

/// Exchanges until both have everything.
pub(crate) fn sync(left: &mut Replica, right: &mut Replica) {
    left.pull(right);
    right.pull(left);
}

/// The path `a.b` as names.
pub(crate) fn names(path: &str) -> Vec<&str> {
    path.split('.').collect()
}

/// A value from JSON.
pub(crate) fn value(text: &str) -> Value {
    json::parse(text.as_bytes()).unwrap()
}

/// An object from JSON.
pub(crate) fn object(text: &str) -> Object {
    match value(text) {
        Value::Object(members) => members,
        other => panic!("not an object: {other:?}"),
    }
}
