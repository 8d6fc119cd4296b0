//! Drives one session over one link: what happens goes in, what it asks is done.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tombolo_identity::{PeerPublicKey, Permissions, VerifiedPeer};
use tombolo_mesh::{Credential, EstablishedLink, LinkError};
use tombolo_query::Parameters;
use tombolo_sync::attachments::AttachmentEvent;
use tombolo_sync::wire::Channel;
use tombolo_sync::{Action, CloseReason, Event, Interests, Local, Notice, Now, Session};

use super::attachments::{AttachmentDesk, Fetches, LaneFull, LinkOrder};
use super::board::Board;
use super::courier::{OUTBOX_FRAMES_MAX, carry};
use super::spreading::{Offer, offer};
use crate::replication::{Host, Views};

/// Answers of the store that may wait for a session, which asks for one apply
/// at a time.
const ANSWERS_MAX: usize = 4;
/// How long the last frames of a session may take.
const FAREWELL: Duration = Duration::from_secs(2);

/// What all sessions of a service share.
#[derive(Clone)]
pub(crate) struct Common {
    pub(crate) host: Host,
    pub(crate) fetches: Arc<Fetches>,
    /// What every session is, but for the permissions, which are its link's.
    pub(crate) local: Arc<Local>,
    pub(crate) credential: Arc<Credential>,
    pub(crate) board: Arc<Board>,
    pub(crate) interests: watch::Receiver<Arc<Interests>>,
    pub(crate) parameters: watch::Receiver<Arc<Parameters>>,
    pub(crate) commits: watch::Receiver<u64>,
    /// The version of the revocations that are held.
    pub(crate) revocations: watch::Receiver<u64>,
}

/// Runs a session until its link ends.
pub(crate) async fn drive(established: EstablishedLink, number: u64, mut common: Common) {
    let EstablishedLink {
        link,
        dialled,
        guard,
    } = established;
    let peer = link.peer().clone();
    let key = peer.peer_key().clone();
    let address = link.remote_address().to_owned();
    tracing::debug!(target: "tombolo::sync", peer = %key, address, dialled, "a session with a peer begins");
    common.board.up(key.clone(), number, link.transport());
    let (sender, mut receiver) = common.board.traffic().meter(link.split());
    let (outbox, frames) = mpsc::channel(OUTBOX_FRAMES_MAX);
    let (count, mut carried) = watch::channel(0);
    let mut courier = tokio::spawn(carry(frames, sender, count));
    let permissions = guard.own_permissions().clone();
    let mut driver = Driver::open(&mut common, (permissions, peer), outbox, number);
    let ended = loop {
        if let Some(ended) = driver.ended.take() {
            break ended;
        }
        let wake = driver.wake;
        tokio::select! {
            biased;
            reason = guard.closed() => break Ended::Link(reason.to_string()),
            sent = &mut courier => break Ended::link(sent.ok().and_then(Result::err)),
            Some(event) = driver.answers.recv() => driver.handle(event),
            Some(event) = driver.files.recv() => driver.handle(event),
            Some(order) = next_order(&mut driver.orders) => driver.order(order),
            Ok(()) = carried.changed() => driver.carried(*carried.borrow_and_update()),
            frame = receiver.receive() => match frame {
                Ok(Some(frame)) => driver.handle(Event::Frame(frame)),
                Ok(None) => break Ended::Link("the peer ended the link".to_owned()),
                Err(error) => break Ended::link(Some(error)),
            },
            Ok(()) = common.commits.changed() => driver.committed(),
            Ok(()) = common.interests.changed() => {
                let interests = Arc::clone(&common.interests.borrow_and_update());
                driver.handle(Event::Interests(interests));
            }
            Ok(()) = common.parameters.changed() => {
                let parameters = Arc::clone(&common.parameters.borrow_and_update());
                driver.handle(Event::Parameters(parameters));
            }
            Ok(()) = common.revocations.changed() => driver.tell_revocations(),
            () = tokio::time::sleep_until(wake) => {
                driver.wake = Instant::now() + Duration::from_secs(3600);
                driver.handle(Event::Tick);
            }
        }
    };
    ended.tell(&key, &address, &common.board);
    driver.end();
    common.board.down(&key, number);
    // The farewell is in the courier's hands; a peer that does not take it is cut.
    if !courier.is_finished() && tokio::time::timeout(FAREWELL, &mut courier).await.is_err() {
        courier.abort();
    }
    drop(guard);
}

enum Ended {
    Session(CloseReason),
    /// The peer did what none that keeps to the rules does.
    Misbehaved(String),
    Link(String),
}

impl Ended {
    fn link(error: Option<LinkError>) -> Self {
        let text = error.map_or_else(|| "the link ended".to_owned(), |error| error.to_string());
        Self::Link(text)
    }

    fn tell(&self, peer: &PeerPublicKey, address: &str, board: &Board) {
        if let Self::Misbehaved(_) | Self::Session(CloseReason::PeerMisbehaved(_)) = self {
            board.traffic().refuse();
        }
        match self {
            Self::Link(reason) => {
                tracing::info!(target: "tombolo::sync", %peer, address, reason, "the link to a peer ended");
            }
            Self::Misbehaved(reason) => {
                tracing::warn!(target: "tombolo::sync", %peer, address, reason, "the link to a peer that misbehaved was ended");
            }
            Self::Session(reason) => {
                tracing::warn!(target: "tombolo::sync", %peer, address, %reason, "a session with a peer ended");
            }
        }
    }
}

/// A session with what it works on.
struct Driver {
    host: Host,
    board: Arc<Board>,
    credential: Arc<Credential>,
    key: PeerPublicKey,
    number: u64,
    session: Session,
    views: Views,
    outbox: Option<mpsc::Sender<(Channel, Bytes)>>,
    answers: mpsc::Receiver<Event>,
    answer: mpsc::Sender<Event>,
    fetches: Arc<Fetches>,
    attachments: AttachmentDesk,
    /// What was done with files of attachments.
    files: mpsc::Receiver<Event>,
    /// What is wanted of the peer, once it is known.
    orders: Option<mpsc::Receiver<LinkOrder>>,
    /// Frames of attachments that the link took.
    carried: usize,
    wake: Instant,
    ended: Option<Ended>,
}

impl Driver {
    fn open(
        common: &mut Common,
        (permissions, peer): (Permissions, VerifiedPeer),
        outbox: mpsc::Sender<(Channel, Bytes)>,
        number: u64,
    ) -> Self {
        let host = common.host.clone();
        let local = Local {
            permissions,
            ..Local::clone(&common.local)
        };
        // From here on a change of any of them wakes the loop.
        common.commits.borrow_and_update();
        common.revocations.borrow_and_update();
        let interests = Arc::clone(&common.interests.borrow_and_update());
        let parameters = Arc::clone(&common.parameters.borrow_and_update());
        let state = (host.standing(), interests, parameters);
        let (answer, answers) = mpsc::channel(ANSWERS_MAX);
        let (file, files) = mpsc::channel(ANSWERS_MAX);
        let attachments = AttachmentDesk::open(&host, &common.fetches, number, &file);
        let mut actions = Vec::new();
        let key = peer.peer_key().clone();
        let session = Session::open(Arc::new(local), peer, state, host.now(), &mut actions);
        let mut driver = Self {
            host,
            board: Arc::clone(&common.board),
            credential: Arc::clone(&common.credential),
            key,
            number,
            session,
            views: Views::default(),
            outbox: Some(outbox),
            answers,
            answer,
            fetches: Arc::clone(&common.fetches),
            attachments,
            files,
            orders: None,
            carried: 0,
            wake: Instant::now(),
            ended: None,
        };
        driver.perform(actions);
        driver.tell_revocations();
        driver
    }

    /// The session is to tell its peer of the list that is held.
    fn tell_revocations(&mut self) {
        if let Some(list) = self.credential.revocations_told() {
            self.handle(Event::Revocations(list));
        }
    }

    /// The peer offers a list; gives the one that it should have instead.
    fn take_revocations(&mut self, list: &Bytes) -> Option<Event> {
        let credential = &self.credential;
        match aside(false, || offer(credential, list, &self.key)) {
            Offer::Taken => None,
            Offer::Older => credential.revocations_told().map(Event::Revocations),
            Offer::Refused(error) => {
                self.ended = Some(Ended::Misbehaved(error.to_string()));
                None
            }
        }
    }

    fn committed(&mut self) {
        self.handle(Event::Committed(self.host.standing()));
    }

    fn handle(&mut self, event: Event) {
        let mut actions = Vec::new();
        let before = self.session.status();
        self.session.handle(event, self.host.now(), &mut actions);
        self.perform(actions);
        let after = self.session.status();
        if after != before {
            self.board.progress(&self.key, self.number, after);
        }
    }

    fn perform(&mut self, mut actions: Vec<Action>) {
        let mut events = Vec::new();
        loop {
            for action in actions.drain(..) {
                events.extend(self.act(action));
            }
            let Some(event) = events.pop() else { return };
            self.session.handle(event, self.host.now(), &mut actions);
        }
    }

    fn act(&mut self, action: Action) -> Option<Event> {
        match action {
            Action::Send(channel, frame) => self.send(channel, frame),
            Action::Read(reading, which) => {
                let view = self.views.pick(&self.host, which);
                let is_short = reading.is_short(self.host.standing().commit);
                return Some(Event::Read(aside(is_short, || reading.run(&view))));
            }
            Action::Look(looking) => {
                let view = self.host.view();
                return Some(Event::Looked(aside(false, || looking.run(&view))));
            }
            Action::Recall(recalling) => {
                return Some(Event::Recalled(recalling.run(&self.host.view())));
            }
            Action::Release(view) => self.views.release(view),
            Action::Apply(apply) => {
                let answer = self.answer.clone();
                // There is room for each answer, since one is asked for at a time.
                self.host.queue_apply(apply, move |applied| {
                    let _ = answer.try_send(Event::Applied(applied));
                });
            }
            Action::Remember(records) => self.remember(records),
            Action::RenewIdentity => self.host.queue_renewal(),
            Action::Revocations(list) => return self.take_revocations(&list),
            Action::Attachment(action) => {
                let done = self.attachments.act(action);
                self.overloaded_if(done);
            }
            Action::Met(hello) => {
                tracing::info!(target: "tombolo::sync", peer = %self.key, device_name = hello.device_name, version = hello.version, "exchanging documents with a peer");
                self.board.met(&self.key, self.number, *hello);
                // Said again, it is the same peer.
                let number = self.number;
                let fetches = &self.fetches;
                self.orders.get_or_insert_with(|| fetches.linked(number));
            }
            Action::Wake(at) => {
                let left = at.saturating_sub(self.host.now().monotonic);
                self.wake = self.wake.min(Instant::now() + left);
            }
            Action::Notice(notice) => log(&self.key, &notice),
            Action::Close(reason) => self.ended = Some(Ended::Session(reason)),
        }
        None
    }

    fn order(&mut self, order: LinkOrder) {
        let done = self.attachments.order(order);
        self.overloaded_if(done);
    }

    /// The link took so many frames of attachments, since it came up.
    fn carried(&mut self, frames: usize) {
        let more = frames - self.carried;
        self.carried = frames;
        self.handle(Event::Attachment(AttachmentEvent::Carried(more)));
    }

    fn overloaded_if(&mut self, done: Result<(), LaneFull>) {
        if done.is_err() {
            self.ended = Some(Ended::Link("too much waited for the disk".to_owned()));
        }
    }

    fn send(&mut self, channel: Channel, frame: Bytes) {
        let Some(outbox) = &self.outbox else { return };
        if outbox.try_send((channel, frame)).is_err() {
            // Either the courier is gone, which the loop sees, or the peer takes
            // nothing while it makes us answer.
            self.ended = Some(Ended::Link("too much waited for the link".to_owned()));
            self.outbox = None;
        }
    }

    fn remember(&self, records: Vec<tombolo_sync::RecordChange>) {
        let key = self.key.clone();
        let told = move |written: Result<(), tombolo_store::StoreError>| {
            if let Err(error) = written {
                tracing::warn!(target: "tombolo::sync", peer = %key, %error, "what a session should remember was not written; it will be exchanged again");
            }
        };
        if let Err(error) = self.host.queue_records(records, told) {
            tracing::warn!(target: "tombolo::sync", peer = %self.key, %error, "what a session should remember was not written; it will be exchanged again");
        }
    }

    fn end(&mut self) {
        if let Some(change) = self.session.end() {
            self.remember(vec![change]);
        }
        self.outbox = None;
    }
}

/// The next order, once there can be one.
async fn next_order(orders: &mut Option<mpsc::Receiver<LinkOrder>>) -> Option<LinkOrder> {
    match orders {
        Some(orders) => orders.recv().await,
        None => std::future::pending().await,
    }
}

/// Runs work that may take long without holding up the other tasks.
fn aside<T>(is_short: bool, work: impl FnOnce() -> T) -> T {
    if is_short {
        work()
    } else {
        tokio::task::block_in_place(work)
    }
}

fn log(peer: &PeerPublicKey, notice: &Notice) {
    match notice {
        Notice::CatchUp { sending: true } => {
            tracing::info!(target: "tombolo::sync", %peer, "sending a peer everything that it subscribes to");
        }
        Notice::CatchUp { sending: false } => {
            tracing::info!(target: "tombolo::sync", %peer, "a peer sends everything that is subscribed to here");
        }
        Notice::Copied => {
            tracing::warn!(target: "tombolo::sync", %peer, "this store was copied or restored from a backup: it takes a new identity and exchanges everything anew");
        }
        other => tracing::warn!(target: "tombolo::sync", %peer, "{other}"),
    }
}

impl Host {
    fn now(&self) -> Now {
        Now {
            unix_ms: self.time().unix_ms(),
            monotonic: self.time().monotonic(),
        }
    }
}
