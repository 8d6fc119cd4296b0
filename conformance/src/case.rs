//! A case as it stands in its file.

use tombolo::{Object, Value, json};

use crate::failure::Failure;

/// One case.
#[derive(Debug, Clone)]
pub struct Case {
    /// Unique among all files.
    pub id: String,
    /// What runs before the statement, step by step.
    pub setup: Vec<Object>,
    /// The statement under test.
    pub statement: String,
    /// Its arguments, with macros.
    pub arguments: Object,
    /// What it must give.
    pub expect: Object,
    /// How the statement is handed over; `execute` where the case names none.
    pub api: String,
}

impl Case {
    /// Reads one line.
    ///
    /// # Errors
    /// The line is not a case.
    pub fn read(line: &str) -> Result<Self, Failure> {
        let value =
            json::parse(line.as_bytes()).map_err(|error| Failure::Case(error.to_string()))?;
        let Value::Object(mut fields) = value else {
            return Err(Failure::Case("a case is an object".to_owned()));
        };
        let setup = match fields.remove("setup") {
            Some(Value::Array(steps)) => steps,
            _ => return Err(Failure::Case("a case has a list of setup steps".to_owned())),
        };
        Ok(Self {
            id: required(&fields, "id")?,
            setup: setup.into_iter().filter_map(into_object).collect(),
            statement: required(&fields, "statement")?,
            arguments: fields
                .remove("args")
                .and_then(into_object)
                .unwrap_or_default(),
            expect: fields
                .remove("expect")
                .and_then(into_object)
                .unwrap_or_default(),
            api: text(&fields, "api").unwrap_or("execute").to_owned(),
        })
    }
}

/// The text of a member.
pub(crate) fn text<'o>(object: &'o Object, key: &str) -> Option<&'o str> {
    object.get(key).and_then(Value::as_str)
}

/// The text of a member that must be there.
pub(crate) fn required(object: &Object, key: &str) -> Result<String, Failure> {
    match text(object, key) {
        Some(text) => Ok(text.to_owned()),
        None => Err(Failure::Case(format!("`{key}` is missing"))),
    }
}

/// The items of a list, empty if there is none.
pub(crate) fn list<'o>(object: &'o Object, key: &str) -> &'o [Value] {
    match object.get(key) {
        Some(Value::Array(items)) => items,
        _ => &[],
    }
}

/// The strings of a list.
pub(crate) fn texts(object: &Object, key: &str) -> Vec<String> {
    let items = list(object, key).iter();
    items.filter_map(Value::as_str).map(str::to_owned).collect()
}

fn into_object(value: Value) -> Option<Object> {
    match value {
        Value::Object(object) => Some(object),
        _ => None,
    }
}
