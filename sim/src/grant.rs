//! What a device may read and write in a world with rules, drawn by chance: the
//! text that goes into its certificate, and beside it what that text means, in
//! code that shares nothing with the product.

use std::collections::BTreeMap;

use tombolo::{DocumentId, Value};

use crate::random::Random;
use crate::workload::COLLECTIONS;

/// What one device may.
#[derive(Debug, Clone)]
pub(crate) struct Grant {
    pub(crate) read: Extent,
    pub(crate) write: Extent,
}

/// Some documents.
#[derive(Debug, Clone)]
pub(crate) enum Extent {
    Everything,
    /// By collection; any of the rules is enough.
    Rules(BTreeMap<&'static str, Vec<Rule>>),
}

/// One rule on ids.
#[derive(Debug, Clone)]
pub(crate) enum Rule {
    Whole,
    Is(String),
    Begins(String),
    OneOf(String, String),
}

impl Grant {
    /// All there is.
    pub(crate) const EVERYTHING: Self = Self {
        read: Extent::Everything,
        write: Extent::Everything,
    };

    /// Draws what an honest device may: often everything.
    pub(crate) fn of_honest(documents: u64, random: &mut Random) -> Self {
        Self {
            read: Extent::draw(500, documents, random),
            write: Extent::draw(500, documents, random),
        }
    }

    /// Draws what a liar may: seldom everything.
    pub(crate) fn of_liar(documents: u64, random: &mut Random) -> Self {
        Self {
            read: Extent::draw(50, documents, random),
            write: Extent::draw(50, documents, random),
        }
    }

    /// As a provider answers and a certificate holds it.
    pub(crate) fn to_json(&self) -> String {
        let (read, write) = (self.read.to_json(), self.write.to_json());
        format!(r#"{{"read":{read},"write":{write}}}"#)
    }
}

impl Extent {
    fn draw(everything: u64, documents: u64, random: &mut Random) -> Self {
        if random.chance(everything) {
            return Self::Everything;
        }
        let mut rules = BTreeMap::new();
        for collection in COLLECTIONS {
            match random.below(10) {
                0..3 => {}
                3 => {
                    rules.insert(collection, Vec::new());
                }
                4 => {
                    rules.insert(collection, vec![Rule::Whole]);
                }
                _ => {
                    let count = random.within(1..4);
                    let drawn = (0..count).map(|_| Rule::draw(documents, random));
                    rules.insert(collection, drawn.collect());
                }
            }
        }
        Self::Rules(rules)
    }

    /// Whether a document is one of them.
    pub(crate) fn allows(&self, collection: &str, id: &DocumentId) -> bool {
        match self {
            Self::Everything => true,
            Self::Rules(rules) => {
                let name = match id.to_value() {
                    Value::String(name) => name,
                    _ => return false,
                };
                let rules = rules.get(collection);
                rules.is_some_and(|rules| rules.iter().any(|rule| rule.allows(&name)))
            }
        }
    }

    fn to_json(&self) -> String {
        let rules = match self {
            Self::Everything => {
                return r#"{"everything":true,"queriesByCollection":{}}"#.to_owned();
            }
            Self::Rules(rules) => rules,
        };
        let rules = rules.iter().map(|(collection, rules)| {
            let rules: Vec<String> = rules
                .iter()
                .map(|rule| format!("\"{}\"", rule.text()))
                .collect();
            format!("\"{collection}\":[{}]", rules.join(","))
        });
        let rules: Vec<String> = rules.collect();
        let rules = rules.join(",");
        format!(r#"{{"everything":false,"queriesByCollection":{{{rules}}}}}"#)
    }
}

impl Rule {
    fn draw(documents: u64, random: &mut Random) -> Self {
        let (one, other) = (random.within(0..documents), random.within(0..documents));
        match random.below(4) {
            0 => Self::OneOf(format!("d{one}"), format!("d{other}")),
            1 => Self::Begins(format!("d{}", random.within(1..3))),
            _ => Self::Is(format!("d{one}")),
        }
    }

    fn allows(&self, name: &str) -> bool {
        match self {
            Self::Whole => true,
            Self::Is(one) => name == one,
            Self::Begins(start) => name.strip_prefix(start.as_str()).is_some(),
            Self::OneOf(one, other) => name == one || name == other,
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Whole => "true".to_owned(),
            Self::Is(one) => format!("_id = '{one}'"),
            Self::Begins(start) => format!("_id LIKE '{start}%'"),
            Self::OneOf(one, other) => format!("_id IN ('{one}', '{other}')"),
        }
    }
}
