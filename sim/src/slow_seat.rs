//! A session whose work on the store takes time, as with a driver that has
//! threads: between the moment at which the session asks for something, the one at
//! which it is done and the one at which the session hears of it, anything may
//! happen. Reads and writes overtake one another; each kind keeps its order.

use std::collections::VecDeque;
use std::sync::Arc;

use tombolo::replication::{Host, Outward, Views};
use tombolo_identity::VerifiedPeer;
use tombolo_store::StoreError;
use tombolo_sync::{Action, Applied, Apply, Event, Interests, Local, Now, Outcome, Session};

use crate::canary::Canary;
use crate::seat::Response;

/// One session with its database.
pub(crate) struct SlowSeat {
    host: Host,
    session: Session,
    views: Views,
    /// Work on the store: reading in one lane, writing in the other.
    lanes: [VecDeque<Work>; 2],
    canary: Canary,
    /// Documents that were applied, for the canary.
    applied: u64,
}

enum Work {
    /// Asked for.
    Asked(Action),
    /// Done, and the session does not know yet.
    Done(Event),
}

const READS: usize = 0;
const WRITES: usize = 1;

impl SlowSeat {
    pub(crate) fn open(
        host: Host,
        (local, peer): (Arc<Local>, VerifiedPeer),
        interests: Arc<Interests>,
        canary: Canary,
        now: Now,
    ) -> Result<(Self, Response), StoreError> {
        let mut actions = Vec::new();
        let state = (host.standing(), interests, host.parameters());
        let session = Session::open(local, peer, state, now, &mut actions);
        let mut seat = Self {
            host,
            session,
            views: Views::default(),
            lanes: Default::default(),
            canary,
            applied: 0,
        };
        let response = seat.perform(actions, now)?;
        Ok((seat, response))
    }

    pub(crate) fn handle(&mut self, event: Event, now: Now) -> Result<Response, StoreError> {
        let mut actions = Vec::new();
        self.session.handle(event, now, &mut actions);
        self.perform(actions, now)
    }

    pub(crate) fn views_kept(&self) -> usize {
        self.views.kept()
    }

    pub(crate) fn end(mut self) -> Result<(), StoreError> {
        match self.session.end() {
            Some(change) => self.host.write_records(vec![change]),
            None => Ok(()),
        }
    }

    /// Does the next step of one lane.
    pub(crate) fn work(&mut self, lot: u64, now: Now) -> Result<Response, StoreError> {
        let full = [READS, WRITES].into_iter();
        let full: Vec<usize> = full.filter(|lane| !self.lanes[*lane].is_empty()).collect();
        if full.is_empty() {
            return Ok(Response::default());
        }
        let lane = full[(lot % full.len() as u64) as usize];
        match self.lanes[lane].pop_front() {
            None => Ok(Response::default()),
            Some(Work::Done(event)) => self.handle(event, now),
            Some(Work::Asked(action)) => {
                let done = self.execute(action);
                let works = usize::from(done.is_some());
                if let Some(event) = done {
                    self.lanes[lane].push_front(Work::Done(event));
                }
                let outward = Vec::new();
                Ok(Response { outward, works })
            }
        }
    }

    fn execute(&mut self, action: Action) -> Option<Event> {
        match action {
            Action::Read(reading, which) => {
                let view = self.views.pick(&self.host, which);
                Some(Event::Read(reading.run(&view)))
            }
            Action::Look(looking) => Some(Event::Looked(looking.run(&self.host.view()))),
            Action::Recall(recalling) => Some(Event::Recalled(recalling.run(&self.host.view()))),
            Action::Apply(apply) => Some(Event::Applied(self.apply(apply))),
            Action::Release(view) => {
                self.views.release(view);
                None
            }
            _ => None,
        }
    }

    fn apply(&mut self, mut apply: Apply) -> Applied {
        let mut dropped = Vec::new();
        let mut kept = Vec::new();
        for (at, document) in apply.documents.iter().enumerate() {
            self.applied += 1;
            if self.canary.drops(self.applied) {
                dropped.push(at);
            } else {
                kept.push(document.clone());
            }
        }
        if dropped.is_empty() {
            return self.host.apply(apply);
        }
        apply.documents = kept.into();
        let mut applied = self.host.apply(apply);
        if let Applied::Done(outcomes) = &mut applied {
            for at in dropped {
                let merged = Outcome::Merged {
                    changed: true,
                    behind: false,
                    equivocated: false,
                };
                outcomes.insert(at, merged);
            }
        }
        applied
    }

    fn perform(&mut self, actions: Vec<Action>, now: Now) -> Result<Response, StoreError> {
        let mut response = Response::default();
        let mut queue = VecDeque::from(actions);
        while let Some(action) = queue.pop_front() {
            let lane = match action {
                Action::Send(channel, frame) => {
                    response.outward.push(Outward::Send(channel, frame));
                    continue;
                }
                Action::Wake(at) => {
                    response.outward.push(Outward::Wake(at));
                    continue;
                }
                Action::Met(hello) => {
                    response.outward.push(Outward::Met(hello));
                    continue;
                }
                Action::Revocations(list) => {
                    response.outward.push(Outward::Revocations(list));
                    continue;
                }
                Action::Attachment(action) => {
                    response.outward.push(Outward::Attachment(action));
                    continue;
                }
                Action::Notice(notice) => {
                    response.outward.push(Outward::Notice(notice));
                    continue;
                }
                Action::Close(reason) => {
                    response.outward.push(Outward::Close(reason));
                    continue;
                }
                Action::Remember(records) => {
                    self.host.write_records(records)?;
                    continue;
                }
                Action::RenewIdentity => {
                    self.host.renew_identity()?;
                    let mut more = Vec::new();
                    let event = Event::Committed(self.host.standing());
                    self.session.handle(event, now, &mut more);
                    queue.extend(more);
                    continue;
                }
                // A view is let go of behind the reading that keeps it.
                Action::Read(..) | Action::Look(_) | Action::Recall(_) | Action::Release(_) => {
                    READS
                }
                Action::Apply(_) => WRITES,
            };
            self.lanes[lane].push_back(Work::Asked(action));
            response.works += 1;
        }
        Ok(response)
    }
}
