//! All fetches of a database: who waits, which links there are, and the machine
//! that decides whom to ask. Whoever tells it something carries out what follows.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tombolo_document::attachment::{AttachmentId, AttachmentToken, mentioned};
use tombolo_store::attachments::Attachments;
use tombolo_store::{Snapshot, StoreError, Timekeeper};
use tombolo_sync::attachments::{FetchEnd, Fetcher, FetcherFull, Order, Place, Waiting, Who};
use tombolo_sync::limits::{FETCHES_BY_ITSELF_MAX, PLACES_MAX};

use super::fetch::{FetchState, FetchWait};

/// Orders that may wait for one link: some for each attachment that is asked for
/// on it.
const LINK_ORDERS_MAX: usize = 32;

/// When no more than so many wait to be fetched by themselves, documents are
/// looked at for more.
const LOOK_AGAIN_FROM: usize = FETCHES_BY_ITSELF_MAX / 2;

/// What a link is to do.
#[derive(Debug)]
pub(crate) enum LinkOrder {
    /// Ask its peer.
    Seek(AttachmentId, Place),
    /// Do not ask any more.
    Cancel(AttachmentId),
}

/// What moved of attachments since the database was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AttachmentTraffic {
    /// Bytes that were read for peers which asked for them.
    pub given_bytes: u64,
    /// Bytes that came from peers and were checked and stored.
    pub fetched_bytes: u64,
}

/// All fetches.
pub(crate) struct Fetches {
    shelf: Attachments,
    time: Arc<dyn Timekeeper>,
    state: Mutex<State>,
    /// Something changed that the keeper may wait for.
    stirred: Notify,
    /// There is room for what documents refer to, or a reason to look again.
    look: Notify,
    given_bytes: AtomicU64,
    fetched_bytes: AtomicU64,
}

#[derive(Default)]
struct State {
    fetcher: Fetcher,
    links: BTreeMap<u64, mpsc::Sender<LinkOrder>>,
    watched: BTreeMap<AttachmentId, Watched>,
    /// Whether what documents refer to is fetched by itself.
    is_automatic: bool,
    /// Whether no neighbour gave something that documents refer to.
    has_missed: bool,
    /// How many links there ever were.
    links_ever: u64,
}

struct Watched {
    state: watch::Sender<FetchState>,
    total: u64,
    handles: usize,
}

impl Fetches {
    pub(crate) fn new(shelf: Attachments, time: Arc<dyn Timekeeper>) -> Self {
        Self {
            shelf,
            time,
            state: Mutex::default(),
            stirred: Notify::new(),
            look: Notify::new(),
            given_bytes: AtomicU64::new(0),
            fetched_bytes: AtomicU64::new(0),
        }
    }

    pub(crate) const fn shelf(&self) -> &Attachments {
        &self.shelf
    }

    /// Somebody wants an attachment, for these documents.
    pub(super) fn want(
        &self,
        token: &AttachmentToken,
        places: Vec<Place>,
    ) -> Result<watch::Receiver<FetchState>, FetcherFull> {
        let mut state = self.lock();
        for place in places {
            state.fetcher.want(token.id, place, Who::Somebody)?;
        }
        let watched = state.watched.entry(token.id).or_insert_with(|| Watched {
            state: watch::channel(FetchState::Waiting(FetchWait::Neighbour)).0,
            total: token.length,
            handles: 0,
        });
        watched.handles += 1;
        // It was here once, and was collected since.
        if *watched.state.borrow() == FetchState::Complete {
            let waits = FetchState::Waiting(FetchWait::Neighbour);
            watched.state.send_replace(waits);
        }
        let receiver = watched.state.subscribe();
        self.settle(&mut state);
        Ok(receiver)
    }

    /// A handle is gone.
    pub(super) fn let_go(&self, attachment: AttachmentId) {
        let mut state = self.lock();
        let Some(watched) = state.watched.get_mut(&attachment) else {
            return;
        };
        watched.handles -= 1;
        if watched.handles > 0 {
            return;
        }
        state.watched.remove(&attachment);
        if state.is_automatic && state.fetcher.leave_to_document(attachment) {
            return;
        }
        if let Some(link) = state.fetcher.forget(attachment)
            && let Some(link) = state.links.get(&link)
        {
            // A link that takes no orders is about to end.
            let _ = link.try_send(LinkOrder::Cancel(attachment));
        }
        self.settle(&mut state);
    }

    /// Documents refer to an attachment that is not here.
    pub(super) fn refer(
        &self,
        attachment: AttachmentId,
        places: Vec<Place>,
    ) -> Result<(), FetcherFull> {
        let mut state = self.lock();
        for place in places {
            state.fetcher.want(attachment, place, Who::Document)?;
        }
        self.settle(&mut state);
        Ok(())
    }

    /// A link is up; gives what it is to do.
    pub(crate) fn linked(&self, link: u64) -> mpsc::Receiver<LinkOrder> {
        let (sender, orders) = mpsc::channel(LINK_ORDERS_MAX);
        let mut state = self.lock();
        state.links.insert(link, sender);
        state.fetcher.linked(link);
        state.links_ever += 1;
        self.settle(&mut state);
        self.look.notify_one();
        orders
    }

    /// A link is gone, and nothing of what was asked for on it is open any more.
    pub(crate) fn unlinked(&self, link: u64) {
        let mut state = self.lock();
        state.links.remove(&link);
        state.fetcher.unlinked(link);
        self.settle(&mut state);
    }

    /// So much is read for a peer.
    pub(super) fn given(&self, bytes: usize) {
        self.given_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// So much that a peer sent was checked and stored.
    pub(super) fn fetched(&self, bytes: usize) {
        self.fetched_bytes
            .fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn traffic(&self) -> AttachmentTraffic {
        AttachmentTraffic {
            given_bytes: self.given_bytes.load(Ordering::Relaxed),
            fetched_bytes: self.fetched_bytes.load(Ordering::Relaxed),
        }
    }

    /// Something of an attachment came.
    pub(super) fn progress(&self, attachment: AttachmentId, bytes: u64) {
        if let Some(watched) = self.lock().watched.get(&attachment) {
            let total = watched.total;
            watched
                .state
                .send_replace(FetchState::Coming { bytes, total });
        }
    }

    /// Asking on a link is over, and nothing of the attachment is open there.
    pub(super) fn ended(&self, link: u64, attachment: AttachmentId, end: FetchEnd) {
        let mut state = self.lock();
        state.fetcher.ended(link, attachment, end);
        if end == FetchEnd::Complete
            && let Some(watched) = state.watched.get(&attachment)
        {
            watched.state.send_replace(FetchState::Complete);
        }
        self.settle(&mut state);
    }

    /// Does what is to be done now, and again whenever time or events allow.
    pub(crate) async fn keep(&self) {
        loop {
            let alarm = {
                let mut state = self.lock();
                self.pump(&mut state);
                state.fetcher.alarm()
            };
            let now = self.time.monotonic();
            let left = alarm.map_or(Duration::from_secs(3600), |at| at.saturating_sub(now));
            // Time passed, or something happened: the same is done.
            let _ = tokio::time::timeout(left, self.stirred.notified()).await;
        }
    }

    /// From now on what documents refer to is fetched by itself.
    pub(super) fn be_automatic(&self) {
        self.lock().is_automatic = true;
    }

    /// Resolves when there may be reason to look for what documents refer to.
    pub(super) async fn reason_to_look(&self) {
        self.look.notified().await;
    }

    /// Whether something was given up since this was last asked, and how many links
    /// there ever were.
    pub(super) fn missed(&self) -> (bool, u64) {
        let mut state = self.lock();
        (std::mem::take(&mut state.has_missed), state.links_ever)
    }

    /// Does what follows from a change, and wakes who waits for one.
    fn settle(&self, state: &mut State) {
        self.pump(state);
        self.stirred.notify_one();
    }

    fn pump(&self, state: &mut State) {
        let now = self.time.monotonic();
        while let Some(order) = state.fetcher.next(now) {
            match order {
                Order::Seek {
                    link,
                    attachment,
                    place,
                } => {
                    let order = LinkOrder::Seek(attachment, place);
                    let sender = state.links.get(&link);
                    if sender.is_none_or(|sender| sender.try_send(order).is_err()) {
                        state.fetcher.ended(link, attachment, FetchEnd::Silent);
                    }
                }
                Order::GivenUp(_) => state.has_missed = true,
            }
        }
        state.tell();
        if state.is_automatic && state.fetcher.count(Who::Document) <= LOOK_AGAIN_FROM {
            self.look.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change leaves it whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Tells those who wait for what they wait.
    fn tell(&self) {
        for (attachment, watched) in &self.watched {
            let waits = match self.fetcher.waiting(*attachment) {
                Some(Waiting::ForNeighbour) => FetchWait::Neighbour,
                Some(Waiting::Lacking(end)) => end.into(),
                // What comes tells itself, and what is here was told.
                Some(Waiting::Coming(_)) | None => continue,
            };
            let now = FetchState::Waiting(waits);
            watched.state.send_if_modified(|held| {
                let differs = *held != now;
                if differs {
                    held.clone_from(&now);
                }
                differs
            });
        }
    }
}

/// The documents that refer to an attachment, as many as one is asked by, with the
/// length that each tells.
pub(super) fn places_of(
    snapshot: &Snapshot,
    attachment: AttachmentId,
) -> Result<Vec<Place>, StoreError> {
    let mut documents = Vec::new();
    snapshot.documents_mentioning(attachment, &mut |collection, id| {
        documents.push((collection.to_owned(), id.clone()));
        if documents.len() < PLACES_MAX {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    })?;
    let mut places = Vec::new();
    for (collection, id) in documents {
        let stored = snapshot.stored(&collection, id.as_bytes())?;
        let Some(stored) = stored.filter(|stored| stored.live) else {
            continue;
        };
        let token = mentioned(&stored.document, attachment);
        if let Some(token) = token.map_err(StoreError::DamagedDocument)? {
            places.push(Place {
                collection,
                id,
                length: token.length,
            });
        }
    }
    Ok(places)
}
