//! A holder that lies about an attachment, sends what nobody pulled, or falls
//! silent (T45, T48, T49): nothing of it reaches the disk, and only its own
//! link ends.

use std::time::Duration;

use bytes::Bytes;
use tombolo_document::attachment::{
    AttachmentId, CHUNK_BYTES, ChunkError, Manifest, ManifestBuilder, ManifestError, chunk_count,
};
use tombolo_identity::{Permissions, Rules};
use tombolo_sync::Event;
use tombolo_sync::attachments::{
    AttachmentAction, AttachmentEvent, FetchEnd, Kept, Place, Progress, Seek, piece_length,
};
use tombolo_sync::limits::{ATTACHMENT_SILENCE_MAX, PIECE_BYTES, PING_AFTER};
use tombolo_sync::wire::{AttachmentMessage, Channel, Lack, Message, Packed, WireError};

use super::scene::{NOW_MS, Scene, raw_frame};
use super::view::{MemoryView, id};

/// Bytes in which no two chunks are equal.
pub(crate) fn content(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    bytes
}

pub(crate) fn manifest_of(content: &[u8]) -> Manifest {
    let mut builder = ManifestBuilder::new();
    builder.update(content).unwrap();
    builder.finish()
}

/// An honest asker, and the holder of this content, which may lie.
struct Fetch {
    scene: Scene,
    content: Vec<u8>,
    manifest: Manifest,
}

const LENGTH: usize = 2 * CHUNK_BYTES + PIECE_BYTES + 1;

impl Fetch {
    /// The asker has asked and got no answer.
    fn asked() -> Self {
        Self::asked_with(Progress::NONE)
    }

    fn asked_with(progress: Progress) -> Self {
        Self::asked_for(LENGTH, progress)
    }

    fn asked_for(length: usize, progress: Progress) -> Self {
        let content = content(length);
        let manifest = manifest_of(&content);
        let mut fetch = Self {
            scene: Scene::met(),
            content,
            manifest,
        };
        fetch.seek(progress);
        fetch
    }

    fn seek(&mut self, progress: Progress) {
        let seek = Seek {
            attachment: self.manifest.id(),
            place: place(self.content.len() as u64),
            progress,
        };
        self.event(AttachmentEvent::Seek(seek));
    }

    /// The holder has told the true manifest.
    fn promised() -> Self {
        Self::promised_of(LENGTH)
    }

    fn promised_of(length: usize) -> Self {
        let mut fetch = Self::asked_for(length, Progress::NONE);
        let manifest = Bytes::copy_from_slice(fetch.manifest.as_bytes());
        fetch.say(AttachmentMessage::Holding {
            request: 0,
            manifest,
        });
        fetch
    }

    fn event(&mut self, event: AttachmentEvent) {
        self.scene.event(Event::Attachment(event));
    }

    fn say(&mut self, message: AttachmentMessage) {
        say(&mut self.scene, message);
    }

    /// The holder sends a piece as it is.
    fn piece(&mut self, request: u64, piece: u64) {
        let from = piece as usize * PIECE_BYTES;
        let length = piece_length(self.content.len() as u64, piece);
        let content = Bytes::copy_from_slice(&self.content[from..from + length]);
        self.say(AttachmentMessage::Piece {
            request,
            piece,
            content,
        });
    }

    /// Sends what is pulled until nothing more is, while the disk keeps up; gives
    /// which chunks were stored.
    fn finish(&mut self, request: u64) -> Vec<u64> {
        let (mut sent, mut stored) = (0, Vec::new());
        loop {
            let pulled: Vec<u64> = self.pulled(request);
            let Some(piece) = pulled.get(sent).copied() else {
                return stored;
            };
            sent += 1;
            self.piece(request, piece);
            for action in std::mem::take(&mut self.scene.attachments) {
                match action {
                    AttachmentAction::Store { request, chunk } => {
                        assert_eq!(chunk.attachment(), self.manifest.id());
                        let bytes: Vec<u8> = chunk.parts().flatten().copied().collect();
                        self.manifest.check_chunk(chunk.index(), &bytes).unwrap();
                        stored.push(chunk.index());
                        self.event(AttachmentEvent::Stored(request, Kept::Yes));
                    }
                    other => self.scene.attachments.push(other),
                }
            }
        }
    }

    /// Every piece that the asker pulled, in order.
    fn pulled(&self, of: u64) -> Vec<u64> {
        let pulls = self.scene.heard.iter().filter_map(|message| match message {
            Message::Attachment(AttachmentMessage::Pull {
                request,
                first,
                count,
            }) if *request == of => Some(*first..*first + *count),
            _ => None,
        });
        pulls.flatten().collect()
    }

    fn end(&self) -> Option<FetchEnd> {
        let mut actions = self.scene.attachments.iter();
        actions.find_map(|action| match action {
            AttachmentAction::Ended(_, end) => Some(*end),
            _ => None,
        })
    }

    /// The asker ended the link, and what it stored before is true.
    fn broke(&self) -> WireError {
        let is_store =
            |action: &&AttachmentAction| matches!(action, AttachmentAction::Store { .. });
        assert!(self.scene.attachments.iter().find(is_store).is_none());
        self.scene.misbehaved()
    }
}

pub(crate) fn place(length: u64) -> Place {
    Place {
        collection: "cars".to_owned(),
        id: id("1"),
        length,
    }
}

pub(crate) fn say(scene: &mut Scene, message: AttachmentMessage) {
    let channel = message.channel();
    let packed = Packed::plain(Message::Attachment(message).encode());
    scene.send(channel, &packed);
}

#[test]
fn what_an_honest_holder_gives_is_stored_whole() {
    let mut fetch = Fetch::promised();
    assert_eq!(fetch.finish(0), [0, 1, 2]);
    assert_eq!(fetch.end(), Some(FetchEnd::Complete));
    let pieces = LENGTH.div_ceil(PIECE_BYTES) as u64;
    assert_eq!(fetch.pulled(0), (0..pieces).collect::<Vec<_>>());
    assert!(fetch.scene.closed.is_none());
}

#[test]
fn only_what_is_missing_is_pulled_again() {
    let manifest = std::sync::Arc::new(manifest_of(&content(LENGTH)));
    let mut fetch = Fetch::asked_with(Progress {
        manifest: Some(manifest),
        missing: std::iter::once(1..2).collect(),
    });
    let asked = fetch.scene.heard.last().unwrap();
    let has = matches!(
        asked,
        Message::Attachment(AttachmentMessage::Seek {
            has_manifest: true,
            ..
        })
    );
    assert!(has, "{asked:?}");
    fetch.say(AttachmentMessage::Holding {
        request: 0,
        manifest: Bytes::new(),
    });
    assert_eq!(fetch.finish(0), [1]);
    assert_eq!(fetch.pulled(0), (16..32).collect::<Vec<_>>());
    assert_eq!(fetch.end(), Some(FetchEnd::Complete));
}

#[test]
fn content_without_bytes_needs_no_piece() {
    let mut scene = Scene::met();
    let seek = Seek {
        attachment: AttachmentId::of(b""),
        place: place(0),
        progress: Progress::NONE,
    };
    scene.event(Event::Attachment(AttachmentEvent::Seek(seek)));
    let manifest = Bytes::new();
    say(
        &mut scene,
        AttachmentMessage::Holding {
            request: 0,
            manifest,
        },
    );
    let ended = scene.attachments.last();
    assert!(matches!(
        ended,
        Some(AttachmentAction::Ended(_, FetchEnd::Complete))
    ));
}

#[test]
fn t45_a_manifest_that_does_not_lead_to_the_id_ends_the_link() {
    let mut fetch = Fetch::asked();
    let mut manifest = fetch.manifest.as_bytes().to_vec();
    manifest[40] ^= 1;
    fetch.say(AttachmentMessage::Holding {
        request: 0,
        manifest: manifest.into(),
    });
    let id = fetch.manifest.id();
    let wrong = WireError::Manifest(ManifestError::WrongHash { id });
    assert_eq!(fetch.broke(), wrong);
}

#[test]
fn t45_a_manifest_of_another_size_ends_the_link() {
    for (bytes, count) in [(0, 3), (64, 3), (128, 3)] {
        let mut fetch = Fetch::asked();
        assert_eq!(chunk_count(LENGTH as u64), count);
        fetch.say(AttachmentMessage::Holding {
            request: 0,
            manifest: vec![7; bytes].into(),
        });
        let WireError::Manifest(ManifestError::WrongSize { found, wanted }) = fetch.broke() else {
            panic!("another error");
        };
        assert_eq!((found, wanted), (bytes, 32 * count));
    }
}

#[test]
fn t45_a_chunk_with_other_bytes_ends_the_link_and_is_not_stored() {
    let mut fetch = Fetch::promised();
    fetch.content[CHUNK_BYTES / 2] ^= 1;
    for piece in 0..16 {
        fetch.piece(0, piece);
    }
    let wrong = WireError::Chunk(ChunkError::WrongHash { index: 0 });
    assert_eq!(fetch.broke(), wrong);
}

#[test]
fn t49_pieces_that_overlap_are_missing_or_were_not_pulled_end_the_link() {
    for (sent, wrong) in [(2, 0), (2, 1), (2, 3), (0, 1), (0, 5), (0, 1 << 40)] {
        let mut fetch = Fetch::promised();
        for piece in 0..sent {
            fetch.piece(0, piece);
        }
        fetch.say(AttachmentMessage::Piece {
            request: 0,
            piece: wrong,
            content: vec![0; PIECE_BYTES].into(),
        });
        let rule = WireError::Protocol("a piece that was not pulled, or not now");
        assert_eq!(fetch.broke(), rule, "{wrong} after {sent}");
    }
}

#[test]
fn t45_a_piece_of_another_size_ends_the_link() {
    for length in [0, 1, PIECE_BYTES - 1] {
        let mut fetch = Fetch::promised();
        fetch.say(AttachmentMessage::Piece {
            request: 0,
            piece: 0,
            content: vec![0; length].into(),
        });
        let rule = WireError::Protocol("a piece of another size");
        assert_eq!(fetch.broke(), rule, "{length}");
    }
    let mut fetch = Fetch::promised();
    fetch.say(AttachmentMessage::Piece {
        request: 0,
        piece: 0,
        content: vec![0; PIECE_BYTES + 1].into(),
    });
    assert!(matches!(fetch.broke(), WireError::Decode(_)));
}

#[test]
fn t49_answers_that_nobody_waits_for_end_the_link() {
    let manifest = Bytes::new();
    let answers = [
        AttachmentMessage::Holding {
            request: 0,
            manifest,
        },
        AttachmentMessage::Lacking {
            request: 7,
            lack: Lack::NotHeld,
        },
        AttachmentMessage::Piece {
            request: 0,
            piece: 0,
            content: Bytes::from_static(b"x"),
        },
    ];
    for answer in answers {
        let mut scene = Scene::met();
        say(&mut scene, answer.clone());
        assert!(
            matches!(scene.misbehaved(), WireError::Protocol(_)),
            "{answer:?}"
        );
        assert!(scene.attachments.is_empty());
    }
    let mut fetch = Fetch::promised();
    let manifest = Bytes::copy_from_slice(fetch.manifest.as_bytes());
    fetch.say(AttachmentMessage::Holding {
        request: 0,
        manifest,
    });
    assert_eq!(
        fetch.broke(),
        WireError::Protocol("an attachment was promised twice")
    );
}

#[test]
fn t49_what_was_under_way_when_a_request_was_released_is_passed_over_and_no_more() {
    let mut fetch = Fetch::promised();
    let pulled = fetch.pulled(0).len() as u64;
    fetch.piece(0, 0);
    let under_way = fetch.pulled(0).len() as u64 - 1;
    fetch.event(AttachmentEvent::Cancel(fetch.manifest.id()));
    for piece in 1..=under_way {
        fetch.piece(0, piece);
    }
    assert!(fetch.scene.closed.is_none(), "{pulled}");
    fetch.piece(0, under_way + 1);
    assert!(matches!(fetch.broke(), WireError::Protocol(_)));
}

#[test]
fn a_disk_that_is_full_ends_the_request_and_not_the_link() {
    let mut fetch = Fetch::promised();
    for piece in 0..16 {
        fetch.piece(0, piece);
    }
    fetch.event(AttachmentEvent::Stored(0, Kept::No));
    assert_eq!(fetch.end(), Some(FetchEnd::Failed));
    assert!(fetch.scene.closed.is_none());
    let last = fetch.scene.heard.last();
    let released = AttachmentMessage::Release { request: 0 };
    assert_eq!(last, Some(&Message::Attachment(released)));
}

#[test]
fn a_disk_that_is_slow_stops_the_pulling() {
    let mut fetch = Fetch::promised_of(12 * CHUNK_BYTES);
    let mut sent = 0;
    while let Some(piece) = fetch.pulled(0).get(sent).copied() {
        fetch.piece(0, piece);
        sent += 1;
    }
    // Two chunks wait for the disk, and what was pulled before they did.
    assert!((32..=32 + 64).contains(&sent), "{sent}");
    assert_eq!(sent % 16, 0);
    for _ in 0..sent / 16 {
        fetch.event(AttachmentEvent::Stored(0, Kept::Yes));
    }
    assert!(fetch.pulled(0).len() > sent);
}

#[test]
fn a_holder_that_says_nothing_is_given_up_without_ending_its_link() {
    let mut fetch = Fetch::promised();
    let mut passed = Duration::ZERO;
    while passed < ATTACHMENT_SILENCE_MAX {
        assert_eq!(fetch.end(), None);
        fetch.scene.pass(PING_AFTER);
        fetch.scene.say(&Message::Ping { now_ms: NOW_MS });
        passed += PING_AFTER;
    }
    assert_eq!(fetch.end(), Some(FetchEnd::Silent));
    assert!(fetch.scene.closed.is_none());
}

#[test]
fn a_refusal_is_told_and_the_next_request_has_the_next_number() {
    let mut fetch = Fetch::asked();
    fetch.say(AttachmentMessage::Lacking {
        request: 0,
        lack: Lack::NotHeld,
    });
    assert_eq!(fetch.end(), Some(FetchEnd::Lacking(Lack::NotHeld)));
    fetch.seek(Progress::NONE);
    let manifest = Bytes::copy_from_slice(fetch.manifest.as_bytes());
    fetch.say(AttachmentMessage::Holding {
        request: 1,
        manifest,
    });
    assert_eq!(fetch.finish(1), [0, 1, 2]);
}

#[test]
fn what_this_side_may_not_read_is_not_asked_for() {
    let permissions = Permissions {
        read: Rules::collection_whole("bikes"),
        write: Rules::collection_whole("bikes"),
    };
    let mut scene = Scene::open(MemoryView::default(), permissions);
    scene.say(&Message::Hello(Box::new(scene.hello())));
    let heard = scene.heard.len();
    let seek = Seek {
        attachment: AttachmentId::of(b"x"),
        place: place(1),
        progress: Progress::NONE,
    };
    scene.event(Event::Attachment(AttachmentEvent::Seek(seek)));
    assert_eq!(scene.heard.len(), heard);
    assert!(matches!(
        scene.attachments.last(),
        Some(AttachmentAction::Ended(_, FetchEnd::Unable))
    ));
}

#[test]
fn a_peer_of_the_first_version_is_not_asked_and_may_not_ask() {
    let mut scene = Scene::open(MemoryView::default(), Permissions::everything());
    let mut hello = scene.hello();
    hello.versions = (1, 1);
    scene.say(&Message::Hello(Box::new(hello)));
    let seek = Seek {
        attachment: AttachmentId::of(b"x"),
        place: place(1),
        progress: Progress::NONE,
    };
    scene.event(Event::Attachment(AttachmentEvent::Seek(seek)));
    assert!(matches!(
        scene.attachments.last(),
        Some(AttachmentAction::Ended(_, FetchEnd::Unable))
    ));
    say(&mut scene, AttachmentMessage::Release { request: 0 });
    assert!(matches!(scene.misbehaved(), WireError::Protocol(_)));
}

#[test]
fn t48_a_compressed_message_of_an_attachment_is_not_unpacked() {
    let mut scene = Scene::met();
    scene.frame(raw_frame(Channel::Attachments as u8 | 8, 0, &[0xFF; 16]));
    let rule = WireError::Protocol("a compressed message of an attachment");
    assert_eq!(scene.misbehaved(), rule);
}

#[test]
fn t49_fragments_of_an_attachment_that_never_end_are_cut() {
    let mut scene = Scene::met();
    let mut number = 0;
    while scene.closed.is_none() {
        scene.frame(raw_frame(
            Channel::Attachments as u8 | 4,
            number,
            &[0; PIECE_BYTES],
        ));
        number += 1;
        assert!(number < 20);
    }
    assert!(matches!(scene.misbehaved(), WireError::TooLarge { .. }));
}
