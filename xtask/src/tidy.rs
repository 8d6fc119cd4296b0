//! The shape of files and documents: headers, walls, names, links, and words that must not be committed.
//! Every rule is a pure function from text to findings, so that a test can show each one failing.
//! What clippy and rustfmt can hold is left to them.

mod documents;
mod lines;
mod names;
mod rust;

use std::path::Path;

use crate::{Report, Tree, XtaskError};

pub use documents::check_documents;
pub use lines::check_lines;
pub use names::check_names;
pub use rust::{check_rust, long_files};

/// Runs every rule over the tree at `root`.
pub fn check(root: &Path) -> Result<Report, XtaskError> {
    let tree = Tree::read(root)?;
    let mut findings = check_rust(&tree);
    findings.extend(check_lines(&tree));
    findings.extend(check_documents(&tree));
    findings.extend(check_names(&tree));
    findings.sort();
    Ok(Report {
        findings,
        warnings: long_files(&tree),
    })
}
