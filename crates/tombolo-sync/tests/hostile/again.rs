//! A peer that asks for documents again: it gets them, a little at a time.

use tombolo_sync::digest;
use tombolo_sync::limits::{CATCH_UP_BYTES, FETCH_MAX, WINDOW_BYTES};
use tombolo_sync::wire::{Form, Message};

use super::order::cars;
use super::scene::{END, Scene, stated};
use super::view::{MemoryView, document, id, noise};

const DOCUMENT_BYTES: usize = 1 << 20;
/// What messages have beside their documents.
const BESIDE: usize = 1 << 16;

fn heavy(documents: usize) -> MemoryView {
    let mut view = MemoryView::default();
    let text = noise(DOCUMENT_BYTES);
    for number in 0..documents {
        view.put("cars", &format!("{number:04}"), &text);
    }
    view
}

/// Answers every batch that was heard and not answered.
fn ack_all(scene: &mut Scene, acked: &mut u64) {
    while *acked < scene.batches() as u64 {
        let batch = *acked;
        *acked += 1;
        scene.say(&Message::Ack {
            generation: 1,
            batch,
            refused: Vec::new(),
        });
    }
}

fn fetch(scene: &mut Scene, names: impl Iterator<Item = usize>) {
    let documents = names.map(|number| ("cars".to_owned(), id(&format!("{number:04}"))));
    scene.say(&Message::Fetch {
        generation: 1,
        documents: documents.collect(),
    });
}

/// What was to be sent again was once read as a whole, so one Fetch cost as much
/// memory as a thousand documents have.
#[test]
fn a_fetch_is_answered_within_the_window() {
    let mut scene = Scene::met_over(heavy(40));
    scene.want_cars(1, b"");
    let mut acked = 0;
    ack_all(&mut scene, &mut acked);
    let before = scene.heard_bytes;
    fetch(&mut scene, 0..40);
    let at_once = scene.heard_bytes - before;
    assert!(
        at_once <= WINDOW_BYTES + DOCUMENT_BYTES + BESIDE,
        "{at_once}"
    );
    ack_all(&mut scene, &mut acked);
    let in_all = scene.heard_bytes - before;
    assert!(in_all >= 40 * DOCUMENT_BYTES, "{in_all}");
    assert!(scene.closed.is_none());
}

#[test]
fn a_fetch_of_one_document_over_and_over_is_answered_within_the_window() {
    let mut scene = Scene::met_over(heavy(1));
    scene.want_cars(1, b"");
    ack_all(&mut scene, &mut 0);
    let before = scene.heard_bytes;
    for _ in 0..4 {
        fetch(&mut scene, std::iter::repeat_n(0, FETCH_MAX));
    }
    let at_once = scene.heard_bytes - before;
    assert!(
        at_once <= WINDOW_BYTES + DOCUMENT_BYTES + BESIDE,
        "{at_once}"
    );
}

/// A Want that named one item ten thousand times once got it as often.
#[test]
fn a_want_names_each_item_once() {
    for places in [vec![0, 0], vec![1, 0], vec![0; 10_000]] {
        let mut scene = Scene::met_over(heavy(0));
        scene.view.put("cars", "1", "red");
        scene.view.put("cars", "2", "red");
        scene.committed();
        scene.want_cars(1, b"");
        scene.say(&Message::Want {
            generation: 1,
            batch: 0,
            places,
        });
        assert_eq!(scene.broke(), "Want names an item twice or out of order");
    }
}

#[test]
fn a_large_supplement_comes_in_pieces_and_ends_once() {
    let mut scene = Scene::met_over(MemoryView::default());
    scene.say(&Message::Interests {
        generation: 1,
        holds_documents: false,
        may_continue: false,
        cursor: bytes::Bytes::new(),
        stated: stated(&["SELECT * FROM cars WHERE text = 'other'"]),
    });
    let mut acked = 0;
    ack_all(&mut scene, &mut acked);
    let text = noise(DOCUMENT_BYTES);
    for number in 0..4 {
        scene.view.put("cars", &format!("{number}"), &text);
    }
    scene.committed();
    let heard = scene.heard.len();
    scene.say(&Message::Want {
        generation: 1,
        batch: acked,
        places: vec![0, 1, 2, 3],
    });
    assert!(scene.closed.is_none());
    let parts: Vec<_> = scene.heard[heard..]
        .iter()
        .filter_map(|message| match message {
            Message::Batch(part) => Some(part.flags),
            _ => None,
        })
        .collect();
    assert!(parts.len() >= 4 && parts.iter().all(|flags| flags.supplement));
    let ends = parts.iter().filter(|flags| flags.end).count();
    assert!(ends == 1 && parts.last().is_some_and(|flags| flags.end));
    // A reading keeps to what one batch of a catch-up may have.
    assert!(scene.largest_reading <= CATCH_UP_BYTES + DOCUMENT_BYTES + BESIDE);
}

/// What a peer was behind with when it stated its interests once came ahead of
/// its catch-up, from a newer state than the peer had: a part of a transaction.
#[test]
fn what_a_peer_is_behind_with_follows_its_catch_up() {
    let in_pieces = [false, true, false, false];
    for (view, expected) in [(cars(2), &in_pieces[..2]), (heavy(2), &in_pieces)] {
        let mut scene = Scene::met_over(view);
        let (other, id) = (digest(&document("other")), id("0001"));
        let writer = &mut scene.writer;
        writer.tell("cars", id.as_bytes(), Form::Have, &other);
        scene.batch((scene.generation(), 0), END);
        scene.want_cars(1, b"");
        ack_all(&mut scene, &mut 0);
        let parts = scene.heard.iter().filter_map(|message| match message {
            Message::Batch(part) if part.flags.end => Some(part.flags.again),
            _ => None,
        });
        assert_eq!(parts.collect::<Vec<_>>(), expected);
    }
}
