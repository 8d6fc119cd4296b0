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
