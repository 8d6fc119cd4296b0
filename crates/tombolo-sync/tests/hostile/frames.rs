//! Bytes that are no frames, no messages, or other ones than they say.

use bytes::Bytes;
use proptest::prelude::*;
use tombolo_document::bytes::put_varint;
use tombolo_sync::limits::{FRAGMENT_BYTES, FRAME_BYTES_MAX, MESSAGE_BYTES_MAX};
use tombolo_sync::wire::{Channel, Message, Packed, WireError};

use super::scene::{Scene, raw_frame};

const MORE: u8 = 4;
const COMPRESSED: u8 = 8;

fn after_frame(frame: Bytes) -> Scene {
    let mut scene = Scene::open(Default::default(), everything());
    scene.frame(frame);
    scene
}

fn everything() -> tombolo_identity::Permissions {
    tombolo_identity::Permissions::everything()
}

/// A compressed message that says how long it will be.
fn packed(says: u64, message: &[u8]) -> Bytes {
    let mut rest = Vec::new();
    put_varint(&mut rest, says);
    rest.extend(zstd::bulk::compress(message, 1).unwrap());
    raw_frame(COMPRESSED, 0, &rest)
}

#[test]
fn garbage_ends_the_session() {
    for bytes in [
        &[][..],
        &[0],
        &[3, 0, 1],
        &[16, 0, 1],
        &[0, 0],
        &[0, 0, 99, 0],
    ] {
        let scene = after_frame(Bytes::copy_from_slice(bytes));
        assert!(
            !matches!(scene.misbehaved(), WireError::Protocol(_)),
            "{bytes:?}"
        );
    }
}

#[test]
fn a_gap_and_a_repetition_end_the_session() {
    let ping = Message::Ping { now_ms: 0 }.encode();
    for (first, second) in [(0, 2), (0, 0), (1, 2)] {
        let mut scene = after_frame(raw_frame(0, first, &ping));
        let expected = u64::from(scene.closed.is_none());
        if scene.closed.is_none() {
            scene.frame(raw_frame(0, second, &ping));
        }
        let found = if expected == 0 { first } else { second };
        assert_eq!(scene.misbehaved(), WireError::Sequence { expected, found });
    }
}

#[test]
fn each_channel_counts_its_own_frames() {
    let mut scene = after_frame(raw_frame(MORE, 0, &[8]));
    scene.frame(raw_frame(1 | MORE, 0, &[4]));
    scene.frame(raw_frame(0, 1, &[0]));
    assert!(scene.closed.is_none());
}

#[test]
fn a_frame_above_its_limit_ends_the_session() {
    let mut frame = raw_frame(MORE, 0, &[]).to_vec();
    frame.resize(FRAME_BYTES_MAX, 0);
    assert!(after_frame(frame.clone().into()).closed.is_none());
    frame.push(0);
    let what = "a frame";
    let max = FRAME_BYTES_MAX;
    assert_eq!(
        after_frame(frame.into()).misbehaved(),
        WireError::TooLarge { what, max }
    );
}

#[test]
fn fragments_above_the_limit_of_a_message_end_the_session() {
    let mut scene = Scene::open(Default::default(), everything());
    let fragment = vec![0; FRAGMENT_BYTES];
    let count = (MESSAGE_BYTES_MAX / FRAGMENT_BYTES) as u64;
    for number in 0..count {
        scene.frame(raw_frame(MORE, number, &fragment));
        assert!(scene.closed.is_none(), "fragment {number}");
    }
    scene.frame(raw_frame(0, count, &[0]));
    let what = "a message";
    let max = MESSAGE_BYTES_MAX;
    assert_eq!(scene.misbehaved(), WireError::TooLarge { what, max });
}

#[test]
fn a_bomb_ends_the_session_before_it_unpacks() {
    let bomb = vec![0; MESSAGE_BYTES_MAX + 1];
    let what = "an unpacked message";
    let max = MESSAGE_BYTES_MAX;
    for says in [bomb.len() as u64, u64::MAX] {
        assert_eq!(
            after_frame(packed(says, &bomb)).misbehaved(),
            WireError::TooLarge { what, max }
        );
    }
    for says in [0, 1, 1_000, MESSAGE_BYTES_MAX as u64] {
        let scene = after_frame(packed(says, &bomb));
        assert_eq!(scene.misbehaved(), WireError::Compression, "{says}");
    }
}

#[test]
fn a_length_that_lies_ends_the_session() {
    let ping = Message::Ping { now_ms: 5 }.encode();
    for says in [0, ping.len() as u64 - 1, ping.len() as u64 + 1] {
        let scene = after_frame(packed(says, &ping));
        assert_eq!(scene.misbehaved(), WireError::Compression, "{says}");
    }
    assert!(
        after_frame(packed(ping.len() as u64, &ping))
            .closed
            .is_none()
    );
    let not_packed = raw_frame(COMPRESSED, 0, &[2, 1, 2, 3]);
    assert_eq!(after_frame(not_packed).misbehaved(), WireError::Compression);
}

#[test]
fn a_message_of_the_largest_size_is_read() {
    // It unpacks to a list that is too long, so it was unpacked.
    let mut message = vec![4, 1, 0, 0];
    message.resize(MESSAGE_BYTES_MAX, 0);
    let mut rest = Vec::new();
    put_varint(&mut rest, message.len() as u64);
    rest.extend(zstd::bulk::compress(&message, 1).unwrap());
    let scene = after_frame(raw_frame(1 | COMPRESSED, 0, &rest));
    assert!(matches!(scene.misbehaved(), WireError::Decode(_)));
}

#[test]
fn a_message_on_another_channel_ends_the_session() {
    let ping = Packed::plain(Message::Ping { now_ms: 0 }.encode());
    for channel in [Channel::Documents, Channel::Attachments] {
        let mut scene = Scene::met();
        scene.send(channel, &ping);
        assert_eq!(scene.broke(), "a message on another channel than its own");
    }
    let mut scene = Scene::met();
    scene.put("cars", "1", "x");
    let batch = scene.writer.finish((1, 0), super::scene::END, b"");
    scene.send(Channel::Control, &batch);
    assert_eq!(scene.broke(), "a message on another channel than its own");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn arbitrary_frames_are_harmless(
        frames in prop::collection::vec(
            (0_u8..16, prop::collection::vec(any::<u8>(), 0..64)), 1..8),
        is_met in any::<bool>(),
    ) {
        let mut scene = if is_met { Scene::met() } else { Scene::open(Default::default(), everything()) };
        let mut numbers = [u64::from(is_met), 0, 0, 0];
        for (header, rest) in frames {
            let number = &mut numbers[usize::from(header & 3)];
            if scene.closed.is_none() {
                scene.frame(raw_frame(header, *number, &rest));
            }
            *number += 1;
        }
        prop_assert!(scene.applied.is_empty());
        prop_assert_eq!(scene.renewed, 0);
    }

    #[test]
    fn a_changed_message_is_harmless(
        which in 0_usize..6,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut scene = Scene::met();
        let generation = scene.generation();
        let messages = [
            Message::Hello(Box::new(scene.hello())),
            Message::Interests {
                generation,
                holds_documents: true,
                may_continue: true,
                cursor: Bytes::from_static(b"cursor"),
                stated: super::scene::stated(&["SELECT * FROM cars"]),
            },
            Message::Want { generation, batch: 0, places: vec![0, 1] },
            Message::Ack { generation, batch: 0, refused: Vec::new() },
            Message::Fetch { generation, documents: vec![("cars".to_owned(), super::view::id("1"))] },
            Message::Bye { code: 1, reason: "because".to_owned() },
        ];
        let mut bytes = messages[which].encode();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        scene.send(Channel::Control, &Packed::plain(bytes));
        prop_assert!(scene.applied.is_empty());
        prop_assert_eq!(scene.renewed, 0);
    }
}
