//! A session that is driven by hand: all work on the store is done at once, and
//! only what concerns the link comes out. Nothing runs by itself.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tombolo_identity::VerifiedPeer;
use tombolo_store::StoreError;
use tombolo_sync::attachments::AttachmentAction;
use tombolo_sync::wire::{Channel, Hello};
use tombolo_sync::{Action, CloseReason, Event, Interests, Local, Notice, Now, Session, Status};

use super::host::Host;
use super::views::Views;

/// What a session wants of the world outside of its store.
#[derive(Debug)]
pub enum Outward {
    /// This frame is for the link.
    Send(Channel, Bytes),
    /// Call with [`Event::Tick`] at this time.
    Wake(Duration),
    /// The peer said who it is.
    Met(Box<Hello>),
    /// The peer sent a signed list of revocations.
    Revocations(Bytes),
    /// Of attachments, which a seat knows nothing of.
    Attachment(AttachmentAction),
    /// For the operator.
    Notice(Notice),
    /// The link is to be closed.
    Close(CloseReason),
}

/// One session with its database.
pub struct Seat {
    host: Host,
    session: Session,
    views: Views,
}

impl Outward {
    /// What an action wants of the world outside; the action itself if that is
    /// nothing.
    fn of(action: Action) -> Result<Self, Box<Action>> {
        Ok(match action {
            Action::Send(channel, frame) => Self::Send(channel, frame),
            Action::Wake(at) => Self::Wake(at),
            Action::Met(hello) => Self::Met(hello),
            Action::Revocations(list) => Self::Revocations(list),
            Action::Attachment(action) => Self::Attachment(action),
            Action::Notice(notice) => Self::Notice(notice),
            Action::Close(reason) => Self::Close(reason),
            inward => return Err(Box::new(inward)),
        })
    }
}

impl Seat {
    /// Opens a session over a link that just came up.
    ///
    /// # Errors
    /// The store failed.
    pub fn open(
        host: Host,
        local: Arc<Local>,
        peer: VerifiedPeer,
        interests: Arc<Interests>,
        now: Now,
    ) -> Result<(Self, Vec<Outward>), StoreError> {
        let mut actions = Vec::new();
        let state = (host.standing(), interests, host.parameters());
        let session = Session::open(local, peer, state, now, &mut actions);
        let mut seat = Self {
            host,
            session,
            views: Views::default(),
        };
        let outward = seat.perform(actions, now)?;
        Ok((seat, outward))
    }

    /// Tells the session what happened, and does what it asks of the store.
    ///
    /// # Errors
    /// The store failed in a way that the session is not told of.
    pub fn handle(&mut self, event: Event, now: Now) -> Result<Vec<Outward>, StoreError> {
        let mut actions = Vec::new();
        self.session.handle(event, now, &mut actions);
        self.perform(actions, now)
    }

    /// Tells the session that the store may have changed.
    ///
    /// # Errors
    /// As for [`Seat::handle`].
    pub fn committed(&mut self, now: Now) -> Result<Vec<Outward>, StoreError> {
        self.handle(Event::Committed(self.host.standing()), now)
    }

    /// How far the session is.
    #[must_use]
    pub fn status(&self) -> Status {
        self.session.status()
    }

    /// How many views the session keeps: none when nothing is under way.
    #[must_use]
    pub fn views_kept(&self) -> usize {
        self.views.kept()
    }

    /// The link is gone: remembers what is to be remembered.
    ///
    /// # Errors
    /// The store failed.
    pub fn end(mut self) -> Result<(), StoreError> {
        match self.session.end() {
            Some(change) => self.host.write_records(vec![change]),
            None => Ok(()),
        }
    }

    fn perform(&mut self, actions: Vec<Action>, now: Now) -> Result<Vec<Outward>, StoreError> {
        let mut outward = Vec::new();
        let mut queue = VecDeque::from(actions);
        while let Some(action) = queue.pop_front() {
            let action = match Outward::of(action) {
                Ok(one) => {
                    outward.push(one);
                    continue;
                }
                Err(action) => action,
            };
            let event = match *action {
                Action::Release(view) => {
                    self.views.release(view);
                    continue;
                }
                Action::Remember(records) => {
                    self.host.write_records(records)?;
                    continue;
                }
                Action::RenewIdentity => {
                    self.host.renew_identity()?;
                    Event::Committed(self.host.standing())
                }
                Action::Read(reading, which) => {
                    let view = self.views.pick(&self.host, which);
                    Event::Read(reading.run(&view))
                }
                Action::Look(looking) => Event::Looked(looking.run(&self.host.view())),
                Action::Recall(recalling) => Event::Recalled(recalling.run(&self.host.view())),
                Action::Apply(apply) => {
                    let applied = self.host.apply(apply);
                    let mut more = Vec::new();
                    self.session.handle(Event::Applied(applied), now, &mut more);
                    queue.extend(more);
                    Event::Committed(self.host.standing())
                }
                // The others were for the world outside.
                _ => continue,
            };
            let mut more = Vec::new();
            self.session.handle(event, now, &mut more);
            queue.extend(more);
        }
        Ok(outward)
    }
}
