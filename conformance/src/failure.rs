//! Why a case does not pass.

use tombolo::{ExecuteError, OpenError};

/// Why a case does not pass.
#[derive(Debug)]
pub enum Failure {
    /// The case itself is malformed: the fault of whoever wrote it.
    Case(String),
    /// The runner has no machinery for this case.
    Unsupported(String),
    /// A peer could not be made: the fault of the machine.
    Peer(OpenError),
    /// A key or a certificate could not be made: the fault of the machine.
    Machine(String),
    /// A statement failed that should not.
    Statement {
        /// Its text.
        statement: String,
        /// Why it failed.
        error: ExecuteError,
    },
    /// A statement gave something else than expected.
    Expectation(String),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Case(text) => write!(f, "the case is malformed: {text}"),
            Self::Unsupported(text) => write!(f, "the runner cannot do this: {text}"),
            Self::Peer(error) => write!(f, "a peer could not be made: {error}"),
            Self::Machine(text) => write!(f, "a peer has no identity: {text}"),
            Self::Statement { statement, error } => {
                write!(f, "{statement}: {error}")
            }
            Self::Expectation(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for Failure {}
