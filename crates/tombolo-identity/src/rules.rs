//! What a peer may read and write: rules on document ids, by collection. They
//! are parsed once, and whatever goes wrong while one is evaluated means no.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use tombolo_document::{DocumentId, Object};
use tombolo_query::{Condition, Context, Limits, NoSystemRows, Parameters, QueryError};

/// Most collections that one set of rules may name.
pub const COLLECTION_RULES_MAX: usize = 1024;
/// Most conditions on one collection.
pub const RULES_MAX: usize = 256;
/// Longest condition, in bytes.
pub const RULE_BYTES_MAX: usize = 4096;

/// How often the evaluation of one rule may be asked to stop before it has to:
/// 512 steps lie between two questions.
const QUESTIONS_MAX: u32 = 128;
/// How much memory a rule may use, in bytes; ids are smaller.
const VALUE_BYTES_MAX: usize = 256 * 1024;
/// A condition that every id meets.
const WHOLE: &str = "true";

/// Why rules are refused, all of them. The fault of whoever wrote them.
#[derive(Debug, thiserror::Error)]
pub enum RuleError {
    /// Too many collections.
    #[error("rules for {count} collections, and {COLLECTION_RULES_MAX} are allowed")]
    Collections {
        /// How many.
        count: usize,
    },
    /// Too many conditions.
    #[error("{count} rules for the collection {collection:?}, and {RULES_MAX} are allowed")]
    Conditions {
        /// The collection.
        collection: String,
        /// How many.
        count: usize,
    },
    /// A condition is too long.
    #[error(
        "rule {index} of the collection {collection:?} has {bytes} bytes, and {RULE_BYTES_MAX} are allowed"
    )]
    TooLong {
        /// The collection.
        collection: String,
        /// Which rule, from zero.
        index: usize,
        /// Its length.
        bytes: usize,
    },
    /// A condition is none, or looks at more than `_id`.
    #[error("rule {index} of the collection {collection:?} is refused: {source}")]
    Condition {
        /// The collection.
        collection: String,
        /// Which rule, from zero.
        index: usize,
        /// Why.
        source: QueryError,
    },
}

/// The rules of one collection.
#[derive(Debug, Clone, PartialEq)]
enum CollectionRules {
    Whole,
    Any(Vec<Condition>),
}

/// Rules for reading, or rules for writing. Nothing is allowed by default.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules(Kind);

#[derive(Debug, Clone, PartialEq)]
enum Kind {
    Everything,
    Collections(BTreeMap<String, CollectionRules>),
}

impl Rules {
    /// Every document of every collection.
    #[must_use]
    pub const fn everything() -> Self {
        Self(Kind::Everything)
    }

    /// No document.
    #[must_use]
    pub const fn nothing() -> Self {
        Self(Kind::Collections(BTreeMap::new()))
    }

    /// All documents of one collection, and no other.
    #[must_use]
    pub fn collection_whole(collection: &str) -> Self {
        let rules = [(collection.to_owned(), CollectionRules::Whole)];
        Self(Kind::Collections(BTreeMap::from(rules)))
    }

    /// Documents whose id meets at least one of their collection's conditions;
    /// the condition `true` stands for the whole collection.
    ///
    /// # Errors
    /// One bad condition refuses them all, and so does a limit.
    pub fn parse(queries: &BTreeMap<String, Vec<String>>) -> Result<Self, RuleError> {
        if queries.len() > COLLECTION_RULES_MAX {
            let count = queries.len();
            return Err(RuleError::Collections { count });
        }
        let mut rules = BTreeMap::new();
        for (collection, texts) in queries {
            rules.insert(
                collection.clone(),
                CollectionRules::parse(collection, texts)?,
            );
        }
        Ok(Self(Kind::Collections(rules)))
    }

    /// Whether the document with this id is within the rules. Any error of a
    /// rule means no.
    #[must_use]
    pub fn allows(&self, collection: &str, id: &DocumentId) -> bool {
        match &self.0 {
            Kind::Everything => true,
            Kind::Collections(rules) => match rules.get(collection) {
                None => false,
                Some(CollectionRules::Whole) => true,
                Some(CollectionRules::Any(conditions)) => any_holds(conditions, id),
            },
        }
    }

    /// How much of a collection is within the rules.
    #[must_use]
    pub(crate) fn extent(&self, collection: &str) -> Extent {
        match &self.0 {
            Kind::Everything => Extent::Everything,
            Kind::Collections(rules) => match rules.get(collection) {
                None => Extent::Nothing,
                Some(CollectionRules::Whole) => Extent::Everything,
                Some(CollectionRules::Any(conditions)) if conditions.is_empty() => Extent::Nothing,
                Some(CollectionRules::Any(_)) => Extent::Some,
            },
        }
    }

    /// Feeds the one form that equal rules have.
    pub(crate) fn digest(&self, hasher: &mut blake3::Hasher) {
        let Kind::Collections(rules) = &self.0 else {
            hasher.update(&[1]);
            return;
        };
        hasher.update(&[0]);
        count(hasher, rules.len());
        for (collection, rules) in rules {
            text(hasher, collection);
            match rules {
                CollectionRules::Whole => {
                    hasher.update(&[1]);
                }
                CollectionRules::Any(conditions) => {
                    let mut texts: Vec<&str> = conditions.iter().map(Condition::text).collect();
                    texts.sort_unstable();
                    texts.dedup();
                    hasher.update(&[0]);
                    count(hasher, texts.len());
                    texts
                        .into_iter()
                        .for_each(|condition| text(hasher, condition));
                }
            }
        }
    }
}

/// How much of a collection some rules cover.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    Nothing,
    Some,
    Everything,
}

fn count(hasher: &mut blake3::Hasher, count: usize) {
    hasher.update(&(count as u64).to_le_bytes());
}

fn text(hasher: &mut blake3::Hasher, text: &str) {
    count(hasher, text.len());
    hasher.update(text.as_bytes());
}

impl CollectionRules {
    fn parse(collection: &str, texts: &[String]) -> Result<Self, RuleError> {
        let collection = || collection.to_owned();
        if texts.len() > RULES_MAX {
            return Err(RuleError::Conditions {
                collection: collection(),
                count: texts.len(),
            });
        }
        let mut conditions = Vec::with_capacity(texts.len());
        for (index, text) in texts.iter().enumerate() {
            if text.len() > RULE_BYTES_MAX {
                return Err(RuleError::TooLong {
                    collection: collection(),
                    index,
                    bytes: text.len(),
                });
            }
            let condition = Condition::on_id(text).map_err(|source| RuleError::Condition {
                collection: collection(),
                index,
                source,
            })?;
            conditions.push(condition);
        }
        if texts.iter().any(|text| text.trim() == WHOLE) {
            return Ok(Self::Whole);
        }
        Ok(Self::Any(conditions))
    }
}

static NO_ARGUMENTS: LazyLock<Object> = LazyLock::new(Object::default);
static PARAMETERS: LazyLock<Parameters> = LazyLock::new(Parameters::default);

fn any_holds(conditions: &[Condition], id: &DocumentId) -> bool {
    conditions.iter().any(|condition| holds(condition, id))
}

/// Evaluates one rule with its own, small allowance.
fn holds(condition: &Condition, id: &DocumentId) -> bool {
    let questions = Cell::new(QUESTIONS_MAX);
    let stop = || match questions.get().checked_sub(1) {
        Some(left) => {
            questions.set(left);
            false
        }
        None => true,
    };
    let context = Context {
        arguments: &NO_ARGUMENTS,
        parameters: &PARAMETERS,
        now_ms: 0,
        random: &|| [0; 16],
        limits: Limits {
            value_bytes: VALUE_BYTES_MAX,
            ..Limits::DEFAULT
        },
        stop: &stop,
        system: &NoSystemRows,
    };
    condition.matches_id(id, &context).unwrap_or(false)
}

/// What one peer may do.
#[derive(Debug, Clone, PartialEq)]
pub struct Permissions {
    /// Which documents it may be sent.
    pub read: Rules,
    /// Which documents others take from it.
    pub write: Rules,
}

impl Permissions {
    /// Reading and writing of everything.
    #[must_use]
    pub const fn everything() -> Self {
        Self {
            read: Rules::everything(),
            write: Rules::everything(),
        }
    }

    /// Neither reading nor writing.
    #[must_use]
    pub const fn nothing() -> Self {
        Self {
            read: Rules::nothing(),
            write: Rules::nothing(),
        }
    }
}
