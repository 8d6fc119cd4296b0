//! What is told of each request when it is over: to whom, about what, how it ended. Never a value or a key.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::StatusCode;
use tombolo::{Prepared, StatementKind};
use tombolo_http::{Request, RequestId};

use super::clock::Clock;
use super::endpoint::Endpoint;
use crate::audit::{Admission, Written};

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
    /// Who logged in, or tried to.
    pub(crate) login: Option<LoginTold>,
    /// The place that its record has in the audit log.
    pub(crate) place: RecordPlace,
}

/// A place in the audit log, taken before anything happens.
#[derive(Debug, Clone, Default)]
pub(crate) enum RecordPlace {
    /// Nobody keeps an audit log.
    #[default]
    NotNeeded,
    Taken(Arc<Admission>),
    /// What must be recorded must not happen.
    Full,
}

/// What the identity service tells of a login. It travels with the answer and is never sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LoginTold {
    pub(crate) user: Option<String>,
    /// The public key of the device.
    pub(crate) peer: Option<String>,
    pub(crate) provider: Option<String>,
    /// Why it was refused.
    pub(crate) code: Option<&'static str>,
}

impl Record {
    /// Lets only pass what can be recorded.
    ///
    /// # Errors
    /// There is no room for its record.
    pub(crate) fn require_place(&self) -> Result<(), RecorderFull> {
        match self.place {
            RecordPlace::Full => Err(RecorderFull),
            RecordPlace::NotNeeded | RecordPlace::Taken(_) => Ok(()),
        }
    }

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
    /// Takes a place for the record of a request, before anything else is done for it. Without one, writes, refusals
    /// and logins are answered 503, and reads too if [`Recorder::needs_reads`].
    fn admit(&self) -> RecordPlace;

    /// Whether a read that has no place must be refused.
    fn needs_reads(&self) -> bool;

    /// Told once for each request, also for one that was given up. What it gives must be waited for before the
    /// answer leaves.
    fn record(&self, record: &mut Record) -> Option<Written>;
}

/// There is no room for another record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the audit log cannot take another record at present; try again later")]
pub(crate) struct RecorderFull;

/// A record on its way; told when dropped, so that a request which was given up is told too.
pub(super) struct Recording<'r> {
    pub(super) record: Record,
    begun: Duration,
    clock: &'r dyn Clock,
    recorder: &'r dyn Recorder,
    is_told: bool,
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
                login: None,
                place: recorder.admit(),
            },
            begun: now.monotonic,
            clock,
            recorder,
            is_told: false,
        }
    }

    /// Begins the record of a message on a connection that a request became.
    pub(super) fn again(of: &Record, clock: &'r dyn Clock, recorder: &'r dyn Recorder) -> Self {
        let now = clock.now();
        let record = Record {
            at: now.wall,
            statements: Vec::new(),
            documents: 0,
            rows: 0,
            status: None,
            error: None,
            duration: Duration::ZERO,
            place: recorder.admit(),
            ..of.clone()
        };
        Self {
            record,
            begun: now.monotonic,
            clock,
            recorder,
            is_told: false,
        }
    }

    /// Tells the record at once; what it gives waits until that is as safe as it is promised to be.
    pub(super) fn conclude(mut self) -> impl Future<Output = ()> + use<> {
        let written = self.tell();
        async {
            if let Some(written) = written {
                // A log that ended meanwhile has said so.
                let _ = written.wait().await;
            }
        }
    }

    fn tell(&mut self) -> Option<Written> {
        self.is_told = true;
        self.record.duration = self.clock.now().monotonic.saturating_sub(self.begun);
        self.recorder.record(&mut self.record)
    }
}

impl Recording<'_> {
    /// When the request's head was complete, by the monotonic clock.
    pub(super) const fn begun(&self) -> Duration {
        self.begun
    }
}

impl Drop for Recording<'_> {
    fn drop(&mut self) {
        if !self.is_told {
            // Nobody waits for the answer any more.
            drop(self.tell());
        }
    }
}
