//! Every number that bounds a session, with its answer when it is reached.

use std::time::Duration;

/// The protocol version that this program speaks.
pub const PROTOCOL_VERSION: u64 = 1;

/// Most bytes of one frame; a larger one is malformed.
pub const FRAME_BYTES_MAX: usize = 1 << 20;
/// How much of a message goes into one frame, so that control frames need not
/// wait for a large document.
pub const FRAGMENT_BYTES: usize = 256 << 10;
/// Most bytes of one message, before and after compression; a larger one is
/// malformed.
pub const MESSAGE_BYTES_MAX: usize = 16 << 20;
/// Messages below it are not worth compressing.
pub const COMPRESS_FROM_BYTES: usize = 512;
/// Documents above it are withheld and told to the operator.
pub const DOCUMENT_BYTES_MAX: usize = 15 << 20;

/// Bytes of documents at which a message of a batch is sent and another begun.
pub const MESSAGE_TARGET_BYTES: usize = 64 << 10;
/// Bytes of documents in one batch of a catch-up.
pub const CATCH_UP_BYTES: usize = 512 << 10;
/// Bytes of documents up to which everything that happened since the last batch
/// arrives in one commit; beyond it the tail comes in pieces.
pub const TAIL_BYTES_MAX: usize = 8 << 20;
/// Bytes of batches that are applied in one commit, if more than one waits.
pub const APPLY_BYTES_MAX: usize = 2 << 20;
/// Bytes that one side may hold unapplied; beyond it the peer misbehaves.
pub const BATCH_BYTES_MAX: usize = 32 << 20;
/// Bytes of all batches that one side may have sent ahead; as above.
pub const HELD_BYTES_MAX: usize = 48 << 20;
/// Most items of one message; beyond it malformed.
pub const BATCH_ITEMS_MAX: usize = 65_536;
/// What an item counts in memory beside its bytes, on both sides.
pub const ITEM_BYTES: usize = 64;
/// How often a peer may ask for items of one batch.
pub const WANTS_MAX: u32 = 4;
/// Bytes of batches that may be under way without an answer. One batch always
/// may.
pub const WINDOW_BYTES: usize = 4 << 20;
/// Batches that may be under way without an answer; a receiver that holds more
/// ends the link.
pub const WINDOW_BATCHES: usize = 64;

/// Most entries of a table of names or actors; beyond it malformed.
pub const TABLE_MAX: usize = 131_072;
/// Most bytes of the names in a table, each counted with what it costs beside;
/// beyond it malformed. A sender that keeps to [`TABLE_FRESH_FROM`] has fewer.
pub const TABLE_BYTES_MAX: usize = 48 << 20;
/// Most bytes of a collection's name; beyond it malformed, as no store has one.
pub const COLLECTION_BYTES_MAX: usize = 1_024;
/// Entries at which a sender begins its tables anew. One message adds fewer than
/// what is left to the maximum, since a new actor takes three bytes in it.
pub const TABLE_FRESH_FROM: usize = 16_384;
/// Most statements in one side's interests, and verdicts on them; beyond it
/// malformed.
pub const STATEMENTS_MAX: usize = 1_024;
/// Most bytes of a statement or of its arguments; beyond it malformed.
pub const STATEMENT_BYTES_MAX: usize = 64 << 10;
/// Most bytes of a cursor.
pub const CURSOR_BYTES_MAX: usize = 8 << 10;
/// Most bytes of each short text in Hello.
pub const NAME_BYTES_MAX: usize = 128;
/// Most bytes of the metadata that a peer tells of itself.
pub const METADATA_BYTES_MAX: usize = 4_096;
/// Most bytes of a reason in Bye and Scope.
pub const REASON_BYTES_MAX: usize = 512;

/// Refused documents that are remembered for one peer; one more, and the next
/// session begins at the beginning instead.
pub const REFUSED_MAX: usize = 1_024;
/// Documents of one Fetch.
pub const FETCH_MAX: usize = 1_024;
/// Documents that wait to be sent again; one more, and the outgoing side begins
/// at the beginning instead.
pub const AGAIN_MAX: usize = 4_096;

/// A side tells of its list of revocations at most so often; of several that
/// follow each other faster, the newest.
pub const REVOCATIONS_PAUSE: Duration = Duration::from_secs(1);
/// Lists of revocations that may come faster than that before the peer
/// misbehaves: what a line held up arrives at once.
pub const REVOCATIONS_BURST: u32 = 16;

/// A side that sent nothing for so long says Ping.
pub const PING_AFTER: Duration = Duration::from_secs(15);
/// A side that heard nothing for so long ends the link.
pub const SILENCE_MAX: Duration = Duration::from_secs(60);
/// How long a store that is busy is left alone.
pub const BUSY_PAUSE: Duration = Duration::from_millis(20);
