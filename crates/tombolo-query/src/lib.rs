//! DQL: from text to rows, without input or output.
//!
//! Nothing here reads a clock, draws randomness, opens a file or starts a
//! thread: documents come through [`source::Source`], time and randomness are
//! arguments.

mod check;
pub mod context;
mod datum;
pub mod error;
mod evaluate;
mod expr;
mod function;
mod kind;
pub mod limits;
pub mod outcome;
pub mod parameter;
pub mod parse;
mod pattern;
mod plan;
mod row;
mod run;
pub mod source;
mod span;
pub mod statement;
pub mod subscription;
mod syntax;

#[cfg(test)]
mod testing;

pub use context::{Context, NoSystemRows, SystemRows};
pub use error::QueryError;
pub use kind::StatementKind;
pub use limits::{Limit, Limits};
pub use outcome::{Outcome, OutcomeKind, WARNINGS_MAX};
pub use parameter::{ParameterChange, Parameters};
pub use parse::ParseError;
pub use run::Drafted;
pub use source::{IndexDefinition, IndexKey, Source, SourceError, Target};
pub use span::Span;
pub use statement::Statement;
pub use subscription::{Condition, Subscription};
