//! What a peer may read and write: rules on document ids, by collection. They
//! are parsed once, and whatever goes wrong while one is evaluated means no.

use std::collections::BTreeMap;

use tombolo_document::DocumentId;
use tombolo_query::{Condition, QueryError};

use crate::conditions::Conditions;
use crate::filter::Reach;
use crate::legacy::{self, LegacyError};

/// Most collections that one set of rules may name.
pub const COLLECTION_RULES_MAX: usize = 1024;
/// Most conditions on one collection.
pub const RULES_MAX: usize = 256;
/// Longest condition, in bytes.
pub const RULE_BYTES_MAX: usize = 4096;

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
    /// A filter over identities is none, or looks at something else.
    #[error("the filter is refused: {source}")]
    Filter {
        /// Why.
        source: QueryError,
    },
    /// A filter over identities is too long.
    #[error("the filter has {bytes} bytes, and {RULE_BYTES_MAX} are allowed")]
    FilterTooLong {
        /// Its length.
        bytes: usize,
    },
    /// A rule is none in the older syntax.
    #[error("rule {index} of the collection {collection:?} is refused: {source}")]
    Legacy {
        /// The collection.
        collection: String,
        /// Which rule, from zero.
        index: usize,
        /// Why.
        source: LegacyError,
    },
}

/// How rules are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleSyntax {
    /// DQL conditions: `_id.site = 'x'`.
    Dql,
    /// The older syntax: `_id.site == 'x'`. Kept as the DQL of equal meaning.
    Legacy,
    /// The older syntax where a rule is written in it, DQL otherwise; what has
    /// `||` is never taken for DQL, which means something else by it.
    Either,
}

/// The rules of one collection.
#[derive(Debug, Clone, PartialEq)]
enum CollectionRules {
    Whole,
    Any(Conditions),
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

    /// Like [`Rules::parse`], for rules that may be written in the older syntax.
    ///
    /// # Errors
    /// One bad rule refuses them all, and so does a limit.
    pub fn parse_as(
        queries: &BTreeMap<String, Vec<String>>,
        syntax: RuleSyntax,
    ) -> Result<Self, RuleError> {
        let mut translated = BTreeMap::new();
        for (collection, texts) in queries {
            let rules = texts.iter().enumerate().map(|(index, text)| {
                in_dql(text, syntax).map_err(|source| RuleError::Legacy {
                    collection: collection.clone(),
                    index,
                    source,
                })
            });
            // One more than is allowed, so that the limit is told by its name.
            let rules: Result<Vec<String>, RuleError> = rules.take(RULES_MAX + 1).collect();
            translated.insert(collection.clone(), rules?);
        }
        Self::parse(&translated)
    }

    /// The conditions by collection as they were read, in DQL; `None` is
    /// everything. [`Rules::parse`] makes equal rules of them.
    #[must_use]
    pub fn queries(&self) -> Option<BTreeMap<String, Vec<String>>> {
        let Kind::Collections(rules) = &self.0 else {
            return None;
        };
        let texts = |rules: &CollectionRules| match rules {
            CollectionRules::Whole => vec![WHOLE.to_owned()],
            CollectionRules::Any(conditions) => {
                let texts = conditions.texts();
                texts.map(str::to_owned).collect()
            }
        };
        let queries = rules
            .iter()
            .map(|(name, rules)| (name.clone(), texts(rules)));
        Some(queries.collect())
    }

    /// Whether nothing is forbidden.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.0 == Kind::Everything
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
                Some(CollectionRules::Any(conditions)) => conditions.hold(id),
            },
        }
    }

    /// How much of a collection is within the rules, as far as can be told
    /// without its documents.
    #[must_use]
    pub fn reach(&self, collection: &str) -> Reach {
        match self.extent(collection) {
            Extent::Nothing => Reach::Nothing,
            Extent::Some => Reach::Some,
            Extent::Everything => Reach::Everything,
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
                    let mut texts: Vec<&str> = conditions.texts().collect();
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
        Ok(Self::Any(Conditions::new(conditions)))
    }
}

fn in_dql(text: &str, syntax: RuleSyntax) -> Result<String, LegacyError> {
    if syntax == RuleSyntax::Dql || text.len() > RULE_BYTES_MAX {
        return Ok(text.to_owned());
    }
    match legacy::to_dql(text) {
        // In DQL `||` joins texts: who meant "or" would get a rule that says
        // something else, and nobody would be told.
        Err(_) if syntax == RuleSyntax::Either && !text.contains("||") => Ok(text.to_owned()),
        translated => translated,
    }
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
