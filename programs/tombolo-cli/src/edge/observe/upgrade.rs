//! From a request to a WebSocket, and who its client is: a message there is as good as a request, so it is
//! throttled, permitted and recorded like one.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use futures_util::StreamExt;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tombolo_http::{Request, Response};

use super::Observing;
use super::limits::{KEY_LIMIT, SOCKETS_MAX, SOCKETS_UNPROVEN_MAX};
use super::message::Message;
use super::socket::{End, Socket, text_of};
use crate::edge::authorize::{Asking, Caller};
use crate::edge::endpoint::Endpoint;
use crate::edge::node::Node;
use crate::edge::record::{Record, RecordPlace, Recording};
use crate::edge::refuse::{refuse_client, refuse_often, refuse_unrecorded};
use crate::edge::reply::Refused;
use crate::edge::throttle::Origin;
use crate::edge::{Edge, websocket};

const NO_KEY: End = End::Told(CloseCode::Policy, "no_key");

/// The WebSockets of one node.
#[derive(Debug)]
pub(super) struct Sockets {
    all: Arc<Semaphore>,
    /// Those whose client has not said yet who it is.
    unproven: Arc<Semaphore>,
}

impl Sockets {
    pub(super) fn new() -> Self {
        Self {
            all: Arc::new(Semaphore::new(SOCKETS_MAX)),
            unproven: Arc::new(Semaphore::new(SOCKETS_UNPROVEN_MAX)),
        }
    }

    /// Completes when there is none.
    pub(super) async fn gone(&self) {
        let all = u32::try_from(SOCKETS_MAX).unwrap_or(u32::MAX);
        // It is never closed.
        drop(self.all.acquire_many(all).await);
    }
}

/// Whether a client wants a WebSocket.
pub(in crate::edge) fn asks_for_socket(headers: &HeaderMap) -> bool {
    headers.contains_key(header::UPGRADE)
}

/// Whether a client wants a WebSocket and has sent no key: it may still do so in its first message, because a
/// browser lets no page send a header with it.
pub(in crate::edge) fn brings_key_later(endpoint: Endpoint, headers: &HeaderMap) -> bool {
    endpoint == Endpoint::Observe
        && asks_for_socket(headers)
        && !headers.contains_key(header::AUTHORIZATION)
}

/// Switches a request to WebSocket; the connection is a task of its own from then on. From which page it comes was
/// judged before.
pub(super) fn switch<N: Node>(
    edge: &Edge<N>,
    mut request: Request,
    caller: &Caller,
    record: &Record,
) -> Result<Response, Refused> {
    let headers = match websocket::accept(&request) {
        Ok(headers) => headers,
        Err(response) => return Ok(*response),
    };
    if request.head.uri.query().is_some() {
        let text =
            "a WebSocket is asked by messages; send neither a statement nor a key in the URL";
        return Err(Refused::new(StatusCode::BAD_REQUEST, "bad_query", text));
    }
    let observing = Arc::clone(&edge.observing);
    let place = place(&observing.sockets.all, SOCKETS_MAX)?;
    let unproven = match caller {
        Caller::Nobody => Some(place_unproven(&observing.sockets)?),
        Caller::Anyone | Caller::Identity { .. } => None,
    };
    let Some(upgrade) = request.take_upgrade() else {
        let text = "this connection cannot become a WebSocket; ask over HTTP/1.1";
        let status = StatusCode::UPGRADE_REQUIRED;
        return Err(Refused::new(status, "no_websocket", text));
    };
    let caller = caller.clone();
    let record = Record {
        // Each message has a place of its own, and this one is the request's.
        place: RecordPlace::NotNeeded,
        ..record.clone()
    };
    tokio::spawn(async move {
        if let Ok(stream) = upgrade.stream().await {
            let socket = Socket::accepted(stream, observing, caller, record).await;
            socket.run(unproven).await;
        }
        drop(place);
    });
    Ok(websocket::switched(headers))
}

fn place(of: &Arc<Semaphore>, max: usize) -> Result<OwnedSemaphorePermit, Refused> {
    Arc::clone(of).try_acquire_owned().map_err(|_| {
        let text = format!("{max} WebSockets are open on this node already; try again later");
        Refused::new(StatusCode::SERVICE_UNAVAILABLE, "busy_sockets", text)
    })
}

fn place_unproven(sockets: &Sockets) -> Result<OwnedSemaphorePermit, Refused> {
    place(&sockets.unproven, SOCKETS_UNPROVEN_MAX).map_err(|refused| Refused {
        description: format!(
            "{SOCKETS_UNPROVEN_MAX} WebSockets wait for the key of their client already; send it in the header Authorization, or try again later"
        ),
        ..refused
    })
}

impl<N> Observing<N> {
    /// A record of its own for a message.
    pub(super) fn recording(&self, of: &Record) -> Recording<'_> {
        Recording::again(of, &*self.door.clock, &*self.door.recorder)
    }

    /// Counts a message for its client.
    pub(super) fn admit(&self, record: &Record, caller: &Caller) -> Result<(), Refused> {
        let (throttle, now) = (&self.door.throttle, self.door.clock.now().monotonic);
        let origin = Origin {
            address: record.address,
            endpoint: Some(Endpoint::Observe),
        };
        throttle.admit(origin, now).map_err(refuse_often)?;
        match caller.audit_id() {
            Some(identity) => throttle.admit_identity(identity, now).map_err(refuse_often),
            None => Ok(()),
        }
    }

    /// Lets only pass what can be recorded, where reads must be.
    pub(super) fn require_place(&self, record: &Record) -> Result<(), Refused> {
        if self.door.recorder.needs_reads() {
            record.require_place().map_err(refuse_unrecorded)?;
        }
        Ok(())
    }

    /// Whether a client may still be here.
    pub(super) fn may_stay(&self, caller: &Caller) -> Result<(), End> {
        let again = self.door.again(caller);
        let allowed = again.and_then(|caller| caller.may_use(Endpoint::Observe));
        allowed.map_err(|refusal| End::Told(CloseCode::Policy, refuse_client(refusal).code))
    }

    /// Finds out who has this key.
    async fn identify(&self, key: &str, record: &mut Record) -> Result<Caller, Refused> {
        let now = self.door.clock.now();
        let unix = now.wall.duration_since(UNIX_EPOCH).unwrap_or_default();
        let asking = Asking {
            address: record.address,
            now: now.monotonic,
            now_ms: unix_ms(unix),
        };
        let mut headers = HeaderMap::new();
        if let Ok(mut bearer) = HeaderValue::try_from(format!("Bearer {key}")) {
            bearer.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, bearer);
        }
        let identified = self.door.guard.identify(&headers, asking).await;
        let caller = identified.map_err(refuse_client)?;
        record.identity = caller.audit_id().map(str::to_owned);
        self.admit(record, &caller)?;
        caller.may_use(Endpoint::Observe).map_err(refuse_client)?;
        Ok(caller)
    }
}

pub(super) fn unix_ms(unix: Duration) -> u64 {
    u64::try_from(unix.as_millis()).unwrap_or(u64::MAX)
}

impl<N: Node, S: AsyncRead + AsyncWrite + Unpin> Socket<N, S> {
    /// Takes the key from the first message.
    pub(super) async fn authenticate(&mut self) -> Result<(), End> {
        let first = timeout(KEY_LIMIT, self.first_text()).await;
        let text = first.map_err(|_| NO_KEY)??;
        let Ok(Message::Authenticate { key }) = Message::parse(&text) else {
            return Err(NO_KEY);
        };
        let observing = Arc::clone(&self.observing);
        let mut recording = observing.recording(&self.record);
        let record = &mut recording.record;
        let identified = match observing.require_place(record) {
            Ok(()) => observing.identify(&key, record).await,
            Err(full) => Err(full),
        };
        record.status = Some(match &identified {
            Ok(_) => StatusCode::OK,
            Err(refused) => refused.status,
        });
        record.error = identified.as_ref().err().map(|refused| refused.code);
        recording.conclude().await;
        match identified {
            Ok(caller) => {
                self.record.identity = caller.audit_id().map(str::to_owned);
                self.caller = caller;
                self.welcome().await
            }
            Err(refused) => {
                self.refuse("", &refused).await?;
                let code = match refused.status {
                    StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => CloseCode::Policy,
                    _ => CloseCode::Again,
                };
                Err(End::Told(code, refused.code))
            }
        }
    }

    async fn first_text(&mut self) -> Result<tokio_tungstenite::tungstenite::Utf8Bytes, End> {
        loop {
            let arrived = self.messages.next().await;
            if let Some(text) = text_of(arrived)? {
                return Ok(text);
            }
        }
    }

    /// Tells a client that its key is known.
    pub(super) async fn welcome(&mut self) -> Result<(), End> {
        self.send(bytes::Bytes::from_static(b"{\"type\":\"authenticated\"}"))
            .await
    }
}
