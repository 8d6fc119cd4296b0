//! Why a benchmark could not finish. A wrong answer of a contender is an error, never a slow result.

/// A failed benchmark.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    /// The command line is wrong.
    #[error("{0}")]
    Usage(&'static str),
    /// A program that a contender needs is missing or did not start.
    #[error("cannot start {program}: {reason}")]
    Start {
        /// The program.
        program: String,
        /// What went wrong.
        reason: String,
    },
    /// A contender broke the connection.
    #[error("connection to {contender} failed: {source}")]
    Connection {
        /// Who was measured.
        contender: &'static str,
        /// What the system answered.
        source: std::io::Error,
    },
    /// PostgreSQL refused something.
    #[error("postgres: {0}")]
    Postgres(#[from] tokio_postgres::Error),
    /// A contender gave a wrong result, so its rate means nothing.
    #[error("{contender} answered wrongly: {detail}")]
    Wrong {
        /// Who was measured.
        contender: &'static str,
        /// What was expected and what came.
        detail: String,
    },
}
