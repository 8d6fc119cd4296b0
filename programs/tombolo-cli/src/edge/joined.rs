//! The real database behind the routes.
//! Writes wait for their commit without a thread; reads are tried where they are asked, for a moment;
//! what takes longer runs on blocking threads, so many at a time, and the rest waits in a bounded line.

use std::error::Error;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::AcqRel};
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};
use tombolo::{
    Access, AttachmentId, AttachmentReader, AttachmentWriter, Batch, BatchError, Database,
    ExecuteError, Once, Prepared, QueryError, Ran, Response, Step, Watch, WebSocketDoor,
};

use super::attachments::ContentFailure;
use super::authorize::{DownloadPermit, ExecutePermit, PresencePermit, UploadPermit};
use super::node::{Failure, Node, PermittedStep, StepFailure};

/// A read may hold an asynchronous thread this long, then it begins again on a thread of its own.
/// Reads by id take a hundredth of it; handing each of them over would cost more than running it.
const TRIED_READ_LIMIT: Duration = Duration::from_micros(500);
/// Longer reads that run at once; each holds a thread and may hold a result in memory.
const SCANS_MAX: usize = 16;
/// Longer reads that wait or run; one more is answered 503.
const SCANS_WAITING_MAX: usize = 1024;
/// Documents that are looked at for one that refers to an attachment and that a client may read.
/// Should it be none of these, the attachment is not found for it.
const DOCUMENTS_ASKED_MAX: usize = 10_000;

/// Told by the writer what became of a batch.
type Done<T> = Box<dyn FnOnce(Result<T, BatchError>) + Send>;

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
        batch: Batch,
        time_left: Option<Duration>,
    ) -> Result<Vec<Response>, StepFailure> {
        self.written(batch, |batch, done| {
            self.database.write_batch(batch, time_left, done)
        })
        .await
    }

    /// Waits for what was given to the writer.
    async fn written<T: Send + 'static>(
        &self,
        batch: Batch,
        queue: impl FnOnce(Batch, Done<T>) -> Result<(), BatchError>,
    ) -> Result<T, StepFailure> {
        let (answer, answered) = oneshot::channel();
        let done = Box::new(move |result| {
            // The client may have given up meanwhile.
            let _ = answer.send(result);
        });
        // Held until the answer, so that freeing them is not the writer's work.
        let arguments: Vec<_> = batch
            .steps
            .iter()
            .map(|step| Arc::clone(&step.arguments))
            .collect();
        queue(batch, done).map_err(step_failure)?;
        let answered = answered.await;
        drop(arguments);
        match answered {
            Ok(result) => result.map_err(step_failure),
            Err(_) => Err(ended("the writer ended".to_owned())),
        }
    }

    /// Tries one read where it is asked, for a moment.
    async fn read(
        &self,
        batch: Batch,
        time_left: Option<Duration>,
    ) -> Result<Vec<Response>, StepFailure> {
        if let [step] = &batch.steps[..] {
            let who = (&step.statement, &step.access);
            let limit = Some(TRIED_READ_LIMIT);
            match self.database.read_as(who, &step.arguments, limit) {
                Err(ExecuteError::Query(QueryError::Stopped)) => {}
                Ok(response) => return Ok(vec![response]),
                Err(error) => {
                    let failure = failure(error);
                    return Err(StepFailure { at: 0, failure });
                }
            }
        }
        self.scan(batch, time_left).await
    }

    async fn scan(
        &self,
        batch: Batch,
        time_left: Option<Duration>,
    ) -> Result<Vec<Response>, StepFailure> {
        let busy = || StepFailure {
            at: 0,
            failure: Failure::Busy,
        };
        let place = Place::take(&self.waiting).ok_or_else(busy)?;
        let permit = Arc::clone(&self.scans).acquire_owned().await;
        let permit = permit.map_err(|_| busy())?;
        let database = Arc::clone(&self.database);
        let scan = tokio::task::spawn_blocking(move || {
            let result = database.read_batch(&batch, time_left);
            drop((permit, place));
            result
        });
        match scan.await {
            Ok(result) => result.map_err(step_failure),
            Err(error) => Err(ended(error.to_string())),
        }
    }
}

impl Node for JoinedDatabase {
    fn prepare(&self, statement: &str) -> Result<Prepared, Failure> {
        self.database.prepare(statement).map_err(failure)
    }

    fn last_transaction(&self, _: &ExecutePermit) -> u64 {
        self.database.last_commit()
    }

    async fn execute(
        &self,
        steps: Vec<PermittedStep>,
        time_left: Option<Duration>,
    ) -> Result<Vec<Response>, StepFailure> {
        let batch = batch_of(steps);
        let writes = |step: &Step| step.statement.is_mutation();
        if batch.steps.iter().any(writes) {
            self.write(batch, time_left).await
        } else {
            self.read(batch, time_left).await
        }
    }

    async fn execute_once(
        &self,
        steps: Vec<PermittedStep>,
        once: Once,
        time_left: Option<Duration>,
    ) -> Result<Ran, StepFailure> {
        self.written(batch_of(steps), |batch, done| {
            self.database.write_once(batch, once, time_left, done)
        })
        .await
    }

    type Watch = Watch;

    fn watch(
        &self,
        _: &ExecutePermit,
        statement: &Prepared,
        on_touched: impl Fn() + Send + Sync + 'static,
    ) -> Result<Watch, Failure> {
        let watch = self.database.watch(statement, on_touched);
        watch.map_err(failure)
    }

    fn presence(&self, _: PresencePermit) -> Result<Vec<u8>, Failure> {
        let internal = |reason| Failure::Internal { reason };
        let graph = self.database.presence();
        let graph = graph.ok_or_else(|| internal("the node has no peer key".to_owned()))?;
        serde_json::to_vec(&graph).map_err(|error| internal(chain(&error)))
    }

    async fn begin_attachment(&self, _: UploadPermit) -> Result<AttachmentWriter, ContentFailure> {
        let database = Arc::clone(&self.database);
        aside(move || {
            let begun = database.write_attachment();
            begun.map_err(ContentFailure::Content)
        })
        .await
    }

    async fn find_attachment(
        &self,
        permit: DownloadPermit,
        id: AttachmentId,
    ) -> Result<Option<AttachmentReader>, ContentFailure> {
        let database = Arc::clone(&self.database);
        aside(move || find_attachment(&database, &permit.into_access(), id)).await
    }

    fn websocket_door(&self) -> Option<WebSocketDoor> {
        self.database.websocket_door()
    }
}

fn batch_of(steps: Vec<PermittedStep>) -> Batch {
    let steps = steps.into_iter().map(|step| Step {
        statement: step.statement,
        arguments: Arc::new(step.arguments),
        access: step.permit.into_access(),
    });
    Batch {
        steps: steps.collect(),
    }
}

/// Runs what waits for the disk on a thread of its own.
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ContentFailure> + Send + 'static,
) -> Result<T, ContentFailure> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| {
        let reason = error.to_string();
        Err(ContentFailure::Internal { reason })
    })
}

/// Content that this client may have: any, or what a document refers to that it may read.
fn find_attachment(
    database: &Database,
    access: &Access,
    id: AttachmentId,
) -> Result<Option<AttachmentReader>, ContentFailure> {
    if !access.reads_everything() {
        let (mut asked, mut is_readable) = (0, false);
        let visited = database
            .snapshot()
            .documents_mentioning(id, &mut |collection, document| {
                is_readable = access.may_read(collection, document);
                asked += 1;
                if is_readable || asked == DOCUMENTS_ASKED_MAX {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            });
        visited.map_err(|error| ContentFailure::Internal {
            reason: chain(&error),
        })?;
        if !is_readable {
            return Ok(None);
        }
    }
    database.attachment(id).map_err(ContentFailure::Content)
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

fn step_failure(error: BatchError) -> StepFailure {
    StepFailure {
        at: error.at,
        failure: failure(error.error),
    }
}

fn ended(reason: String) -> StepFailure {
    StepFailure {
        at: 0,
        failure: Failure::Internal { reason },
    }
}

fn failure(error: ExecuteError) -> Failure {
    match error {
        ExecuteError::Query(error) => query_failure(error),
        ExecuteError::Busy => Failure::Busy,
        ExecuteError::TransactionExpired { .. } => Failure::TimedOut,
        ExecuteError::NotObservable => Failure::Statement {
            code: "not_observable",
            message: error.to_string(),
            place: None,
        },
        refused @ ExecuteError::NotPermitted { .. } => Failure::NotPermitted {
            message: refused.to_string(),
        },
        refused @ ExecuteError::CallerNotPermitted { .. } => Failure::CallerNotPermitted {
            message: refused.to_string(),
        },
        refused @ ExecuteError::OtherRequest => Failure::OtherRequest {
            message: refused.to_string(),
        },
        refused @ ExecuteError::AnswerTooLarge { .. } => Failure::AnswerTooLarge {
            message: refused.to_string(),
        },
        ref refused @ ExecuteError::AnswersFull { is_own, ends_in } => Failure::AnswersFull {
            is_own,
            ends_in,
            message: refused.to_string(),
        },
        error @ (ExecuteError::TooMany { .. }
        | ExecuteError::BatchLength { .. }
        | ExecuteError::NotInBatch) => Failure::Statement {
            code: "limit",
            message: error.to_string(),
            place: None,
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
