//! The one border between the routes and the database: what a route may ask and what it is told.
//! Nothing behind it knows HTTP; nothing before it knows storage.

use std::future::Future;
use std::time::Duration;

use tombolo_document::{Object, Value};

use super::authorize::ExecutePermit;

/// A database that runs statements.
pub(crate) trait Node: Send + Sync + 'static {
    /// Runs one statement. `time_left` is what remains until the client is told 408.
    fn execute(
        &self,
        permit: ExecutePermit,
        statement: String,
        arguments: Object,
        time_left: Option<Duration>,
    ) -> impl Future<Output = Result<Executed, Failure>> + Send;
}

/// What a statement did.
#[derive(Debug, Default)]
pub(crate) struct Executed {
    pub(crate) kind: StatementKind,
    /// Rows of a SELECT.
    pub(crate) items: Vec<Value>,
    pub(crate) mutated_document_ids: Vec<Value>,
    /// The durable commit of a mutation.
    pub(crate) commit_id: Option<u64>,
    pub(crate) warnings: Vec<Warning>,
}

/// How `queryType` names a statement.
#[cfg_attr(
    not(test),
    expect(
        dead_code,
        reason = "made by the database, which is not joined to the program yet"
    )
)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum StatementKind {
    Select,
    Mutation,
    #[default]
    Unknown,
}

/// Something the client should know although the statement succeeded.
#[derive(Debug)]
pub(crate) struct Warning {
    pub(crate) document_id: Option<Value>,
    pub(crate) description: String,
}

/// Why a statement did not succeed.
#[cfg_attr(
    not(test),
    expect(
        dead_code,
        reason = "made by the database, which is not joined to the program yet"
    )
)]
#[derive(Debug)]
pub(crate) enum Failure {
    /// The caller's fault: 400. `code` is for machines.
    Statement {
        code: &'static str,
        message: String,
        place: Option<StatementPlace>,
    },
    /// Too many statements wait: 503.
    Busy,
    /// The time was over: 408.
    TimedOut,
    /// Ours: 500. The text goes to the log, never to the client.
    Internal { reason: String },
}

/// A place in the statement's text, in bytes from its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StatementPlace {
    pub(crate) offset_bytes: usize,
}
