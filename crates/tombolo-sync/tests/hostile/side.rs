//! One honest side of a link whose other side is honest too. What it sends waits on
//! its line, and what it wants of files waits as a job, until a test goes on with it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tombolo_document::{Actor, SiteId};
use tombolo_identity::{Permissions, VerifiedPeer};
use tombolo_query::Parameters;
use tombolo_sync::attachments::AttachmentAction;
use tombolo_sync::view::LogId;
use tombolo_sync::wire::{Assembler, Channel};
use tombolo_sync::{Action, Event, Interests, Local, Now, Session, Standing};

use super::scene::{DATABASE, NOW_MS};
use super::view::MemoryView;

/// One side of a link.
pub(crate) struct Side {
    session: Session,
    pub(crate) view: MemoryView,
    /// Frames under way to the other side, for each channel; control overtakes.
    pub(crate) line: [VecDeque<Bytes>; 3],
    /// What is to be done with files, in order.
    pub(crate) jobs: VecDeque<AttachmentAction>,
    pub(crate) is_met: bool,
    pub(crate) hears: Assembler,
}

impl Side {
    pub(crate) fn open(
        (own, peer): (&VerifiedPeer, &VerifiedPeer),
        view: MemoryView,
        permissions: Permissions,
    ) -> Self {
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
        let site = SiteId::derive(DATABASE, own.peer_key().as_bytes());
        let standing = Standing {
            log: LogId(site.0),
            actor: Actor::new(site, 1),
            commit: view.commit,
        };
        let wanted = Arc::new(Interests::new(Vec::new()).0);
        let state = (standing, wanted, Arc::new(Parameters::default()));
        let mut actions = Vec::new();
        let session = Session::open(Arc::new(local), peer.clone(), state, now(0), &mut actions);
        let mut side = Self {
            session,
            view,
            line: Default::default(),
            jobs: VecDeque::new(),
            is_met: false,
            hears: Assembler::default(),
        };
        side.perform(actions, 0);
        side
    }

    pub(crate) fn happen(&mut self, event: Event, at: u64) {
        let mut actions = Vec::new();
        self.session.handle(event, now(at), &mut actions);
        self.perform(actions, at);
    }

    fn perform(&mut self, actions: Vec<Action>, at: u64) {
        for action in actions {
            match action {
                Action::Send(channel, frame) => self.line[channel as usize].push_back(frame),
                Action::Attachment(action) => self.jobs.push_back(action),
                Action::Met(_) => self.is_met = true,
                Action::Close(reason) => panic!("an honest side ended the link: {reason:?}"),
                Action::Read(reading, _) => {
                    let read = reading.run(&self.view);
                    self.happen(Event::Read(read), at);
                }
                Action::Recall(recalling) => {
                    let recalled = recalling.run(&self.view);
                    self.happen(Event::Recalled(recalled), at);
                }
                Action::Look(looking) => {
                    let looked = looking.run(&self.view);
                    self.happen(Event::Looked(looked), at);
                }
                _ => {}
            }
        }
    }

    /// The next frame of the line, and what it says if it is whole.
    pub(crate) fn take_frame(&mut self) -> Option<(Channel, Bytes)> {
        [Channel::Control, Channel::Documents, Channel::Attachments]
            .into_iter()
            .find_map(|channel| Some((channel, self.line[channel as usize].pop_front()?)))
    }
}

fn now(at: u64) -> Now {
    Now {
        unix_ms: NOW_MS,
        monotonic: Duration::from_micros(at),
    }
}
