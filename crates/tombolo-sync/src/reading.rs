//! Work over a view, cut off from the machine so that a driver may run it on
//! another thread: what to send next, and what of an offer is wanted.
//!
//! Everything that it needs travels with it; it decides by the same rules
//! wherever it runs.

use std::ops::ControlFlow;
use std::sync::Arc;

use tombolo_document::bytes::DecodeError;
use tombolo_document::{DocumentId, VersionVector};
use tombolo_identity::Filter;

use crate::cursor::{Sealer, first_8};
use crate::interest::{Evaluation, Interests};
use crate::limits::{
    CATCH_UP_BYTES, DOCUMENT_BYTES_MAX, ITEM_BYTES, MESSAGE_TARGET_BYTES, TAIL_BYTES_MAX,
};
use crate::view::{Changed, LogId, Position, Since, Stored, View, ViewError};
use crate::wire::{BatchWriter, Flags, Form, Packed};

/// Documents that one piece of a catch-up looks at, wanted or not.
const LOOK_MAX: usize = 65_536;
/// Commits that are read without a thread of their own.
const SHORT_COMMITS_MAX: u64 = 32;
/// Bytes at which a batch of the tail is cut even within one commit.
const TAIL_CUT_BYTES: usize = 2 * TAIL_BYTES_MAX;
const DIGEST_DOMAIN: &str = "tombolo 2026-11 document digest";
const SCOPE_DOMAIN: &str = "tombolo 2026-11 scope";

/// The digest by which two peers compare documents without sending them.
#[must_use]
pub fn digest(document: &[u8]) -> [u8; 16] {
    first_16(blake3::Hasher::new_derive_key(DIGEST_DOMAIN).update(document))
}

fn first_16(hasher: &blake3::Hasher) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    half
}

/// Everything that decides what a peer is sent. It holds for one generation of
/// the peer's interests.
pub(crate) struct Terms {
    pub(crate) generation: u64,
    /// What the peer wants and may read.
    pub(crate) theirs: Interests,
    /// What this side wants: of these collections it tells what it has.
    pub(crate) ours: Arc<Interests>,
    pub(crate) filter: Arc<Filter>,
    pub(crate) evaluation: Evaluation,
    pub(crate) to_server: bool,
    /// The peer's log.
    pub(crate) echo: LogId,
    pub(crate) sealer: Sealer,
}

impl Terms {
    /// The scope that cursors are sealed for.
    pub(crate) fn scope(&self) -> [u8; 16] {
        let mut hasher = blake3::Hasher::new_derive_key(SCOPE_DOMAIN);
        hasher.update(&self.theirs.hash());
        hasher.update(&self.filter.fingerprint());
        hasher.update(&self.evaluation.hash());
        first_16(&hasher)
    }

    fn is_ours_alone(&self, collection: &str) -> bool {
        !self.theirs.wants(collection)
    }
}

/// A document by name.
pub(crate) type Place = (String, DocumentId);

/// What is to be read for a peer.
pub(crate) enum Job {
    /// Where to begin.
    Begin { cursor: Vec<u8>, may_continue: bool },
    /// The next documents of a catch-up.
    CatchUp {
        after: Option<(String, Vec<u8>)>,
        /// Where the tail begins afterwards; the view's own position at first.
        base: Option<Position>,
        /// The commit up to which the peer was told of everything before.
        known: u64,
        /// Whether the peer holds documents, so that they are offered.
        offer: bool,
    },
    /// What changed since; up to the commit `caught_up`, only what a catch-up
    /// passed over.
    Tail {
        after: u64,
        skip: usize,
        caught_up: u64,
    },
    /// These documents as if they had changed now.
    Again { places: Vec<Place> },
    /// These documents of a batch, whole.
    Pick { places: Vec<Place> },
}

/// A job with all that it needs.
pub struct Reading {
    pub(crate) epoch: u64,
    pub(crate) number: u64,
    pub(crate) terms: Arc<Terms>,
    pub(crate) now_ms: u64,
    pub(crate) writer: Box<BatchWriter>,
    pub(crate) job: Job,
}

/// What a [`Reading`] found. Goes back to the session as it is.
pub struct Read {
    pub(crate) epoch: u64,
    pub(crate) writer: Box<BatchWriter>,
    pub(crate) result: Result<Found, ReadError>,
}

/// The store failed, or holds a damaged document. Never the peer's fault.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error(transparent)]
    View(#[from] ViewError),
    #[error("a stored document is damaged")]
    Damaged(#[from] DecodeError),
}

pub(crate) enum Found {
    Begin(Begin),
    Batch(Sent),
}

/// Where the sending begins.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Begin {
    AtTheBeginning {
        /// The commit of the peer's cursor, which was made for another scope.
        known: u64,
    },
    CatchUp {
        after: (String, Vec<u8>),
        base: Position,
    },
    Tail {
        after: u64,
    },
    /// This store is a copy, or went back in time.
    Copied,
}

/// A batch, ready to be sent.
#[derive(Default)]
pub(crate) struct Sent {
    pub(crate) messages: Vec<Packed>,
    pub(crate) bytes: usize,
    /// Its items in their order, for a peer that wants some of them whole.
    pub(crate) places: Vec<(Arc<str>, DocumentId)>,
    /// Documents that are too large for the wire.
    pub(crate) withheld: u64,
    /// How many of the places that were asked for are left for another reading.
    pub(crate) left: usize,
    pub(crate) reached: Reached,
}

/// How far a batch brings the peer.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) enum Reached {
    #[default]
    Nowhere,
    /// Within a catch-up; the tail begins at `base` afterwards.
    Document {
        after: (String, Vec<u8>),
        base: Position,
    },
    /// The end of a catch-up to the commit `up`. The tail goes on from `commit`,
    /// which may lie before, since a catch-up passes over what the peer did not
    /// ask for and this side wants.
    Caught { up: u64, commit: u64 },
    /// A commit; `skip` changes after it were sent too.
    Commit { commit: u64, skip: usize },
}

impl Reading {
    /// Whether it is over so soon that it needs no thread of its own: the tail
    /// of a store whose newest commit is `newest`.
    #[must_use]
    pub fn is_short(&self, newest: u64) -> bool {
        match self.job {
            Job::Tail { after, .. } => newest.saturating_sub(after) <= SHORT_COMMITS_MAX,
            _ => false,
        }
    }

    /// Does the work.
    #[must_use]
    pub fn run(mut self, view: &dyn View) -> Read {
        let result = self.find(view);
        Read {
            epoch: self.epoch,
            writer: self.writer,
            result,
        }
    }

    fn find(&mut self, view: &dyn View) -> Result<Found, ReadError> {
        let job = std::mem::replace(&mut self.job, Job::Again { places: Vec::new() });
        let flags = Flags {
            catch_up: matches!(job, Job::CatchUp { .. }),
            supplement: matches!(job, Job::Pick { .. }),
            again: matches!(job, Job::Again { .. }),
            ..Flags::default()
        };
        let mut sheet = Sheet {
            terms: &self.terms,
            evaluation: Evaluation {
                now_ms: self.now_ms,
                ..self.terms.evaluation.clone()
            },
            writer: &mut self.writer,
            number: (self.terms.generation, self.number),
            flags,
            current: None,
            sent: Sent::default(),
            damaged: None,
        };
        match job {
            Job::Begin {
                cursor,
                may_continue,
            } => {
                let begin = begin(&self.terms, &cursor, may_continue, view)?;
                return Ok(Found::Begin(begin));
            }
            Job::CatchUp {
                after,
                base,
                known,
                offer,
            } => {
                let base = base.unwrap_or_else(|| view.position());
                sheet.catch_up(view, after, (base, known), offer)?;
            }
            Job::Tail {
                after,
                skip,
                caught_up,
            } => sheet.tail(view, (after, skip), caught_up)?,
            Job::Again { places } => sheet.each(view, &places, Sheet::as_if_changed)?,
            Job::Pick { places } => sheet.each(view, &places, Sheet::whole)?,
        }
        sheet.close().map(Found::Batch)
    }
}

fn begin(
    terms: &Terms,
    cursor: &[u8],
    may_continue: bool,
    view: &dyn View,
) -> Result<Begin, ViewError> {
    let Some(cursor) = terms.sealer.open(cursor) else {
        return Ok(Begin::AtTheBeginning { known: 0 });
    };
    let position = view.position();
    let chain = if cursor.commit == position.commit {
        Some(position.chain)
    } else {
        view.chain_at(cursor.commit)?
    };
    let contradicted = chain.is_some_and(|chain| cursor.contradicts(chain));
    if cursor.commit > position.commit || contradicted {
        return Ok(Begin::Copied);
    }
    if !may_continue || cursor.scope != first_8(&terms.scope()) {
        // Within a catch-up its commit is one that the peer does not have yet.
        let known = cursor.after.map_or(cursor.commit, |_| 0);
        return Ok(Begin::AtTheBeginning { known });
    }
    Ok(match cursor.after {
        None => Begin::Tail {
            after: cursor.commit,
        },
        Some(after) => Begin::CatchUp {
            after,
            base: Position {
                commit: cursor.commit,
                chain: chain.unwrap_or_default(),
            },
        },
    })
}

/// A batch being written.
struct Sheet<'r> {
    terms: &'r Terms,
    evaluation: Evaluation,
    writer: &'r mut BatchWriter,
    number: (u64, u64),
    flags: Flags,
    /// The collection of the last document: most follow one of the same.
    current: Option<Current>,
    sent: Sent,
    damaged: Option<DecodeError>,
}

/// A collection that is told of.
struct Current {
    name: Arc<str>,
    may_leave: bool,
}

impl Sheet<'_> {
    fn catch_up(
        &mut self,
        view: &dyn View,
        after: Option<(String, Vec<u8>)>,
        (base, known): (Position, u64),
        offer: bool,
    ) -> Result<(), ReadError> {
        let terms = self.terms;
        let (from, mut after) = after.unwrap_or_default();
        let mut looked = 0;
        for collection in terms.theirs.collections().filter(|name| **name >= *from) {
            if collection != from {
                after.clear();
            }
            let mut last = None;
            let mut visit = |id: &[u8], stored: Stored<'_>| {
                self.one_of_catch_up(collection, id, stored, offer);
                looked += 1;
                if self.is_full(CATCH_UP_BYTES) || looked >= LOOK_MAX {
                    last = Some(id.to_vec());
                    return ControlFlow::Break(());
                }
                ControlFlow::Continue(())
            };
            match terms.theirs.ids(collection, &terms.evaluation) {
                None => {
                    let after = Some(after.as_slice()).filter(|after| !after.is_empty());
                    view.scan(collection, after, &mut visit)?;
                }
                Some(ids) => {
                    for id in ids.iter().filter(|id| *id.as_bytes() > *after) {
                        let mut flow = ControlFlow::Continue(());
                        view.stored(collection, id, &mut |stored| {
                            flow = visit(id.as_bytes(), stored);
                        })?;
                        if flow.is_break() {
                            break;
                        }
                    }
                }
            }
            if let Some(id) = last {
                let after = (collection.to_owned(), id);
                return self.end(Reached::Document { after, base }, base);
            }
        }
        let (up, mut end) = (base.commit, base);
        if known < up {
            end = Position {
                commit: known,
                chain: view.chain_at(known)?.unwrap_or_default(),
            };
        }
        let commit = end.commit;
        self.end(Reached::Caught { up, commit }, end)
    }

    fn one_of_catch_up(&mut self, collection: &str, id: &[u8], stored: Stored<'_>, offer: bool) {
        let Some(id) = self.may_be_told(collection, id) else {
            return;
        };
        let matches = self.matches(collection, &id, stored);
        match (matches, offer) {
            (true, false) => self.put(collection, id, stored.document, &VersionVector::new()),
            (true, true) => self.tell(collection, id, stored.document, Form::Offer),
            // Who holds nothing has nothing that could leave.
            (false, false) => {}
            (false, true) => self.tell(collection, id, stored.document, Form::Leave),
        }
    }

    fn tail(
        &mut self,
        view: &dyn View,
        (after, skip): (u64, usize),
        caught_up: u64,
    ) -> Result<(), ReadError> {
        let terms = self.terms;
        let since = Since {
            commit: after,
            echo: Some(terms.echo),
            collection: &|name| terms.theirs.wants(name) || terms.ours.wants(name),
        };
        let (mut seen, mut commit, mut cut) = (0, after, None);
        view.changes(&since, &mut |changed| {
            if seen >= skip && self.is_full(TAIL_BYTES_MAX) {
                if changed.commit != commit {
                    cut = Some((commit, 0));
                } else if self.is_full(TAIL_CUT_BYTES) {
                    cut = Some((after, seen));
                }
                if cut.is_some() {
                    return ControlFlow::Break(());
                }
            }
            let is_told = changed.commit <= caught_up && !self.is_passed_over(&changed);
            if seen >= skip && !is_told {
                self.one_of_tail(&changed);
            }
            commit = changed.commit;
            seen += 1;
            ControlFlow::Continue(())
        })?;
        match cut {
            None => {
                let end = view.position();
                let commit = end.commit;
                self.end(Reached::Commit { commit, skip: 0 }, end)
            }
            Some((commit, 0)) => {
                let chain = view.chain_at(commit)?.unwrap_or_default();
                let reached = Reached::Commit { commit, skip: 0 };
                self.end(reached, Position { commit, chain })
            }
            Some((commit, skip)) => {
                self.sent.reached = Reached::Commit { commit, skip };
                self.finish(true, &[]);
                Ok(())
            }
        }
    }

    /// Whether a catch-up does not come by a document.
    fn is_passed_over(&self, changed: &Changed<'_>) -> bool {
        let terms = self.terms;
        if terms.is_ours_alone(changed.collection) {
            return true;
        }
        let ids = terms.theirs.ids(changed.collection, &terms.evaluation);
        ids.is_some_and(|ids| !ids.iter().any(|id| id.as_bytes() == changed.id))
    }

    fn one_of_tail(&mut self, changed: &Changed<'_>) {
        let (collection, stored) = (changed.collection, changed.stored);
        let Some(id) = self.may_be_told(collection, changed.id) else {
            return;
        };
        if self.terms.is_ours_alone(collection) {
            if !self.covers(&changed.base, stored) {
                self.tell(collection, id, stored.document, Form::Have);
            }
        } else if self.matches(collection, &id, stored) {
            self.put(collection, id, stored.document, &changed.base);
        } else if !self.covers(&changed.base, stored) {
            self.tell(collection, id, stored.document, Form::Leave);
        }
    }

    /// Whether a peer with this base has all of it: then it came from there.
    fn covers(&mut self, base: &VersionVector, stored: Stored<'_>) -> bool {
        match tombolo_document::merge::version_vector(stored.document) {
            Ok(vector) => base.dominates(&vector),
            Err(error) => {
                self.damaged = Some(error);
                true
            }
        }
    }

    fn each(
        &mut self,
        view: &dyn View,
        places: &[Place],
        one: fn(&mut Self, &str, DocumentId, Stored<'_>),
    ) -> Result<(), ReadError> {
        for (at, (collection, id)) in places.iter().enumerate() {
            if self.is_full(CATCH_UP_BYTES) {
                self.sent.left = places.len() - at;
                break;
            }
            view.stored(collection, id, &mut |stored| {
                if let Some(id) = self.may_be_told(collection, id.as_bytes()) {
                    one(self, collection, id, stored);
                }
            })?;
        }
        // What is sent again goes on in another batch, a supplement in the same.
        let end = self.sent.left == 0 || !self.flags.supplement;
        if end || !self.writer.is_empty() {
            self.finish(end, &[]);
        }
        Ok(())
    }

    fn as_if_changed(&mut self, collection: &str, id: DocumentId, stored: Stored<'_>) {
        if self.terms.is_ours_alone(collection) {
            self.tell(collection, id, stored.document, Form::Have);
        } else if self.matches(collection, &id, stored) {
            self.put(collection, id, stored.document, &VersionVector::new());
        } else {
            self.tell(collection, id, stored.document, Form::Leave);
        }
    }

    fn whole(&mut self, collection: &str, id: DocumentId, stored: Stored<'_>) {
        self.put(collection, id, stored.document, &VersionVector::new());
    }

    /// The id, if the peer may know of the document and it may leave here.
    fn may_be_told(&mut self, collection: &str, id: &[u8]) -> Option<DocumentId> {
        if !self.current(collection).may_leave {
            return None;
        }
        // An id that cannot be read belongs to a damaged record.
        let id = DocumentId::from_bytes(id).ok()?;
        self.terms.filter.may_send(collection, &id).then_some(id)
    }

    fn current(&mut self, collection: &str) -> &Current {
        let terms = self.terms;
        let current = self.current.take();
        let current = current.filter(|current| *current.name == *collection);
        self.current.insert(current.unwrap_or_else(|| Current {
            name: collection.into(),
            may_leave: terms.evaluation.lets_leave(collection, terms.to_server),
        }))
    }

    fn matches(&self, collection: &str, id: &DocumentId, stored: Stored<'_>) -> bool {
        let theirs = &self.terms.theirs;
        stored.live && theirs.matches((collection, id), stored.document, &self.evaluation)
    }

    fn put(&mut self, collection: &str, id: DocumentId, document: &[u8], base: &VersionVector) {
        if document.len() > DOCUMENT_BYTES_MAX {
            self.sent.withheld += 1;
            return;
        }
        let before = self.writer.len();
        match self.writer.put(collection, id.as_bytes(), document, base) {
            Ok(true) => self.placed(collection, id, self.writer.len() - before),
            Ok(false) => {}
            Err(error) => self.damaged = Some(error),
        }
    }

    fn tell(&mut self, collection: &str, id: DocumentId, document: &[u8], form: Form) {
        self.writer
            .tell(collection, id.as_bytes(), form, &digest(document));
        // Counted as if it were wanted, so that a supplement has room.
        self.placed(collection, id, document.len());
    }

    fn placed(&mut self, collection: &str, id: DocumentId, bytes: usize) {
        self.sent.bytes += bytes + ITEM_BYTES;
        let name = Arc::clone(&self.current(collection).name);
        self.sent.places.push((name, id));
        if self.writer.len() >= MESSAGE_TARGET_BYTES {
            self.finish(false, &[]);
        }
    }

    fn is_full(&self, bytes: usize) -> bool {
        self.sent.bytes >= bytes
    }

    fn end(&mut self, reached: Reached, position: Position) -> Result<(), ReadError> {
        let after = match &reached {
            Reached::Document { after, .. } => Some((after.0.as_str(), after.1.as_slice())),
            _ => None,
        };
        let scope = self.terms.scope();
        let cursor = self.terms.sealer.seal(position, &scope, after);
        self.sent.reached = reached;
        self.finish(true, &cursor);
        Ok(())
    }

    fn finish(&mut self, end: bool, cursor: &[u8]) {
        let flags = Flags { end, ..self.flags };
        let message = self.writer.finish(self.number, flags, cursor);
        self.sent.messages.push(message);
    }

    fn close(self) -> Result<Sent, ReadError> {
        match self.damaged {
            Some(error) => Err(error.into()),
            None => Ok(self.sent),
        }
    }
}
