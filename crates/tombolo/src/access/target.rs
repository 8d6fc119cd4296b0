//! A transaction in which a caller reads and writes only what the rules let them.
//!
//! A write is refused before the stored document is looked at, so that a refusal
//! does not tell whether there is one.

use std::cell::RefCell;
use std::ops::Bound;

use tombolo_document::order::Direction;
use tombolo_document::{DocumentId, Dot};
use tombolo_identity::Reach;
use tombolo_query::source::Visit;
use tombolo_query::{IndexDefinition, Source, SourceError, Target};

use super::Access;
use super::view::{Halt, View};
use crate::error::ExecuteError;

/// What a caller may do in a transaction.
pub(super) struct Door<'d> {
    target: &'d mut dyn Target,
    access: &'d Access,
    halt: &'d Halt<'d>,
    /// The statement shows what it writes, so that it must be readable too.
    shows: bool,
    refusal: RefCell<Option<ExecuteError>>,
}

/// Only says that a [`Door`] holds the reason.
#[derive(Debug, thiserror::Error)]
#[error("the caller may not do this")]
struct Refused;

impl<'d> Door<'d> {
    pub(super) fn new(
        target: &'d mut dyn Target,
        (access, shows): (&'d Access, bool),
        halt: &'d Halt<'d>,
    ) -> Self {
        Self {
            target,
            access,
            halt,
            shows,
            refusal: RefCell::new(None),
        }
    }

    /// Why the run failed, if it was the rules.
    pub(super) fn into_refusal(self) -> Option<ExecuteError> {
        self.refusal.into_inner()
    }

    fn view(&self) -> View<'_> {
        View {
            source: &*self.target,
            access: self.access,
            halt: self.halt,
        }
    }

    fn refuse<T>(&self, refusal: ExecuteError) -> Result<T, SourceError> {
        *self.refusal.borrow_mut() = Some(refusal);
        Err(SourceError(Box::new(Refused)))
    }

    fn check_write(&self, collection: &str, id: &DocumentId) -> Result<(), SourceError> {
        if !self.access.may_write(collection, id) {
            return self.refuse(self.access.refuse_document(("written", collection), id));
        }
        if self.shows && !self.access.may_read(collection, id) {
            return self.refuse(self.access.refuse_document(("shown", collection), id));
        }
        Ok(())
    }

    /// An index shows in what it costs everybody, so all of the collection must be theirs.
    fn check_index(&self, collection: &str) -> Result<(), SourceError> {
        let whole = self.access.writes(collection) == Reach::Everything
            && self.access.reads(collection) == Reach::Everything;
        if whole {
            Ok(())
        } else {
            self.refuse(self.access.refuse_index(collection))
        }
    }
}

impl Source for Door<'_> {
    fn document(&self, collection: &str, id: &DocumentId) -> Result<Option<Vec<u8>>, SourceError> {
        self.view().document(collection, id)
    }

    fn scan(&self, collection: &str, visit: Visit<'_>) -> Result<(), SourceError> {
        self.view().scan(collection, visit)
    }

    fn scan_index(
        &self,
        index: &IndexDefinition,
        span: (Bound<&[u8]>, Bound<&[u8]>),
        direction: Direction,
        visit: Visit<'_>,
    ) -> Result<(), SourceError> {
        self.view().scan_index(index, span, direction, visit)
    }

    fn count(&self, collection: &str) -> Result<u64, SourceError> {
        self.view().count(collection)
    }

    fn collections(&self) -> Result<Vec<String>, SourceError> {
        self.view().collections()
    }

    fn indexes(&self, collection: Option<&str>) -> Result<Vec<IndexDefinition>, SourceError> {
        self.view().indexes(collection)
    }
}

impl Target for Door<'_> {
    fn dot(&self) -> Dot {
        self.target.dot()
    }

    fn state(&self, collection: &str, id: &DocumentId) -> Result<Option<Vec<u8>>, SourceError> {
        self.check_write(collection, id)?;
        self.target.state(collection, id)
    }

    fn put(
        &mut self,
        collection: &str,
        id: &DocumentId,
        document: Vec<u8>,
    ) -> Result<(), SourceError> {
        self.check_write(collection, id)?;
        self.target.put(collection, id, document)
    }

    fn evict(&mut self, collection: &str, id: &DocumentId) -> Result<(), SourceError> {
        self.check_write(collection, id)?;
        self.target.evict(collection, id)
    }

    fn create_index(&mut self, index: &IndexDefinition) -> Result<(), SourceError> {
        self.check_index(&index.collection)?;
        self.target.create_index(index)
    }

    fn drop_index(&mut self, collection: &str, name: &str) -> Result<(), SourceError> {
        self.check_index(collection)?;
        self.target.drop_index(collection, name)
    }
}
