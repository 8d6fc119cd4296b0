//! What a rule answers: findings that fail the run, warnings that only print, and errors of the run itself.
//! A finding always names the rule, the file and the line; it never proposes an automatic change.

use std::fmt;
use std::path::PathBuf;

/// One broken rule at one place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Path relative to the root of the workspace, with forward slashes.
    pub path: String,
    /// Line counted from 1.
    pub line: usize,
    /// Short name of the rule, such as `header` or `edge`.
    pub rule: &'static str,
    /// What is wrong and what to do.
    pub message: String,
}

impl Finding {
    /// Makes a finding at `path:line`.
    pub fn new(path: &str, line: usize, rule: &'static str, message: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line,
            rule,
            message: message.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{}:{}: [{}] {}",
            self.path, self.line, self.rule, self.message
        )
    }
}

/// The answer of one rule set.
#[derive(Debug, Default)]
pub struct Report {
    /// Broken rules, in the order of path and line.
    pub findings: Vec<Finding>,
    /// Remarks that do not fail the run.
    pub warnings: Vec<String>,
}

/// Why a rule set could not run at all.
#[derive(Debug, thiserror::Error)]
pub enum XtaskError {
    /// The command line names no rule set.
    #[error("{0}")]
    Usage(&'static str),
    /// A file or directory of the tree could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// What the system answered.
        source: std::io::Error,
    },
    /// `cargo metadata` could not be started or failed.
    #[error("cargo metadata failed: {0}")]
    Metadata(String),
}
