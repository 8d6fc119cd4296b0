//! What a statement gives back.

use tombolo_document::{Object, Value};

use crate::datum::size_bytes;
use crate::parameter::ParameterChange;

/// Most warnings that an outcome carries; further ones are counted.
pub const WARNINGS_MAX: usize = 10;

/// What kind of statement ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OutcomeKind {
    /// It read documents.
    #[default]
    Select,
    /// It changed documents or indexes.
    Mutation,
    /// It was about the system.
    Unknown,
}

impl OutcomeKind {
    /// The name in answers to HTTP clients.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Select => "select",
            Self::Mutation => "mutation",
            Self::Unknown => "unknown",
        }
    }
}

/// The result of one statement.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Outcome {
    /// Rows of the answer, each an object.
    pub items: Vec<Value>,
    /// The `_id` of every document that was written or removed, in order.
    pub mutated_document_ids: Vec<Value>,
    /// What kind of statement ran.
    pub kind: OutcomeKind,
    /// At most [`WARNINGS_MAX`] of them.
    pub warnings: Vec<String>,
    /// How many there were.
    pub warnings_total: usize,
    /// What ALTER SYSTEM asks the caller to change.
    pub parameter_change: Option<ParameterChange>,
}

impl Outcome {
    /// About how much memory its rows take, in bytes.
    #[must_use]
    pub fn item_bytes(&self) -> usize {
        self.items.iter().map(size_bytes).sum()
    }

    pub(crate) fn of(kind: OutcomeKind) -> Self {
        Self {
            kind,
            ..Self::default()
        }
    }

    pub(crate) fn with_items(mut self, items: Vec<Value>) -> Self {
        self.items = items;
        self
    }

    pub(crate) fn with_row(self, row: Object) -> Self {
        self.with_items(vec![Value::Object(row)])
    }

    pub(crate) fn warn(&mut self, warning: String) {
        self.warnings_total += 1;
        if self.warnings.len() < WARNINGS_MAX {
            self.warnings.push(warning);
        }
    }
}
