//! An asker that floods, reaches too far, or asks for what is not its to read:
//! it costs its own link, and learns nothing (T45, T49).

use std::collections::BTreeMap;

use bytes::Bytes;
use tombolo_document::attachment::{AttachmentId, AttachmentToken};
use tombolo_identity::{Permissions, Rules};
use tombolo_sync::Event;
use tombolo_sync::attachments::{Answer, AttachmentAction, AttachmentEvent};
use tombolo_sync::limits::{
    PIECE_BYTES, PULLED_PIECES_MAX, READY_PIECES_MAX, REQUESTS_MAX, UNSENT_FRAMES_MAX,
};
use tombolo_sync::wire::{AttachmentMessage, Lack, Message, WireError};

use super::attachments::{content, say};
use super::scene::Scene;
use super::view::{MemoryView, id};

const LENGTH: u64 = 200 * PIECE_BYTES as u64;

fn token(text: &[u8]) -> AttachmentToken {
    AttachmentToken::new(AttachmentId::of(text), text.len() as u64, BTreeMap::new()).unwrap()
}

fn seek(request: u64, name: &str, token: &AttachmentToken) -> AttachmentMessage {
    AttachmentMessage::Seek {
        request,
        has_manifest: true,
        collection: "cars".to_owned(),
        id: id(name),
        attachment: token.id,
        length: token.length,
    }
}

/// What the driver of the holder finds for the newest request.
fn vouched(scene: &Scene) -> bool {
    let Some(AttachmentAction::Open(opening)) = scene.attachments.last() else {
        panic!("nothing was to be opened: {:?}", scene.attachments);
    };
    opening.is_vouched(&scene.view).unwrap()
}

fn answers(scene: &Scene) -> Vec<&AttachmentMessage> {
    let heard = scene.heard.iter().filter_map(|message| match message {
        Message::Attachment(message) => Some(message),
        _ => None,
    });
    heard.collect()
}

/// A holder of one long attachment that was asked for and opened.
fn opened() -> Scene {
    let mut scene = Scene::met();
    let attachment = AttachmentId::of(b"long");
    let long = AttachmentToken::new(attachment, LENGTH, BTreeMap::new()).unwrap();
    say(&mut scene, seek(0, "1", &long));
    answer(
        &mut scene,
        AttachmentEvent::Opened(0, Answer::Held(Bytes::new())),
    );
    answer(&mut scene, AttachmentEvent::Carried(1));
    scene.attachments.clear();
    scene
}

fn answer(scene: &mut Scene, event: AttachmentEvent) {
    scene.event(Event::Attachment(event));
}

fn pull(scene: &mut Scene, first: u64, count: u64) {
    say(
        scene,
        AttachmentMessage::Pull {
            request: 0,
            first,
            count,
        },
    );
}

#[test]
fn a_document_vouches_for_its_own_tokens_alone() {
    let (held, other) = (token(b"held"), token(b"other"));
    let mut view = MemoryView::default();
    view.put_token("cars", "1", &held);
    view.put("cars", "2", "red");
    let mut scene = Scene::met_over(view);
    let longer = AttachmentToken {
        length: held.length + 1,
        ..held.clone()
    };
    for (request, (name, token, is_vouched)) in [
        ("1", &held, true),
        ("1", &other, false),
        ("1", &longer, false),
        ("2", &held, false),
        ("3", &held, false),
    ]
    .into_iter()
    .enumerate()
    {
        say(&mut scene, seek(request as u64, name, token));
        assert_eq!(vouched(&scene), is_vouched, "{name} {token:?}");
    }
}

#[test]
fn a_forbidden_document_and_an_unknown_one_are_answered_alike() {
    let held = token(b"held");
    let answers_of = |permissions, name: &str| {
        let mut view = MemoryView::default();
        view.put_token("cars", "1", &held);
        let mut scene = Scene::open(view, permissions);
        scene.say(&Message::Hello(Box::new(scene.hello())));
        scene.heard.clear();
        say(&mut scene, seek(0, name, &held));
        if let Some(AttachmentAction::Open(opening)) = scene.attachments.pop() {
            let is_vouched = opening.is_vouched(&scene.view).unwrap();
            assert!(!is_vouched);
            answer(&mut scene, AttachmentEvent::Opened(0, Answer::Refused));
        }
        assert!(scene.attachments.is_empty());
        scene.heard
    };
    let forbidden = Permissions {
        read: Rules::collection_whole("bikes"),
        write: Rules::collection_whole("bikes"),
    };
    let told = answers_of(forbidden, "1");
    assert_eq!(told, answers_of(Permissions::everything(), "unknown"));
    let refused = AttachmentMessage::Lacking {
        request: 0,
        lack: Lack::Refused,
    };
    assert_eq!(told, [Message::Attachment(refused)]);
}

#[test]
fn t49_a_ninth_open_request_ends_the_link() {
    let mut scene = Scene::met();
    let token = token(b"x");
    for request in 0..REQUESTS_MAX as u64 {
        say(&mut scene, seek(request, "1", &token));
    }
    assert!(scene.closed.is_none());
    say(&mut scene, seek(REQUESTS_MAX as u64, "1", &token));
    let rule = WireError::Protocol("too many requests for attachments");
    assert_eq!(scene.misbehaved(), rule);
}

#[test]
fn t49_who_asks_without_taking_answers_ends_the_link() {
    let permissions = Permissions {
        read: Rules::collection_whole("bikes"),
        write: Rules::collection_whole("bikes"),
    };
    let mut scene = Scene::open(MemoryView::default(), permissions);
    scene.say(&Message::Hello(Box::new(scene.hello())));
    let token = token(b"x");
    let mut request = 0;
    while scene.closed.is_none() {
        say(&mut scene, seek(request, "1", &token));
        request += 1;
        assert!(request < 300);
    }
    assert!(request > 200, "{request}");
    assert!(matches!(scene.misbehaved(), WireError::Protocol(_)));
}

#[test]
fn t49_requests_out_of_order_end_the_link() {
    let token = token(b"x");
    for request in [1, u64::MAX] {
        let mut scene = Scene::met();
        say(&mut scene, seek(request, "1", &token));
        assert!(matches!(scene.misbehaved(), WireError::Protocol(_)));
    }
    let mut scene = Scene::met();
    say(&mut scene, seek(0, "1", &token));
    say(&mut scene, seek(0, "1", &token));
    assert!(matches!(scene.misbehaved(), WireError::Protocol(_)));
}

#[test]
fn t49_pulls_that_reach_too_far_end_the_link() {
    let rules = [
        ((200, 1), "pieces that an attachment has not"),
        ((u64::MAX, 1), "pieces that an attachment has not"),
        ((190, 20), "pieces that an attachment has not"),
        ((0, 1), "pieces were pulled twice"),
        ((3, 1), "pieces were pulled twice"),
        (
            (4, PULLED_PIECES_MAX as u64),
            "too many pieces were pulled ahead",
        ),
    ];
    for ((first, count), rule) in rules {
        let mut scene = opened();
        pull(&mut scene, 0, 4);
        assert!(scene.closed.is_none());
        pull(&mut scene, first, count);
        assert_eq!(scene.misbehaved(), WireError::Protocol(rule));
    }
    let mut scene = Scene::met();
    pull(&mut scene, 0, 1);
    assert!(matches!(scene.misbehaved(), WireError::Protocol(_)));
    let mut scene = Scene::met();
    say(&mut scene, seek(0, "1", &token(b"x")));
    pull(&mut scene, 0, 1);
    let rule = WireError::Protocol("pieces were pulled before an answer");
    assert_eq!(scene.misbehaved(), rule);
}

/// Reads what is to be read; gives from where, and how much.
fn read(scene: &mut Scene) -> Option<(u64, usize)> {
    let Some(AttachmentAction::Read { offset, length, .. }) = scene.attachments.pop() else {
        return None;
    };
    let content = Bytes::from(content(length));
    answer(scene, AttachmentEvent::Read(0, Some(content)));
    Some((offset, length))
}

/// The pieces that were sent.
fn pieces(scene: &Scene) -> Vec<u64> {
    let pieces = answers(scene).into_iter().filter_map(|message| {
        let AttachmentMessage::Piece { piece, content, .. } = message else {
            return None;
        };
        assert_eq!(content.len(), PIECE_BYTES);
        Some(*piece)
    });
    pieces.collect()
}

#[test]
fn no_more_is_read_and_sent_than_the_link_takes() {
    let mut scene = opened();
    pull(&mut scene, 5, PULLED_PIECES_MAX as u64);
    // What follows up to the end of a chunk is read at once, and then chunk by chunk.
    let at = |piece: usize, pieces: usize| ((piece * PIECE_BYTES) as u64, pieces * PIECE_BYTES);
    assert_eq!(read(&mut scene), Some(at(5, 11)));
    assert_eq!(read(&mut scene), Some(at(16, 16)));
    assert_eq!(read(&mut scene), None);
    assert_eq!(pieces(&scene).len(), UNSENT_FRAMES_MAX);
    let mut carried = 0;
    while scene.attachments.is_empty() {
        answer(&mut scene, AttachmentEvent::Carried(1));
        carried += 1;
        assert_eq!(pieces(&scene).len(), UNSENT_FRAMES_MAX + carried);
    }
    assert_eq!(
        UNSENT_FRAMES_MAX + carried,
        11 + 16 - (READY_PIECES_MAX - 1)
    );
    assert_eq!(read(&mut scene), Some(at(32, 16)));
    while pieces(&scene).len() < PULLED_PIECES_MAX {
        answer(&mut scene, AttachmentEvent::Carried(1));
        read(&mut scene);
    }
    let all: Vec<u64> = (5..5 + PULLED_PIECES_MAX as u64).collect();
    assert_eq!(pieces(&scene), all);
}

#[test]
fn t49_what_was_read_and_not_sent_counts_as_pulled() {
    let mut scene = opened();
    pull(&mut scene, 0, PULLED_PIECES_MAX as u64);
    while read(&mut scene).is_some() {}
    let sent = pieces(&scene).len() as u64;
    pull(&mut scene, PULLED_PIECES_MAX as u64, sent);
    assert!(scene.closed.is_none());
    pull(&mut scene, PULLED_PIECES_MAX as u64 + sent, 1);
    let rule = WireError::Protocol("too many pieces were pulled ahead");
    assert_eq!(scene.misbehaved(), rule);
}

#[test]
fn content_that_is_shorter_than_it_was_ends_the_request() {
    let mut scene = opened();
    pull(&mut scene, 0, 8);
    let short = Bytes::from(content(8 * PIECE_BYTES - 1));
    answer(&mut scene, AttachmentEvent::Read(0, Some(short)));
    let lacking = AttachmentMessage::Lacking {
        request: 0,
        lack: Lack::NotHeld,
    };
    assert_eq!(answers(&scene).last(), Some(&&lacking));
}

#[test]
fn a_release_stops_what_was_pulled_and_lets_go_of_the_content() {
    let mut scene = opened();
    pull(&mut scene, 0, 8);
    say(&mut scene, AttachmentMessage::Release { request: 0 });
    let closed = scene.attachments.pop();
    assert!(matches!(closed, Some(AttachmentAction::Close(0))));
    let before = answers(&scene).len();
    let piece = Bytes::from(content(PIECE_BYTES));
    answer(&mut scene, AttachmentEvent::Read(0, Some(piece)));
    assert_eq!(answers(&scene).len(), before);
    // What was under way when this side forgot it is no fault.
    pull(&mut scene, 8, 1);
    assert!(scene.closed.is_none());
}

#[test]
fn content_that_is_gone_ends_the_request() {
    let mut scene = opened();
    pull(&mut scene, 0, 8);
    answer(&mut scene, AttachmentEvent::Read(0, None));
    let lacking = AttachmentMessage::Lacking {
        request: 0,
        lack: Lack::NotHeld,
    };
    assert_eq!(answers(&scene).last(), Some(&&lacking));
    assert!(matches!(
        scene.attachments.last(),
        Some(AttachmentAction::Close(0))
    ));
}

#[test]
fn what_was_released_before_it_was_opened_is_let_go_of() {
    let mut scene = Scene::met();
    say(&mut scene, seek(0, "1", &token(b"x")));
    say(&mut scene, AttachmentMessage::Release { request: 0 });
    scene.attachments.clear();
    answer(
        &mut scene,
        AttachmentEvent::Opened(0, Answer::Held(Bytes::new())),
    );
    assert!(matches!(
        scene.attachments.last(),
        Some(AttachmentAction::Close(0))
    ));
}
