//! `/observe`: a SELECT whose rows are sent, and then what changes of them, for as long as the
//! client stays. Nothing is kept for a client that does not read but that there is something new.

mod ask;
mod events;
mod limits;
mod live;
mod message;
mod places;
mod socket;
#[cfg(test)]
mod socket_tests;
mod stream;
#[cfg(test)]
mod tests;
mod upgrade;

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use http::{HeaderMap, Method, StatusCode, header};
use tokio::sync::{Semaphore, watch};
use tombolo_http::{Request, Response};

use super::Edge;
use super::authorize::{AuthRefusal, Caller, Guard};
use super::clock::Clock;
use super::media::Media;
use super::node::Node;
use super::question::Question;
use super::record::{Record, Recorder};
use super::refuse::{refuse_body, refuse_other_than_json, refuse_question};
use super::reply::Refused;
use super::throttle::Throttle;

use events::Framing;
use live::LiveQuery;
use places::{Budget, Places};
use upgrade::{Sockets, asks_for_socket};

pub(super) use upgrade::brings_key_later;

/// What all live queries of one node share.
#[derive(Debug)]
pub(super) struct Observing<N> {
    node: Arc<N>,
    request_timeout: Option<Duration>,
    places: Places,
    /// Rows whose fingerprints are held.
    rows: Arc<Budget>,
    /// Bytes of events that clients have not taken yet.
    unread_bytes: Arc<Budget>,
    /// Those that run again after a commit.
    turns: Semaphore,
    sockets: Sockets,
    /// Whether the server stops.
    stopping: watch::Sender<bool>,
    door: Door,
}

/// Who may come and stay, how often they may ask, and who is told of it.
#[derive(Debug, Clone)]
pub(super) struct Door {
    pub(super) guard: Arc<Guard>,
    pub(super) throttle: Arc<Throttle>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) recorder: Arc<dyn Recorder>,
}

impl Door {
    /// Who a client is by now.
    fn again(&self, caller: &Caller) -> Result<Caller, AuthRefusal> {
        let now = self.clock.now().wall.duration_since(UNIX_EPOCH);
        let now_ms = upgrade::unix_ms(now.unwrap_or_default());
        self.guard.again(caller, now_ms)
    }
}

impl<N> Observing<N> {
    pub(super) fn new(node: Arc<N>, request_timeout: Option<Duration>, door: Door) -> Self {
        Self {
            node,
            request_timeout,
            places: Places::default(),
            rows: Budget::new(limits::ROWS_NODE_MAX),
            unread_bytes: Budget::new(limits::UNREAD_BYTES_NODE_MAX),
            turns: Semaphore::new(limits::RUNS_MAX),
            sockets: Sockets::new(),
            stopping: watch::Sender::new(false),
            door,
        }
    }

    /// Ends every live query: the server accepts nothing more.
    pub(super) fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Completes when every WebSocket has said farewell.
    pub(super) async fn gone(&self) {
        self.sockets.gone().await;
    }

    /// Completes when the server stops.
    async fn stopped(&self) {
        let mut stopping = self.stopping.subscribe();
        // The sender is a part of this, so that it cannot be gone.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    }
}

pub(super) async fn observe<N: Node>(
    edge: &Edge<N>,
    request: Request,
    caller: &Caller,
    record: &mut Record,
) -> Result<Response, Refused> {
    if asks_for_socket(&request.head.headers) {
        return upgrade::switch(edge, request, caller, record);
    }
    let id = request.id;
    if !takes_events(&request.head.headers) {
        let text = "this path answers with text/event-stream; send it, or no Accept at all";
        let status = StatusCode::NOT_ACCEPTABLE;
        return Err(Refused::new(status, "not_acceptable", text));
    }
    let question = question(request).await?;
    let observing = Arc::clone(&edge.observing);
    let told = (Framing::ServerSent, Arc::default());
    let begun = LiveQuery::begin((observing, caller.clone(), id), question, told, record);
    let (query, initial) = begun.await?;
    Ok(stream::answer(query, initial))
}

/// What the client wants to observe: in the query of a GET, or in the body of a POST.
async fn question(request: Request) -> Result<Question, Refused> {
    let Request { head, body, .. } = request;
    if head.method == Method::GET {
        let query = head.uri.query().unwrap_or_default();
        return ask::from_query(query).map_err(refuse_question);
    }
    if Media::of_body(&head.headers) != Some(Media::Json) {
        return Err(refuse_other_than_json());
    }
    let body = body.read(limits::QUESTION_BYTES_MAX).await;
    let body = body.map_err(refuse_body)?;
    Question::parse(&body).map_err(refuse_question)
}

/// Whether the client takes a stream of events; who says nothing takes anything.
fn takes_events(headers: &HeaderMap) -> bool {
    let mut fields = headers.get_all(header::ACCEPT).iter().peekable();
    let is_silent = fields.peek().is_none();
    let kinds = fields.filter_map(|value| value.to_str().ok());
    let mut kinds = kinds.flat_map(|value| value.split(','));
    is_silent
        || kinds.any(|kind| {
            let kind = kind.split(';').next().unwrap_or_default().trim();
            ["text/event-stream", "text/*", "*/*"]
                .iter()
                .any(|taken| kind.eq_ignore_ascii_case(taken))
        })
}
