//! Messages that are well formed and come when or where they must not.

use bytes::Bytes;
use tombolo_document::{Actor, SiteId};
use tombolo_sync::limits::{PROTOCOL_VERSION, WANTS_MAX};
use tombolo_sync::wire::{Channel, Flags, Form, Hello, Message, Packed, Scope, WireError};
use tombolo_sync::{CloseReason, digest};

use super::scene::{END, OWN, Scene, raw_frame};
use super::view::{MemoryView, document, id, noise};

pub(crate) fn cars(count: usize) -> MemoryView {
    let mut view = MemoryView::default();
    for number in 0..count {
        view.put("cars", &format!("{number:04}"), "red");
    }
    view
}

fn says(change: impl FnOnce(&mut Hello)) -> Scene {
    let mut scene = Scene::open(cars(1), tombolo_identity::Permissions::everything());
    let mut hello = scene.hello();
    change(&mut hello);
    scene.say(&Message::Hello(Box::new(hello)));
    scene
}

#[test]
fn nothing_but_signs_of_life_may_come_before_hello() {
    let generation = 1;
    let messages = [
        Message::Interests {
            generation,
            holds_documents: false,
            may_continue: false,
            cursor: Bytes::new(),
            stated: Vec::new(),
        },
        Message::Scope {
            generation,
            scope: Scope {
                continued: true,
                verdicts: Vec::new(),
            },
        },
        Message::Want {
            generation,
            batch: 0,
            places: Vec::new(),
        },
        Message::Ack {
            generation,
            batch: 0,
            refused: Vec::new(),
        },
        Message::Fetch {
            generation,
            documents: Vec::new(),
        },
        Message::Revocations { list: Bytes::new() },
    ];
    for message in messages {
        let mut scene = Scene::open(cars(1), tombolo_identity::Permissions::everything());
        scene.say(&Message::Ping { now_ms: 1 });
        assert!(scene.closed.is_none());
        scene.say(&message);
        assert_eq!(scene.broke(), "a message before Hello");
        assert_eq!(scene.batches(), 0);
    }
    let mut scene = Scene::open(cars(1), tombolo_identity::Permissions::everything());
    scene.put("cars", "1", "x");
    scene.batch((1, 0), END);
    assert_eq!(scene.broke(), "a message before Hello");
}

#[test]
fn another_database_ends_the_session() {
    let scene = says(|hello| hello.database_id.push('x'));
    assert!(matches!(scene.closed, Some(CloseReason::OtherDatabase)));
    assert!(matches!(
        scene.heard.last(),
        Some(Message::Bye { code: 2, .. })
    ));
}

#[test]
fn a_version_in_common_is_needed() {
    for versions in [(0, 0), (3, 9), (u64::MAX, 0), (2, 0)] {
        let scene = says(|hello| hello.versions = versions);
        assert!(
            matches!(scene.closed, Some(CloseReason::NoCommonVersion(..))),
            "{versions:?}"
        );
    }
    for versions in [(0, PROTOCOL_VERSION), (PROTOCOL_VERSION, u64::MAX), (2, 2)] {
        assert!(says(|hello| hello.versions = versions).closed.is_none());
    }
}

#[test]
fn the_own_actor_ends_the_session() {
    let scene = says(|hello| hello.actor = Actor::new(OWN, 9));
    assert!(matches!(scene.closed, Some(CloseReason::OwnActor)));
}

#[test]
fn a_site_of_another_key_ends_the_session() {
    let scene = says(|hello| hello.actor = Actor::new(SiteId([9; 16]), 1));
    assert_eq!(
        scene.broke(),
        "the site id does not belong to the peer's key"
    );
}

#[test]
fn an_impossible_clock_is_told_and_does_no_harm() {
    for now_ms in [0, u64::MAX] {
        let scene = says(|hello| hello.now_ms = now_ms);
        assert!(scene.closed.is_none());
        assert_eq!(scene.notices.len(), 1);
    }
}

#[test]
fn interests_of_an_old_generation_end_the_session() {
    for old in [0, 4, 5] {
        let mut scene = Scene::met_over(cars(1));
        scene.want_cars(5, b"");
        scene.want_cars(old, b"");
        assert_eq!(scene.broke(), "interests of an old generation");
    }
}

#[test]
fn a_batch_of_interests_never_stated_ends_the_session() {
    let mut scene = Scene::met();
    scene.put("cars", "1", "x");
    scene.batch((scene.generation() + 1, 0), END);
    assert_eq!(scene.broke(), "a batch of interests never stated");
}

#[test]
fn a_batch_of_earlier_interests_is_dropped() {
    let mut scene = Scene::met();
    scene.put("cars", "1", "x");
    scene.batch((scene.generation() - 1, 0), END);
    assert!(scene.closed.is_none() && scene.applied.is_empty());
}

#[test]
fn batches_that_come_twice_or_backwards_end_the_session() {
    for second in [3, 2] {
        let mut scene = Scene::met();
        scene.batch((scene.generation(), 3), END);
        scene.put("cars", "1", "x");
        scene.batch((scene.generation(), second), END);
        assert_eq!(scene.broke(), "batches out of order");
    }
}

#[test]
fn an_ack_of_what_was_never_sent_ends_the_session() {
    for batch in [1, 7, u64::MAX] {
        let mut scene = Scene::met_over(cars(1));
        scene.want_cars(1, b"");
        assert_eq!(scene.batches(), 1);
        scene.say(&Message::Ack {
            generation: 1,
            batch,
            refused: Vec::new(),
        });
        assert_eq!(scene.broke(), "Ack names another batch than the next");
        assert_eq!(scene.session.status().acknowledged, 0);
    }
}

#[test]
fn an_ack_that_comes_twice_ends_the_session() {
    let mut scene = Scene::met_over(cars(1));
    scene.want_cars(1, b"");
    let ack = Message::Ack {
        generation: 1,
        batch: 0,
        refused: Vec::new(),
    };
    scene.say(&ack);
    assert!(scene.closed.is_none());
    assert_eq!(scene.session.status().acknowledged, 1);
    scene.say(&ack);
    assert_eq!(scene.broke(), "Ack names another batch than the next");
}

#[test]
fn answers_to_another_generation_change_nothing() {
    let mut scene = Scene::met_over(cars(1));
    scene.want_cars(5, b"");
    let heard = scene.heard.len();
    for generation in [0, 4, 6, u64::MAX] {
        let refused = Vec::new();
        let (batch, places) = (9, vec![9]);
        let documents = vec![("cars".to_owned(), id("0000"))];
        scene.say(&Message::Ack {
            generation,
            batch,
            refused,
        });
        scene.say(&Message::Want {
            generation,
            batch,
            places,
        });
        scene.say(&Message::Fetch {
            generation,
            documents,
        });
    }
    assert!(scene.closed.is_none());
    assert_eq!(scene.heard.len(), heard);
    assert_eq!(scene.session.status().acknowledged, 0);
}

#[test]
fn a_want_of_what_was_never_sent_ends_the_session() {
    for (batch, place, rule) in [
        (1, 0, "Want names no batch under way"),
        (0, 1, "Want names an item that was not sent"),
        (0, u32::MAX, "Want names an item that was not sent"),
    ] {
        let mut scene = Scene::met_over(cars(1));
        scene.want_cars(1, b"");
        scene.say(&Message::Want {
            generation: 1,
            batch,
            places: vec![place],
        });
        assert_eq!(scene.broke(), rule);
    }
}

#[test]
fn an_endless_want_ends_the_session() {
    let mut scene = Scene::met_over(cars(1));
    scene.want_cars(1, b"");
    let want = Message::Want {
        generation: 1,
        batch: 0,
        places: vec![0],
    };
    for _ in 0..WANTS_MAX {
        scene.say(&want);
        assert!(scene.closed.is_none());
    }
    scene.say(&want);
    assert_eq!(scene.broke(), "Want asks too often for one batch");
}

#[test]
fn a_supplement_that_nobody_wanted_ends_the_session() {
    let supplement = Flags {
        supplement: true,
        ..END
    };
    let mut scene = Scene::met();
    scene.put("cars", "1", "x");
    scene.batch((scene.generation(), 0), supplement);
    assert_eq!(scene.broke(), "a supplement that nobody wanted");
}

/// Offers two cars, of which the honest side holds the second as it is.
fn offered_two() -> Scene {
    let mut view = MemoryView::default();
    view.put("cars", "2", "same");
    let mut scene = Scene::met_over(view);
    for (name, text) in [("1", "other"), ("2", "same")] {
        let digest = digest(&document(text));
        let id = id(name);
        scene
            .writer
            .tell("cars", id.as_bytes(), Form::Offer, &digest);
    }
    scene.batch((scene.generation(), 0), END);
    let places = match scene.heard.last() {
        Some(Message::Want { places, .. }) => places.clone(),
        other => panic!("no Want: {other:?}"),
    };
    assert_eq!(places, [0]);
    scene
}

#[test]
fn a_supplement_brings_what_was_wanted_and_nothing_else() {
    let supplement = Flags {
        supplement: true,
        ..END
    };
    let mut scene = offered_two();
    scene.put("cars", "1", "other");
    scene.batch((scene.generation(), 0), supplement);
    assert!(scene.closed.is_none());
    assert_eq!(scene.applied.len(), 1);
    for name in ["2", "3"] {
        let mut scene = offered_two();
        scene.put("cars", name, "other");
        scene.batch((scene.generation(), 0), supplement);
        assert_eq!(scene.broke(), "a supplement that nobody wanted");
    }
}

#[test]
fn a_name_that_was_never_introduced_ends_the_session() {
    let mut scene = Scene::met();
    // Batch 0, end, no names, no actors, one item: name 0, told.
    let mut message = vec![4, scene.generation() as u8, 0, 1, 0, 0, 1, 1];
    let id = id("1");
    tombolo_document::bytes::put_blob(&mut message, id.as_bytes());
    message.extend_from_slice(&[0; 16]);
    message.push(0);
    scene.send(Channel::Documents, &Packed::plain(message));
    assert_eq!(scene.broke(), "an unknown name");
}

/// A cursor as an honest session issued it.
pub(crate) fn issued(view: &MemoryView) -> Bytes {
    let mut scene = Scene::met_over(view.clone());
    scene.want_cars(1, b"");
    let cursor = scene.heard.iter().rev().find_map(|message| match message {
        Message::Batch(part) if part.flags.end => Some(part.cursor.clone()),
        _ => None,
    });
    cursor.unwrap()
}

pub(crate) fn continued(scene: &Scene) -> bool {
    let scope = scene.heard.iter().find_map(|message| match message {
        Message::Scope { scope, .. } => Some(scope.continued),
        _ => None,
    });
    scope.unwrap()
}

#[test]
fn a_forged_cursor_costs_a_catch_up_and_never_an_identity() {
    let view = cars(3);
    let cursor = issued(&view);
    let mut scene = Scene::met_over(view.clone());
    scene.want_cars(1, &cursor);
    assert!(continued(&scene));
    let mut forged: Vec<Vec<u8>> = vec![b"cursor".to_vec(), vec![0; 40], noise(60).into_bytes()];
    for at in 0..cursor.len() {
        let mut changed = cursor.to_vec();
        changed[at] ^= 1 << (at % 8);
        forged.push(changed);
        forged.push(cursor[..at].to_vec());
    }
    for cursor in forged {
        let mut scene = Scene::met_over(view.clone());
        scene.want_cars(1, &cursor);
        assert!(scene.closed.is_none() && !continued(&scene), "{cursor:?}");
        assert_eq!((scene.renewed, scene.batches()), (0, 1), "{cursor:?}");
    }
}

#[test]
fn a_genuine_cursor_from_the_future_shows_a_copy() {
    let cursor = issued(&cars(3));
    let mut scene = Scene::met_over(cars(2));
    scene.want_cars(1, &cursor);
    assert_eq!(scene.renewed, 1);
}

#[test]
fn bytes_after_the_end_of_a_message_end_the_session() {
    let mut message = Message::Ping { now_ms: 1 }.encode();
    message.push(0);
    let mut scene = Scene::open(cars(1), tombolo_identity::Permissions::everything());
    scene.frame(raw_frame(0, 0, &message));
    assert!(matches!(scene.misbehaved(), WireError::Decode(_)));
}

#[test]
fn a_goodbye_ends_the_session_without_an_answer() {
    let mut scene = Scene::met();
    let heard = scene.heard.len();
    scene.say(&Message::Bye {
        code: 200,
        reason: "enough".to_owned(),
    });
    assert!(matches!(
        scene.closed,
        Some(CloseReason::Bye { code: 200, .. })
    ));
    assert_eq!(scene.heard.len(), heard);
}
