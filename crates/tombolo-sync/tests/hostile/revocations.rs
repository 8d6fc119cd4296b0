//! Lists of revocations: whom they are told to, how often, and a peer that sends
//! too much of them. What stands in them is the driver's business.

use std::time::Duration;

use bytes::Bytes;
use tombolo_document::bytes::put_varint;
use tombolo_identity::{Permissions, REVOCATIONS_BYTES_MAX};
use tombolo_sync::Event;
use tombolo_sync::limits::{REVOCATIONS_BURST, REVOCATIONS_PAUSE};
use tombolo_sync::wire::{Channel, Message, Packed, WireError};

use super::scene::Scene;

const MOMENT: Duration = Duration::from_millis(1);

fn list(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

fn says(scene: &mut Scene, list: Bytes) {
    scene.say(&Message::Revocations { list });
}

/// The lists that the peer was told of.
fn told(scene: &Scene) -> Vec<Bytes> {
    let lists = scene.heard.iter().filter_map(|message| match message {
        Message::Revocations { list } => Some(list.clone()),
        _ => None,
    });
    lists.collect()
}

#[test]
fn a_list_is_told_behind_hello_and_once() {
    let mut scene = Scene::open(Default::default(), Permissions::everything());
    scene.event(Event::Revocations(list("1")));
    assert!(matches!(
        scene.heard[..],
        [Message::Hello(_), Message::Revocations { .. }]
    ));
    for _ in 0..3 {
        scene.event(Event::Revocations(list("1")));
        scene.pass(REVOCATIONS_PAUSE);
    }
    assert_eq!(told(&scene), ["1"]);
}

#[test]
fn of_lists_that_follow_each_other_fast_the_newest_is_told() {
    let mut scene = Scene::met();
    for name in ["1", "2", "3"] {
        scene.event(Event::Revocations(list(name)));
    }
    assert_eq!(told(&scene), ["1"]);
    scene.pass(REVOCATIONS_PAUSE - MOMENT);
    assert_eq!(told(&scene), ["1"]);
    scene.pass(MOMENT);
    assert_eq!(told(&scene), ["1", "3"]);
}

#[test]
fn a_list_that_came_from_the_peer_is_not_told_to_it() {
    let mut scene = Scene::met();
    says(&mut scene, list("1"));
    assert_eq!(scene.lists, ["1"]);
    scene.event(Event::Revocations(list("1")));
    scene.pass(REVOCATIONS_PAUSE);
    assert!(told(&scene).is_empty());
    // Nor is one that the peer brings while it waits.
    scene.event(Event::Revocations(list("2")));
    scene.event(Event::Revocations(list("3")));
    says(&mut scene, list("3"));
    scene.pass(REVOCATIONS_PAUSE);
    assert_eq!(told(&scene), ["2"]);
}

/// A peer that replays an old list hears the newer one, if it did not yet.
#[test]
fn t36_an_older_list_is_answered_with_the_newer() {
    let mut scene = Scene::met();
    says(&mut scene, list("old"));
    scene.event(Event::Revocations(list("new")));
    assert_eq!(told(&scene), ["new"]);
    for _ in 0..4 {
        says(&mut scene, list("old"));
        scene.event(Event::Revocations(list("new")));
        scene.pass(REVOCATIONS_PAUSE);
    }
    assert_eq!(told(&scene), ["new"]);
    assert!(scene.closed.is_none());
}

#[test]
fn a_list_has_so_many_bytes() {
    for (bytes, is_taken) in [
        (REVOCATIONS_BYTES_MAX, true),
        (REVOCATIONS_BYTES_MAX + 1, false),
    ] {
        let mut scene = Scene::met();
        says(&mut scene, vec![0; bytes].into());
        assert_eq!(scene.closed.is_none(), is_taken);
        assert_eq!(scene.lists.len(), usize::from(is_taken));
        if !is_taken {
            assert!(matches!(scene.misbehaved(), WireError::Decode(_)));
        }
    }
}

#[test]
fn a_list_that_is_cut_off_or_too_long_is_malformed() {
    let says_ten = |bytes: usize| {
        let mut message = vec![10];
        put_varint(&mut message, 10);
        message.resize(message.len() + bytes, 7);
        message
    };
    for (bytes, is_taken) in [(9, false), (10, true), (11, false)] {
        let mut scene = Scene::met();
        scene.send(Channel::Control, &Packed::plain(says_ten(bytes)));
        assert_eq!(scene.closed.is_none(), is_taken);
        assert_eq!(scene.lists.len(), usize::from(is_taken));
    }
}

#[test]
fn a_list_on_another_channel_than_its_own_ends_the_session() {
    for channel in [Channel::Documents, Channel::Attachments] {
        let mut scene = Scene::met();
        let message = Message::Revocations { list: list("1") };
        scene.send(channel, &Packed::plain(message.encode()));
        assert_eq!(scene.broke(), "a message on another channel than its own");
        assert!(scene.lists.is_empty());
    }
}

#[test]
fn a_flood_of_lists_ends_the_session() {
    let mut scene = Scene::met();
    for _ in 0..REVOCATIONS_BURST {
        says(&mut scene, list("1"));
    }
    assert!(scene.closed.is_none());
    // From here on one for each pause, and not one more.
    for _ in 0..5 {
        scene.pass(REVOCATIONS_PAUSE);
        says(&mut scene, list("2"));
    }
    assert!(scene.closed.is_none());
    scene.pass(REVOCATIONS_PAUSE - MOMENT);
    says(&mut scene, list("3"));
    assert_eq!(scene.broke(), "revocations too often");
    assert_eq!(scene.lists.len(), REVOCATIONS_BURST as usize + 5);
}
