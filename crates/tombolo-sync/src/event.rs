//! What happens to a session, and what it asks to be done.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use tombolo_document::bytes::DecodeError;
use tombolo_document::{Actor, DocumentId, Whole};
use tombolo_identity::PeerPublicKey;
use tombolo_query::Parameters;

use crate::attachments::{AttachmentAction, AttachmentEvent};
use crate::interest::Interests;
use crate::limits::REFUSED_MAX;
use crate::looking::{Looked, Looking};
use crate::reading::{Read, Reading};
use crate::recalling::{Recalled, Recalling};
use crate::record::{CursorRecord, Refused, cursor_key, refused_key};
use crate::view::{LogId, ViewError};
use crate::wire::{Channel, Hello, Refusal, WireError};

/// What this side's store is at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The name of its change log.
    pub log: LogId,
    /// Under whose name it writes.
    pub actor: Actor,
    /// Its newest durable commit.
    pub commit: u64,
}

/// What happened.
pub enum Event {
    /// A frame came.
    Frame(Bytes),
    /// Time passed; see [`Action::Wake`].
    Tick,
    /// The store has commits that it had not before, or another log.
    Committed(Standing),
    /// This side wants something else now.
    Interests(Arc<Interests>),
    /// This side's system parameters changed.
    Parameters(Arc<Parameters>),
    /// An [`Action::Read`] was done.
    Read(Read),
    /// An [`Action::Look`] was done.
    Looked(Looked),
    /// An [`Action::Recall`] was done.
    Recalled(Recalled),
    /// An [`Action::Apply`] was done, or not.
    Applied(Applied),
    /// This side holds this signed list of revocations, which the peer is to be
    /// told of if it is not known to have it.
    Revocations(Bytes),
    /// Of attachments.
    Attachment(AttachmentEvent),
}

/// What is to be done. A driver does them in their order, and answers those
/// that say so; it may do the work of several at once.
pub enum Action {
    /// Give this frame to the link. Frames of a channel keep their order;
    /// channels with lower numbers go first.
    Send(Channel, Bytes),
    /// Run it over a view and answer with [`Event::Read`]. At most one at a
    /// time.
    Read(Reading, WhichView),
    /// Run it over the newest view and answer with [`Event::Looked`].
    Look(Looking),
    /// Run it over the newest view and answer with [`Event::Recalled`].
    Recall(Recalling),
    /// Drop a view that was kept.
    Release(u64),
    /// Commit it and answer with [`Event::Applied`]. At most one at a time.
    Apply(Apply),
    /// Write these records when it suits; no answer.
    Remember(Vec<RecordChange>),
    /// Give the store a new log id and a new actor epoch: it is a copy.
    RenewIdentity,
    /// The peer said who it is, or said it again.
    Met(Box<Hello>),
    /// The peer sent a signed list of revocations, of which nothing was checked
    /// but its size. If this side holds a newer one, or does so then, the answer
    /// is [`Event::Revocations`].
    Revocations(Bytes),
    /// Of attachments.
    Attachment(AttachmentAction),
    /// Send [`Event::Tick`] at this time of the driver's clock, unless another
    /// `Wake` comes before.
    Wake(std::time::Duration),
    /// Tell the operator.
    Notice(Notice),
    /// End the link; nothing more comes from this session.
    Close(CloseReason),
}

/// Which view a reading runs over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhichView {
    /// The newest, to be dropped afterwards.
    Newest,
    /// The newest, to be kept under this number until [`Action::Release`].
    Keep(u64),
    /// One that was kept.
    Kept(u64),
}

/// A record to be put, or removed if there is no value.
pub type RecordChange = (Vec<u8>, Option<Vec<u8>>);

/// Documents to be merged and records to be written, in one commit.
#[derive(Debug, Clone)]
pub struct Apply {
    /// The documents, in order.
    pub documents: Arc<[Arriving]>,
    /// The log that they come from.
    pub log: LogId,
    /// The own commit up to which the peer was believed to have everything that
    /// was sent to it: what arrives without it shows the peer behind.
    pub acknowledged: u64,
    /// What is written with them.
    pub(crate) settlement: Settlement,
}

/// One document to be merged.
#[derive(Debug, Clone)]
pub struct Arriving {
    /// Its collection.
    pub collection: Arc<str>,
    /// Its id.
    pub id: DocumentId,
    /// What it is made of.
    pub content: Content,
}

/// What arrived of a document.
#[derive(Debug, Clone)]
pub enum Content {
    /// All of it, checked where it arrived, so that the store's one writer need not.
    Whole(Arc<Whole>),
    /// A delta that nobody has looked at.
    Delta {
        /// The bytes, in which actors are numbers.
        bytes: Bytes,
        /// The actors by number.
        actors: Arc<Vec<Actor>>,
    },
}

impl Content {
    pub(crate) fn read(bytes: Bytes, actors: &Arc<Vec<Actor>>) -> Self {
        let resolve = |number: u64| actors.get(usize::try_from(number).ok()?).copied();
        match Whole::read(&bytes, &resolve) {
            Some(whole) => Self::Whole(Arc::new(whole)),
            None => Self::Delta {
                bytes,
                actors: Arc::clone(actors),
            },
        }
    }
}

/// Documents of a peer that are refused, by name.
pub(crate) type RefusedMap = BTreeMap<(String, DocumentId), Refused>;

/// Which records an apply leaves, once it is known what was refused.
#[derive(Debug, Clone)]
pub(crate) struct Settlement {
    pub(crate) peer: PeerPublicKey,
    /// The cursor's record, if the batch brings one that may be kept.
    pub(crate) cursor: Option<CursorRecord>,
    /// What was refused before.
    pub(crate) refused: Arc<RefusedMap>,
    /// What the peer may not write, besides the documents of the apply.
    pub(crate) denied: Vec<(String, DocumentId)>,
}

/// What became of one document of an [`Apply`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Merged; `behind` if the peer lacks a part that it was believed to have.
    Merged {
        /// Whether the document here changed.
        changed: bool,
        /// Whether the peer is behind.
        behind: bool,
        /// Whether one commit came with two contents.
        equivocated: bool,
    },
    /// Not taken, and recorded as refused.
    Refused(Refused),
}

impl Apply {
    /// The records to write in the same commit, given what became of each
    /// document.
    #[must_use]
    pub fn records(&self, outcomes: &[Outcome]) -> Vec<RecordChange> {
        let Settlement {
            peer,
            cursor,
            refused,
            denied,
        } = &self.settlement;
        let mut records = Vec::new();
        let (mut left, mut behind) = (REFUSED_MAX.saturating_sub(refused.len()), false);
        for place in denied.iter().filter(|place| !refused.contains_key(place)) {
            if left == 0 {
                return self.forget_refused();
            }
            left -= 1;
            let key = refused_key(peer, &place.0, &place.1);
            records.push((key, Some(Refused::NOT_PERMITTED.encode())));
        }
        for (arriving, outcome) in self.documents.iter().zip(outcomes) {
            let key = || refused_key(peer, &arriving.collection, &arriving.id);
            let known = !refused.is_empty()
                && refused.contains_key(&(arriving.collection.to_string(), arriving.id.clone()));
            match outcome {
                Outcome::Refused(_) if !known && left == 0 => return self.forget_refused(),
                Outcome::Refused(now) => {
                    left -= usize::from(!known);
                    records.push((key(), Some(now.encode())));
                }
                Outcome::Merged { behind: now, .. } => {
                    behind |= now;
                    if known {
                        records.push((key(), None));
                    }
                }
            }
        }
        if let Some(cursor) = cursor.as_ref().filter(|_| !behind) {
            records.push((cursor_key(peer), Some(cursor.encode())));
        }
        records
    }

    /// Too much was refused to be remembered one by one: the next session
    /// begins at the beginning.
    fn forget_refused(&self) -> Vec<RecordChange> {
        let Settlement { peer, refused, .. } = &self.settlement;
        let keys = refused.keys();
        let forget = keys.map(|(collection, id)| (refused_key(peer, collection, id), None));
        forget.chain([(cursor_key(peer), None)]).collect()
    }
}

/// What became of an [`Action::Apply`].
#[derive(Debug)]
pub enum Applied {
    /// It is durable. One outcome for each document.
    Done(Vec<Outcome>),
    /// Nothing was changed: these extend states that are not here.
    BaseMissing(Vec<usize>),
    /// Nothing was changed: this one breaks the format, the peer's fault.
    Malformed(usize, DecodeError),
    /// Nothing was changed: too many writes wait.
    Busy,
    /// The store failed.
    Failed(Box<dyn std::error::Error + Send + Sync>),
}

/// What the operator should know of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A statement of this side was not taken by the peer.
    StatementCut {
        /// The statement.
        statement: String,
        /// Why.
        reason: String,
    },
    /// Documents of the peer were not taken.
    Refused {
        /// How many.
        documents: usize,
        /// Why.
        reason: Refusal,
    },
    /// The peer did not take documents.
    RefusedByPeer {
        /// How many.
        documents: usize,
        /// Why.
        reason: Refusal,
    },
    /// Documents are too large to be sent.
    TooLarge {
        /// How many.
        documents: u64,
    },
    /// The peer's clock differs by so many milliseconds; positive if it is ahead.
    ClockDiffers {
        /// The difference.
        milliseconds: i64,
    },
    /// One commit came with two contents: a copied device or a liar.
    Equivocation {
        /// How many documents.
        documents: usize,
    },
    /// This store was copied or restored from a backup.
    Copied,
    /// A catch-up begins, in this direction.
    CatchUp {
        /// Whether this side sends.
        sending: bool,
    },
}

impl std::fmt::Display for Notice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::StatementCut { statement, reason } => {
                write!(f, "the peer sends nothing for {statement:?}: {reason}")
            }
            Self::Refused { documents, reason } => {
                write!(
                    f,
                    "{documents} documents of the peer were not taken: {reason}"
                )
            }
            Self::RefusedByPeer { documents, reason } => {
                write!(f, "the peer did not take {documents} documents: {reason}")
            }
            Self::TooLarge { documents } => {
                write!(f, "{documents} documents are too large to be sent")
            }
            Self::ClockDiffers { milliseconds } => {
                write!(
                    f,
                    "the peer's clock differs by {milliseconds} ms: compare the clocks of both devices"
                )
            }
            Self::Equivocation { documents } => {
                write!(
                    f,
                    "{documents} documents hold a commit that came with two contents: a device was copied, or a peer lies"
                )
            }
            Self::Copied => f.write_str("this store was copied or restored from a backup"),
            Self::CatchUp { sending: true } => f.write_str("the peer is sent everything"),
            Self::CatchUp { sending: false } => f.write_str("the peer sends everything"),
        }
    }
}

/// Why a session ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CloseReason {
    /// The peer broke the protocol.
    #[error("the peer broke the protocol: {0}")]
    PeerMisbehaved(#[from] WireError),
    /// The peer holds another database.
    #[error("the peer holds another database")]
    OtherDatabase,
    /// The peer speaks no version that is known here.
    #[error("the peer speaks protocol versions {0} to {1}, and {lowest} to {highest} are spoken here", lowest = crate::limits::PROTOCOL_VERSION, highest = crate::limits::PROTOCOL_VERSION_MAX)]
    NoCommonVersion(u64, u64),
    /// The peer writes under this side's own name.
    #[error("the peer writes under this device's own name: one of the two is a copy")]
    OwnActor,
    /// Nothing was heard for too long.
    #[error("nothing was heard of the peer for {:?}", crate::limits::SILENCE_MAX)]
    Silent,
    /// The peer's certificate expired.
    #[error("the peer's certificate expired")]
    Expired,
    /// The peer said goodbye.
    #[error("the peer ended the session: {reason}")]
    Bye {
        /// For programs.
        code: u8,
        /// For people.
        reason: String,
    },
    /// The store failed.
    #[error("the store failed")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<ViewError> for CloseReason {
    fn from(error: ViewError) -> Self {
        Self::Store(Box::new(error))
    }
}

impl CloseReason {
    /// The code that tells the peer.
    #[must_use]
    pub const fn code(&self) -> u8 {
        match self {
            Self::PeerMisbehaved(_) => 1,
            Self::OtherDatabase => 2,
            Self::NoCommonVersion(..) => 3,
            Self::OwnActor => 4,
            Self::Silent => 5,
            Self::Expired => 6,
            Self::Bye { .. } => 0,
            Self::Store(_) => 7,
        }
    }
}
