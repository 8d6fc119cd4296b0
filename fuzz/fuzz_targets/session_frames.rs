//! Arbitrary messages of a peer that was met: the session ends or goes on, and never holds more than its limits.
//! The store has two documents; it is done at once with what it is asked for, is busy, or fails.

#![no_main]

use std::collections::{BTreeSet, VecDeque};
use std::ops::ControlFlow;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use tombolo_document::bytes::put_varint;
use tombolo_document::{
    Actor, DocumentId, Dot, Draft, Object, Schema, SiteId, Stamp, Value, VersionVector,
};
use tombolo_identity::{PeerPublicKey, Permissions, SharedKey, Trust, VerifiedPeer, verify_leaf};
use tombolo_query::Parameters;
use tombolo_sync::attachments::{Answer, AttachmentAction, AttachmentEvent};
use tombolo_sync::limits::WINDOW_BATCHES;
use tombolo_sync::view::{Changed, LogId, Position, Since, Stored, View, ViewError, VisitStored};
use tombolo_sync::wire::{Channel, Framer, Hello, Message, Packed, Stated};
use tombolo_sync::{
    Action, Applied, Apply, Event, Interests, Local, Now, Outcome, Session, Standing, WhichView,
};

const DATABASE: &str = "fuzz";
const COLLECTION: &str = "cars";
const NOW_MS: u64 = 1_800_000_000_000;
const CHANNELS: usize = 4;
const STANDING: Standing = Standing {
    log: LogId([2; 16]),
    actor: Actor {
        site: SiteId([1; 16]),
        epoch: 1,
    },
    commit: 2,
};

#[derive(Debug, Arbitrary)]
enum Step {
    /// A whole message on its own channel.
    Message(Vec<u8>),
    /// A frame with this header.
    Frame(u8, Vec<u8>),
    /// The peer wants all cars, with this cursor.
    Want(Vec<u8>),
    /// So many milliseconds pass.
    Pass(u16),
    /// What the store does from now on.
    Store(StoreMood),
    /// The honest side wants something else.
    Change(bool),
}

#[derive(Debug, Arbitrary, Clone, Copy, PartialEq)]
enum StoreMood {
    Merges,
    Misses,
    Busy,
    Fails,
}

struct TwoCars([(DocumentId, Vec<u8>); 2]);

impl View for TwoCars {
    fn position(&self) -> Position {
        Position {
            commit: STANDING.commit,
            chain: [5; 16],
        }
    }

    fn chain_at(&self, _: u64) -> Result<Option<[u8; 16]>, ViewError> {
        Ok(Some([5; 16]))
    }

    fn stored(
        &self,
        collection: &str,
        id: &DocumentId,
        visit: &mut dyn FnMut(Stored<'_>),
    ) -> Result<(), ViewError> {
        let held = self.0.iter().find(|held| held.0 == *id);
        if let Some((_, document)) = held.filter(|_| collection == COLLECTION) {
            visit(Stored {
                live: true,
                document,
            });
        }
        Ok(())
    }

    fn scan(
        &self,
        collection: &str,
        after: Option<&[u8]>,
        visit: VisitStored<'_>,
    ) -> Result<(), ViewError> {
        let live = true;
        for (id, document) in self.0.iter().filter(|_| collection == COLLECTION) {
            let is_after = after.is_none_or(|after| id.as_bytes() > after);
            if is_after && visit(id.as_bytes(), Stored { live, document }).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn changes(
        &self,
        since: &Since<'_>,
        visit: &mut dyn FnMut(Changed<'_>) -> ControlFlow<()>,
    ) -> Result<(), ViewError> {
        for ((id, document), commit) in self.0.iter().zip(1..) {
            if commit <= since.commit || !(since.collection)(COLLECTION) {
                continue;
            }
            let live = true;
            let flow = visit(Changed {
                commit,
                collection: COLLECTION,
                id: id.as_bytes(),
                stored: Stored { live, document },
                base: VersionVector::new(),
            });
            if flow.is_break() {
                break;
            }
        }
        Ok(())
    }

    fn record(&self, _: &[u8]) -> Result<Option<Vec<u8>>, ViewError> {
        Ok(None)
    }

    fn records(
        &self,
        _: &[u8],
        _: &mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> Result<(), ViewError> {
        Ok(())
    }
}

/// The peer, and the store of the honest side.
struct World {
    peer: VerifiedPeer,
    view: TwoCars,
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let mesh = SharedKey::generate().expect("randomness");
        let own = SharedKey::generate().expect("randomness");
        let key = PeerPublicKey::parse(own.public().as_bytes()).expect("a key");
        let leaf = mesh.issue(&key, DATABASE, NOW_MS).expect("a leaf");
        let trust = Trust::new(mesh.public().clone(), DATABASE).expect("an id");
        let peer = verify_leaf(&trust, &leaf.der, &[[0_u8; 0]; 0], NOW_MS).expect("it verifies");
        let car = |name: &str| {
            let id = DocumentId::from_value(&Value::from(name)).expect("an id");
            let fields = Object::from([("colour".to_owned(), Value::from(name))]);
            let dot = Dot::new(STANDING.actor, Stamp::new(1, 0));
            let draft = Draft::new(&fields, &Schema::INFERRED).expect("a document");
            (id, draft.under(dot))
        };
        let view = TwoCars([car("1"), car("2")]);
        World { peer, view }
    })
}

fn wants(statement: &str) -> Vec<Stated> {
    vec![Stated {
        statement: statement.to_owned(),
        arguments: Object::new(),
    }]
}

fn interests(statement: &str) -> Arc<Interests> {
    Arc::new(Interests::new(wants(statement)).0)
}

struct Run {
    session: Session,
    now: Now,
    mood: StoreMood,
    kept: BTreeSet<u64>,
    closed: bool,
}

impl Run {
    fn event(&mut self, event: Event) {
        let mut actions = Vec::new();
        self.session.handle(event, self.now, &mut actions);
        self.perform(actions);
    }

    fn perform(&mut self, actions: Vec<Action>) {
        let view = &world().view;
        let mut queue = VecDeque::from(actions);
        while let Some(action) = queue.pop_front() {
            assert!(!self.closed, "nothing follows the end");
            let event = match action {
                Action::Read(reading, which) => {
                    if let WhichView::Keep(number) = which {
                        self.kept.insert(number);
                    }
                    Event::Read(reading.run(view))
                }
                Action::Look(looking) => Event::Looked(looking.run(view)),
                Action::Recall(recalling) => Event::Recalled(recalling.run(view)),
                Action::Apply(apply) => Event::Applied(self.apply(&apply)),
                Action::Release(number) => {
                    assert!(self.kept.remove(&number), "only what is kept is released");
                    continue;
                }
                Action::Attachment(AttachmentAction::Open(opening)) => {
                    let vouched = opening.is_vouched(view).unwrap_or(false);
                    let answer = if vouched { Answer::Held(Default::default()) } else { Answer::Refused };
                    Event::Attachment(AttachmentEvent::Opened(opening.request, answer))
                }
                Action::Attachment(AttachmentAction::Read {
                    request, length, ..
                }) => {
                    let content = Some(vec![0; length].into());
                    Event::Attachment(AttachmentEvent::Read(request, content))
                }
                Action::RenewIdentity => panic!("nobody can forge a cursor"),
                Action::Close(_) => {
                    self.closed = true;
                    continue;
                }
                _ => continue,
            };
            let mut more = Vec::new();
            self.session.handle(event, self.now, &mut more);
            queue.extend(more);
        }
        assert!(self.kept.len() <= WINDOW_BATCHES + 2, "views are bounded");
    }

    fn apply(&self, apply: &Apply) -> Applied {
        let count = apply.documents.len();
        match self.mood {
            StoreMood::Misses if count > 0 => Applied::BaseMissing((0..count).collect()),
            StoreMood::Merges | StoreMood::Misses => {
                let merged = Outcome::Merged {
                    changed: true,
                    behind: true,
                    equivocated: false,
                };
                let outcomes = vec![merged; count];
                let _ = apply.records(&outcomes);
                Applied::Done(outcomes)
            }
            StoreMood::Busy => Applied::Busy,
            StoreMood::Fails => Applied::Failed("the disk is gone".into()),
        }
    }
}

/// Opens a session and says an honest Hello, so that the rest is reached.
fn meet(framer: &mut Framer) -> Run {
    let world = world();
    let local = Local {
        database_id: DATABASE.to_owned(),
        permissions: Permissions::everything(),
        device_name: String::new(),
        os: String::new(),
        version: String::new(),
        metadata: Vec::new(),
        is_server: false,
        secret: [3; 32],
        skew_limit_ms: 60_000,
    };
    let now = Now {
        unix_ms: NOW_MS,
        monotonic: Duration::ZERO,
    };
    let mut actions = Vec::new();
    let state = (
        STANDING,
        interests("SELECT * FROM cars"),
        Arc::new(Parameters::default()),
    );
    let session = Session::open(
        Arc::new(local),
        world.peer.clone(),
        state,
        now,
        &mut actions,
    );
    let mut run = Run {
        session,
        now,
        mood: StoreMood::Merges,
        kept: BTreeSet::new(),
        closed: false,
    };
    run.perform(actions);
    let site = SiteId::derive(DATABASE, world.peer.peer_key().as_bytes());
    let hello = Hello {
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
    };
    say(&mut run, framer, &Message::Hello(Box::new(hello)).encode());
    run
}

fn say(run: &mut Run, framer: &mut Framer, message: &[u8]) {
    let is_batch = message.first() == Some(&4);
    let channel = match is_batch {
        true => Channel::Documents,
        false => Channel::Control,
    };
    let mut frames = Vec::new();
    let packed = Packed::plain(message.to_vec());
    framer.frames(channel, &packed, |frame| frames.push(frame));
    for frame in frames {
        run.event(Event::Frame(frame));
    }
}

fuzz_target!(|steps: Vec<Step>| {
    let mut framer = Framer::default();
    let mut run = meet(&mut framer);
    let mut generation = 0;
    // Once a frame came by hand, the numbers of the framer are wrong.
    let mut numbers: Option<[u64; CHANNELS]> = None;
    for step in steps {
        match step {
            Step::Message(bytes) if numbers.is_none() => say(&mut run, &mut framer, &bytes),
            Step::Frame(header, rest) => {
                let numbers = numbers.get_or_insert([1, 0, 0, 0]);
                let number = &mut numbers[usize::from(header) % CHANNELS];
                let mut frame = vec![header];
                put_varint(&mut frame, *number);
                *number += 1;
                frame.extend_from_slice(&rest);
                run.event(Event::Frame(frame.into()));
            }
            Step::Want(cursor) if numbers.is_none() => {
                generation += 1;
                let message = Message::Interests {
                    generation,
                    holds_documents: cursor.len() % 2 == 1,
                    may_continue: true,
                    cursor: cursor.into(),
                    stated: wants("SELECT * FROM cars"),
                };
                say(&mut run, &mut framer, &message.encode());
            }
            Step::Message(_) | Step::Want(_) => {}
            Step::Pass(milliseconds) => {
                run.now.monotonic += Duration::from_millis(milliseconds.into());
                run.event(Event::Tick);
            }
            Step::Store(mood) => run.mood = mood,
            Step::Change(all) => {
                let statement = match all {
                    true => "SELECT * FROM cars",
                    false => "SELECT * FROM cars WHERE colour = '1'",
                };
                run.event(Event::Interests(interests(statement)));
            }
        }
    }
});
