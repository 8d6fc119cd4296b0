//! A source of documents of which a caller sees only what the rules let them read.

use std::cell::Cell;
use std::ops::{Bound, ControlFlow};

use tombolo_document::DocumentId;
use tombolo_document::order::Direction;
use tombolo_identity::Reach;
use tombolo_query::source::Visit;
use tombolo_query::{IndexDefinition, QueryError, Source, SourceError};

use super::Access;

/// Documents that are passed over between two questions whether the time is up.
const LOOK_EVERY: u32 = 256;

/// How a run is told that its time is up while it passes over hidden documents.
pub(super) struct Halt<'h> {
    stop: &'h dyn Fn() -> bool,
    passed: Cell<u32>,
    is_over: Cell<bool>,
}

impl<'h> Halt<'h> {
    pub(super) const fn new(stop: &'h dyn Fn() -> bool) -> Self {
        Self {
            stop,
            passed: Cell::new(0),
            is_over: Cell::new(false),
        }
    }

    pub(super) const fn is_over(&self) -> bool {
        self.is_over.get()
    }

    /// The statement itself counts only what it is shown.
    fn pass(&self) -> ControlFlow<()> {
        let passed = self.passed.get() + 1;
        if passed < LOOK_EVERY {
            self.passed.set(passed);
            return ControlFlow::Continue(());
        }
        self.passed.set(0);
        self.is_over.set((self.stop)());
        if self.is_over() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}

/// What a caller may read of a source.
pub(super) struct View<'v> {
    pub(super) source: &'v dyn Source,
    pub(super) access: &'v Access,
    pub(super) halt: &'v Halt<'v>,
}

impl View<'_> {
    /// Hands on what may be read.
    fn sift(
        &self,
        collection: &str,
        visit: Visit<'_>,
        scan: impl FnOnce(Visit<'_>) -> Result<(), SourceError>,
    ) -> Result<(), SourceError> {
        match self.access.reads(collection) {
            Reach::Everything => return scan(visit),
            Reach::Nothing => return Ok(()),
            Reach::Some => {}
        }
        let mut damaged = None;
        scan(&mut |id, document| {
            match DocumentId::from_bytes(id) {
                Ok(read) if self.access.may_read(collection, &read) => return visit(id, document),
                Ok(_) => {}
                Err(error) => damaged = Some(error),
            }
            match &damaged {
                None => self.halt.pass(),
                Some(_) => ControlFlow::Break(()),
            }
        })?;
        match damaged {
            None => Ok(()),
            Some(error) => Err(SourceError(Box::new(error))),
        }
    }
}

impl Source for View<'_> {
    fn document(&self, collection: &str, id: &DocumentId) -> Result<Option<Vec<u8>>, SourceError> {
        if self.access.may_read(collection, id) {
            self.source.document(collection, id)
        } else {
            Ok(None)
        }
    }

    fn scan(&self, collection: &str, visit: Visit<'_>) -> Result<(), SourceError> {
        self.sift(collection, visit, |visit| {
            self.source.scan(collection, visit)
        })
    }

    fn scan_index(
        &self,
        index: &IndexDefinition,
        span: (Bound<&[u8]>, Bound<&[u8]>),
        direction: Direction,
        visit: Visit<'_>,
    ) -> Result<(), SourceError> {
        self.sift(&index.collection, visit, |visit| {
            self.source.scan_index(index, span, direction, visit)
        })
    }

    /// Reads the ids if the rules tell some documents of the collection from others.
    fn count(&self, collection: &str) -> Result<u64, SourceError> {
        match self.access.reads(collection) {
            Reach::Everything => self.source.count(collection),
            Reach::Nothing => Ok(0),
            Reach::Some => {
                let mut count = 0;
                self.scan(collection, &mut |_, _| {
                    count += 1;
                    self.halt.pass()
                })?;
                Ok(count)
            }
        }
    }

    fn collections(&self) -> Result<Vec<String>, SourceError> {
        let mut names = self.source.collections()?;
        names.retain(|name| self.access.reads(name) != Reach::Nothing);
        Ok(names)
    }

    fn indexes(&self, collection: Option<&str>) -> Result<Vec<IndexDefinition>, SourceError> {
        let mut indexes = self.source.indexes(collection)?;
        indexes.retain(|index| self.access.reads(&index.collection) != Reach::Nothing);
        Ok(indexes)
    }
}

/// An error of a run is what the halt says, if it does.
pub(super) fn halted<T>(halt: &Halt<'_>, result: Result<T, QueryError>) -> Result<T, QueryError> {
    if halt.is_over() {
        Err(QueryError::Stopped)
    } else {
        result
    }
}
