//! What is told of each request when it is over: to whom, about what, how it ended. Never a value or a key.

use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use http::StatusCode;
use tombolo::{Prepared, StatementKind};
use tombolo_http::{Request, RequestId};

use super::clock::Clock;
use super::endpoint::Endpoint;

/// One request. Filled along the way; what was never learned stays empty.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) request_id: RequestId,
    /// When its head was complete.
    pub(crate) at: SystemTime,
    /// The client's, behind trusted proxies too.
    pub(crate) address: IpAddr,
    /// `None`: its path leads nowhere.
    pub(crate) endpoint: Option<Endpoint>,
    /// The identity's `id`; `None` before a key was recognized, and where none is asked for.
    pub(crate) identity: Option<String>,
    /// The statements it ran or was refused, in order.
    pub(crate) statements: Vec<Prepared>,
    /// Documents that were written or removed.
    pub(crate) documents: u64,
    /// Rows that were answered.
    pub(crate) rows: u64,
    /// `None`: the client left, or the time was over, before there was an answer.
    pub(crate) status: Option<StatusCode>,
    /// The code of the error body.
    pub(crate) error: Option<&'static str>,
    /// From `at` to the answer.
    pub(crate) duration: Duration,
}

impl Record {
    /// The kinds of its statements.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = StatementKind> {
        self.statements.iter().map(Prepared::kind)
    }

    /// The collections that its statements read or write, sorted.
    pub(crate) fn collections(&self) -> Vec<String> {
        let mut names: Vec<String> = self
            .statements
            .iter()
            .flat_map(Prepared::collections)
            .collect();
        names.sort();
        names.dedup();
        names
    }
}

/// Who is told of requests. Called on the threads that serve: it must not wait.
pub(crate) trait Recorder: Send + Sync + fmt::Debug {
    /// Asked before anything is changed or handed out that must be recorded.
    ///
    /// # Errors
    /// There is no room to record it: the request is answered 503 and changes nothing.
    fn admit(&self, record: &Record) -> Result<(), RecorderFull>;

    /// Told once for each request, also for one that was given up.
    fn record(&self, record: &Record);
}

/// There is no room for another record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the audit log cannot take another record at present; try again later")]
pub(crate) struct RecorderFull;

/// Writes each request to the log of the process, at its level debug.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LogRecorder;

impl Recorder for LogRecorder {
    fn admit(&self, _: &Record) -> Result<(), RecorderFull> {
        Ok(())
    }

    fn record(&self, record: &Record) {
        if tracing::enabled!(tracing::Level::DEBUG) {
            tracing::debug!(
                request_id = %record.request_id,
                at = ?record.at,
                address = %record.address,
                endpoint = record.endpoint.map(Endpoint::name),
                identity = record.identity,
                statements = ?record.kinds().map(StatementKind::name).collect::<Vec<_>>(),
                collections = ?record.collections(),
                documents = record.documents,
                rows = record.rows,
                status = record.status.map(|status| status.as_u16()),
                error = record.error,
                duration = ?record.duration,
                "request"
            );
        }
    }
}

/// A record on its way; told when dropped, so that a request which was given up is told too.
pub(super) struct Recording<'r> {
    pub(super) record: Record,
    begun: Duration,
    clock: &'r dyn Clock,
    recorder: &'r dyn Recorder,
}

impl<'r> Recording<'r> {
    pub(super) fn begin(
        request: &Request,
        clock: &'r dyn Clock,
        recorder: &'r dyn Recorder,
    ) -> Self {
        let now = clock.now();
        Self {
            record: Record {
                request_id: request.id,
                at: now.wall,
                address: request.peer.ip().to_canonical(),
                endpoint: None,
                identity: None,
                statements: Vec::new(),
                documents: 0,
                rows: 0,
                status: None,
                error: None,
                duration: Duration::ZERO,
            },
            begun: now.monotonic,
            clock,
            recorder,
        }
    }
}

impl Drop for Recording<'_> {
    fn drop(&mut self) {
        self.record.duration = self.clock.now().monotonic.saturating_sub(self.begun);
        self.recorder.record(&self.record);
    }
}
