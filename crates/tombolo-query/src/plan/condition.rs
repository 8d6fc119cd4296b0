//! What a filter says about one field, as ranges of index keys.

use std::collections::BTreeSet;

use tombolo_document::{DocumentId, order};

use super::id_key;
use super::spans::KeyRange;
use crate::check::names::ID;
use crate::datum::Datum;
use crate::error::QueryError;
use crate::evaluate::{Scope, evaluate};
use crate::expr::{BinaryOperator, Expr, Flavour, State};
use crate::pattern;

/// One field and the values that it may have.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Condition {
    pub path: Vec<String>,
    pub ranges: Vec<KeyRange>,
    /// For `_id` with a finite list of values.
    ids: Option<BTreeSet<DocumentId>>,
}

impl Condition {
    /// What `filter` says about one field of the term at `at`; the values must
    /// be known from the terms before it.
    pub(super) fn read<'a>(
        filter: &'a Expr,
        at: usize,
        scope: &Scope<'a>,
    ) -> Result<Option<Self>, QueryError> {
        let reader = Reader { at, scope };
        let Some((path, values)) = reader.read(filter)? else {
            return Ok(None);
        };
        let ids = match (&values, path) {
            (Values::List(list), [step]) if step == ID => {
                Some(list.iter().filter_map(id_key).collect())
            }
            _ => None,
        };
        Ok(Some(Self {
            path: path.to_vec(),
            ranges: values.into_ranges(),
            ids,
        }))
    }

    /// Whether only one value meets it.
    pub(super) fn is_one_value(&self) -> bool {
        matches!(self.ranges.as_slice(), [range] if range.exact)
    }

    pub(super) fn ids(&self) -> Option<BTreeSet<DocumentId>> {
        self.ids.clone()
    }
}

/// The values that make a filter true.
enum Values<'a> {
    List(Vec<Datum<'a>>),
    Ranges(Vec<KeyRange>),
}

impl Values<'_> {
    fn into_ranges(self) -> Vec<KeyRange> {
        match self {
            Self::Ranges(ranges) => ranges,
            Self::List(list) => list
                .into_iter()
                .filter(|value| !value.is_null())
                .filter_map(Datum::into_value)
                .map(|value| KeyRange::point(order::key(&value)))
                .collect(),
        }
    }
}

type Found<'a> = Option<(&'a [String], Values<'a>)>;

struct Reader<'r, 'a> {
    at: usize,
    scope: &'r Scope<'a>,
}

impl<'a> Reader<'_, 'a> {
    fn read(&self, filter: &'a Expr) -> Result<Found<'a>, QueryError> {
        match filter {
            Expr::Field { .. } => Ok(self.truth(filter, true)),
            Expr::Not(inside) => match inside.as_ref() {
                Expr::Field { .. } => Ok(self.truth(inside, false)),
                Expr::Binary {
                    operator: BinaryOperator::Equal,
                    operands,
                } => self.comparison(BinaryOperator::NotEqual, operands),
                _ => Ok(None),
            },
            Expr::Binary { operator, operands } => self.comparison(*operator, operands),
            Expr::In(operands) => self.membership(operands),
            Expr::Between(operands) => {
                let (Some(path), Some(low), Some(high)) = (
                    self.field(&operands.0),
                    self.constant(&operands.1)?,
                    self.constant(&operands.2)?,
                ) else {
                    return Ok(None);
                };
                let low = compared(BinaryOperator::GreaterOrEqual, &low);
                let high = compared(BinaryOperator::LessOrEqual, &high);
                let both = low
                    .iter()
                    .zip(&high)
                    .filter_map(|(low, high)| low.intersected(high));
                Ok(Some((path, Values::Ranges(both.collect()))))
            }
            Expr::Is { value, state } => Ok(self.field(value).map(|path| {
                let mut key = Vec::new();
                match state {
                    State::Null => key = order::key(&tombolo_document::Value::Null),
                    State::Missing => order::append(&mut key, None, order::Direction::Ascending),
                }
                (path, Values::Ranges(vec![KeyRange::point(key)]))
            })),
            Expr::Like {
                operands,
                escape,
                flavour: Flavour::Like,
            } => self.prefix(operands, escape.as_deref()),
            _ => Ok(None),
        }
    }

    fn truth(&self, field: &'a Expr, value: bool) -> Found<'a> {
        let path = self.field(field)?;
        Some((path, Values::List(vec![Datum::Bool(value)])))
    }

    fn field(&self, expr: &'a Expr) -> Option<&'a [String]> {
        match expr {
            Expr::Field { term, path } if *term == self.at => Some(path),
            _ => None,
        }
    }

    /// The value, if it does not depend on this term or a later one.
    fn constant(&self, expr: &'a Expr) -> Result<Option<Datum<'a>>, QueryError> {
        if !expr.reads_only(&|term| term < self.at) {
            return Ok(None);
        }
        evaluate(expr, self.scope).map(Some)
    }

    fn comparison(
        &self,
        operator: BinaryOperator,
        operands: &'a (Expr, Expr),
    ) -> Result<Found<'a>, QueryError> {
        use BinaryOperator as B;
        let (left, right) = operands;
        let (path, other, operator) = match (self.field(left), self.field(right)) {
            (Some(path), _) => (path, right, operator),
            (None, Some(path)) => {
                let flipped = match operator {
                    B::Less => B::Greater,
                    B::LessOrEqual => B::GreaterOrEqual,
                    B::Greater => B::Less,
                    B::GreaterOrEqual => B::LessOrEqual,
                    same => same,
                };
                (path, left, flipped)
            }
            (None, None) => return Ok(None),
        };
        let compares = matches!(
            operator,
            B::Equal | B::NotEqual | B::Less | B::LessOrEqual | B::Greater | B::GreaterOrEqual
        );
        if !compares {
            return Ok(None);
        }
        let Some(value) = self.constant(other)? else {
            return Ok(None);
        };
        Ok(Some(match operator {
            B::Equal => (path, Values::List(vec![value])),
            _ => (path, Values::Ranges(compared(operator, &value))),
        }))
    }

    fn membership(&self, operands: &'a (Expr, Expr)) -> Result<Found<'a>, QueryError> {
        let Some(path) = self.field(&operands.0) else {
            return Ok(None);
        };
        let Some(list) = self.constant(&operands.1)? else {
            return Ok(None);
        };
        let items = match list {
            Datum::Array(items) => items.into_owned(),
            _ => Vec::new(),
        };
        let list = items.into_iter().map(Datum::from).collect();
        Ok(Some((path, Values::List(list))))
    }

    fn prefix(
        &self,
        operands: &'a (Expr, Expr),
        escape: Option<&'a Expr>,
    ) -> Result<Found<'a>, QueryError> {
        let (Some(path), Some(pattern)) = (self.field(&operands.0), self.constant(&operands.1)?)
        else {
            return Ok(None);
        };
        let escape = match escape {
            None => None,
            Some(escape) => match self.constant(escape)? {
                Some(escape) => escape.text().and_then(|text| text.chars().next()),
                None => return Ok(None),
            },
        };
        let Some(pattern) = pattern.text() else {
            return Ok(None);
        };
        let prefix = pattern::literal_prefix(pattern, escape);
        if prefix.is_empty() {
            return Ok(None);
        }
        let mut key = Vec::new();
        order::append_string_prefix(&mut key, &prefix);
        let range = KeyRange {
            low: key.clone(),
            high: key,
            exact: false,
        };
        Ok(Some((path, Values::Ranges(vec![range]))))
    }
}

/// The keys of the values of the same class that compare so; the filter removes
/// the ends that do not belong.
fn compared(operator: BinaryOperator, value: &Datum<'_>) -> Vec<KeyRange> {
    use BinaryOperator as B;
    let Some(value) = value
        .clone()
        .into_value()
        .filter(|value| *value != tombolo_document::Value::Null)
    else {
        return Vec::new();
    };
    let key = order::key(&value);
    let (class_low, class_high) = class_bounds(&value, &key);
    let range = |low: Vec<u8>, high: Vec<u8>| KeyRange {
        low,
        high,
        exact: false,
    };
    vec![match operator {
        B::Less | B::LessOrEqual => range(class_low, key),
        B::Greater | B::GreaterOrEqual => range(key, class_high),
        _ => range(class_low, class_high),
    }]
}

/// The first and last key bytes of a value's class: all kinds but booleans have
/// one byte in front.
fn class_bounds(value: &tombolo_document::Value, key: &[u8]) -> (Vec<u8>, Vec<u8>) {
    match value {
        tombolo_document::Value::Bool(_) => (
            order::key(&tombolo_document::Value::Bool(false)),
            order::key(&tombolo_document::Value::Bool(true)),
        ),
        _ => (key[..1].to_vec(), key[..1].to_vec()),
    }
}
