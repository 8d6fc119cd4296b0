//! The one border between the routes and the database: what a route may ask and what it is told.
//! Nothing behind it knows HTTP; nothing before it knows storage.

use std::future::Future;
use std::time::Duration;

use tombolo::{
    AttachmentId, AttachmentReader, AttachmentWriter, Object, Once, Prepared, Ran, WebSocketDoor,
};

use super::attachments::ContentFailure;
use super::authorize::{DownloadPermit, ExecutePermit, PresencePermit, UploadPermit};

/// A database that runs statements and knows its neighbours.
pub(crate) trait Node: Send + Sync + 'static {
    /// Parses a statement.
    fn prepare(&self, statement: &str) -> Result<Prepared, Failure>;

    /// The newest transaction that reads see; those of this node are numbered as they are kept.
    fn last_transaction(&self, permit: &ExecutePermit) -> u64;

    /// Runs statements, all or none of them; one at least. `time_left` is what remains
    /// until the client is told 408.
    fn execute(
        &self,
        steps: Vec<PermittedStep>,
        time_left: Option<Duration>,
    ) -> impl Future<Output = Result<Vec<tombolo::Response>, StepFailure>> + Send;

    /// The same of statements of which one at least writes, once: who sends them again under the same key is given
    /// the answer that was kept, and nothing runs.
    fn execute_once(
        &self,
        steps: Vec<PermittedStep>,
        once: Once,
        time_left: Option<Duration>,
    ) -> impl Future<Output = Result<Ran, StepFailure>> + Send;

    /// What ends the watching when it is dropped.
    type Watch: Send + Sync + 'static;

    /// Calls `on_touched` whenever a commit may have changed the answer of a SELECT; it must only
    /// take note.
    fn watch(
        &self,
        permit: &ExecutePermit,
        statement: &Prepared,
        on_touched: impl Fn() + Send + Sync + 'static,
    ) -> Result<Self::Watch, Failure>;

    /// This node and those that it is linked with, as JSON. Waits for nothing.
    fn presence(&self, permit: PresencePermit) -> Result<Vec<u8>, Failure>;

    /// Begins new content of an attachment.
    fn begin_attachment(
        &self,
        permit: UploadPermit,
    ) -> impl Future<Output = Result<AttachmentWriter, ContentFailure>> + Send;

    /// The content of an attachment; `None` if it is not held, or not for this client.
    fn find_attachment(
        &self,
        permit: DownloadPermit,
        id: AttachmentId,
    ) -> impl Future<Output = Result<Option<AttachmentReader>, ContentFailure>> + Send;

    /// Where peers are let in over WebSocket; `None` while the node does not sync.
    fn websocket_door(&self) -> Option<WebSocketDoor>;
}

/// A statement that may be run.
#[derive(Debug)]
pub(crate) struct PermittedStep {
    pub(crate) permit: ExecutePermit,
    pub(crate) statement: Prepared,
    pub(crate) arguments: Object,
}

/// Which of several statements did not succeed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct StepFailure {
    /// From zero.
    pub(crate) at: usize,
    pub(crate) failure: Failure,
}

/// Why a statement did not succeed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The caller's fault: 400.
    Statement {
        /// For machines; never changes its spelling.
        code: &'static str,
        message: String,
        /// Line and column in the statement's text, both from 1.
        place: Option<(usize, usize)>,
    },
    /// The node's own login does not let it write this: 403.
    NotPermitted { message: String },
    /// The rules of the caller do not let it do this: 403.
    CallerNotPermitted { message: String },
    /// The key of a request came before with another one: 422.
    OtherRequest { message: String },
    /// The answer is too long to be kept for a key: 422.
    AnswerTooLarge { message: String },
    /// There is no room for another answer: 429 if they are the caller's, 503 otherwise.
    AnswersFull {
        is_own: bool,
        /// When there may be room again, at the earliest.
        ends_in: Duration,
        message: String,
    },
    /// Too many statements wait: 503.
    Busy,
    /// The time was over: 408.
    TimedOut,
    /// Ours: 500. The text goes to the log, never to the client.
    Internal { reason: String },
}

impl Failure {
    /// Whether one of several statements is at fault, rather than the request as a whole.
    pub(crate) const fn is_of_one_statement(&self) -> bool {
        !matches!(
            self,
            Self::OtherRequest { .. } | Self::AnswerTooLarge { .. } | Self::AnswersFull { .. }
        )
    }
}
