//! How much one statement may use, and when it must stop.

use std::cell::Cell;
use std::fmt;

use crate::error::QueryError;

/// Steps of evaluation between two looks at the stop check.
const STEPS_PER_CHECK: u32 = 512;

/// The most that one statement may hold in memory, in bytes by purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Rows kept for ORDER BY.
    pub sort_bytes: usize,
    /// Groups and what their aggregates keep.
    pub group_bytes: usize,
    /// Rows remembered for DISTINCT.
    pub distinct_bytes: usize,
    /// Items of the answer.
    pub result_bytes: usize,
    /// Documents that a mutation picked, and what it makes of them.
    pub mutation_bytes: usize,
    /// One string or array made by a function.
    pub value_bytes: usize,
}

impl Limits {
    /// The defaults: 64 MiB by purpose, 256 MiB for a mutation, 16 MiB for a
    /// value.
    pub const DEFAULT: Self = Self {
        sort_bytes: 64 << 20,
        group_bytes: 64 << 20,
        distinct_bytes: 64 << 20,
        result_bytes: 64 << 20,
        mutation_bytes: 256 << 20,
        value_bytes: 16 << 20,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// A limit that was reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Limit {
    /// ORDER BY without a small LIMIT over too many rows.
    Sort(usize),
    /// Too many groups.
    Group(usize),
    /// Too many distinct rows.
    Distinct(usize),
    /// The answer is too large.
    Result(usize),
    /// A mutation works on too many documents at once.
    Mutation(usize),
    /// A function made too large a value.
    Value(usize),
    /// A document is larger than allowed.
    Document {
        /// Its size in bytes.
        bytes: usize,
        /// The largest allowed size.
        bytes_max: usize,
    },
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sort(max) => write!(
                f,
                "sorting needs more than {max} bytes: add a LIMIT or a narrower WHERE"
            ),
            Self::Group(max) => write!(
                f,
                "grouping needs more than {max} bytes: group by fewer values or add a WHERE"
            ),
            Self::Distinct(max) => write!(
                f,
                "DISTINCT needs more than {max} bytes: project fewer fields or add a WHERE"
            ),
            Self::Result(max) => write!(
                f,
                "the result needs more than {max} bytes: add a LIMIT or project fewer fields"
            ),
            Self::Mutation(max) => write!(
                f,
                "the mutation needs more than {max} bytes: add a LIMIT and run it again until nothing is left"
            ),
            Self::Value(max) => write!(f, "a function made a value of more than {max} bytes"),
            Self::Document { bytes, bytes_max } => {
                write!(
                    f,
                    "the document size {bytes} exceeds limit of {bytes_max} bytes"
                )
            }
        }
    }
}

/// Asks the caller's stop check now and then.
pub(crate) struct Fuel<'c> {
    stop: &'c dyn Fn() -> bool,
    left: Cell<u32>,
}

impl<'c> Fuel<'c> {
    pub(crate) fn new(stop: &'c dyn Fn() -> bool) -> Self {
        Self {
            stop,
            left: Cell::new(STEPS_PER_CHECK),
        }
    }

    /// Counts one step.
    pub(crate) fn step(&self) -> Result<(), QueryError> {
        match self.left.get().checked_sub(1) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => self.check(),
        }
    }

    fn check(&self) -> Result<(), QueryError> {
        self.left.set(STEPS_PER_CHECK);
        if (self.stop)() {
            return Err(QueryError::Stopped);
        }
        Ok(())
    }
}

/// What is left of one memory limit.
#[derive(Debug)]
pub(crate) struct Budget {
    used: usize,
    max: usize,
    limit: fn(usize) -> Limit,
}

impl Budget {
    pub(crate) const fn new(max: usize, limit: fn(usize) -> Limit) -> Self {
        Self {
            used: 0,
            max,
            limit,
        }
    }

    pub(crate) fn take(&mut self, bytes: usize) -> Result<(), QueryError> {
        self.used = self.used.saturating_add(bytes);
        if self.used > self.max {
            return Err(QueryError::Limit((self.limit)(self.max)));
        }
        Ok(())
    }

    pub(crate) fn give_back(&mut self, bytes: usize) {
        self.used = self.used.saturating_sub(bytes);
    }
}
