//! Aggregates: what they keep while rows pass, and what they give at the end.

use std::collections::BTreeSet;

use tombolo_document::value::Number;
use tombolo_document::{Value, order};

use crate::datum::{Class, Datum, size_bytes};
use crate::error::QueryError;
use crate::expr::Expr;
use crate::limits::Budget;

/// One aggregate of a statement.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Aggregate {
    pub function: AggregateFunction,
    pub distinct: bool,
    /// `None` counts rows.
    pub argument: Option<Expr>,
}

/// The aggregates of the language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AggregateFunction {
    Count,
    Sum,
    Average,
    Minimum,
    Maximum,
    Median,
    Middle,
}

impl AggregateFunction {
    const NAMES: [(&'static str, Self); 7] = [
        ("COUNT", Self::Count),
        ("SUM", Self::Sum),
        ("AVG", Self::Average),
        ("MIN", Self::Minimum),
        ("MAX", Self::Maximum),
        ("MEDIAN", Self::Median),
        ("MID", Self::Middle),
    ];

    pub(crate) fn find(name: &str) -> Option<Self> {
        let named = |(known, _): &&(&str, Self)| known.eq_ignore_ascii_case(name);
        Self::NAMES
            .iter()
            .find(named)
            .map(|(_, function)| *function)
    }

    /// Whether a value counts for it.
    fn takes(self, value: &Datum<'_>) -> bool {
        match self {
            Self::Count => !matches!(value, Datum::Missing | Datum::Null | Datum::Bool(false)),
            Self::Minimum | Self::Maximum => !matches!(value, Datum::Missing | Datum::Null),
            _ => value.class() == Class::Number,
        }
    }
}

/// What one aggregate of one group has seen.
#[derive(Debug)]
pub(crate) struct Accumulator {
    function: AggregateFunction,
    seen: Option<BTreeSet<Vec<u8>>>,
    count: u64,
    integers: i128,
    floats: Option<f64>,
    least: Option<Value>,
    greatest: Option<Value>,
    numbers: Vec<Value>,
}

impl Accumulator {
    pub(crate) fn new(aggregate: &Aggregate) -> Self {
        Self {
            function: aggregate.function,
            seen: aggregate.distinct.then(BTreeSet::new),
            count: 0,
            integers: 0,
            floats: None,
            least: None,
            greatest: None,
            numbers: Vec::new(),
        }
    }

    /// Counts a row without looking at it.
    pub(crate) fn count_row(&mut self) {
        self.count += 1;
    }

    /// Counts `rows` rows at once.
    pub(crate) fn count_rows(&mut self, rows: u64) {
        self.count += rows;
    }

    pub(crate) fn add(&mut self, value: Datum<'_>, budget: &mut Budget) -> Result<(), QueryError> {
        use AggregateFunction as F;
        if !self.function.takes(&value) {
            return Ok(());
        }
        if self.function == F::Count && self.seen.is_none() {
            self.count += 1;
            return Ok(());
        }
        let number = value.number();
        let Some(value) = value.into_value() else {
            return Ok(());
        };
        if let Some(seen) = &mut self.seen {
            let key = order::key(&value);
            budget.take(key.len() + size_bytes(&Value::Null))?;
            if !seen.insert(key) {
                return Ok(());
            }
        }
        self.count += 1;
        match self.function {
            F::Count => {}
            F::Sum | F::Average => self.sum(number),
            F::Minimum | F::Maximum | F::Middle => self.extremes(value, budget)?,
            F::Median => {
                budget.take(size_bytes(&value))?;
                self.numbers.push(value);
            }
        }
        Ok(())
    }

    fn sum(&mut self, number: Option<Number>) {
        match number {
            Some(Number::Integer(integer)) => {
                self.integers = self.integers.saturating_add(integer);
            }
            Some(Number::Float(float)) => {
                self.floats = Some(self.floats.unwrap_or(0.0) + float);
            }
            None => {}
        }
    }

    fn extremes(&mut self, value: Value, budget: &mut Budget) -> Result<(), QueryError> {
        if self.function != AggregateFunction::Maximum
            && self
                .least
                .as_ref()
                .is_none_or(|least| value.compare(least).is_lt())
        {
            kept(&mut self.least, value.clone(), budget)?;
        }
        if self.function != AggregateFunction::Minimum
            && self
                .greatest
                .as_ref()
                .is_none_or(|greatest| value.compare(greatest).is_gt())
        {
            kept(&mut self.greatest, value, budget)?;
        }
        Ok(())
    }

    /// The result; `None` is MISSING.
    pub(crate) fn finish(mut self) -> Option<Value> {
        use AggregateFunction as F;
        if self.function == F::Count {
            return Some(Value::from_u64(self.count));
        }
        if self.count == 0 {
            return None;
        }
        match self.function {
            F::Count => None,
            F::Sum => match self.floats {
                Some(floats) => Value::from_f64(floats + self.integers as f64),
                None => Some(Value::from_i128(self.integers)),
            },
            F::Average => {
                let sum = self.floats.unwrap_or(0.0) + self.integers as f64;
                Value::from_f64(sum / self.count as f64)
            }
            F::Minimum => self.least,
            F::Maximum => self.greatest,
            F::Middle => mean(self.least.as_ref()?, self.greatest.as_ref()?),
            F::Median => {
                self.numbers.sort_by(Value::compare);
                let upper = self.numbers.len() / 2;
                let lower = (self.numbers.len() - 1) / 2;
                if lower == upper {
                    return self.numbers.into_iter().nth(lower);
                }
                mean(&self.numbers[lower], &self.numbers[upper])
            }
        }
    }
}

/// Replaces a kept value and accounts for both.
fn kept(place: &mut Option<Value>, value: Value, budget: &mut Budget) -> Result<(), QueryError> {
    budget.take(size_bytes(&value))?;
    if let Some(old) = place.replace(value) {
        budget.give_back(size_bytes(&old));
    }
    Ok(())
}

fn mean(left: &Value, right: &Value) -> Option<Value> {
    let float = |number: Number| match number {
        Number::Integer(integer) => integer as f64,
        Number::Float(float) => float,
    };
    Value::from_f64(float(left.number()?) / 2.0 + float(right.number()?) / 2.0)
}
