//! One honest session, driven by hand, and the tools of a peer that may lie.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tombolo_document::bytes::put_varint;
use tombolo_document::{Actor, Object, SiteId, VersionVector};
use tombolo_identity::{PeerPublicKey, Permissions, SharedKey, Trust, VerifiedPeer, verify_leaf};
use tombolo_query::Parameters;
use tombolo_sync::attachments::AttachmentAction;
use tombolo_sync::view::{LogId, View};
use tombolo_sync::wire::{
    Assembler, BatchWriter, Channel, Flags, Framer, Hello, Message, Packed, Stated, WireError,
};
use tombolo_sync::{
    Action, Applied, Apply, Arriving, CloseReason, Event, Interests, Local, Notice, Now, Outcome,
    Session, Standing, WhichView,
};

use super::view::MemoryView;

pub(crate) const DATABASE: &str = "3f1f1f5e-0000-4000-8000-000000000000";
pub(crate) const NOW_MS: u64 = 1_800_000_000_000;
/// The site of the honest side.
pub(crate) const OWN: SiteId = SiteId([1; 16]);
const OWN_LOG: LogId = LogId([2; 16]);
const MERGED: Outcome = Outcome::Merged {
    changed: true,
    behind: false,
    equivocated: false,
};

/// The honest side and what came out of it.
pub(crate) struct Scene {
    pub(crate) session: Session,
    pub(crate) view: MemoryView,
    pub(crate) now: Now,
    pub(crate) peer: VerifiedPeer,
    /// What the peer was told, in order.
    pub(crate) heard: Vec<Message>,
    /// Most bytes that one reading made.
    pub(crate) largest_reading: usize,
    /// The bytes of the messages, unpacked.
    pub(crate) heard_bytes: usize,
    /// What went to the store.
    pub(crate) applied: Vec<Arriving>,
    pub(crate) notices: Vec<Notice>,
    /// The lists of revocations that the peer is said to have sent.
    pub(crate) lists: Vec<Bytes>,
    /// What is to be done about attachments.
    pub(crate) attachments: Vec<AttachmentAction>,
    pub(crate) closed: Option<CloseReason>,
    /// How often the store was told to become another.
    pub(crate) renewed: usize,
    /// The snapshots that the session keeps.
    pub(crate) kept: BTreeSet<u64>,
    /// While set, the store answers nothing.
    pub(crate) store_sleeps: bool,
    /// What the store was asked for in its sleep.
    pub(crate) asleep: usize,
    framer: Framer,
    assembler: Assembler,
    pub(crate) writer: BatchWriter,
}

pub(crate) fn proven() -> VerifiedPeer {
    let mesh = SharedKey::generate().unwrap();
    let own = SharedKey::generate().unwrap();
    let key = PeerPublicKey::parse(own.public().as_bytes()).unwrap();
    let leaf = mesh.issue(&key, DATABASE, NOW_MS).unwrap();
    let trust = Trust::new(mesh.public().clone(), DATABASE).unwrap();
    verify_leaf(&trust, &leaf.der, &[[0u8; 0]; 0], NOW_MS).unwrap()
}

pub(crate) fn stated(statements: &[&str]) -> Vec<Stated> {
    let stated = statements.iter().map(|statement| Stated {
        statement: (*statement).to_owned(),
        arguments: Object::new(),
    });
    stated.collect()
}

/// A message that is the end of its batch.
pub(crate) const END: Flags = Flags {
    end: true,
    catch_up: false,
    supplement: false,
    fresh_tables: false,
    again: false,
};

impl Scene {
    /// A session over a link that just came up, which wants all cars.
    pub(crate) fn open(view: MemoryView, permissions: Permissions) -> Self {
        let (peer, now) = (
            proven(),
            Now {
                unix_ms: NOW_MS,
                monotonic: Duration::ZERO,
            },
        );
        let local = Local {
            database_id: DATABASE.to_owned(),
            permissions,
            device_name: "honest".to_owned(),
            os: "Linux".to_owned(),
            version: "0".to_owned(),
            metadata: Vec::new(),
            is_server: false,
            secret: [3; 32],
            skew_limit_ms: 60_000,
        };
        let wanted = Arc::new(Interests::new(stated(&["SELECT * FROM cars"])).0);
        let standing = standing(&view);
        let mut actions = Vec::new();
        let state = (standing, wanted, Arc::new(Parameters::default()));
        let session = Session::open(Arc::new(local), peer.clone(), state, now, &mut actions);
        let mut scene = Self {
            session,
            view,
            now,
            peer,
            heard: Vec::new(),
            heard_bytes: 0,
            largest_reading: 0,
            applied: Vec::new(),
            notices: Vec::new(),
            lists: Vec::new(),
            attachments: Vec::new(),
            closed: None,
            renewed: 0,
            kept: BTreeSet::new(),
            store_sleeps: false,
            asleep: 0,
            framer: Framer::default(),
            assembler: Assembler::default(),
            writer: BatchWriter::default(),
        };
        scene.perform(actions);
        scene
    }

    /// As [`Scene::open`], over an empty store, without rules, after Hello.
    pub(crate) fn met() -> Self {
        Self::met_over(MemoryView::default())
    }

    /// As [`Scene::met`], over a store with documents.
    pub(crate) fn met_over(view: MemoryView) -> Self {
        let mut scene = Self::open(view, Permissions::everything());
        scene.say(&Message::Hello(Box::new(scene.hello())));
        scene
    }

    /// What an honest peer says of itself.
    pub(crate) fn hello(&self) -> Hello {
        let site = SiteId::derive(DATABASE, self.peer.peer_key().as_bytes());
        Hello {
            versions: (1, 2),
            database_id: DATABASE.to_owned(),
            log: LogId([7; 16]),
            actor: Actor::new(site, 1),
            now_ms: NOW_MS,
            is_server: false,
            device_name: String::new(),
            os: String::new(),
            version: String::new(),
            metadata: Vec::new(),
        }
    }

    /// The peer says something that steers.
    pub(crate) fn say(&mut self, message: &Message) {
        self.send(Channel::Control, &Packed::plain(message.encode()));
    }

    /// The peer sends bytes as a message.
    pub(crate) fn send(&mut self, channel: Channel, message: &Packed) {
        let mut frames = Vec::new();
        self.framer
            .frames(channel, message, |frame| frames.push(frame));
        for frame in frames {
            self.frame(frame);
        }
    }

    /// The peer sends the items that its writer holds.
    pub(crate) fn batch(&mut self, number: (u64, u64), flags: Flags) {
        let message = self.writer.finish(number, flags, b"cursor");
        self.send(Channel::Documents, &message);
    }

    /// The peer's writer takes a document.
    pub(crate) fn put(&mut self, collection: &str, name: &str, text: &str) {
        let document = super::view::document(text);
        let id = super::view::id(name);
        let base = VersionVector::new();
        let put = self.writer.put(collection, id.as_bytes(), &document, &base);
        assert!(put.unwrap());
    }

    /// The peer states that it wants all cars and has none.
    pub(crate) fn want_cars(&mut self, generation: u64, cursor: &[u8]) {
        self.say(&Message::Interests {
            generation,
            holds_documents: false,
            may_continue: true,
            cursor: cursor.to_vec().into(),
            stated: stated(&["SELECT * FROM cars"]),
        });
    }

    /// A frame comes.
    pub(crate) fn frame(&mut self, frame: Bytes) {
        self.event(Event::Frame(frame));
    }

    /// The store has another commit.
    pub(crate) fn committed(&mut self) {
        self.event(Event::Committed(standing(&self.view)));
    }

    /// Time passes, and the session is told if it asked for it.
    pub(crate) fn pass(&mut self, time: Duration) {
        self.now.monotonic += time;
        self.event(Event::Tick);
    }

    pub(crate) fn event(&mut self, event: Event) {
        let mut actions = Vec::new();
        self.session.handle(event, self.now, &mut actions);
        assert!(self.closed.is_none() || actions.is_empty());
        self.perform(actions);
    }

    fn perform(&mut self, actions: Vec<Action>) {
        let mut queue = VecDeque::from(actions);
        while let Some(action) = queue.pop_front() {
            assert!(self.closed.is_none(), "something follows the end");
            let event = match action {
                Action::Send(_, frame) => {
                    self.hear(&frame);
                    continue;
                }
                Action::Read(reading, which) => {
                    if let WhichView::Keep(number) = which {
                        self.kept.insert(number);
                    }
                    Event::Read(reading.run(&self.view))
                }
                Action::Look(looking) => Event::Looked(looking.run(&self.view)),
                Action::Recall(recalling) => Event::Recalled(recalling.run(&self.view)),
                Action::Apply(_) if self.store_sleeps => {
                    self.asleep += 1;
                    continue;
                }
                Action::Apply(apply) => Event::Applied(self.apply(&apply)),
                other => {
                    self.note(other);
                    continue;
                }
            };
            let mut more = Vec::new();
            self.session.handle(event, self.now, &mut more);
            let sent = more.iter().map(|action| match action {
                Action::Send(_, frame) => frame.len(),
                _ => 0,
            });
            self.largest_reading = self.largest_reading.max(sent.sum());
            queue.extend(more);
        }
    }

    fn note(&mut self, action: Action) {
        match action {
            Action::Release(view) => assert!(self.kept.remove(&view)),
            Action::Remember(records) => self.view.remember(records),
            Action::RenewIdentity => self.renewed += 1,
            Action::Notice(notice) => self.notices.push(notice),
            Action::Revocations(list) => self.lists.push(list),
            Action::Attachment(action) => self.attachments.push(action),
            Action::Close(reason) => self.closed = Some(reason),
            _ => {}
        }
    }

    fn apply(&mut self, apply: &Apply) -> Applied {
        let outcomes = vec![MERGED; apply.documents.len()];
        self.applied.extend(apply.documents.iter().cloned());
        self.view.remember(apply.records(&outcomes));
        Applied::Done(outcomes)
    }

    fn hear(&mut self, frame: &Bytes) {
        if let Some((_, message)) = self.assembler.take(frame).unwrap() {
            self.heard_bytes += message.len();
            self.heard.push(Message::decode(&message).unwrap());
        }
    }

    /// The generation of the newest interests of the honest side.
    pub(crate) fn generation(&self) -> u64 {
        let newest = self.heard.iter().rev().find_map(|message| match message {
            Message::Interests { generation, .. } => Some(*generation),
            _ => None,
        });
        newest.unwrap()
    }

    /// How many messages of batches were heard that end one.
    pub(crate) fn batches(&self) -> usize {
        let ends = |message: &&Message| matches!(message, Message::Batch(part) if part.flags.end);
        self.heard.iter().filter(ends).count()
    }

    /// How the peer broke the protocol; the session is over and the peer was
    /// told.
    pub(crate) fn misbehaved(&self) -> WireError {
        assert!(matches!(
            self.heard.last(),
            Some(Message::Bye { code: 1, .. })
        ));
        match self.closed {
            Some(CloseReason::PeerMisbehaved(error)) => error,
            ref other => panic!("closed: {other:?}"),
        }
    }

    /// The rule of the session that the peer broke, and that none of it came to
    /// the store.
    pub(crate) fn broke(&self) -> &'static str {
        assert!(self.applied.is_empty());
        match self.misbehaved() {
            WireError::Protocol(rule) => rule,
            other => panic!("another error: {other}"),
        }
    }
}

fn standing(view: &MemoryView) -> Standing {
    Standing {
        log: OWN_LOG,
        actor: Actor::new(OWN, 1),
        commit: view.position().commit,
    }
}

/// A frame by hand.
pub(crate) fn raw_frame(header: u8, number: u64, rest: &[u8]) -> Bytes {
    let mut frame = vec![header];
    put_varint(&mut frame, number);
    frame.extend_from_slice(rest);
    frame.into()
}
