//! Two honest sides, a line between them that is cut anywhere, disks that are late
//! or fail: whatever happens when, content arrives as it was attached, nothing that
//! was stored is pulled again, and nothing comes of what may not be read.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use tombolo_document::attachment::{
    AttachmentId, AttachmentToken, CHUNK_BYTES, Manifest, chunk_count,
};
use tombolo_identity::{Permissions, Rules, VerifiedPeer};
use tombolo_sync::Event;
use tombolo_sync::attachments::{
    Answer, AttachmentAction, AttachmentEvent, FetchEnd, Kept, Place, Progress, Seek,
};
use tombolo_sync::limits::{
    PIECE_BYTES, PULLED_PIECES_MAX, UNSENT_FRAMES_MAX, UNSTORED_CHUNKS_MAX,
};
use tombolo_sync::wire::{Assembler, AttachmentMessage, Channel, Message};

use super::attachments::{content, manifest_of};
use super::scene::proven;
use super::side::Side;
use super::view::{MemoryView, id};

const PIECES_OF_CHUNK: u64 = (CHUNK_BYTES / PIECE_BYTES) as u64;
const READABLE: &str = "cars";
const SECRET: &str = "secrets";

/// What happens next.
#[derive(Debug, Clone, Copy)]
enum Act {
    /// So many frames arrive: at the holder, at the asker.
    Deliver(u8, u8),
    HolderWorks,
    AskerWorks,
    HolderFails,
    AskerFails,
    Cut,
}

fn any_act() -> impl Strategy<Value = Act> {
    prop_oneof![
        16 => (0..4_u8, 0..16_u8).prop_map(|(holder, asker)| Act::Deliver(holder, asker)),
        6 => Just(Act::HolderWorks),
        6 => Just(Act::AskerWorks),
        1 => Just(Act::HolderFails),
        1 => Just(Act::AskerFails),
        1 => Just(Act::Cut),
    ]
}

/// What the asker keeps over all lives of the link.
#[derive(Default)]
struct Shelf {
    manifest: Option<Arc<Manifest>>,
    chunks: BTreeMap<u64, Vec<u8>>,
}

struct World {
    content: Vec<u8>,
    manifest: Manifest,
    forbidden: AttachmentId,
    proven: [VerifiedPeer; 2],
    holder: Side,
    asker: Side,
    shelf: Shelf,
    /// By request of this life: whose it is.
    requests: BTreeMap<u64, AttachmentId>,
    /// Chunks that were pulled in this life, or stored before it.
    pulled: BTreeSet<u64>,
    is_asked: bool,
    at: u64,
}

impl World {
    fn new(length: usize) -> Self {
        let content = content(length);
        let manifest = manifest_of(&content);
        let proven = [proven(), proven()];
        let forbidden = AttachmentId::of(b"secret");
        let (holder, asker) = sides(&proven, &manifest, forbidden);
        Self {
            content,
            manifest,
            forbidden,
            proven,
            holder,
            asker,
            shelf: Shelf::default(),
            requests: BTreeMap::new(),
            pulled: BTreeSet::new(),
            is_asked: false,
            at: 0,
        }
    }

    fn act(&mut self, act: Act) {
        self.at += 700;
        match act {
            Act::Deliver(to_holder, to_asker) => {
                for _ in 0..to_holder {
                    self.deliver_to_holder();
                }
                for _ in 0..to_asker {
                    self.deliver_to_asker();
                }
            }
            Act::HolderWorks => self.holder_works(true),
            Act::AskerWorks => self.asker_works(true),
            Act::HolderFails => self.holder_works(false),
            Act::AskerFails => self.asker_works(false),
            Act::Cut => self.cut(),
        }
        let waiting = self.holder.line[Channel::Attachments as usize].len();
        assert!(waiting <= UNSENT_FRAMES_MAX + 2, "{waiting} frames");
        let is_store = |job: &&AttachmentAction| matches!(job, AttachmentAction::Store { .. });
        let unstored = self.asker.jobs.iter().filter(is_store).count();
        let ahead = PULLED_PIECES_MAX / PIECES_OF_CHUNK as usize;
        assert!(unstored <= UNSTORED_CHUNKS_MAX + ahead, "{unstored} chunks");
    }

    fn cut(&mut self) {
        (self.holder, self.asker) = sides(&self.proven, &self.manifest, self.forbidden);
        self.requests.clear();
        self.is_asked = false;
    }

    /// Asks for what may be had and for what may not.
    fn ask(&mut self) {
        self.is_asked = true;
        self.pulled = self.shelf.chunks.keys().copied().collect();
        let progress = match &self.shelf.manifest {
            None => Progress::NONE,
            Some(manifest) => Progress {
                manifest: Some(Arc::clone(manifest)),
                missing: (0..manifest.chunk_count())
                    .filter(|chunk| !self.shelf.chunks.contains_key(chunk))
                    .map(|chunk| chunk..chunk + 1)
                    .collect(),
            },
        };
        let length = self.manifest.length();
        self.seek((self.manifest.id(), READABLE, length), progress);
        self.seek((self.forbidden, SECRET, 6), Progress::NONE);
    }

    fn seek(
        &mut self,
        (attachment, collection, length): (AttachmentId, &str, u64),
        progress: Progress,
    ) {
        let seek = Seek {
            attachment,
            place: Place {
                collection: collection.to_owned(),
                id: id("1"),
                length,
            },
            progress,
        };
        let event = Event::Attachment(AttachmentEvent::Seek(seek));
        self.asker.happen(event, self.at);
    }

    fn deliver_to_holder(&mut self) {
        let Some((_, frame)) = self.asker.take_frame() else {
            return;
        };
        if let Some(Message::Attachment(message)) = heard(&mut self.holder.hears, &frame) {
            match message {
                AttachmentMessage::Seek {
                    request,
                    attachment,
                    ..
                } => {
                    self.requests.insert(request, attachment);
                }
                AttachmentMessage::Pull {
                    request,
                    first,
                    count,
                } => {
                    assert_ne!(self.requests[&request], self.forbidden);
                    // A chunk may be pulled in parts, each piece once.
                    for piece in first..first + count {
                        let chunk = piece / PIECES_OF_CHUNK;
                        let is_new = piece % PIECES_OF_CHUNK != 0 || self.pulled.insert(chunk);
                        assert!(is_new, "chunk {chunk} was pulled again");
                    }
                }
                _ => {}
            }
        }
        self.holder.happen(Event::Frame(frame), self.at);
    }

    fn deliver_to_asker(&mut self) {
        let Some((channel, frame)) = self.holder.take_frame() else {
            return;
        };
        if let Some(Message::Attachment(AttachmentMessage::Piece { request, .. })) =
            heard(&mut self.asker.hears, &frame)
        {
            assert_ne!(self.requests[&request], self.forbidden);
        }
        self.asker.happen(Event::Frame(frame), self.at);
        if channel == Channel::Attachments {
            let carried = Event::Attachment(AttachmentEvent::Carried(1));
            self.holder.happen(carried, self.at);
        }
        if self.asker.is_met && !self.is_asked {
            self.ask();
        }
    }

    fn holder_works(&mut self, works: bool) {
        let Some(job) = self.holder.jobs.pop_front() else {
            return;
        };
        let done = match job {
            AttachmentAction::Open(opening) => {
                let is_vouched = opening.is_vouched(&self.holder.view).unwrap();
                assert_eq!(opening.attachment, self.manifest.id());
                let answer = match (is_vouched, works) {
                    (true, true) if opening.wants_manifest => {
                        Answer::Held(Bytes::copy_from_slice(self.manifest.as_bytes()))
                    }
                    (true, true) => Answer::Held(Bytes::new()),
                    (true, false) => Answer::NotHeld,
                    (false, _) => Answer::Refused,
                };
                AttachmentEvent::Opened(opening.request, answer)
            }
            AttachmentAction::Read {
                request,
                offset,
                length,
            } => {
                let read = &self.content[offset as usize..offset as usize + length];
                let read = works.then(|| Bytes::copy_from_slice(read));
                AttachmentEvent::Read(request, read)
            }
            _ => return,
        };
        self.holder.happen(Event::Attachment(done), self.at);
    }

    fn asker_works(&mut self, works: bool) {
        let Some(job) = self.asker.jobs.pop_front() else {
            return;
        };
        let done = match job {
            AttachmentAction::Adopt(_, manifest) if works => {
                self.shelf.manifest = Some(manifest);
                return;
            }
            AttachmentAction::Adopt(request, _) => AttachmentEvent::NotAdopted(request),
            AttachmentAction::Store { request, chunk } => {
                // One that follows a manifest which was not kept is not kept either.
                let works = works && self.shelf.manifest.is_some();
                if works {
                    assert_eq!(chunk.attachment(), self.manifest.id());
                    let bytes = chunk.parts().flatten().copied().collect();
                    let before = self.shelf.chunks.insert(chunk.index(), bytes);
                    assert!(before.is_none(), "chunk {} came twice", chunk.index());
                }
                AttachmentEvent::Stored(request, if works { Kept::Yes } else { Kept::No })
            }
            AttachmentAction::Ended(attachment, end) => {
                assert!(attachment == self.manifest.id() || end != FetchEnd::Complete);
                assert_ne!(end, FetchEnd::Silent);
                return;
            }
            _ => return,
        };
        self.asker.happen(Event::Attachment(done), self.at);
    }

    fn is_complete(&self) -> bool {
        self.shelf.manifest.is_some()
            && self.shelf.chunks.len() as u64 == chunk_count(self.manifest.length())
    }

    /// Lets everything happen that can, without faults.
    fn settle(&mut self) {
        let is_idle =
            |side: &Side| side.jobs.is_empty() && side.line.iter().all(VecDeque::is_empty);
        while !(is_idle(&self.holder) && is_idle(&self.asker)) {
            self.act(Act::Deliver(1, 1));
            self.act(Act::HolderWorks);
            self.act(Act::AskerWorks);
        }
    }
}

fn heard(assembler: &mut Assembler, frame: &Bytes) -> Option<Message> {
    let (_, message) = assembler.take(frame).unwrap()?;
    Some(Message::decode(&message).unwrap())
}

/// Both sides of a link that just came up. The holder may give cars and nothing else.
fn sides(proven: &[VerifiedPeer; 2], manifest: &Manifest, forbidden: AttachmentId) -> (Side, Side) {
    let token = |id, length| AttachmentToken::new(id, length, BTreeMap::new()).unwrap();
    let mut view = MemoryView::default();
    view.put_token(READABLE, "1", &token(manifest.id(), manifest.length()));
    view.put_token(SECRET, "1", &token(forbidden, 6));
    let cars = Permissions {
        read: Rules::collection_whole(READABLE),
        write: Rules::collection_whole(READABLE),
    };
    let [one, other] = proven;
    (
        Side::open((one, other), view, cars),
        Side::open(
            (other, one),
            MemoryView::default(),
            Permissions::everything(),
        ),
    )
}

#[test]
fn a_holder_that_fails_while_it_is_released_is_no_liar() {
    let mut world = World::new(1);
    let is_read = |job: &AttachmentAction| matches!(job, AttachmentAction::Read { .. });
    while !world.holder.jobs.front().is_some_and(is_read) {
        world.act(Act::Deliver(1, 1));
        if !world.holder.jobs.front().is_some_and(is_read) {
            world.act(Act::HolderWorks);
        }
    }
    let is_adopt = |job: &AttachmentAction| matches!(job, AttachmentAction::Adopt(..));
    while !world.asker.jobs.front().is_some_and(is_adopt) {
        world.act(Act::AskerWorks);
    }
    world.act(Act::AskerFails);
    world.act(Act::HolderFails);
    world.settle();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn content_arrives_whole_however_its_way_is_cut(
        length in prop::sample::select(vec![
            1,
            PIECE_BYTES + 1,
            CHUNK_BYTES,
            CHUNK_BYTES + 1,
            4 * CHUNK_BYTES - 1,
            7 * CHUNK_BYTES + 3 * PIECE_BYTES,
        ]),
        acts in prop::collection::vec(any_act(), 0..400),
    ) {
        let mut world = World::new(length);
        for act in acts {
            world.act(act);
        }
        // Whatever failed before, the next link brings what is missing.
        if !world.is_complete() {
            world.settle();
        }
        if !world.is_complete() {
            world.act(Act::Cut);
            world.settle();
        }
        prop_assert!(world.is_complete());
        let arrived: Vec<u8> = world.shelf.chunks.into_values().flatten().collect();
        prop_assert!(arrived == world.content);
    }
}
