//! What a peer can make the honest side hold: everything that waits has a limit,
//! also while the store is slow.

use tombolo_document::bytes::{put_blob, put_text, put_varint};
use tombolo_sync::limits::{
    BATCH_BYTES_MAX, BATCH_ITEMS_MAX, COLLECTION_BYTES_MAX, HELD_BYTES_MAX, ITEM_BYTES,
    TABLE_BYTES_MAX, TABLE_MAX, WINDOW_BATCHES,
};
use tombolo_sync::wire::{Channel, Flags, Packed, WireError};

use super::scene::{END, Scene};
use super::view::{id, noise};

const PART: Flags = Flags { end: false, ..END };

/// Sends so many bytes as documents of one batch, a mebibyte each.
fn pour(scene: &mut Scene, number: u64, mebibytes: usize) {
    let text = noise(1 << 20);
    for part in 0..mebibytes {
        if scene.closed.is_some() {
            return;
        }
        scene.put("cars", &format!("{number}.{part}"), &text);
        scene.batch((scene.generation(), number), PART);
    }
}

#[test]
fn a_batch_above_its_limit_ends_the_session() {
    let mut scene = Scene::met();
    let fits = (BATCH_BYTES_MAX >> 20) - 1;
    pour(&mut scene, 0, fits);
    assert!(scene.closed.is_none());
    pour(&mut scene, 0, 1);
    let (what, max) = ("a batch", BATCH_BYTES_MAX);
    assert_eq!(scene.misbehaved(), WireError::TooLarge { what, max });
    assert!(scene.applied.is_empty());
}

#[test]
fn everything_sent_ahead_above_its_limit_ends_the_session() {
    let mut scene = Scene::met();
    scene.store_sleeps = true;
    let (per_batch, fits) = (8, (HELD_BYTES_MAX >> 20) / 8);
    for number in 0..fits as u64 {
        pour(&mut scene, number, per_batch - 1);
        scene.batch((scene.generation(), number), END);
        assert!(scene.closed.is_none(), "batch {number}");
    }
    pour(&mut scene, fits as u64, per_batch);
    let (what, max) = ("everything that was sent ahead", HELD_BYTES_MAX);
    assert_eq!(scene.misbehaved(), WireError::TooLarge { what, max });
}

#[test]
fn what_was_applied_is_held_no_more() {
    let mut scene = Scene::met();
    for number in 0..8 {
        pour(&mut scene, number, 8);
        scene.batch((scene.generation(), number), END);
    }
    assert!(scene.closed.is_none());
    assert_eq!(scene.applied.len(), 64);
}

/// Batches of a few bytes each once piled up in front of a slow store until
/// their bytes reached the limit, by the million.
#[test]
fn more_batches_than_the_window_allows_end_the_session() {
    let mut scene = Scene::met();
    scene.store_sleeps = true;
    for number in 0..WINDOW_BATCHES as u64 {
        scene.batch((scene.generation(), number), END);
        assert!(scene.closed.is_none(), "batch {number}");
    }
    scene.batch((scene.generation(), WINDOW_BATCHES as u64), END);
    assert_eq!(scene.broke(), "more batches than the window allows");
}

/// A message of a batch with names and told items by hand.
fn message(
    scene: &Scene,
    names: impl ExactSizeIterator<Item = String>,
    actors: usize,
    items: usize,
) -> Packed {
    let mut out = vec![4, scene.generation() as u8, 0, 0];
    put_varint(&mut out, names.len() as u64);
    for name in names {
        put_text(&mut out, &name);
    }
    put_varint(&mut out, actors as u64);
    for _ in 0..actors {
        out.extend_from_slice(&[0; 17]);
    }
    put_varint(&mut out, items as u64);
    let id = id("1");
    for _ in 0..items {
        out.push(2);
        put_blob(&mut out, id.as_bytes());
        out.extend_from_slice(&[0; 16]);
    }
    Packed::plain(out)
}

fn names(count: usize) -> impl ExactSizeIterator<Item = String> {
    (0..count).map(|_| "c".to_owned())
}

#[test]
fn a_table_holds_so_many_entries_and_no_more() {
    for (of_names, of_actors) in [(TABLE_MAX, 0), (0, TABLE_MAX)] {
        let mut scene = Scene::met();
        let full = message(&scene, names(of_names), of_actors, 0);
        scene.send(Channel::Documents, &full);
        assert!(scene.closed.is_none());
        let more = message(&scene, names(of_names.min(1)), of_actors.min(1), 0);
        scene.send(Channel::Documents, &more);
        assert_eq!(scene.broke(), "a table of a batch is too large");
        let mut scene = Scene::met();
        let above = |count: usize| if count == 0 { 0 } else { count + 1 };
        let over = message(&scene, names(above(of_names)), above(of_actors), 0);
        scene.send(Channel::Documents, &over);
        assert!(matches!(scene.misbehaved(), WireError::Decode(_)));
    }
}

/// Names once had no limit of their own and outlive their message, so that a few
/// kilobytes of compressed ones cost megabytes for the rest of the session.
#[test]
fn a_name_longer_than_any_collection_ends_the_session() {
    for (bytes, is_taken) in [
        (COLLECTION_BYTES_MAX - 1, true),
        (COLLECTION_BYTES_MAX, true),
        (COLLECTION_BYTES_MAX + 1, false),
    ] {
        let mut scene = Scene::met();
        let name = [noise(bytes)].into_iter();
        let message = message(&scene, name, 0, 1);
        scene.send(Channel::Documents, &message);
        assert_eq!(scene.closed.is_none(), is_taken, "{bytes}");
        if !is_taken {
            assert!(matches!(scene.misbehaved(), WireError::Decode(_)));
        }
    }
}

#[test]
fn a_message_holds_so_many_items_and_no_more() {
    for (count, is_taken) in [
        (BATCH_ITEMS_MAX - 1, true),
        (BATCH_ITEMS_MAX, true),
        (BATCH_ITEMS_MAX + 1, false),
    ] {
        let mut scene = Scene::met();
        let message = message(&scene, names(1), 0, count);
        scene.send(Channel::Documents, &message);
        assert_eq!(scene.closed.is_none(), is_taken, "{count}");
    }
}

#[test]
fn the_names_of_a_table_hold_so_many_bytes_and_no_more() {
    let each = COLLECTION_BYTES_MAX + ITEM_BYTES;
    let fits = TABLE_BYTES_MAX / each;
    let name = noise(COLLECTION_BYTES_MAX);
    let mut scene = Scene::met();
    let introduce = |scene: &mut Scene, number: u64, count: usize| {
        let mut out = vec![4, scene.generation() as u8];
        put_varint(&mut out, number);
        out.push(1);
        put_varint(&mut out, count as u64);
        for _ in 0..count {
            put_text(&mut out, &name);
        }
        // No actors, no items, no cursor.
        out.extend_from_slice(&[0, 0, 0]);
        scene.send(Channel::Documents, &Packed::plain(out));
    };
    for number in 0..4 {
        introduce(&mut scene, number, fits / 4);
    }
    introduce(&mut scene, 4, fits % 4);
    assert!(scene.closed.is_none());
    introduce(&mut scene, 5, 1);
    assert_eq!(scene.broke(), "a table of a batch is too large");
}
