//! What a name may mean at one place of a statement.

use crate::parse::{Failure, ParseError};
use crate::span::Span;
use crate::syntax::{Namespace, Term};

/// The name of the field that holds a document's id.
pub(crate) const ID: &str = "_id";

/// One collection of a statement, by the name it has there.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TermName {
    pub alias: String,
    /// Given with AS or behind the collection: then the bare alias is the whole
    /// document. The name of a collection alone may as well be a field.
    pub explicit: bool,
}

impl TermName {
    pub(crate) fn of(term: &Term) -> Self {
        match &term.alias {
            Some(alias) => Self {
                alias: alias.text.clone(),
                explicit: true,
            },
            None => Self {
                alias: term.collection.name.text.clone(),
                explicit: term.collection.namespace == Namespace::System
                    && term.collection.name.text == "dual",
            },
        }
    }
}

/// The text, for errors, and the collections that are visible.
#[derive(Clone, Copy)]
pub(crate) struct Names<'s> {
    pub text: &'s str,
    pub terms: &'s [TermName],
    /// Columns that ORDER BY may name.
    pub outputs: &'s [String],
}

impl<'s> Names<'s> {
    /// A place where no document is at hand.
    pub(crate) fn none(text: &'s str) -> Self {
        Self {
            text,
            terms: &[],
            outputs: &[],
        }
    }

    pub(crate) fn error(&self, span: Span, message: impl Into<String>) -> Failure {
        Box::new(ParseError::new(self.text, span, message))
    }

    pub(crate) fn term(&self, alias: &str) -> Option<usize> {
        self.terms.iter().position(|term| term.alias == alias)
    }
}
