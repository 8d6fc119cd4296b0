//! One session between two proven peers, as a machine: events in, actions out.
//!
//! It never reads a clock, never waits, and touches neither socket nor store.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tombolo_document::{DocumentId, SiteId};
use tombolo_identity::{Filter, Permissions, VerifiedPeer};
use tombolo_query::Parameters;

use crate::attachments::Exchange;
use crate::cursor::Sealer;
use crate::event::{Action, CloseReason, Event, Notice, RecordChange, Standing};
use crate::incoming::{Incoming, Logs};
use crate::interest::{Evaluation, Interests};
use crate::limits::{
    ATTACHMENT_FRAGMENT_BYTES, PING_AFTER, PROTOCOL_VERSION, PROTOCOL_VERSION_MAX, SILENCE_MAX,
};
use crate::outgoing::{Outgoing, admit};
use crate::reading::Terms;
use crate::record::{acknowledged, acknowledged_key};
use crate::spreading::Spreading;
use crate::view::LogId;
use crate::wire::{
    Assembler, Channel, Framer, Hello, Message, Packed, Refusal, WireError, put_piece,
};

/// The moment at which something happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Unix milliseconds.
    pub unix_ms: u64,
    /// A clock that never goes back, of the driver's choice.
    pub monotonic: Duration,
}

/// What this side is, the same for all of its sessions.
#[derive(Clone)]
pub struct Local {
    /// The database.
    pub database_id: String,
    /// What this side may read and write.
    pub permissions: Permissions,
    /// What its owner calls it.
    pub device_name: String,
    /// Its operating system, as presence names it.
    pub os: String,
    /// The program's version.
    pub version: String,
    /// JSON for every peer to see.
    pub metadata: Vec<u8>,
    /// Whether it is a server.
    pub is_server: bool,
    /// What seals cursors; kept with the store.
    pub secret: [u8; 32],
    /// Clocks that differ by more are told to the operator, in milliseconds.
    pub skew_limit_ms: u64,
}

/// How far a session is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// The newest own commit that the peer has made durable.
    pub acknowledged: u64,
    /// When a change last came from the peer, in unix milliseconds; zero: never.
    pub received_ms: u64,
    /// Whether the peer has said who it is.
    pub is_met: bool,
}

/// The machine.
pub struct Session {
    local: Arc<Local>,
    peer: VerifiedPeer,
    filter: Arc<Filter>,
    standing: Standing,
    parameters: Arc<Parameters>,
    hello: Option<Hello>,
    framer: Framer,
    assembler: Assembler,
    outgoing: Outgoing,
    incoming: Incoming,
    spreading: Spreading,
    attachments: Exchange,
    /// The generation of the peer's newest interests.
    their_generation: u64,
    remembered: u64,
    last_heard: Duration,
    last_sent: Duration,
    wake: Option<Duration>,
    closed: bool,
}

/// What the parts of a session work at: a moment, and room for what they ask.
pub(crate) struct Desk<'d> {
    pub(crate) now: Now,
    actions: &'d mut Vec<Action>,
    framer: &'d mut Framer,
    has_sent: bool,
}

impl Desk<'_> {
    pub(crate) fn act(&mut self, action: Action) {
        self.actions.push(action);
    }

    /// Sends a message that steers.
    pub(crate) fn say(&mut self, message: &Message) {
        self.send(Channel::Control, &Packed::plain(message.encode()));
    }

    pub(crate) fn send(&mut self, channel: Channel, message: &Packed) {
        self.has_sent = true;
        let actions = &mut *self.actions;
        self.framer.frames(channel, message, |frame| {
            actions.push(Action::Send(channel, frame));
        });
    }

    /// Sends a piece of an attachment, which is one frame.
    pub(crate) fn send_piece(&mut self, request: u64, piece: u64, content: &[u8]) {
        self.has_sent = true;
        let channel = Channel::Attachments;
        let frame = self
            .framer
            .whole(channel, ATTACHMENT_FRAGMENT_BYTES, |frame| {
                put_piece(frame, request, piece, content);
            });
        self.act(Action::Send(channel, frame));
    }
}

impl Session {
    /// A session with a peer whose certificate was verified, over a link that
    /// just came up. Says Hello.
    #[must_use]
    pub fn open(
        local: Arc<Local>,
        peer: VerifiedPeer,
        (standing, interests, parameters): (Standing, Arc<Interests>, Arc<Parameters>),
        now: Now,
        actions: &mut Vec<Action>,
    ) -> Self {
        let filter = Arc::new(Filter::between(&local.permissions, peer.permissions()));
        let incoming = Incoming::new(peer.peer_key().clone(), Arc::clone(&filter), interests);
        let attachments = Exchange::new(Arc::clone(&filter));
        let mut session = Self {
            local,
            peer,
            filter,
            standing,
            parameters,
            hello: None,
            framer: Framer::default(),
            assembler: Assembler::default(),
            outgoing: Outgoing::default(),
            incoming,
            spreading: Spreading::default(),
            attachments,
            their_generation: 0,
            remembered: 0,
            last_heard: now.monotonic,
            last_sent: now.monotonic,
            wake: None,
            closed: false,
        };
        session.work(now, actions, |session, desk| {
            session.outgoing.committed(standing.commit, desk);
            session.say_hello(desk);
            Ok(())
        });
        session
    }

    /// Tells the session what happened.
    pub fn handle(&mut self, event: Event, now: Now, actions: &mut Vec<Action>) {
        self.work(now, actions, |session, desk| session.step(event, desk));
    }

    /// How far it is.
    #[must_use]
    pub fn status(&self) -> Status {
        Status {
            acknowledged: self.outgoing.acknowledged(),
            received_ms: self.incoming.received_ms(),
            is_met: self.hello.is_some(),
        }
    }

    /// The peer.
    #[must_use]
    pub const fn peer(&self) -> &VerifiedPeer {
        &self.peer
    }

    /// Ends the session because its link did, or is about to; gives what is to
    /// be remembered of it.
    #[must_use]
    pub fn end(&mut self) -> Option<RecordChange> {
        self.closed = true;
        let commit = self.outgoing.acknowledged();
        if commit <= self.remembered {
            return None;
        }
        self.remembered = commit;
        let key = acknowledged_key(self.peer.peer_key());
        Some((key, Some(acknowledged(commit))))
    }

    fn work(
        &mut self,
        now: Now,
        actions: &mut Vec<Action>,
        step: impl FnOnce(&mut Self, &mut Desk<'_>) -> Result<(), CloseReason>,
    ) {
        if self.closed {
            return;
        }
        let mut framer = std::mem::take(&mut self.framer);
        let mut desk = Desk {
            now,
            actions,
            framer: &mut framer,
            has_sent: false,
        };
        let outcome = step(self, &mut desk).and_then(|()| self.go_on(&mut desk));
        if desk.has_sent {
            self.last_sent = now.monotonic;
        }
        if let Err(reason) = outcome {
            self.close(reason, &mut desk);
        }
        self.framer = framer;
    }

    fn close(&mut self, reason: CloseReason, desk: &mut Desk<'_>) {
        if !matches!(reason, CloseReason::Bye { .. }) {
            // The peer is told the rule, never what is inside this side.
            let text = match &reason {
                CloseReason::Store(_) => "the store failed".to_owned(),
                told => told.to_string(),
            };
            desk.say(&Message::Bye {
                code: reason.code(),
                reason: text,
            });
        }
        if let Some(change) = self.end() {
            desk.act(Action::Remember(vec![change]));
        }
        desk.act(Action::Close(reason));
    }

    fn step(&mut self, event: Event, desk: &mut Desk<'_>) -> Result<(), CloseReason> {
        match event {
            Event::Frame(frame) => {
                if let Some((channel, bytes)) = self.assembler.take(&frame)? {
                    self.message(channel, &bytes, desk)?;
                }
                // Whatever is said before Hello is as good as nothing.
                if self.hello.is_some() {
                    self.last_heard = desk.now.monotonic;
                }
            }
            Event::Tick => self.wake = None,
            Event::Committed(standing) => {
                let renewed = standing.log != self.standing.log;
                self.standing = standing;
                if renewed {
                    self.outgoing.stop(desk);
                    self.say_hello(desk);
                    self.restart_incoming(None, desk);
                }
                self.outgoing.committed(standing.commit, desk);
            }
            Event::Interests(interests) => {
                self.restart_incoming(Some(interests), desk);
                self.renew_terms(desk);
            }
            Event::Parameters(parameters) => {
                self.parameters = parameters;
                self.renew_terms(desk);
            }
            Event::Read(read) => self.outgoing.have_read(read, desk)?,
            Event::Looked(looked) => self.incoming.looked(looked, &mut self.outgoing, desk)?,
            Event::Recalled(recalled) => {
                if let Some(hello) = &self.hello {
                    let logs = Logs {
                        ours: self.standing.log,
                        theirs: hello.log,
                    };
                    self.incoming
                        .recalled(recalled, logs, &mut self.outgoing, desk)?;
                    self.remembered = self.remembered.max(self.outgoing.acknowledged());
                }
            }
            Event::Applied(applied) => {
                self.incoming.applied(applied, &mut self.outgoing, desk)?;
            }
            Event::Revocations(list) => self.spreading.hold(list),
            Event::Attachment(event) => self.attachments.happen(event, desk),
        }
        Ok(())
    }

    /// What follows from any event.
    fn go_on(&mut self, desk: &mut Desk<'_>) -> Result<(), CloseReason> {
        let now = desk.now;
        if now.monotonic >= self.last_heard + SILENCE_MAX {
            return Err(CloseReason::Silent);
        }
        if now.unix_ms >= self.peer.expires_ms() {
            return Err(CloseReason::Expired);
        }
        if self
            .incoming
            .busy_until
            .is_some_and(|until| now.monotonic >= until)
        {
            self.incoming.busy_until = None;
        }
        let evaluation = self.evaluation(now);
        self.incoming.advance(&evaluation, &self.outgoing, desk);
        self.incoming.release_cursor(&self.outgoing, desk);
        if self
            .incoming
            .next_fetch_ms()
            .is_some_and(|at| at <= now.unix_ms)
        {
            self.incoming.fetch(desk);
        }
        self.attachments.advance(desk);
        if let Some(list) = self.spreading.next(now.monotonic) {
            desk.say(&Message::Revocations { list });
        }
        if !desk.has_sent && now.monotonic >= self.last_sent + PING_AFTER {
            desk.say(&Message::Ping {
                now_ms: now.unix_ms,
            });
        }
        self.set_alarm(desk);
        Ok(())
    }

    fn set_alarm(&mut self, desk: &mut Desk<'_>) {
        let now = desk.now;
        let sent = if desk.has_sent {
            now.monotonic
        } else {
            self.last_sent
        };
        let from_unix = |at_ms: u64| {
            now.monotonic + Duration::from_millis(at_ms.saturating_sub(now.unix_ms)).min(PING_AFTER)
        };
        let alarms = [
            Some(sent + PING_AFTER),
            Some(self.last_heard + SILENCE_MAX),
            Some(from_unix(self.peer.expires_ms())),
            self.incoming.busy_until,
            self.incoming.next_fetch_ms().map(from_unix),
            self.spreading.alarm(),
            self.attachments.alarm(),
        ];
        let next = alarms.into_iter().flatten().min();
        // An alarm that comes too early does no harm; one more does.
        if let Some(next) = next.filter(|next| self.wake.is_none_or(|wake| *next < wake)) {
            self.wake = Some(next);
            desk.act(Action::Wake(next));
        }
    }

    fn evaluation(&self, now: Now) -> Evaluation {
        Evaluation {
            parameters: Arc::clone(&self.parameters),
            now_ms: now.unix_ms,
        }
    }

    fn say_hello(&self, desk: &mut Desk<'_>) {
        let local = &self.local;
        desk.say(&Message::Hello(Box::new(Hello {
            versions: (PROTOCOL_VERSION, PROTOCOL_VERSION_MAX),
            database_id: local.database_id.clone(),
            log: self.standing.log,
            actor: self.standing.actor,
            now_ms: desk.now.unix_ms,
            is_server: local.is_server,
            device_name: local.device_name.clone(),
            os: local.os.clone(),
            version: local.version.clone(),
            metadata: local.metadata.clone(),
        })));
    }

    fn restart_incoming(&mut self, interests: Option<Arc<Interests>>, desk: &mut Desk<'_>) {
        if self.hello.is_some() {
            self.incoming.restart(interests, desk);
        } else if let Some(interests) = interests {
            self.incoming.replace_interests(interests);
        }
    }

    /// Serves the peer under this side's present parameters and interests.
    fn renew_terms(&mut self, desk: &mut Desk<'_>) {
        let Some(terms) = self.outgoing.terms() else {
            return;
        };
        let renewed = Terms {
            generation: terms.generation,
            theirs: terms.theirs.clone(),
            ours: Arc::clone(self.incoming.interests()),
            filter: Arc::clone(&self.filter),
            evaluation: self.evaluation(desk.now),
            to_server: terms.to_server,
            echo: terms.echo,
            sealer: terms.sealer.clone(),
        };
        if renewed.scope() == terms.scope() {
            self.outgoing.adopt(renewed);
        } else {
            self.outgoing.begin_again(Some(renewed), desk);
        }
    }

    fn message(
        &mut self,
        channel: Channel,
        bytes: &Bytes,
        desk: &mut Desk<'_>,
    ) -> Result<(), CloseReason> {
        let message = Message::decode(bytes)?;
        let belongs = match message {
            Message::Batch(_) => Channel::Documents,
            Message::Attachment(ref message) => message.channel(),
            _ => Channel::Control,
        };
        if channel != belongs {
            return Err(WireError::Protocol("a message on another channel than its own").into());
        }
        match message {
            Message::Hello(hello) => return self.met(*hello, desk),
            Message::Ping { .. } => return Ok(()),
            Message::Bye { code, reason } => return Err(CloseReason::Bye { code, reason }),
            _ if self.hello.is_none() => {
                return Err(WireError::Protocol("a message before Hello").into());
            }
            Message::Interests {
                generation,
                holds_documents,
                may_continue,
                cursor,
                stated,
            } => {
                if generation <= self.their_generation {
                    return Err(WireError::Protocol("interests of an old generation").into());
                }
                self.their_generation = generation;
                let (theirs, verdicts) = admit(stated, &self.filter);
                let terms = self.terms(generation, theirs, desk.now);
                let how = (may_continue, holds_documents);
                self.outgoing
                    .serve((terms, verdicts), cursor.to_vec(), how, desk);
            }
            Message::Revocations { list } => self.offered(list, desk)?,
            Message::Attachment(message) => self.attachments.hear(message, desk)?,
            Message::Scope { generation, scope } => self.incoming.scoped(generation, scope, desk),
            Message::Batch(part) => self.incoming.take(part, bytes.len(), desk)?,
            Message::Want {
                generation,
                batch,
                places,
            } => self.outgoing.want((generation, batch), places, desk)?,
            Message::Ack {
                generation,
                batch,
                refused,
            } => {
                self.outgoing.acked((generation, batch), desk)?;
                note_refused(&refused, desk);
            }
            Message::Fetch {
                generation,
                documents,
            } => {
                if generation == self.their_generation {
                    self.outgoing.fetched(documents, desk);
                }
            }
        }
        Ok(())
    }

    fn terms(&self, generation: u64, theirs: Interests, now: Now) -> Terms {
        let hello = self.hello.as_ref();
        Terms {
            generation,
            theirs,
            ours: Arc::clone(self.incoming.interests()),
            filter: Arc::clone(&self.filter),
            evaluation: self.evaluation(now),
            to_server: hello.is_some_and(|hello| hello.is_server),
            echo: hello.map_or(LogId([0; 16]), |hello| hello.log),
            sealer: Sealer::new(self.local.secret, self.standing.log),
        }
    }

    fn offered(&mut self, list: Bytes, desk: &mut Desk<'_>) -> Result<(), CloseReason> {
        self.spreading.hear(&list, desk.now.monotonic)?;
        desk.act(Action::Revocations(list));
        Ok(())
    }

    fn met(&mut self, hello: Hello, desk: &mut Desk<'_>) -> Result<(), CloseReason> {
        if hello.database_id != self.local.database_id {
            return Err(CloseReason::OtherDatabase);
        }
        let (lowest, highest) = hello.versions;
        if lowest > highest || lowest > PROTOCOL_VERSION_MAX || highest < PROTOCOL_VERSION {
            return Err(CloseReason::NoCommonVersion(lowest, highest));
        }
        if hello.actor.site == self.standing.actor.site {
            return Err(CloseReason::OwnActor);
        }
        let site = SiteId::derive(&self.local.database_id, self.peer.peer_key().as_bytes());
        if hello.actor.site != site {
            return Err(
                WireError::Protocol("the site id does not belong to the peer's key").into(),
            );
        }
        let ahead = i64::try_from(hello.now_ms)
            .unwrap_or(i64::MAX)
            .saturating_sub_unsigned(desk.now.unix_ms);
        if ahead.unsigned_abs() > self.local.skew_limit_ms {
            let milliseconds = ahead;
            desk.act(Action::Notice(Notice::ClockDiffers { milliseconds }));
        }
        let same_log = self.hello.as_ref().is_some_and(|old| old.log == hello.log);
        self.attachments.met(highest.min(PROTOCOL_VERSION_MAX));
        desk.act(Action::Met(Box::new(hello.clone())));
        self.hello = Some(hello);
        if !same_log {
            // What was sent under the old log's echo is stated anew by the peer.
            self.outgoing.stop(desk);
            self.incoming.restart(None, desk);
        }
        Ok(())
    }
}

/// Tells the operator what the peer did not take.
fn note_refused(refused: &[(String, DocumentId, Refusal)], desk: &mut Desk<'_>) {
    for reason in [Refusal::Permission, Refusal::Skew, Refusal::Size] {
        let documents = refused.iter().filter(|one| one.2 == reason).count();
        if documents > 0 {
            desk.act(Action::Notice(Notice::RefusedByPeer { documents, reason }));
        }
    }
}
