//! The real database behind the routes.
//! Writes wait for their commit without a thread; reads are tried where they are asked, for a moment;
//! what takes longer runs on blocking threads, so many at a time, and the rest waits in a bounded line.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::AcqRel};
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};
use tombolo::{
    Access, Batch, Database, ExecuteError, Object, Prepared, QueryError, Response, WebSocketDoor,
};

use super::authorize::{ExecutePermit, PresencePermit};
use super::node::{Failure, Node};

/// A read may hold an asynchronous thread this long, then it begins again on a thread of its own.
/// Reads by id take a hundredth of it; handing each of them over would cost more than running it.
const TRIED_READ_LIMIT: Duration = Duration::from_micros(500);
/// Longer reads that run at once; each holds a thread and may hold a result in memory.
const SCANS_MAX: usize = 16;
/// Longer reads that wait or run; one more is answered 503.
const SCANS_WAITING_MAX: usize = 1024;

/// A database that is asked from asynchronous code.
pub(crate) struct JoinedDatabase {
    database: Arc<Database>,
    scans: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
}

impl JoinedDatabase {
    pub(crate) fn new(database: Arc<Database>) -> Self {
        let scans = Arc::new(Semaphore::new(SCANS_MAX));
        Self {
            database,
            scans,
            waiting: Arc::new(AtomicUsize::new(0)),
        }
    }

    async fn write(
        &self,
        statement: &Prepared,
        arguments: Object,
        time_left: Option<Duration>,
    ) -> Result<Response, Failure> {
        let (answer, answered) = oneshot::channel();
        let done = move |result| {
            // The client may have given up meanwhile.
            let _ = answer.send(result);
        };
        // Held until the answer, so that freeing them is not the writer's work.
        let arguments = Arc::new(arguments);
        let batch = Batch {
            statements: vec![(statement.clone(), Arc::clone(&arguments))],
            access: Access::everything(),
        };
        let queued = self.database.write_batch(batch, time_left, done);
        queued.map_err(|refused| failure(refused.error))?;
        match answered.await {
            Ok(Ok(mut responses)) => Ok(responses.pop().unwrap_or_default()),
            Ok(Err(refused)) => Err(failure(refused.error)),
            Err(_) => Err(Failure::Internal {
                reason: "the writer ended".to_owned(),
            }),
        }
    }

    async fn scan(
        &self,
        statement: Prepared,
        arguments: Object,
        time_left: Option<Duration>,
    ) -> Result<Response, Failure> {
        let place = Place::take(&self.waiting).ok_or(Failure::Busy)?;
        let permit = Arc::clone(&self.scans)
            .acquire_owned()
            .await
            .map_err(|_| Failure::Busy)?;
        let database = Arc::clone(&self.database);
        let scan = tokio::task::spawn_blocking(move || {
            let result = database.read(&statement, &arguments, time_left);
            drop((permit, place));
            result
        });
        match scan.await {
            Ok(result) => result.map_err(failure),
            Err(error) => Err(Failure::Internal {
                reason: error.to_string(),
            }),
        }
    }
}

impl Node for JoinedDatabase {
    fn prepare(&self, statement: &str) -> Result<Prepared, Failure> {
        self.database.prepare(statement).map_err(failure)
    }

    async fn execute(
        &self,
        _: ExecutePermit,
        statement: &Prepared,
        arguments: Object,
        time_left: Option<Duration>,
    ) -> Result<Response, Failure> {
        if statement.is_mutation() {
            return self.write(statement, arguments, time_left).await;
        }
        match self
            .database
            .read(statement, &arguments, Some(TRIED_READ_LIMIT))
        {
            Err(ExecuteError::Query(QueryError::Stopped)) => {
                self.scan(statement.clone(), arguments, time_left).await
            }
            result => result.map_err(failure),
        }
    }

    fn presence(&self, _: PresencePermit) -> Result<Vec<u8>, Failure> {
        let internal = |reason| Failure::Internal { reason };
        let graph = self.database.presence();
        let graph = graph.ok_or_else(|| internal("the node has no peer key".to_owned()))?;
        serde_json::to_vec(&graph).map_err(|error| internal(chain(&error)))
    }

    fn websocket_door(&self) -> Option<WebSocketDoor> {
        self.database.websocket_door()
    }
}

/// A place in the line of longer reads; given back when dropped.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(waiting: &Arc<AtomicUsize>) -> Option<Self> {
        let place = Self(Arc::clone(waiting));
        // A refused place gives back what it took when it is dropped here.
        (waiting.fetch_add(1, AcqRel) < SCANS_WAITING_MAX).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, AcqRel);
    }
}

fn failure(error: ExecuteError) -> Failure {
    match error {
        ExecuteError::Query(error) => query_failure(error),
        ExecuteError::Busy => Failure::Busy,
        ExecuteError::TransactionExpired { .. } => Failure::TimedOut,
        refused @ ExecuteError::NotPermitted { .. } => Failure::NotPermitted {
            message: refused.to_string(),
        },
        other => Failure::Internal {
            reason: chain(&other),
        },
    }
}

fn query_failure(error: QueryError) -> Failure {
    let code = match &error {
        QueryError::Parse(place) => {
            return statement_failure("syntax", place.render(), place.line, place.column);
        }
        QueryError::Check(place) => {
            return statement_failure("statement", place.render(), place.line, place.column);
        }
        QueryError::Evaluation(_) => "evaluation",
        QueryError::Conflict { .. } => "conflict",
        QueryError::Id(_) => "document_id",
        QueryError::Limit(_) => "limit",
        QueryError::Document { .. } => "document",
        QueryError::ReadOnly => "read_only",
        QueryError::Stopped => return Failure::TimedOut,
        QueryError::Damaged(_) | QueryError::Source(_) => {
            return Failure::Internal {
                reason: chain(&error),
            };
        }
    };
    Failure::Statement {
        code,
        message: chain(&error),
        place: None,
    }
}

fn statement_failure(code: &'static str, message: String, line: usize, column: usize) -> Failure {
    Failure::Statement {
        code,
        message,
        place: Some((line, column)),
    }
}

/// An error with everything that caused it.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        // Some errors tell their cause themselves, and a transparent one is its cause.
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        cause = inner.source();
    }
    text
}
