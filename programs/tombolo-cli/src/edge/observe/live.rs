//! One live query: what is observed, by whom, and what the client was told of it.
//! It holds fingerprints of rows and a count of commits, never a row and never an event.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use bytes::Bytes;
use http::StatusCode;
use tokio::sync::Notify;
use tombolo::{Differ, Object, Prepared, Value};
use tombolo_http::RequestId;

use super::Observing;
use super::events::{Framing, TooLarge, Writer};
use super::limits::{
    EVENT_BYTES_MAX, OBSERVED_IDENTITY_MAX, OBSERVED_NODE_MAX, ROWS_MAX, ROWS_NODE_MAX,
    UNREAD_BYTES_NODE_MAX,
};
use super::places::{Full, Place, Share};
use crate::edge::authorize::{Caller, ExecutePermit};
use crate::edge::node::{Node, PermittedStep};
use crate::edge::question::Question;
use crate::edge::record::Record;
use crate::edge::refuse::{refuse_client, refuse_failed};
use crate::edge::reply::Refused;

/// Who observes where, in answer to which request.
pub(super) type Whose<N> = (Arc<Observing<N>>, Caller, RequestId);

/// A SELECT that is observed.
pub(super) struct LiveQuery<N: Node> {
    whose: Whose<N>,
    statement: Prepared,
    arguments: Object,
    framing: Framing,
    touched: Arc<Touched>,
    /// Commits that the newest run saw or that came before it.
    answered: u64,
    /// Commits that came together while the client did not read.
    behind: Option<u64>,
    differ: Differ,
    /// Of the event told last.
    sequence: u64,
    /// Of the rows that `differ` knows.
    rows: Share,
    _place: Place,
    _watch: N::Watch,
}

/// How many commits touched what is observed, and whom to wake for it.
#[derive(Debug)]
struct Touched {
    commits: AtomicU64,
    wake: Arc<Notify>,
}

/// Bytes that count as unread until they are dropped.
struct Unread {
    bytes: Vec<u8>,
    _share: Share,
}

impl AsRef<[u8]> for Unread {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl<N: Node> LiveQuery<N> {
    /// Runs a statement for the first time and gives the event `initial`. From now on `wake` is
    /// notified of commits.
    pub(super) async fn begin(
        whose: Whose<N>,
        question: Question,
        (framing, wake): (Framing, Arc<Notify>),
        record: &mut Record,
    ) -> Result<(Self, Bytes), Refused> {
        let (observing, caller, id) = &whose;
        let Question {
            statement,
            arguments,
        } = question;
        let statement = observing.node.prepare(&statement);
        let statement = statement.map_err(|failure| refuse_failed(failure, *id))?;
        record.statements.push(statement.clone());
        let permit = caller.permit_observe(&statement).map_err(refuse_client)?;
        let place = observing
            .places
            .take(caller.audit_id())
            .map_err(refuse_full)?;
        let touched = Arc::new(Touched {
            commits: AtomicU64::new(0),
            wake,
        });
        let telling = Arc::clone(&touched);
        // Before the first run, so that no commit falls between.
        let watch = observing
            .node
            .watch(&permit, &statement, move || telling.tell());
        let watch = watch.map_err(|failure| refuse_failed(failure, *id))?;
        let mut query = Self {
            rows: observing.rows.share(),
            whose,
            statement,
            arguments,
            framing,
            touched,
            answered: 0,
            behind: None,
            differ: Differ::new(),
            sequence: 0,
            _place: place,
            _watch: watch,
        };
        let rows = query.run().await?;
        record.rows = rows.len() as u64;
        query.differ.diff(&rows);
        let mut writer = Writer::new(&query.framing);
        let written = writer.initial(query.sequence + 1, &rows);
        written.map_err(|TooLarge| refuse_event())?;
        let bytes = writer.finish();
        query.sequence += 1;
        let initial = query.unread(bytes)?;
        Ok((query, initial))
    }

    /// Completes when a commit came that the client was not told of.
    pub(super) async fn touched(&self) {
        while !self.is_touched() {
            self.touched.wake.notified().await;
        }
    }

    /// Whether such a commit came.
    pub(super) fn is_touched(&self) -> bool {
        self.touched.commits() != self.answered
    }

    /// Takes note that the client took nothing for a while until now.
    pub(super) fn has_stalled(&mut self) {
        let waiting = self.touched.commits() - self.answered;
        if waiting > 1 {
            self.behind = Some(waiting);
        }
    }

    /// Runs again, on what is newest, and gives what changed; `None` if nothing did.
    ///
    /// # Errors
    /// It cannot go on, and [`LiveQuery::last_words`] is all that there is left to tell.
    pub(super) async fn again(&mut self) -> Result<Option<Bytes>, Refused> {
        let observing = Arc::clone(&self.whose.0);
        // Never closed; and without a turn there would only be one more that runs.
        let _turn = observing.turns.acquire().await.ok();
        let rows = self.run().await?;
        let diff = self.differ.diff(&rows);
        let behind = self.behind.take();
        if diff.is_empty() {
            return Ok(None);
        }
        let mut writer = Writer::new(&self.framing);
        if let Some(merged) = behind {
            self.sequence += 1;
            writer.behind(self.sequence, merged);
        }
        self.sequence += 1;
        let written = writer.change(self.sequence, &diff, &rows);
        written.map_err(|TooLarge| refuse_event())?;
        let bytes = writer.finish();
        self.unread(bytes).map(Some)
    }

    /// The event that tells why it is over.
    pub(super) fn last_words(&mut self, refused: &Refused) -> Bytes {
        self.sequence += 1;
        let mut writer = Writer::new(&self.framing);
        writer.error(self.sequence, refused);
        writer.finish().into()
    }

    pub(super) const fn observing(&self) -> &Arc<Observing<N>> {
        &self.whose.0
    }

    /// Whether its client may observe it by now: a key may be revoked and a permission may end
    /// while its holder is here.
    pub(super) fn permit(&self) -> Result<ExecutePermit, Refused> {
        let (observing, caller, _) = &self.whose;
        let caller = observing.door.again(caller).map_err(refuse_client)?;
        caller
            .permit_observe(&self.statement)
            .map_err(refuse_client)
    }

    async fn run(&mut self) -> Result<Vec<Value>, Refused> {
        let permit = self.permit()?;
        let (observing, _, id) = &self.whose;
        self.answered = self.touched.commits();
        let step = PermittedStep {
            permit,
            statement: self.statement.clone(),
            arguments: self.arguments.clone(),
        };
        let run = observing
            .node
            .execute(vec![step], observing.request_timeout);
        let done = run.await;
        let mut done = done.map_err(|failed| refuse_failed(failed.failure, *id))?;
        let rows = done.pop().unwrap_or_default().items;
        if rows.len() > ROWS_MAX {
            return Err(refuse_rows());
        }
        if !self.rows.resize(rows.len()) {
            return Err(refuse_memory());
        }
        Ok(rows)
    }

    fn unread(&self, bytes: Vec<u8>) -> Result<Bytes, Refused> {
        let mut share = self.whose.0.unread_bytes.share();
        if !share.resize(bytes.capacity()) {
            return Err(refuse_memory());
        }
        let unread = Unread {
            bytes,
            _share: share,
        };
        Ok(Bytes::from_owner(unread))
    }
}

impl Touched {
    fn tell(&self) {
        self.commits.fetch_add(1, SeqCst);
        self.wake.notify_one();
    }

    fn commits(&self) -> u64 {
        self.commits.load(SeqCst)
    }
}

fn refuse_full(full: Full) -> Refused {
    match full {
        Full::Identity => Refused::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too_many_observed",
            format!(
                "this identity observes {OBSERVED_IDENTITY_MAX} statements already; end some of them"
            ),
        ),
        Full::Node => Refused::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "busy_observed",
            format!(
                "{OBSERVED_NODE_MAX} statements are observed on this node already; try again later"
            ),
        ),
    }
}

fn refuse_rows() -> Refused {
    let text = format!(
        "the statement has more than {ROWS_MAX} rows, which is as many as can be observed; add a LIMIT or a narrower WHERE"
    );
    Refused::new(StatusCode::BAD_REQUEST, "too_many_rows", text)
}

fn refuse_event() -> Refused {
    let text = format!(
        "what is to be told takes more than {EVENT_BYTES_MAX} bytes at once; observe fewer rows or fields"
    );
    Refused::new(StatusCode::BAD_REQUEST, "event_too_large", text)
}

fn refuse_memory() -> Refused {
    let text = format!(
        "all live queries of this node together hold {ROWS_NODE_MAX} rows, or {UNREAD_BYTES_NODE_MAX} bytes that clients have not taken yet; try again later"
    );
    Refused::new(StatusCode::SERVICE_UNAVAILABLE, "busy_observed", text)
}
