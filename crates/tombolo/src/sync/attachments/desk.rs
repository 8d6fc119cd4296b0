//! What a session asks about attachments, handed to the lanes of its link.

use std::sync::Arc;

use tokio::sync::mpsc;
use tombolo_sync::Event;
use tombolo_sync::attachments::AttachmentAction;

use super::fetches::{Fetches, LinkOrder};
use super::lane::{Lane, LaneFull};
use super::serving::Serving;
use super::storing::Storing;
use crate::replication::Host;

/// The two lanes of one link.
pub(crate) struct AttachmentDesk {
    fetches: Arc<Fetches>,
    serving: Lane<Serving>,
    storing: Lane<Storing>,
}

impl AttachmentDesk {
    /// The desk of a link that just came up; what is done is told to `answers`.
    pub(crate) fn open(
        host: &Host,
        fetches: &Arc<Fetches>,
        link: u64,
        answers: &mpsc::Sender<Event>,
    ) -> Self {
        let serving = Serving::new(host.clone(), fetches.shelf().clone());
        let storing = Storing::new(Arc::clone(fetches), link);
        Self {
            fetches: Arc::clone(fetches),
            serving: Lane::open(serving, answers.clone()),
            storing: Lane::open(storing, answers.clone()),
        }
    }

    /// Does what the session asks.
    pub(crate) fn act(&self, action: AttachmentAction) -> Result<(), LaneFull> {
        match action {
            AttachmentAction::Open(opening) => {
                self.serving.queue(move |serving| serving.open(&opening))
            }
            AttachmentAction::Read {
                request,
                offset,
                length,
            } => {
                self.fetches.given(length);
                self.serving
                    .queue(move |serving| serving.read(request, offset, length))
            }
            AttachmentAction::Close(request) => self.serving.queue(move |serving| {
                serving.close(request);
                None
            }),
            AttachmentAction::Adopt(request, manifest) => self
                .storing
                .queue(move |storing| storing.adopt(request, &manifest)),
            AttachmentAction::Store { request, chunk } => self
                .storing
                .queue(move |storing| storing.store(request, &chunk)),
            AttachmentAction::Ended(attachment, end) => self.storing.queue(move |storing| {
                storing.end(attachment, end);
                None
            }),
        }
    }

    /// Does what is wanted of the link.
    pub(crate) fn order(&self, order: LinkOrder) -> Result<(), LaneFull> {
        match order {
            LinkOrder::Seek(attachment, place) => self
                .storing
                .queue(move |storing| storing.seek(attachment, place)),
            LinkOrder::Cancel(attachment) => self
                .storing
                .queue(move |storing| storing.cancel(attachment)),
        }
    }
}
