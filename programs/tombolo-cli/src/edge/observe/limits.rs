//! Every limit of live queries, with what happens at it.

use std::time::Duration;

/// Live queries of one node. One more is answered 503.
pub(super) const OBSERVED_NODE_MAX: usize = 4096;
/// Live queries of one identity. One more is answered 429.
pub(super) const OBSERVED_IDENTITY_MAX: usize = 1024;
/// Rows of one live query. More are refused with 400, and end one that grew beyond.
pub(super) const ROWS_MAX: usize = 10_000;
/// Rows of all live queries of one node; each costs 32 bytes. One more is answered 503.
pub(super) const ROWS_NODE_MAX: usize = 4_000_000;
/// Bytes of one event. A larger one is refused with 400, and ends the live query.
pub(super) const EVENT_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Bytes of all events that clients have not taken yet. One more is answered 503.
pub(super) const UNREAD_BYTES_NODE_MAX: usize = 256 * 1024 * 1024;
/// Bytes of a question, in a body. A larger one is answered 413.
pub(super) const QUESTION_BYTES_MAX: usize = 64 * 1024;
/// Live queries that run again at once. Others wait and run on what is newest by then.
pub(super) const RUNS_MAX: usize = 8;
/// Something is sent at least this often, so that nobody between takes the connection for idle.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(15);
/// WebSockets of one node. One more is answered 503.
pub(super) const SOCKETS_MAX: usize = 1024;
/// WebSockets of one node whose client has not sent its key yet. One more is answered 503.
pub(super) const SOCKETS_UNPROVEN_MAX: usize = 64;
/// Live queries of one WebSocket. One more is refused with 429.
pub(super) const OBSERVED_SOCKET_MAX: usize = 64;
/// Bytes of the name of a live query, or of a key, in a message. More are refused with 400.
pub(super) const NAME_BYTES_MAX: usize = 256;
/// A client that could send no key in a header has so long to send it in a message.
pub(super) const KEY_LIMIT: Duration = Duration::from_secs(10);
/// A client that does not take what it is sent for so long is cut off.
pub(super) const SEND_LIMIT: Duration = Duration::from_secs(30);
/// A client that says nothing for so many heartbeats, and answers no ping, is cut off.
pub(super) const QUIET_HEARTBEATS_MAX: u32 = 2;
/// So long may it take to say farewell.
pub(super) const FAREWELL_LIMIT: Duration = Duration::from_secs(1);
