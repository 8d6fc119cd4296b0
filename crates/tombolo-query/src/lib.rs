//! DQL: from text to rows, without input or output.
//!
//! Nothing here reads a clock, draws randomness, opens a file or starts a
//! thread: documents come through [`source::Source`], time and randomness are
//! arguments.

pub mod source;

pub use source::{IndexDefinition, IndexKey, Source, SourceError, Target};
