//! Members of a JSON object, each with the path under which an operator finds
//! it. Whatever is wrong with one is named; no value is ever repeated.

use tombolo_document::{Object, Value};

use crate::quoted::Quoted;
use crate::rules::RuleError;

/// What is wrong with one field. The fault of whoever wrote the object.
#[derive(Debug, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct FieldError {
    /// Where it is, such as `permissions.read.everything`.
    pub field: String,
    /// What is wrong there.
    pub problem: Problem,
}

/// What is wrong with a field.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// It is not there and must be.
    #[error("it is missing and must be {wanted}")]
    Missing {
        /// What must be there.
        wanted: &'static str,
    },
    /// It is something else.
    #[error("it is {found} and must be {wanted}")]
    WrongType {
        /// What was found.
        found: &'static str,
        /// What must be there.
        wanted: &'static str,
    },
    /// It is the right type and not allowed.
    #[error("it must be {wanted}")]
    OutOfRange {
        /// What must be there.
        wanted: &'static str,
    },
    /// It is too large.
    #[error("it has {bytes} bytes and {bytes_max} are allowed")]
    TooLarge {
        /// How many.
        bytes: usize,
        /// How many there may be.
        bytes_max: usize,
    },
    /// Nobody knows it, so it cannot be honoured.
    #[error("it is not known here and could change what is allowed: remove it")]
    Unknown,
    /// It contradicts another field.
    #[error("it contradicts {other}")]
    Contradiction {
        /// The other field.
        other: &'static str,
    },
    /// A rule in it is refused.
    #[error(transparent)]
    Rule(#[from] RuleError),
}

impl Problem {
    pub(crate) fn at(self, field: impl Into<String>) -> FieldError {
        FieldError {
            field: field.into(),
            problem: self,
        }
    }
}

pub(crate) const fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Int(_) | Value::Uint(_) | Value::Float(_) => "a number",
        Value::String(_) => "a text",
        Value::Binary(_) => "binary",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// An object and where it stands.
pub(crate) struct Fields<'v> {
    path: String,
    object: &'v Object,
}

impl<'v> Fields<'v> {
    pub(crate) const fn root(object: &'v Object) -> Self {
        Self {
            path: String::new(),
            object,
        }
    }

    /// Where a member stands or would stand.
    pub(crate) fn path(&self, name: &str) -> String {
        let name = Quoted::new(name);
        if self.path.is_empty() {
            return name.as_str().to_owned();
        }
        format!("{}.{name}", self.path)
    }

    /// Where the object itself stands.
    pub(crate) fn place(&self) -> &str {
        &self.path
    }

    /// A member; null is none.
    pub(crate) fn optional(&self, name: &str) -> Option<&'v Value> {
        self.object.get(name).filter(|value| **value != Value::Null)
    }

    pub(crate) fn boolean(&self, name: &str) -> Result<bool, FieldError> {
        match self.optional_boolean(name)? {
            Some(value) => Ok(value),
            None => Err(self.missing(name, "true or false")),
        }
    }

    pub(crate) fn optional_boolean(&self, name: &str) -> Result<Option<bool>, FieldError> {
        match self.optional(name) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(*value)),
            Some(other) => Err(self.wrong(name, other, "true or false")),
        }
    }

    pub(crate) fn text(&self, name: &str) -> Result<&'v str, FieldError> {
        match self.optional(name) {
            Some(Value::String(text)) => Ok(text),
            None => Err(self.missing(name, "a text")),
            Some(other) => Err(self.wrong(name, other, "a text")),
        }
    }

    /// A whole number from `least` to `most`, which `wanted` says in words.
    pub(crate) fn number(
        &self,
        name: &str,
        (least, most): (u64, u64),
        wanted: &'static str,
    ) -> Result<u64, FieldError> {
        let number = match self.optional(name) {
            None => return Err(self.missing(name, wanted)),
            Some(Value::Int(number)) => u64::try_from(*number).ok(),
            Some(Value::Uint(number)) => Some(*number),
            Some(Value::Float(_)) => None,
            Some(other) => return Err(self.wrong(name, other, wanted)),
        };
        let number = number.filter(|number| (least..=most).contains(number));
        number.ok_or_else(|| Problem::OutOfRange { wanted }.at(self.path(name)))
    }

    pub(crate) fn array(&self, name: &str) -> Result<&'v [Value], FieldError> {
        match self.optional(name) {
            Some(Value::Array(items)) => Ok(items),
            None => Err(self.missing(name, "an array")),
            Some(other) => Err(self.wrong(name, other, "an array")),
        }
    }

    pub(crate) fn object(&self, name: &str) -> Result<Self, FieldError> {
        match self.optional_object(name)? {
            Some(fields) => Ok(fields),
            None => Err(self.missing(name, "an object")),
        }
    }

    pub(crate) fn optional_object(&self, name: &str) -> Result<Option<Self>, FieldError> {
        match self.optional(name) {
            None => Ok(None),
            Some(Value::Object(object)) => Ok(Some(Self {
                path: self.path(name),
                object,
            })),
            Some(other) => Err(self.wrong(name, other, "an object")),
        }
    }

    pub(crate) const fn inner(&self) -> &'v Object {
        self.object
    }

    /// Refuses every member that `known` does not have.
    pub(crate) fn only(&self, known: &[&str]) -> Result<(), FieldError> {
        let unknown = self
            .object
            .keys()
            .find(|name| !known.contains(&name.as_str()));
        match unknown {
            None => Ok(()),
            Some(name) => Err(Problem::Unknown.at(self.path(name))),
        }
    }

    fn missing(&self, name: &str, wanted: &'static str) -> FieldError {
        Problem::Missing { wanted }.at(self.path(name))
    }

    fn wrong(&self, name: &str, found: &Value, wanted: &'static str) -> FieldError {
        let found = type_of(found);
        Problem::WrongType { found, wanted }.at(self.path(name))
    }
}
