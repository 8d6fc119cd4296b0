//! The functions of the language by name. Wrong types give MISSING.

mod collection;
mod conditional;
mod conversion;
mod date;
mod date_format;
mod duration;
mod number;
mod text;

use crate::datum::Datum;
use crate::error::QueryError;
use crate::evaluate::Run;

/// What a function gives.
pub(crate) type Answer<'a> = Result<Datum<'a>, QueryError>;

/// The body of a function; the number of arguments was checked.
pub(crate) type FunctionBody = for<'a> fn(&Run<'_>, Vec<Datum<'a>>) -> Answer<'a>;

/// One function.
#[derive(Debug)]
pub(crate) struct Function {
    pub name: &'static str,
    minimum: usize,
    maximum: usize,
    pub body: FunctionBody,
}

/// Most arguments of a function that takes any number.
const MANY: usize = 1024;

impl Function {
    const fn new(name: &'static str, arity: (usize, usize), body: FunctionBody) -> Self {
        Self {
            name,
            minimum: arity.0,
            maximum: arity.1,
            body,
        }
    }

    pub(crate) fn takes(&self, arguments: usize) -> bool {
        (self.minimum..=self.maximum).contains(&arguments)
    }

    /// How many arguments it takes, in words.
    pub(crate) fn arity(&self) -> String {
        let plural = if self.maximum == 1 { "" } else { "s" };
        match (self.minimum, self.maximum) {
            (least, MANY) => format!("at least {least} arguments"),
            (least, most) if least == most => format!("{least} argument{plural}"),
            (least, most) => format!("{least} to {most} arguments"),
        }
    }
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

const TABLES: &[&[Function]] = &[
    number::FUNCTIONS,
    conversion::FUNCTIONS,
    conditional::FUNCTIONS,
    text::FUNCTIONS,
    collection::FUNCTIONS,
    date::FUNCTIONS,
    duration::FUNCTIONS,
];

/// The function with this name in any case.
pub(crate) fn find(name: &str) -> Option<&'static Function> {
    let all = TABLES.iter().flat_map(|table| table.iter());
    all.into_iter()
        .find(|function| function.name.eq_ignore_ascii_case(name))
}

/// The names of all functions.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    let all = TABLES.iter().flat_map(|table| table.iter());
    all.map(|function| function.name)
}

/// The arguments of a function whose wrong or absent ones give MISSING.
macro_rules! or_missing {
    ($value:expr) => {
        match $value {
            Some(value) => value,
            None => return Ok(Datum::Missing),
        }
    };
}
use or_missing;

#[cfg(test)]
mod tests;
