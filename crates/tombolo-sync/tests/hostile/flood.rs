//! A peer that asks without end, answers nothing, or says nothing.

use std::time::Duration;

use tombolo_sync::limits::{
    MESSAGE_TARGET_BYTES, PING_AFTER, SILENCE_MAX, TAIL_BYTES_MAX, WINDOW_BATCHES, WINDOW_BYTES,
};
use tombolo_sync::wire::{Form, Message};
use tombolo_sync::{CloseReason, digest};

use super::scene::{END, NOW_MS, Scene};
use super::view::{MemoryView, document, id, noise};

/// What a batch may have beside its documents.
const BESIDE: usize = MESSAGE_TARGET_BYTES;

fn heavy(documents: usize) -> MemoryView {
    let mut view = MemoryView::default();
    let text = noise(1 << 20);
    for number in 0..documents {
        view.put("cars", &format!("{number:04}"), &text);
    }
    view
}

fn light() -> MemoryView {
    let mut view = MemoryView::default();
    view.put("cars", "0000", "red");
    view
}

fn ack(scene: &mut Scene, batch: u64) {
    scene.say(&Message::Ack {
        generation: 1,
        batch,
        refused: Vec::new(),
    });
}

#[test]
fn a_peer_that_never_answers_gets_a_window_and_no_more() {
    let mut scene = Scene::met_over(heavy(32));
    scene.want_cars(1, b"");
    let (before, batches) = (scene.heard_bytes, scene.batches());
    assert!(before >= WINDOW_BYTES, "{before}");
    assert!(before <= WINDOW_BYTES + (1 << 20) + BESIDE, "{before}");
    for _ in 0..100 {
        scene.committed();
        scene.say(&Message::Ping { now_ms: NOW_MS });
    }
    assert_eq!((scene.heard_bytes, scene.batches()), (before, batches));
    assert!(scene.kept.len() <= 1);
    for batch in 0..batches as u64 {
        ack(&mut scene, batch);
    }
    assert!(scene.closed.is_none());
    assert!(scene.heard_bytes > before + WINDOW_BYTES);
}

#[test]
fn a_stalled_peer_gets_so_many_batches_of_a_tail_and_the_rest_in_one() {
    let mut scene = Scene::met_over(light());
    scene.want_cars(1, b"");
    ack(&mut scene, 0);
    let before = scene.batches();
    for number in 0..2 * WINDOW_BATCHES {
        scene.view.put("cars", &format!("new {number}"), "small");
        scene.committed();
        assert!(scene.batches() - before <= WINDOW_BATCHES);
    }
    assert_eq!(scene.batches() - before, WINDOW_BATCHES);
    assert!(scene.kept.len() <= WINDOW_BATCHES + 1);
    for batch in 1..=WINDOW_BATCHES as u64 {
        ack(&mut scene, batch);
    }
    // What waited comes as one, and all snapshots but its own are free.
    assert_eq!(scene.batches() - before, WINDOW_BATCHES + 1);
    assert!(scene.kept.len() <= 2);
}

#[test]
fn a_tail_above_its_limit_comes_in_pieces() {
    let mut scene = Scene::met_over(light());
    scene.want_cars(1, b"");
    ack(&mut scene, 0);
    let before = scene.heard_bytes;
    let text = noise(1 << 20);
    for number in 0..12 {
        scene.view.put("cars", &format!("new {number}"), &text);
    }
    scene.committed();
    let sent = scene.heard_bytes - before;
    assert!(sent <= TAIL_BYTES_MAX + (1 << 20) + BESIDE, "{sent}");
    ack(&mut scene, 1);
    assert!(scene.heard_bytes - before >= 12 << 20);
}

#[test]
fn endless_interests_keep_one_snapshot() {
    let mut scene = Scene::met_over(light());
    for generation in 1..500 {
        scene.want_cars(generation, b"");
        assert!(scene.kept.len() <= 1);
    }
    assert!(scene.closed.is_none());
    assert_eq!(scene.batches(), 499);
}

#[test]
fn endless_hellos_do_not_pile_up() {
    let mut scene = Scene::met_over(light());
    scene.want_cars(1, b"");
    for number in 0..500_u128 {
        let mut hello = scene.hello();
        hello.log = tombolo_sync::view::LogId(number.to_be_bytes());
        scene.say(&Message::Hello(Box::new(hello)));
        assert!(scene.kept.len() <= 1);
    }
    assert!(scene.closed.is_none());
}

#[test]
fn a_quiet_side_says_ping_and_a_silent_peer_is_left() {
    let pings = |scene: &Scene| {
        let is_ping = |message: &&Message| matches!(message, Message::Ping { .. });
        scene.heard.iter().filter(is_ping).count()
    };
    let step = Duration::from_secs(1);
    let mut scene = Scene::met();
    scene.pass(PING_AFTER - step);
    assert_eq!(pings(&scene), 0);
    scene.pass(step);
    assert_eq!(pings(&scene), 1);
    scene.pass(SILENCE_MAX - PING_AFTER - step);
    assert!(scene.closed.is_none());
    assert_eq!(pings(&scene), 2);
    scene.pass(step);
    assert!(matches!(scene.closed, Some(CloseReason::Silent)));
    assert!(matches!(
        scene.heard.last(),
        Some(Message::Bye { code: 5, .. })
    ));
}

#[test]
fn a_sign_of_life_keeps_the_session() {
    let mut scene = Scene::met();
    for _ in 0..20 {
        scene.pass(SILENCE_MAX - Duration::from_secs(1));
        scene.say(&Message::Ping { now_ms: NOW_MS });
    }
    assert!(scene.closed.is_none());
}

#[test]
fn an_expired_certificate_ends_the_session() {
    let mut scene = Scene::met();
    scene.now.unix_ms = scene.peer.expires_ms() - 1;
    scene.pass(Duration::ZERO);
    assert!(scene.closed.is_none());
    scene.now.unix_ms += 1;
    scene.pass(Duration::ZERO);
    assert!(matches!(scene.closed, Some(CloseReason::Expired)));
}

#[test]
fn what_the_store_is_asked_for_stays_one_at_a_time() {
    let mut scene = Scene::met();
    scene.store_sleeps = true;
    for number in 0..WINDOW_BATCHES as u64 {
        scene.put("cars", &format!("{number}"), "x");
        scene.batch((scene.generation(), number), END);
    }
    assert!(scene.closed.is_none());
    assert_eq!(scene.asleep, 1);
}

#[test]
fn an_offer_that_is_never_delivered_holds_back_only_itself() {
    let mut scene = Scene::met();
    let (offered, id) = (digest(&document("x")), id("1"));
    let writer = &mut scene.writer;
    writer.tell("cars", id.as_bytes(), Form::Offer, &offered);
    scene.batch((scene.generation(), 0), END);
    let wants = |scene: &Scene| {
        let is_want = |message: &&Message| matches!(message, Message::Want { .. });
        scene.heard.iter().filter(is_want).count()
    };
    assert_eq!(wants(&scene), 1);
    // Nothing is asked twice, however long the peer waits.
    for _ in 0..3 {
        scene.pass(Duration::from_secs(10));
    }
    assert_eq!(wants(&scene), 1);
    assert!(scene.closed.is_none() && scene.applied.is_empty());
}
