//! T41: documents as large as a liar can make them, or claim: bounded or refused,
//! and never an allocation by the word of a count.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod replica;

use replica::{Replica, sync};
use tombolo_document::bytes::put_varint;
use tombolo_document::merge::{check_document, merge};
use tombolo_document::{
    Actor, DecodeError, DocumentView, Dot, Draft, Edit, EditError, Kind, Object, Schema, SiteId,
    Stamp, Value,
};

const ACTORS: u64 = 10_000_000;
const KEYS: usize = 1_000_000;
/// Version 1 without flags.
const HEADER: u8 = 1;
/// The newest stamp, in milliseconds.
const NEWEST_MS: u64 = 1000;

/// What an actor takes at least: a site, an epoch and a stamp.
const ACTOR_BYTES: usize = 16 + 1 + 2;

/// A head that claims so many actors.
fn head(claimed: u64) -> Vec<u8> {
    let mut bytes = vec![HEADER];
    put_varint(&mut bytes, NEWEST_MS);
    put_varint(&mut bytes, claimed);
    bytes
}

#[test]
fn t41_ten_million_actors_are_refused_claimed_or_there() {
    for claimed in [ACTORS, u64::MAX] {
        let refused = check_document(&head(claimed));
        assert!(
            matches!(refused, Err(DecodeError::Malformed { .. })),
            "{refused:?}"
        );
    }
    let mut there = head(ACTORS);
    there.resize(there.len() + ACTORS as usize * ACTOR_BYTES, 0);
    assert_eq!(check_document(&there), Err(DecodeError::TooManyActors));
    assert!(merge(None, &there).is_err());
}

fn with_keys(count: usize, site: u8) -> Vec<u8> {
    let fields = (0..count).map(|number| (format!("{number:06}"), Value::Int(i64::from(site))));
    let fields: Object = fields.collect();
    let actor = Actor::new(SiteId([site; 16]), 1);
    let dot = Dot::new(actor, Stamp::new(NEWEST_MS + u64::from(site), 0));
    Draft::new(&fields, &Schema::INFERRED).unwrap().under(dot)
}

#[test]
fn t41_a_map_of_a_million_keys_merges_into_no_more_than_its_keys() {
    let (ours, theirs) = (with_keys(KEYS, 1), with_keys(2, 2));
    let merged = merge(Some(&ours), &theirs).unwrap().document;
    let one_more_actor = 2 * theirs.len();
    assert!(
        merged.len() <= ours.len() + one_more_actor,
        "{}",
        merged.len()
    );
    let view = DocumentView::new(&merged).unwrap();
    let last = format!("{:06}", KEYS - 1);
    for (key, is_there) in [("000000", true), (last.as_str(), true), ("1000000", false)] {
        let found = view.get(&[key], &Schema::INFERRED).unwrap();
        assert_eq!(found.is_some(), is_there, "{key}");
    }
    // No actors, no commits, a root without presence, and more fields than bytes.
    let mut claims = vec![HEADER, 0, 0, 0, 0];
    assert_eq!(check_document(&[&claims[..], &[0]].concat()), Ok(()));
    put_varint(&mut claims, KEYS as u64);
    assert!(check_document(&claims).is_err());
}

#[test]
fn t41_a_counter_that_would_overflow_is_refused_and_its_sum_never_wraps() {
    let (mut a, mut b) = (Replica::new(1), Replica::new(2));
    a.restart(1000, "n", 0);
    b.pull(&a);
    // Each alone stays within 64 bits, and both together do not.
    a.increment(1500, "n", i64::MAX);
    b.increment(1500, "n", i64::MAX);
    sync(&mut a, &mut b);
    assert_eq!(a.document, b.document);
    let sum = 2 * u64::try_from(i64::MAX).unwrap();
    let shown = Object::from([("n".to_owned(), Value::from(sum))]);
    assert_eq!(a.shows(), Some(Value::Object(shown)));
    for by in [1, i64::MAX] {
        let dot = Dot::new(a.actor, Stamp::new(9000, 0));
        let mut edit = Edit::open(a.document.as_deref(), dot).unwrap();
        let more = edit.increment(&["n"], Kind::Counter, by, &Schema::INFERRED);
        assert!(
            matches!(more, Err(EditError::CounterOverflow { .. })),
            "{more:?}"
        );
    }
    // The way back is open.
    a.increment(9000, "n", -i64::MAX);
    let shown = Object::from([("n".to_owned(), Value::from(i64::MAX))]);
    assert_eq!(a.shows(), Some(Value::Object(shown)));
}
