//! Every limit of the server in one place, with its default.
//! Nothing in this crate grows, waits or repeats without one of these numbers.

use std::time::Duration;

use crate::activity::{QUIET_LOOKS, Watchdog};

/// What one server accepts. All fields have a default; see each constant.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Open connections at once, those among them that were switched to another protocol. One more is answered 503 (plain HTTP) or closed (TLS).
    pub connections_max: usize,
    /// Bytes of the request line and all header fields together. One more is answered 431.
    pub header_bytes_max: usize,
    /// Header fields of one request, at most [`Limits::HEADER_COUNT_WALL`]. One more is answered 431.
    pub header_count_max: usize,
    /// Bytes of a request body, whatever the route allows. One more is answered 413.
    pub body_bytes_max: usize,
    /// From the complete request head to the answer, then 408. `None` waits for ever.
    pub request_timeout: Option<Duration>,
    /// How long a client may take over one step: sending a request head, moving [`Limits::PROGRESS_BYTES_MIN`] bytes
    /// of a body that is waited for, taking as many of an answer. A slower connection is closed, within a quarter more.
    pub slow_client_timeout: Duration,
    /// How long a connection may lie idle between two requests. It is closed within a quarter more.
    pub keep_alive_timeout: Duration,
    /// Connections that the system completes and holds until they are accepted; further ones wait on their side.
    pub backlog: u32,
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
    /// Default of [`Limits::slow_client_timeout`].
    pub const SLOW_CLIENT_TIMEOUT: Duration = Duration::from_secs(30);
    /// Fewer bytes than this within [`Limits::slow_client_timeout`] are no progress.
    pub const PROGRESS_BYTES_MIN: u64 = 1024;
    /// Default of [`Limits::keep_alive_timeout`].
    pub const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(30);
    /// Default of [`Limits::backlog`].
    pub const BACKLOG: u32 = 1024;
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
            slow_client_timeout: Self::SLOW_CLIENT_TIMEOUT,
            keep_alive_timeout: Self::KEEP_ALIVE_TIMEOUT,
            backlog: Self::BACKLOG,
            handshake_timeout: Self::HANDSHAKE_TIMEOUT,
            drain_limit: Self::DRAIN_LIMIT,
        }
    }
}

impl Limits {
    /// How often a connection is looked at, and who looks.
    pub(crate) fn looks(&self) -> (Duration, Watchdog) {
        let shortest = self.slow_client_timeout.min(self.keep_alive_timeout);
        let look_every = (shortest / QUIET_LOOKS).max(Duration::from_millis(1));
        let looks = |limit: Duration| {
            let looks = limit.as_nanos().div_ceil(look_every.as_nanos());
            u32::try_from(looks).unwrap_or(u32::MAX)
        };
        let watchdog = Watchdog::new(
            looks(self.slow_client_timeout),
            looks(self.keep_alive_timeout),
        );
        (look_every, watchdog)
    }
}
