//! What a program sees of a fetch: how far it is, its end, and a way to call it
//! off.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use tokio::sync::watch;
use tombolo_document::attachment::{AttachmentId, AttachmentToken};
use tombolo_document::{DocumentId, DocumentView, Field, Kind, Lens, Schema, Undeclared};
use tombolo_store::attachments::{AttachmentError, AttachmentReader};
use tombolo_sync::attachments::{FetchEnd, FetcherFull, Place};
use tombolo_sync::wire::Lack;

use super::fetches::{Fetches, places_of};
use crate::database::Database;

/// How far a fetch is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FetchState {
    /// Nothing comes now.
    Waiting(FetchWait),
    /// It comes from a peer.
    Coming {
        /// Bytes that are here and checked, those of earlier attempts included.
        bytes: u64,
        /// Bytes of the whole.
        total: u64,
    },
    /// It is here, whole and durable.
    Complete,
}

/// What a fetch waits for. It goes on by itself in every case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FetchWait {
    /// For a peer that can be asked, or for its turn.
    Neighbour,
    /// For a neighbour to fetch it first: they know of it and have it not.
    NotHeld,
    /// For rules or documents to change: no neighbour gives it for this document.
    Refused,
    /// For a peer that answers: the last one that was asked fell silent.
    Silent,
    /// For room or a working disk here.
    Storage,
}

impl From<FetchEnd> for FetchWait {
    fn from(end: FetchEnd) -> Self {
        match end {
            FetchEnd::Lacking(Lack::NotHeld) => Self::NotHeld,
            FetchEnd::Lacking(Lack::Refused) | FetchEnd::Unable => Self::Refused,
            FetchEnd::Silent => Self::Silent,
            FetchEnd::Failed => Self::Storage,
            FetchEnd::Complete => Self::Neighbour,
        }
    }
}

/// Why a fetch does not begin.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The caller's: there is no such document, or nothing at that path in it
    /// that is an attachment.
    #[error(
        "the document has no attachment there: name its collection, its id and the path of an ATTACHMENT field"
    )]
    NoAttachment,
    /// The caller's: no document here refers to it, and peers give attachments
    /// for documents alone.
    #[error("no document here refers to attachment {id}: subscribe to the documents that do")]
    NotReferred {
        /// Which.
        id: AttachmentId,
    },
    /// Too much is being fetched.
    #[error("{0}: wait for some of them, or cancel them")]
    Full(#[from] FetcherFull),
    /// The store failed.
    #[error("the document could not be read")]
    Store(#[source] Arc<tombolo_store::StoreError>),
    /// The files of attachments failed.
    #[error(transparent)]
    Attachment(#[from] AttachmentError),
}

impl From<tombolo_store::StoreError> for FetchError {
    fn from(error: tombolo_store::StoreError) -> Self {
        Self::Store(Arc::new(error))
    }
}

/// An attachment that is being fetched. Dropping the last handle of an attachment
/// calls the fetch off; what came stays, and the next fetch goes on from there.
#[must_use = "dropping it calls the fetch off"]
pub struct AttachmentFetch {
    fetches: Arc<Fetches>,
    token: AttachmentToken,
    state: watch::Receiver<FetchState>,
    /// Whether there is something to be called off.
    is_counted: bool,
}

impl Database {
    /// Fetches the attachment at `path` in a document from whichever neighbour has
    /// it, and goes on until it is here or the handle is dropped: it waits for
    /// neighbours, asks them again after a pause, and continues what was
    /// interrupted. Sync must run for anything to come.
    ///
    /// ```
    /// use tombolo::{Database, FetchError, Object, Options, Value};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let database = Database::open(Options::memory("my-database"))?;
    /// let car = tombolo::json::parse(br#"{"_id": "1", "colour": "red"}"#)?;
    /// let arguments = Object::from([("car".to_owned(), car)]);
    /// database.execute("INSERT INTO cars DOCUMENTS (:car)", arguments)?;
    ///
    /// let id = tombolo::DocumentId::from_value(&Value::from("1"))?;
    /// // The photo of this car was never attached.
    /// let fetch = database.fetch_attachment("cars", &id, &["photo"]);
    /// assert!(matches!(fetch, Err(FetchError::NoAttachment)));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`FetchError`]; nothing is fetched then.
    pub fn fetch_attachment(
        &self,
        collection: &str,
        id: &DocumentId,
        path: &[&str],
    ) -> Result<AttachmentFetch, FetchError> {
        let stored = self.snapshot().stored(collection, id.as_bytes())?;
        let stored = stored.filter(|stored| stored.live);
        let token = stored.and_then(|stored| token_at(&stored.document, path));
        let token = token.ok_or(FetchError::NoAttachment)?;
        let place = Place {
            collection: collection.to_owned(),
            id: id.clone(),
            length: token.length,
        };
        self.fetch(token, vec![place])
    }

    /// As [`Database::fetch_attachment`], for a token whose document is not at
    /// hand.
    ///
    /// # Errors
    /// [`FetchError`]; nothing is fetched then.
    pub fn fetch_attachment_by_token(
        &self,
        token: &AttachmentToken,
    ) -> Result<AttachmentFetch, FetchError> {
        if self.attachments.holds(token.id)? {
            return self.fetch(token.clone(), Vec::new());
        }
        let mut places = places_of(&self.snapshot(), token.id)?;
        places.retain(|place| place.length == token.length);
        if places.is_empty() {
            return Err(FetchError::NotReferred { id: token.id });
        }
        self.fetch(token.clone(), places)
    }

    fn fetch(
        &self,
        token: AttachmentToken,
        places: Vec<Place>,
    ) -> Result<AttachmentFetch, FetchError> {
        let is_held = self.attachments.holds(token.id)?;
        let state = if is_held {
            watch::channel(FetchState::Complete).1
        } else {
            self.fetches.want(&token, places)?
        };
        Ok(AttachmentFetch {
            fetches: Arc::clone(&self.fetches),
            token,
            state,
            is_counted: !is_held,
        })
    }
}

/// The token at a path of a stored document, however the field is declared.
fn token_at(document: &[u8], path: &[&str]) -> Option<AttachmentToken> {
    let view = DocumentView::new(document).ok()?;
    let schema = attachment_at(path)?;
    let field = view.get(path, &schema).ok()??;
    let value = field.to_value(Lens::new(&schema)).ok()?;
    AttachmentToken::from_value(&value).ok()
}

/// A schema in which an attachment is at this path.
fn attachment_at(path: &[&str]) -> Option<Schema> {
    let (last, maps) = path.split_last()?;
    let of = |kind, fields| Field { kind, fields };
    let declared = of(Kind::Attachment, BTreeMap::new());
    let mut fields = BTreeMap::from([((*last).to_owned(), declared)]);
    for name in maps.iter().rev() {
        fields = BTreeMap::from([((*name).to_owned(), of(Kind::Map, fields))]);
    }
    let undeclared = Undeclared::Infer;
    Some(Schema { fields, undeclared })
}

impl AttachmentFetch {
    /// What is fetched.
    #[must_use]
    pub const fn token(&self) -> &AttachmentToken {
        &self.token
    }

    /// How far it is now.
    #[must_use]
    pub fn state(&self) -> FetchState {
        self.state.borrow().clone()
    }

    /// Resolves with the state when it has changed since this was last asked, on
    /// any runtime; `None` when it will not change any more.
    pub async fn changed(&mut self) -> Option<FetchState> {
        self.state.changed().await.ok()?;
        Some(self.state.borrow_and_update().clone())
    }

    /// Waits on this thread until it is here, for `limit` at most, and opens it;
    /// `None` if the time is over first.
    ///
    /// # Errors
    /// It came, and its files cannot be read.
    pub fn wait(
        &mut self,
        limit: Option<Duration>,
    ) -> Result<Option<AttachmentReader>, AttachmentError> {
        let state = &mut self.state;
        let complete = state.wait_for(|state| *state == FetchState::Complete);
        if !within(limit, async { complete.await.is_ok() }).unwrap_or(false) {
            return Ok(None);
        }
        self.fetches.shelf().open_content(self.token.id)
    }

    /// Calls the fetch off. The same as dropping it, under a name that says so.
    pub fn cancel(self) {
        drop(self);
    }
}

impl Drop for AttachmentFetch {
    fn drop(&mut self) {
        if self.is_counted {
            self.fetches.let_go(self.token.id);
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future on this thread until it is done, or the time is over.
#[expect(
    clippy::disallowed_methods,
    reason = "the time that a caller waits is the machine's, whatever clock the database has"
)]
fn within<T>(limit: Option<Duration>, future: impl Future<Output = T>) -> Option<T> {
    let end = limit.and_then(|limit| std::time::Instant::now().checked_add(limit));
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        if let Poll::Ready(done) = future.as_mut().poll(&mut context) {
            return Some(done);
        }
        match end {
            None => std::thread::park(),
            Some(end) => {
                let left = end.saturating_duration_since(std::time::Instant::now());
                if left.is_zero() {
                    return None;
                }
                std::thread::park_timeout(left);
            }
        }
    }
}
