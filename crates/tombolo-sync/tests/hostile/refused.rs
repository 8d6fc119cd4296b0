//! Documents that the peer may not write: named, remembered, and never in the
//! store, whichever way they come.

use std::collections::BTreeMap;

use tombolo_identity::{Permissions, Rules};
use tombolo_sync::limits::REFUSED_MAX;
use tombolo_sync::record::{cursor_key, refused_prefix};
use tombolo_sync::view::View;
use tombolo_sync::wire::{Flags, Form, Message, Refusal};
use tombolo_sync::{Notice, digest};

use super::scene::{END, Scene};
use super::view::{MemoryView, document, id};

/// The honest side takes cars with an id from `m` on, and asks for no bikes.
fn guarded() -> Scene {
    let rules = |condition: &str| {
        let conditions = vec![condition.to_owned()];
        Rules::parse(&BTreeMap::from([("cars".to_owned(), conditions)])).unwrap()
    };
    let permissions = Permissions {
        read: rules("_id >= 'm'"),
        write: Rules::everything(),
    };
    let mut scene = Scene::open(MemoryView::default(), permissions);
    scene.say(&Message::Hello(Box::new(scene.hello())));
    scene
}

fn refused(scene: &Scene) -> usize {
    let mut count = 0;
    let prefix = refused_prefix(scene.peer.peer_key());
    let mut visit = |_: &[u8], _: &[u8]| {
        count += 1;
        std::ops::ControlFlow::Continue(())
    };
    scene.view.records(&prefix, &mut visit).unwrap();
    count
}

fn has_cursor(scene: &Scene) -> bool {
    let key = cursor_key(scene.peer.peer_key());
    scene.view.record(&key).unwrap().is_some()
}

#[test]
fn what_the_rules_deny_is_named_and_never_applied() {
    let mut scene = guarded();
    for (collection, name) in [("cars", "a"), ("cars", "z"), ("cars", "b")] {
        scene.put(collection, name, "x");
    }
    // Nobody asked for bikes: they are neither taken nor worth a word.
    scene.put("bikes", "z", "x");
    scene.batch((scene.generation(), 0), END);
    assert!(scene.closed.is_none());
    let names: Vec<&str> = scene
        .applied
        .iter()
        .map(|arriving| &*arriving.collection)
        .collect();
    assert_eq!(names, ["cars"]);
    assert_eq!(scene.applied[0].id, id("z"));
    let Some(Message::Ack { refused: named, .. }) = scene.heard.last() else {
        panic!("no Ack: {:?}", scene.heard.last());
    };
    let denied = |collection: &str, name| (collection.to_owned(), id(name), Refusal::Permission);
    assert_eq!(named, &[denied("cars", "a"), denied("cars", "b")]);
    assert_eq!(refused(&scene), 2);
    let reason = Refusal::Permission;
    let notice = Notice::Refused {
        documents: 2,
        reason,
    };
    assert_eq!(scene.notices.last(), Some(&notice));
}

/// A supplement once took any document that had a place in its batch, the denied
/// ones too: a peer put a document beyond its rules beside an offer within them,
/// and sent both when it was asked for the one.
#[test]
fn a_supplement_does_not_bring_what_was_denied() {
    for form in [None, Some(Form::Offer)] {
        let mut scene = guarded();
        let offered = digest(&document("x"));
        let (good, bad) = (id("z"), id("a"));
        match form {
            None => scene.put("cars", "a", "x"),
            Some(form) => scene.writer.tell("cars", bad.as_bytes(), form, &offered),
        }
        let writer = &mut scene.writer;
        writer.tell("cars", good.as_bytes(), Form::Offer, &offered);
        scene.batch((scene.generation(), 0), END);
        let asked =
            matches!(scene.heard.last(), Some(Message::Want { places, .. }) if *places == [1]);
        assert!(asked, "{:?}", scene.heard.last());
        scene.put("cars", "z", "x");
        scene.put("cars", "a", "x");
        let supplement = Flags {
            supplement: true,
            ..END
        };
        scene.batch((scene.generation(), 0), supplement);
        assert_eq!(scene.broke(), "a supplement that nobody wanted");
    }
}

#[test]
fn a_denied_offer_is_not_looked_up() {
    let mut scene = guarded();
    let id = id("a");
    let offered = digest(&document("x"));
    let writer = &mut scene.writer;
    writer.tell("cars", id.as_bytes(), Form::Offer, &offered);
    scene.batch((scene.generation(), 0), END);
    let wants = |message: &Message| matches!(message, Message::Want { .. });
    assert!(!scene.heard.iter().any(wants));
    assert!(scene.closed.is_none());
}

/// Denies so many documents, in batches of 100.
fn after_denials(count: usize) -> Scene {
    let mut scene = guarded();
    let names: Vec<String> = (0..count).map(|number| format!("a{number}")).collect();
    for (number, names) in names.chunks(100).enumerate() {
        for name in names {
            scene.put("cars", name, "x");
        }
        scene.batch((scene.generation(), number as u64), END);
    }
    assert!(scene.closed.is_none());
    scene
}

#[test]
fn refused_documents_are_remembered_up_to_their_limit() {
    for count in [REFUSED_MAX - 1, REFUSED_MAX] {
        let scene = after_denials(count);
        assert_eq!(refused(&scene), count);
        assert!(has_cursor(&scene));
    }
    let scene = after_denials(REFUSED_MAX + 1);
    assert_eq!(refused(&scene), 0);
    assert!(!has_cursor(&scene));
}

/// Once more was refused than is remembered, the next session must begin at the
/// beginning. The batch after that one used to write a cursor again, so what had
/// been refused was never asked for again, whatever the rules became.
#[test]
fn no_cursor_is_kept_after_refused_documents_were_forgotten() {
    let mut scene = after_denials(REFUSED_MAX + 1);
    for number in 1_000..1_003 {
        scene.put("cars", &format!("z{number}"), "x");
        scene.batch((scene.generation(), number), END);
    }
    assert_eq!(scene.applied.len(), 3);
    assert!(!has_cursor(&scene));
}
