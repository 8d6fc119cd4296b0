//! The messages that steer a session, all but Batch.

use bytes::Bytes;
use tombolo_document::bytes::{DecodeError, Reader, put_blob, put_text, put_varint};
use tombolo_document::raw;
use tombolo_document::{Actor, DocumentId, Object, SiteId, Value};
use tombolo_identity::REVOCATIONS_BYTES_MAX;

use super::WireError;
use super::attachment::AttachmentMessage;
use super::batch::BatchPart;
use crate::limits::{
    BATCH_ITEMS_MAX, COLLECTION_BYTES_MAX, CURSOR_BYTES_MAX, FETCH_MAX, METADATA_BYTES_MAX,
    NAME_BYTES_MAX, REASON_BYTES_MAX, STATEMENT_BYTES_MAX, STATEMENTS_MAX,
};
use crate::view::LogId;

pub(crate) const HELLO: u8 = 1;
pub(crate) const INTERESTS: u8 = 2;
pub(crate) const SCOPE: u8 = 3;
pub(crate) const BATCH: u8 = 4;
const WANT: u8 = 5;
const ACK: u8 = 6;
const FETCH: u8 = 7;
const PING: u8 = 8;
const BYE: u8 = 9;
const REVOCATIONS: u8 = 10;

const HOLDS: u8 = 1;
const CONTINUE: u8 = 2;

/// Who a peer says it is, beyond what its certificate proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// Lowest and highest protocol version that it speaks.
    pub versions: (u64, u64),
    /// The database that it holds.
    pub database_id: String,
    /// The name of its change log.
    pub log: LogId,
    /// Under whose name it writes.
    pub actor: Actor,
    /// Its unix milliseconds.
    pub now_ms: u64,
    /// Whether it is a server.
    pub is_server: bool,
    /// What its owner calls it.
    pub device_name: String,
    /// Its operating system, as presence names it.
    pub os: String,
    /// Its program version.
    pub version: String,
    /// JSON that its owner wants every peer to see; may be empty.
    pub metadata: Vec<u8>,
}

/// One statement of a side's interests.
#[derive(Debug, Clone, PartialEq)]
pub struct Stated {
    /// `SELECT * FROM collection [WHERE condition]`.
    pub statement: String,
    /// The values of its parameters.
    pub arguments: Object,
}

/// What became of one statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Its documents will come.
    Taken,
    /// The peer may read none of them.
    NotPermitted(String),
    /// The sender cannot serve it.
    NotUnderstood(String),
}

/// The answer to interests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// Whether the cursor is continued.
    pub continued: bool,
    /// One for each statement, in their order.
    pub verdicts: Vec<Verdict>,
}

/// Why a document was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// Its sender may not write it, or the receiver may not read it.
    Permission = 1,
    /// It is stamped further in the future than clocks may differ.
    Skew = 2,
    /// It is too large, or has too many actors.
    Size = 3,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Permission => "the permissions do not allow it",
            Self::Skew => "they are stamped too far in the future; it is tried again",
            Self::Size => "they are too large or have too many actors",
        })
    }
}

impl Refusal {
    pub(crate) const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Permission),
            2 => Some(Self::Skew),
            3 => Some(Self::Size),
            _ => None,
        }
    }
}

/// Everything that a peer can say.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// Who it is.
    Hello(Box<Hello>),
    /// What it wants.
    Interests {
        /// Grows with each of them.
        generation: u64,
        /// Whether it holds documents of these collections already.
        holds_documents: bool,
        /// Whether its cursor may be continued; without it the cursor only tells
        /// the issuer how far it once was.
        may_continue: bool,
        /// A cursor that the receiver of this message made; may be empty.
        cursor: Bytes,
        /// What it wants.
        stated: Vec<Stated>,
    },
    /// What of it will come.
    Scope {
        /// Whose interests these are.
        generation: u64,
        /// The answer.
        scope: Scope,
    },
    /// Documents.
    Batch(BatchPart),
    /// Which documents of a batch are to be sent whole.
    Want {
        /// Of the interests.
        generation: u64,
        /// Which batch.
        batch: u64,
        /// Places in the batch.
        places: Vec<u32>,
    },
    /// A batch is durable.
    Ack {
        /// Of the interests.
        generation: u64,
        /// Which batch.
        batch: u64,
        /// What was not taken of it.
        refused: Vec<(String, DocumentId, Refusal)>,
    },
    /// Documents that were refused and may be taken now.
    Fetch {
        /// Of the interests.
        generation: u64,
        /// Which.
        documents: Vec<(String, DocumentId)>,
    },
    /// A sign of life.
    Ping {
        /// The sender's unix milliseconds.
        now_ms: u64,
    },
    /// Why the link ends.
    Bye {
        /// For programs.
        code: u8,
        /// For people.
        reason: String,
    },
    /// Who is cut off.
    Revocations {
        /// A signed list, not checked here.
        list: Bytes,
    },
    /// Of an attachment.
    Attachment(AttachmentMessage),
}

impl Message {
    /// The bytes of every message but Batch, which a [`super::BatchWriter`]
    /// writes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Self::Hello(hello) => put_hello(&mut out, hello),
            Self::Interests {
                generation,
                holds_documents,
                may_continue,
                cursor,
                stated,
            } => {
                put_kind(&mut out, INTERESTS, *generation);
                let holds = if *holds_documents { HOLDS } else { 0 };
                out.push(holds | if *may_continue { CONTINUE } else { 0 });
                put_blob(&mut out, cursor);
                put_list(&mut out, stated, put_stated);
            }
            Self::Scope { generation, scope } => {
                put_kind(&mut out, SCOPE, *generation);
                out.push(u8::from(scope.continued));
                put_list(&mut out, &scope.verdicts, put_verdict);
            }
            Self::Batch(_) => {}
            Self::Want {
                generation,
                batch,
                places,
            } => {
                put_kind(&mut out, WANT, *generation);
                put_varint(&mut out, *batch);
                put_list(&mut out, places, |out, place| {
                    put_varint(out, u64::from(*place));
                });
            }
            Self::Ack {
                generation,
                batch,
                refused,
            } => {
                put_kind(&mut out, ACK, *generation);
                put_varint(&mut out, *batch);
                put_list(&mut out, refused, put_refused);
            }
            Self::Fetch {
                generation,
                documents,
            } => {
                put_kind(&mut out, FETCH, *generation);
                put_list(&mut out, documents, |out, (collection, id)| {
                    put_document(out, collection, id);
                });
            }
            Self::Ping { now_ms } => put_kind(&mut out, PING, *now_ms),
            Self::Bye { code, reason } => {
                out.extend_from_slice(&[BYE, *code]);
                put_text(&mut out, shortened(reason, REASON_BYTES_MAX));
            }
            Self::Revocations { list } => put_revocations(&mut out, list),
            Self::Attachment(message) => message.encode(&mut out),
        }
        out
    }

    /// Reads a message.
    ///
    /// # Errors
    /// The bytes break the format.
    pub fn decode(bytes: &Bytes) -> Result<Self, WireError> {
        let mut reader = Reader::new(bytes);
        let kind = reader.byte("message kind")?;
        if kind == BATCH {
            return Ok(Self::Batch(BatchPart::decode(bytes)?));
        }
        let message = match AttachmentMessage::take(kind, &mut reader, bytes)? {
            Some(message) => Self::Attachment(message),
            None => take(kind, &mut reader, bytes)?,
        };
        if reader.is_empty() {
            Ok(message)
        } else {
            Err(reader.malformed("end of message").into())
        }
    }
}

fn take(kind: u8, reader: &mut Reader<'_>, bytes: &Bytes) -> Result<Message, WireError> {
    if kind == HELLO {
        return Ok(Message::Hello(Box::new(take_hello(reader)?)));
    }
    if kind == BYE {
        let code = reader.byte("code")?;
        let reason = take_text(reader, REASON_BYTES_MAX, "reason")?;
        return Ok(Message::Bye { code, reason });
    }
    if kind == REVOCATIONS {
        let list = take_blob(reader, REVOCATIONS_BYTES_MAX, "revocations")?;
        let list = bytes.slice_ref(list);
        return Ok(Message::Revocations { list });
    }
    let generation = reader.varint("generation")?;
    Ok(match kind {
        INTERESTS => take_interests(reader, generation, bytes)?,
        SCOPE => {
            let continued = take_flag(reader)?;
            let verdicts = take_list(reader, STATEMENTS_MAX, take_verdict)?;
            let scope = Scope {
                continued,
                verdicts,
            };
            Message::Scope { generation, scope }
        }
        WANT => Message::Want {
            generation,
            batch: reader.varint("batch")?,
            places: take_list(reader, BATCH_ITEMS_MAX, |reader| {
                let place = reader.varint("place")?;
                u32::try_from(place).map_err(|_| reader.malformed("place"))
            })?,
        },
        ACK => Message::Ack {
            generation,
            batch: reader.varint("batch")?,
            refused: take_list(reader, BATCH_ITEMS_MAX, |reader| {
                let (collection, id) = take_document(reader)?;
                let reason = Refusal::from_byte(reader.byte("reason")?);
                Ok((collection, id, reason.ok_or(reader.malformed("reason"))?))
            })?,
        },
        FETCH => Message::Fetch {
            generation,
            documents: take_list(reader, FETCH_MAX, take_document)?,
        },
        PING => Message::Ping { now_ms: generation },
        unknown => return Err(WireError::Kind(unknown)),
    })
}

fn put_hello(out: &mut Vec<u8>, hello: &Hello) {
    out.push(HELLO);
    put_varint(out, hello.versions.0);
    put_varint(out, hello.versions.1);
    put_text(out, &hello.database_id);
    out.extend_from_slice(&hello.log.0);
    put_actor(out, &hello.actor);
    put_varint(out, hello.now_ms);
    out.push(u8::from(hello.is_server));
    for text in [&hello.device_name, &hello.os, &hello.version] {
        put_text(out, shortened(text, NAME_BYTES_MAX));
    }
    put_blob(out, &hello.metadata);
}

fn take_hello(reader: &mut Reader<'_>) -> Result<Hello, DecodeError> {
    Ok(Hello {
        versions: (reader.varint("version")?, reader.varint("version")?),
        database_id: take_text(reader, STATEMENT_BYTES_MAX, "database id")?,
        log: LogId(reader.array("log id")?),
        actor: take_actor(reader)?,
        now_ms: reader.varint("now")?,
        is_server: take_flag(reader)?,
        device_name: take_text(reader, NAME_BYTES_MAX, "device name")?,
        os: take_text(reader, NAME_BYTES_MAX, "operating system")?,
        version: take_text(reader, NAME_BYTES_MAX, "program version")?,
        metadata: take_blob(reader, METADATA_BYTES_MAX, "metadata")?.to_vec(),
    })
}

fn take_interests(
    reader: &mut Reader<'_>,
    generation: u64,
    bytes: &Bytes,
) -> Result<Message, DecodeError> {
    let flags = reader.byte("flags")?;
    if flags & !(HOLDS | CONTINUE) != 0 {
        return Err(reader.malformed("flags"));
    }
    let cursor = bytes.slice_ref(take_blob(reader, CURSOR_BYTES_MAX, "cursor")?);
    let stated = take_list(reader, STATEMENTS_MAX, |reader| {
        let statement = take_text(reader, STATEMENT_BYTES_MAX, "statement")?;
        let value = raw::check(reader, 0)?;
        if value.as_bytes().len() > STATEMENT_BYTES_MAX {
            return Err(reader.malformed("arguments: too large"));
        }
        match value.to_value() {
            Value::Object(arguments) => Ok(Stated {
                statement,
                arguments,
            }),
            _ => Err(reader.malformed("arguments")),
        }
    })?;
    Ok(Message::Interests {
        generation,
        holds_documents: flags & HOLDS != 0,
        may_continue: flags & CONTINUE != 0,
        cursor,
        stated,
    })
}

fn put_revocations(out: &mut Vec<u8>, list: &[u8]) {
    out.push(REVOCATIONS);
    put_blob(out, list);
}

fn put_stated(out: &mut Vec<u8>, one: &Stated) {
    put_text(out, &one.statement);
    raw::append(out, &Value::Object(one.arguments.clone()));
}

fn put_verdict(out: &mut Vec<u8>, verdict: &Verdict) {
    let (code, reason) = match verdict {
        Verdict::Taken => (0, ""),
        Verdict::NotPermitted(reason) => (1, reason.as_str()),
        Verdict::NotUnderstood(reason) => (2, reason.as_str()),
    };
    out.push(code);
    put_text(out, shortened(reason, REASON_BYTES_MAX));
}

fn take_verdict(reader: &mut Reader<'_>) -> Result<Verdict, DecodeError> {
    let code = reader.byte("verdict")?;
    let reason = take_text(reader, REASON_BYTES_MAX, "reason")?;
    match code {
        0 => Ok(Verdict::Taken),
        1 => Ok(Verdict::NotPermitted(reason)),
        2 => Ok(Verdict::NotUnderstood(reason)),
        _ => Err(reader.malformed("verdict")),
    }
}

pub(crate) fn put_document(out: &mut Vec<u8>, collection: &str, id: &DocumentId) {
    put_text(out, collection);
    put_blob(out, id.as_bytes());
}

pub(crate) fn take_document(reader: &mut Reader<'_>) -> Result<(String, DocumentId), DecodeError> {
    let collection = take_text(reader, COLLECTION_BYTES_MAX, "collection")?;
    Ok((collection, take_id(reader)?))
}

fn put_refused(out: &mut Vec<u8>, (collection, id, reason): &(String, DocumentId, Refusal)) {
    put_document(out, collection, id);
    out.push(*reason as u8);
}

pub(crate) fn take_id(reader: &mut Reader<'_>) -> Result<DocumentId, DecodeError> {
    let bytes = reader.blob("document id")?;
    DocumentId::from_bytes(bytes).map_err(|_| reader.malformed("document id"))
}

pub(crate) fn put_actor(out: &mut Vec<u8>, actor: &Actor) {
    out.extend_from_slice(&actor.site.0);
    put_varint(out, u64::from(actor.epoch));
}

pub(crate) fn take_actor(reader: &mut Reader<'_>) -> Result<Actor, DecodeError> {
    let site = SiteId(reader.array("site id")?);
    let epoch = reader.varint("epoch")?;
    let epoch = u32::try_from(epoch).map_err(|_| reader.malformed("epoch"))?;
    Ok(Actor::new(site, epoch))
}

fn put_kind(out: &mut Vec<u8>, kind: u8, first: u64) {
    out.push(kind);
    put_varint(out, first);
}

pub(crate) fn put_list<T>(out: &mut Vec<u8>, list: &[T], mut put: impl FnMut(&mut Vec<u8>, &T)) {
    put_varint(out, list.len() as u64);
    for one in list {
        put(out, one);
    }
}

/// Reads a list whose length is bounded by the bytes that are there, and by
/// `max`; it grows with what is read, never with what is announced.
/// Room for so much of a list is made before it is read.
const LIST_ROOM: usize = 256;

pub(crate) fn take_list<'a, T>(
    reader: &mut Reader<'a>,
    max: usize,
    mut take: impl FnMut(&mut Reader<'a>) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    let count = reader.count("list")?;
    if count > max {
        return Err(reader.malformed("list: too long"));
    }
    // More than most messages have, and no more on the word of a count.
    let mut list = Vec::with_capacity(count.min(LIST_ROOM));
    for _ in 0..count {
        list.push(take(reader)?);
    }
    Ok(list)
}

fn take_flag(reader: &mut Reader<'_>) -> Result<bool, DecodeError> {
    match reader.byte("flag")? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(reader.malformed("flag")),
    }
}

pub(crate) fn take_blob<'a>(
    reader: &mut Reader<'a>,
    max: usize,
    what: &'static str,
) -> Result<&'a [u8], DecodeError> {
    let bytes = reader.blob(what)?;
    if bytes.len() > max {
        return Err(reader.malformed(what));
    }
    Ok(bytes)
}

pub(crate) fn take_text(
    reader: &mut Reader<'_>,
    max: usize,
    what: &'static str,
) -> Result<String, DecodeError> {
    let text = reader.text(what)?;
    if text.len() > max {
        return Err(reader.malformed(what));
    }
    Ok(text.to_owned())
}

/// The longest start of a text that fits and ends between characters.
fn shortened(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}
