//! How a statement reads and writes fields: the declared kinds.
//!
//! A schema belongs to a statement, never to a collection or a document.

use std::collections::BTreeMap;

/// The kind of replicated data that a field holds. One field may hold several
/// kinds at once. The numbers are those of the encoding and break ties.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// Any JSON value, replaced whole; the last writer wins.
    Register = 0,
    /// A set of fields, merged key by key; adding beats removing.
    Map = 1,
    /// An integer that concurrent increments add up in, with restart.
    Counter = 2,
    /// The counter of older versions: increments only.
    PnCounter = 3,
    /// The token of an attachment; the last writer wins.
    Attachment = 4,
}

impl Kind {
    /// Every kind, in the order of their numbers.
    pub const ALL: [Self; 5] = [
        Self::Register,
        Self::Map,
        Self::Counter,
        Self::PnCounter,
        Self::Attachment,
    ];

    /// The name in DQL, in capitals.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Register => "REGISTER",
            Self::Map => "MAP",
            Self::Counter => "COUNTER",
            Self::PnCounter => "PN_COUNTER",
            Self::Attachment => "ATTACHMENT",
        }
    }
}

/// What a field is when the statement does not declare it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Undeclared {
    /// Reads show the kind that was written last; objects are written as maps,
    /// everything else as registers.
    #[default]
    Infer,
    /// Strict mode: reads see registers alone, and every value, objects
    /// included, is written as one register.
    Register,
    /// Strict mode with object default MAP: reads see registers and maps;
    /// objects are written as maps.
    RegisterOrMap,
}

/// The declared fields of a statement's collection.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Schema {
    /// Declarations by field name.
    pub fields: BTreeMap<String, Field>,
    /// The rule for every other field, at any depth.
    pub undeclared: Undeclared,
}

/// One declaration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// The declared kind.
    pub kind: Kind,
    /// Declarations inside, for [`Kind::Map`].
    pub fields: BTreeMap<String, Field>,
}

impl Schema {
    /// A schema that declares nothing and infers everything.
    pub const INFERRED: Self = Self {
        fields: BTreeMap::new(),
        undeclared: Undeclared::Infer,
    };
}
