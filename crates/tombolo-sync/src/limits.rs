//! Every number that bounds a session, with its answer when it is reached.

use std::time::Duration;

/// The lowest protocol version that this program speaks.
pub const PROTOCOL_VERSION: u64 = 1;
/// The highest: from it on peers ask each other for attachments.
pub const PROTOCOL_VERSION_MAX: u64 = 2;

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

/// Bytes of one piece of an attachment, which is one frame: what waits behind
/// it waits for no more.
pub const PIECE_BYTES: usize = 64 << 10;
/// How much of a message of an attachment goes into one frame.
pub const ATTACHMENT_FRAGMENT_BYTES: usize = PIECE_BYTES + 32;
/// Most bytes of one message of an attachment: the longest manifest, and what
/// stands before it. A larger one is malformed.
pub const ATTACHMENT_MESSAGE_BYTES_MAX: usize = (1 << 20) + 1_024;
/// Requests for attachments that one side may have open on a link; one more is
/// malformed.
pub const REQUESTS_MAX: usize = 8;
/// Pieces that may be pulled and not sent yet; one more is malformed.
pub const PULLED_PIECES_MAX: usize = 64;
/// Pieces that are pulled ahead at first, and at least.
pub const WINDOW_PIECES: (usize, usize) = (4, 2);
/// Pieces that come so much later than the fastest close the window a little.
pub const PIECE_DELAY_MAX: Duration = Duration::from_millis(25);
/// Frames of attachments that may wait for a link; with so many the holder sends
/// no further.
pub const UNSENT_FRAMES_MAX: usize = 4;
/// Pieces that were read and not sent; with so many the holder reads no further.
/// It reads up to a chunk at once, so memory holds up to 16 more.
pub const READY_PIECES_MAX: usize = 16;
/// Checked chunks that may wait for the disk; with so many no piece is pulled.
pub const UNSTORED_CHUNKS_MAX: usize = 2;
/// A holder that owes something and sends nothing of it for so long is given up.
pub const ATTACHMENT_SILENCE_MAX: Duration = Duration::from_secs(30);
/// Attachments that one side fetches at a time, over all its links.
pub const FETCHES_UNDER_WAY_MAX: usize = 8;
/// Of these on one link.
pub const FETCHES_ON_LINK_MAX: usize = 4;
/// Attachments that somebody asked for and that are not here yet; one more is
/// refused to who asks.
pub const FETCHES_MAX: usize = 1_024;
/// Attachments that wait to be fetched because documents refer to them; what is
/// beyond is found by looking again.
pub const FETCHES_BY_ITSELF_MAX: usize = 256;
/// Documents by which one attachment is asked for; of more, the newest.
pub const PLACES_MAX: usize = 4;
/// How long an attachment that no neighbour gives is left alone: at first, and
/// at most; the pause doubles.
pub const FETCH_PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// A side that sent nothing for so long says Ping.
pub const PING_AFTER: Duration = Duration::from_secs(15);
/// A side that heard nothing for so long ends the link.
pub const SILENCE_MAX: Duration = Duration::from_secs(60);
/// How long a store that is busy is left alone.
pub const BUSY_PAUSE: Duration = Duration::from_millis(20);
