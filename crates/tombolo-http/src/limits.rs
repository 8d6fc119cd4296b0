//! Every limit of the server in one place, with its default.
//! Nothing in this crate grows, waits or repeats without one of these numbers.

use std::time::Duration;

/// What one server accepts. All fields have a default; see each constant.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Open connections at once. One more is answered 503 (plain HTTP) or closed (TLS).
    pub connections_max: usize,
    /// Bytes of the request line and all header fields together. One more is answered 431.
    pub header_bytes_max: usize,
    /// Header fields of one request, at most [`Limits::HEADER_COUNT_WALL`]. One more is answered 431.
    pub header_count_max: usize,
    /// Bytes of a request body, whatever the route allows. One more is answered 413.
    pub body_bytes_max: usize,
    /// From the complete request head to the answer, then 408. `None` waits for ever.
    pub request_timeout: Option<Duration>,
    /// A connection with no request in work and no byte accepted by the client for this long is closed.
    /// It bounds the slow request head, the idle keep-alive connection and the client that does not read.
    pub quiet_timeout: Duration,
    /// A TLS handshake that takes longer is dropped.
    pub handshake_timeout: Duration,
    /// From the order to stop until unfinished requests are cut.
    pub drain_limit: Duration,
}

impl Limits {
    /// Default of [`Limits::connections_max`].
    pub const CONNECTIONS_MAX: usize = 1024;
    /// Default of [`Limits::header_bytes_max`].
    pub const HEADER_BYTES_MAX: usize = 16 * 1024;
    /// Default of [`Limits::header_count_max`].
    pub const HEADER_COUNT_MAX: usize = 64;
    /// The parser's own wall; a request beyond it gets a 431 without a body.
    pub const HEADER_COUNT_WALL: usize = 100;
    /// Default of [`Limits::body_bytes_max`].
    pub const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;
    /// Default of [`Limits::request_timeout`].
    pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
    /// Default of [`Limits::quiet_timeout`].
    pub const QUIET_TIMEOUT: Duration = Duration::from_secs(30);
    /// Default of [`Limits::handshake_timeout`].
    pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
    /// Default of [`Limits::drain_limit`].
    pub const DRAIN_LIMIT: Duration = Duration::from_secs(10);
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: Self::CONNECTIONS_MAX,
            header_bytes_max: Self::HEADER_BYTES_MAX,
            header_count_max: Self::HEADER_COUNT_MAX,
            body_bytes_max: Self::BODY_BYTES_MAX,
            request_timeout: Some(Self::REQUEST_TIMEOUT),
            quiet_timeout: Self::QUIET_TIMEOUT,
            handshake_timeout: Self::HANDSHAKE_TIMEOUT,
            drain_limit: Self::DRAIN_LIMIT,
        }
    }
}
