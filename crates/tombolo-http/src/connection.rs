//! One connection from its first byte to its end: which HTTP it speaks, its requests, its watchdog.
//! A request that answers at once costs no timer, no task and no allocation of this crate but its id.

use std::any::Any;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderName, request};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::TokioExecutor;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, interval_at, timeout};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use crate::activity::{Activity, InWork, QUIET_LOOKS, Watchdog};
use crate::answer::{Answer, Refusal, Response, TimeLimit};
use crate::limits::Limits;
use crate::metered::Metered;
use crate::request::{Request, RequestId, Slot};
use crate::request_body::RequestBody;
use crate::tls::{ClientCertificate, Handshake, TlsIdentity};

/// Requests of one HTTP/2 connection in work at once; the client's next ones wait on its side.
const STREAMS_MAX: u32 = 128;
/// While the server drains, a connection without a request in work is looked at this often.
const DRAIN_LOOK: Duration = Duration::from_millis(50);
/// How an HTTP/2 connection begins. No HTTP/1 method starts with `PRI`.
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What all connections of one server share.
pub(crate) struct Site<A> {
    pub(crate) answer: A,
    pub(crate) limits: Limits,
    pub(crate) instance: u32,
    pub(crate) requests: AtomicU64,
}

/// The order to stop, seen by each connection.
pub(crate) type StopSignal = watch::Receiver<()>;

/// Where a connection comes from.
#[derive(Clone)]
struct Origin {
    peer: SocketAddr,
    client: Option<Arc<ClientCertificate>>,
    slot: Arc<Slot>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Http1,
    Http2,
}

impl<A: Answer> Site<A> {
    /// Serves a connection that speaks plain HTTP.
    pub(crate) async fn serve_plain(
        self: Arc<Self>,
        (stream, peer): (TcpStream, SocketAddr),
        slot: Arc<Slot>,
        stop: StopSignal,
    ) {
        let mut stopped = stop.clone();
        let protocol = tokio::select! {
            biased;
            _ = stopped.changed() => None,
            protocol = sniff(&stream, self.limits.slow_client_timeout) => protocol,
        };
        if let Some(protocol) = protocol {
            let client = None;
            let from = Origin { peer, client, slot };
            self.serve(stream, from, protocol, stop).await;
        }
    }

    /// Serves a connection that begins with a TLS handshake.
    pub(crate) async fn serve_tls(
        self: Arc<Self>,
        (stream, peer): (TcpStream, SocketAddr),
        slot: Arc<Slot>,
        stop: StopSignal,
        identity: TlsIdentity,
    ) {
        let mut stopped = stop.clone();
        let accepted = tokio::select! {
            biased;
            _ = stopped.changed() => return,
            accepted = timeout(self.limits.handshake_timeout, shake_hands(stream, identity)) => accepted,
        };
        let stream = match accepted {
            Ok(Ok(Some(stream))) => stream,
            Ok(Ok(None)) => return,
            Ok(Err(error)) => {
                slot.open.counts().fail_handshake();
                tracing::debug!(%peer, %error, "the TLS handshake failed");
                return;
            }
            Err(_) => {
                slot.open.counts().fail_handshake();
                tracing::debug!(%peer, "the TLS handshake took too long");
                return;
            }
        };
        let connection = stream.get_ref().1;
        let protocol = match connection.alpn_protocol() {
            Some(b"h2") => Protocol::Http2,
            _ => Protocol::Http1,
        };
        let from = Origin {
            peer,
            client: ClientCertificate::of(connection),
            slot,
        };
        self.serve(stream, from, protocol, stop).await;
    }

    async fn serve<S>(
        self: Arc<Self>,
        stream: S,
        from: Origin,
        protocol: Protocol,
        stop: StopSignal,
    ) where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let activity = Arc::new(Activity::default());
        let socket = Metered::new(stream, Arc::clone(&activity));
        let (look_every, watchdog) = self.limits.looks();
        let head_wall = self.limits.header_bytes_max.saturating_mul(2);
        let watch = Watch {
            activity: Arc::clone(&activity),
            look_every,
            watchdog,
            stop,
        };
        let service = service_fn(move |request| {
            let in_work = activity.request();
            Arc::clone(&self).handle(request, from.clone(), in_work)
        });
        match protocol {
            Protocol::Http1 => {
                let mut builder = http1::Builder::new();
                builder.header_read_timeout(None).max_header_size(head_wall);
                let connection = builder.serve_connection(socket, service).with_upgrades();
                watch
                    .drive(connection, |connection| connection.graceful_shutdown())
                    .await;
            }
            Protocol::Http2 => {
                let mut builder = http2::Builder::new(TokioExecutor::new());
                builder.max_concurrent_streams(STREAMS_MAX);
                builder.max_header_list_size(u32::try_from(head_wall).unwrap_or(u32::MAX));
                let connection = builder.serve_connection(socket, service);
                watch
                    .drive(connection, |connection| connection.graceful_shutdown())
                    .await;
            }
        }
    }

    async fn handle(
        self: Arc<Self>,
        request: http::Request<Incoming>,
        from: Origin,
        in_work: InWork,
    ) -> Result<Response, Infallible> {
        let count = self.requests.fetch_add(1, Relaxed);
        let id = RequestId {
            instance: self.instance,
            count,
        };
        let (head, incoming) = request.into_parts();
        let mut response = match self.check_head(&head) {
            Ok(()) => {
                let body = RequestBody::new(
                    incoming,
                    (head.version, &head.headers),
                    self.limits.body_bytes_max,
                    Arc::clone(in_work.activity()),
                );
                self.answer_in_time(Request {
                    head,
                    body,
                    id,
                    peer: from.peer,
                    client: from.client,
                    slot: from.slot,
                })
                .await
            }
            Err(refusal) => self.answer.refuse(&refusal),
        };
        response.headers_mut().insert(REQUEST_ID, id.header_value());
        response.body_mut().watch(in_work.activity());
        drop(in_work);
        Ok(response)
    }

    fn check_head(&self, head: &request::Parts) -> Result<(), Refusal> {
        let count_max = self.limits.header_count_max;
        if head.headers.len() > count_max {
            return Err(Refusal::TooManyHeaders { count_max });
        }
        let bytes_max = self.limits.header_bytes_max;
        if head_bytes(head) > bytes_max {
            return Err(Refusal::HeadTooLarge { bytes_max });
        }
        Ok(())
    }

    async fn answer_in_time(&self, request: Request) -> Response {
        let id = request.id;
        let limit = match self.answer.time_limit(&request.head) {
            TimeLimit::OfServer => self.limits.request_timeout,
            TimeLimit::WhileBytesMove => None,
        };
        let mut answer = pin!(self.answer.answer(request));
        // Most answers are ready at the first poll; only the others pay for a timer.
        let first = poll_fn(|context| Poll::Ready(poll_caught(answer.as_mut(), context))).await;
        let rest = poll_fn(|context| poll_caught(answer.as_mut(), context));
        let outcome = match (first, limit) {
            (Poll::Ready(outcome), _) => outcome,
            (Poll::Pending, None) => rest.await,
            (Poll::Pending, Some(limit)) => match timeout(limit, rest).await {
                Ok(outcome) => outcome,
                Err(_) => {
                    let timeout_ms = limit.as_millis();
                    return self.answer.refuse(&Refusal::TimedOut { timeout_ms });
                }
            },
        };
        outcome.unwrap_or_else(|panic| {
            let reason = panic_text(panic.as_ref());
            tracing::error!(request_id = %id, reason, "the route panicked; this is a defect of the program");
            self.answer.refuse(&Refusal::Failed)
        })
    }
}

/// `None`: there is no certificate yet, or the client only asked for a proof and has it.
async fn shake_hands(
    stream: TcpStream,
    identity: TlsIdentity,
) -> std::io::Result<Option<TlsStream<TcpStream>>> {
    let start = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), stream).await?;
    match identity.answer(&start.client_hello()) {
        Handshake::Requests(config) => Ok(Some(start.into_stream(config).await?)),
        Handshake::Proof(config) => {
            let mut stream = start.into_stream(config).await?;
            stream.shutdown().await?;
            Ok(None)
        }
        Handshake::Refused => {
            tracing::debug!("a TLS handshake was refused: there is no certificate for it yet");
            Ok(None)
        }
    }
}

/// Bytes of the request line and the header fields as HTTP/1 writes them.
fn head_bytes(head: &request::Parts) -> usize {
    const LINE_EXTRA: usize = "  HTTP/1.1\r\n".len();
    const FIELD_EXTRA: usize = ": \r\n".len();
    let target = head
        .uri
        .path_and_query()
        .map_or(0, |target| target.as_str().len());
    let line = head.method.as_str().len() + target + LINE_EXTRA;
    let fields = head
        .headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + FIELD_EXTRA);
    line + fields.sum::<usize>()
}

/// Decides by the first segment; `None` closes the connection.
async fn sniff(stream: &TcpStream, limit: Duration) -> Option<Protocol> {
    let mut start = [0; HTTP2_PREFACE.len()];
    let seen = timeout(limit, stream.peek(&mut start)).await.ok()?.ok()?;
    let start = &start[..seen];
    if start == HTTP2_PREFACE {
        Some(Protocol::Http2)
    } else if seen == 0 || start.starts_with(b"PRI") {
        None
    } else {
        Some(Protocol::Http1)
    }
}

/// Polls a future where it lies, since one that holds it would weigh as much again.
fn poll_caught<F: Future>(
    future: Pin<&mut F>,
    context: &mut Context<'_>,
) -> Poll<Result<F::Output, Box<dyn Any + Send>>> {
    match catch_unwind(AssertUnwindSafe(|| future.poll(context))) {
        Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
        Ok(Poll::Pending) => Poll::Pending,
        Err(panic) => Poll::Ready(Err(panic)),
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let owned = panic.downcast_ref::<String>().map(String::as_str);
    owned
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no text")
}

/// Polls a connection, looks at it now and then, and tells it to finish when the server stops.
struct Watch {
    activity: Arc<Activity>,
    look_every: Duration,
    watchdog: Watchdog,
    stop: StopSignal,
}

impl Watch {
    async fn drive<C: Future>(self, connection: C, finish: fn(Pin<&mut C>)) {
        let Self {
            activity,
            look_every,
            mut watchdog,
            mut stop,
        } = self;
        let mut connection = pin!(connection);
        let mut stopped = pin!(async move { stop.changed().await });
        let mut looks = interval_at(Instant::now() + look_every, look_every);
        let mut is_draining = false;
        poll_fn(|context| {
            if connection.as_mut().poll(context).is_ready() {
                return Poll::Ready(());
            }
            if !is_draining && stopped.as_mut().poll(context).is_ready() {
                is_draining = true;
                finish(connection.as_mut());
                looks = interval_at(Instant::now() + DRAIN_LOOK, DRAIN_LOOK);
                watchdog = Watchdog::new(QUIET_LOOKS, QUIET_LOOKS);
                if connection.as_mut().poll(context).is_ready() {
                    return Poll::Ready(());
                }
            }
            while looks.poll_tick(context).is_ready() {
                // A slow client has the whole drain limit to take what it was promised.
                let is_promised = is_draining && activity.is_sending();
                if watchdog.finds_quiet(&activity) && !is_promised {
                    return Poll::Ready(());
                }
            }
            Poll::Pending
        })
        .await;
    }
}
