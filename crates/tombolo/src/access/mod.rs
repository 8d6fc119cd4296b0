//! What a caller of this database may read and write, besides what the device itself may.
//!
//! A statement that is run for somebody sees the documents that the rules let
//! them read as if there were no others, and is refused as a whole if it would
//! write one that they may not write.

mod batch;
mod once;
mod run;
mod target;
mod view;

use std::sync::Arc;

use tombolo_document::{DocumentId, json};
use tombolo_identity::{Reach, Rules};

use crate::error::ExecuteError;
use crate::statements::Prepared;

pub use batch::{BATCH_ITEM_BYTES_MAX, BATCH_STATEMENTS_MAX, Batch, BatchError, Step};
pub use once::{AnswerOf, Once, Ran};

/// How much of a rule or an id an error repeats, in characters.
const SHOWN_CHARS_MAX: usize = 200;
/// System collections that tell no more than the rules allow.
const OPEN_SYSTEM: [&str; 5] = [
    "system:all_collections",
    "system:collections",
    "system:dql_indexes",
    "system:dual",
    "system:indexes",
];

/// Rules for one caller. What one of several rules allows is allowed.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// `None`: everything.
    rules: Option<Grants>,
}

#[derive(Debug, Clone, Default)]
struct Grants {
    read: Vec<Arc<Rules>>,
    write: Vec<Arc<Rules>>,
}

impl Access {
    /// Whatever the database itself may do.
    #[must_use]
    pub const fn everything() -> Self {
        Self { rules: None }
    }

    /// What one of `read` lets read and one of `write` lets write; nothing where
    /// there is no rule.
    #[must_use]
    pub fn within(read: Vec<Arc<Rules>>, write: Vec<Arc<Rules>>) -> Self {
        let whole = |rules: &[Arc<Rules>]| rules.iter().any(|rules| rules.is_everything());
        if whole(&read) && whole(&write) {
            return Self::everything();
        }
        Self {
            rules: Some(Grants { read, write }),
        }
    }

    /// Whether it forbids nothing.
    #[must_use]
    pub const fn is_everything(&self) -> bool {
        self.rules.is_none()
    }

    /// Whether a document may be read.
    #[must_use]
    pub fn may_read(&self, collection: &str, id: &DocumentId) -> bool {
        allows(self.rules.as_ref().map(|rules| &rules.read), collection, id)
    }

    /// Whether a document may be written, deleted or evicted.
    #[must_use]
    pub fn may_write(&self, collection: &str, id: &DocumentId) -> bool {
        allows(
            self.rules.as_ref().map(|rules| &rules.write),
            collection,
            id,
        )
    }

    fn reads(&self, collection: &str) -> Reach {
        reach(self.rules.as_ref().map(|rules| &rules.read), collection)
    }

    fn writes(&self, collection: &str) -> Reach {
        reach(self.rules.as_ref().map(|rules| &rules.write), collection)
    }

    /// Whether every document may be read.
    #[must_use]
    pub fn reads_everything(&self) -> bool {
        let rules = self.rules.as_ref().map(|rules| &rules.read);
        rules.is_none_or(|rules| rules.iter().any(|rules| rules.is_everything()))
    }

    /// Refuses what no rule on documents can bound.
    fn admit(&self, statement: &Prepared) -> Result<(), ExecuteError> {
        if self.reads_everything() {
            return Ok(());
        }
        let closed =
            |name: &String| name.starts_with("system:") && !OPEN_SYSTEM.contains(&name.as_str());
        match statement.collections().into_iter().find(closed) {
            None => Ok(()),
            Some(name) => Err(ExecuteError::CallerNotPermitted {
                what: format!("{name} was not read"),
                rule: "read the documents of some collections only".to_owned(),
            }),
        }
    }

    fn refuse_document(&self, (act, collection): (&str, &str), id: &DocumentId) -> ExecuteError {
        let id = cut(&json::print(&id.to_value()));
        ExecuteError::CallerNotPermitted {
            what: format!("the document {id} of {collection} was not {act}"),
            rule: format!("{} {}", verb(act), self.told(act, collection)),
        }
    }

    fn refuse_index(&self, collection: &str) -> ExecuteError {
        ExecuteError::CallerNotPermitted {
            what: format!("the indexes of {collection} were not changed"),
            rule: format!("write {}", self.told("written", collection)),
        }
    }

    /// The rules of a collection, for people.
    fn told(&self, act: &str, collection: &str) -> String {
        let Some(Grants { read, write }) = &self.rules else {
            return "everything".to_owned();
        };
        let rules = if act == "shown" { read } else { write };
        let texts: Vec<String> = rules
            .iter()
            .filter_map(|rules| rules.queries()?.remove(collection))
            .flatten()
            .collect();
        if texts.is_empty() {
            return format!("nothing in {collection}");
        }
        let texts = cut(&texts.join(" or "));
        format!("in {collection} only where {texts}")
    }
}

fn verb(act: &str) -> &'static str {
    if act == "shown" { "read" } else { "write" }
}

fn allows(rules: Option<&Vec<Arc<Rules>>>, collection: &str, id: &DocumentId) -> bool {
    rules.is_none_or(|rules| rules.iter().any(|rules| rules.allows(collection, id)))
}

fn reach(rules: Option<&Vec<Arc<Rules>>>, collection: &str) -> Reach {
    let Some(rules) = rules else {
        return Reach::Everything;
    };
    let reaches = rules.iter().map(|rules| rules.reach(collection));
    reaches.max().unwrap_or(Reach::Nothing)
}

fn cut(text: &str) -> String {
    let mut kept: String = text.chars().take(SHOWN_CHARS_MAX).collect();
    if kept.len() < text.len() {
        kept.push_str("...");
    }
    kept
}
