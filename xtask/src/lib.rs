//! House rules as functions: each takes the root of a tree and answers with findings.
//! `layers` holds the direction of dependencies, `tidy` the shape of files and documents.
//! Nothing here changes a file, and no rule needs the network or a version control program.

mod finding;
pub mod layers;
mod tree;

pub mod tidy;

pub use finding::{Finding, Report, XtaskError};
pub use tree::{SourceFile, Tree};
