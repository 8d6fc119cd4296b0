//! What a program gives to the server: how to answer a request, and how its refusals look.

use std::future::Future;

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header, request};

use crate::body::Body;
use crate::request::Request;

/// An answer.
pub type Response = http::Response<Body>;

/// How long a request may wait for its answer to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeLimit {
    /// [`Limits::request_timeout`](crate::Limits::request_timeout), then 408.
    OfServer,
    /// As long as its bytes move: for uploads and answers that wait for something to happen.
    /// A client that neither sends nor takes is still cut off.
    WhileBytesMove,
}

/// Something that answers requests. A closure `Fn(Request) -> Future<Output = Response>` is one.
pub trait Answer: Send + Sync + 'static {
    /// Answers one request. It is dropped when the request's time is over, so it must not hold
    /// work that has to finish.
    fn answer(&self, request: Request) -> impl Future<Output = Response> + Send;

    /// How long the request with this head may take; asked once, before it is answered.
    fn time_limit(&self, head: &request::Parts) -> TimeLimit {
        let _ = head;
        TimeLimit::OfServer
    }

    /// The server accepts nothing more and drains: answers that would never end should end now.
    fn stopping(&self) {}

    /// Completes when what became of switched connections, and must not be cut, is over: the server waits for it while
    /// it drains, and no longer.
    fn farewell(&self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }

    /// Renders a refusal of the server itself in the program's own error shape.
    fn refuse(&self, refusal: &Refusal) -> Response {
        let text = format!("{{\"error\":{{\"description\":\"{refusal}\"}}}}");
        json_response(refusal.status(), text)
    }
}

impl<F, R> Answer for F
where
    F: Fn(Request) -> R + Send + Sync + 'static,
    R: Future<Output = Response> + Send,
{
    fn answer(&self, request: Request) -> impl Future<Output = Response> + Send {
        self(request)
    }
}

/// A request that the server turned away or gave up before or instead of its route.
/// The texts hold no character that JSON escapes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// 431.
    #[error(
        "the request line and header fields together are larger than {bytes_max} bytes; send fewer or shorter fields"
    )]
    HeadTooLarge {
        /// The limit.
        bytes_max: usize,
    },
    /// 431.
    #[error("the request has more than {count_max} header fields; send fewer")]
    TooManyHeaders {
        /// The limit.
        count_max: usize,
    },
    /// 408.
    #[error(
        "the request was not answered within {timeout_ms} ms and was given up; ask for less or raise http_server.request_timeout_ms"
    )]
    TimedOut {
        /// The limit.
        timeout_ms: u128,
    },
    /// 503.
    #[error("all {connections_max} connections are in use; try again later")]
    TooManyConnections {
        /// The limit.
        connections_max: usize,
    },
    /// 500: our fault; the log has the request id.
    #[error("the server failed while it answered; the log names this request by its x-request-id")]
    Failed,
}

impl Refusal {
    /// The status that tells this refusal.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::HeadTooLarge { .. } | Self::TooManyHeaders { .. } => {
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
            }
            Self::TimedOut { .. } => StatusCode::REQUEST_TIMEOUT,
            Self::TooManyConnections { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::Failed => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// A response with a JSON body.
pub fn json_response(status: StatusCode, body: impl Into<Bytes>) -> Response {
    const JSON: HeaderValue = HeaderValue::from_static("application/json");
    let mut response = Response::new(Body::full(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    response
}
