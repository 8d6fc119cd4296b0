//! Bytes from a liar or a bad disk: refused or harmless, never a panic.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod replica;

use proptest::prelude::*;
use replica::{Replica, sync};
use tombolo_document::merge::{check_document, delta, merge, version_vector};
use tombolo_document::{
    Actor, DecodeError, DocumentView, Dot, Edit, EditError, MAX_ACTORS, MergeError, Schema, SiteId,
    Stamp, VersionVector,
};

/// A document that has every kind, two actors, removals, a floor and bases.
fn rich() -> Vec<u8> {
    let (mut a, mut b) = (Replica::new(1), Replica::new(2));
    a.seed(r#"{"s":"text","n":1.5,"l":[1,{"k":null}]}"#);
    a.insert(1000, r#"{"m":{"a":1,"b":{"c":true}},"s":"x"}"#);
    a.restart(1001, "m.count", 7);
    b.pull(&a);
    b.increment(1500, "m.count", 3);
    b.increment(1500, "m.other", 1);
    sync(&mut a, &mut b);
    a.unset(2000, "m");
    b.set(1900, "m.a", "2");
    b.set(1901, "n", "3");
    a.set(1999, "n", "4");
    sync(&mut a, &mut b);
    a.document.unwrap()
}

/// Whatever the bytes are, each way in gives an answer or an error.
fn try_everything(bytes: &[u8]) {
    let _ = check_document(bytes);
    let _ = version_vector(bytes);
    if let Ok(view) = DocumentView::new(bytes) {
        let _ = view.is_visible();
        let _ = view.to_object(&Schema::INFERRED);
        let _ = view.get(&["m", "b", "c"], &Schema::INFERRED);
    }
    let good = rich();
    if let Ok(merged) = merge(Some(&good), bytes) {
        check_document(&merged.document).unwrap();
        assert_eq!(
            merge(Some(&merged.document), bytes).unwrap().document,
            merged.document
        );
    }
    let _ = merge(Some(bytes), &good);
    if let Ok(Some(changes)) = delta(bytes, &VersionVector::new()) {
        let sound = check_document(bytes).is_ok();
        assert!(merge(None, &changes).is_ok() || !sound);
    }
    let dot = Dot::new(Actor::new(SiteId([9; 16]), 1), Stamp::MAX);
    if let Ok(mut edit) = Edit::open(Some(bytes), dot) {
        edit.delete();
        let _ = edit.finish();
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_refused_or_harmless(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        try_everything(&bytes);
    }

    #[test]
    fn a_damaged_document_is_refused_or_harmless(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
        shorten in any::<bool>(),
    ) {
        let mut bytes = rich();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if shorten {
            bytes.truncate(cut.index(bytes.len()));
        }
        try_everything(&bytes);
    }
}

#[test]
fn every_truncation_is_refused() {
    let bytes = rich();
    check_document(&bytes).unwrap();
    for end in 0..bytes.len() {
        assert!(check_document(&bytes[..end]).is_err(), "cut at {end}");
    }
}

#[test]
fn a_map_that_claims_a_null_without_a_removal_is_not_canonical() {
    // Found by fuzzing: the flag survived the check and not the merge.
    let claims = [1, 0, 0, 0, 1, 0];
    assert!(check_document(&claims).is_err());
    assert_eq!(merge(None, &claims).unwrap().document, [1, 0, 0, 0, 0, 0]);
}

#[test]
fn a_newer_format_is_named() {
    let mut bytes = rich();
    bytes[0] = bytes[0] & 0xF0 | 2;
    assert_eq!(
        check_document(&bytes),
        Err(DecodeError::UnknownVersion { version: 2 })
    );
}

#[test]
fn a_delta_to_a_missing_base_is_turned_away_and_changes_nothing() {
    let (mut a, b) = (Replica::new(1), Replica::new(2));
    a.insert(1000, r#"{"a":1}"#);
    let base = a.vector();
    a.set(1001, "a", "2");
    let delta = delta(a.document.as_deref().unwrap(), &base)
        .unwrap()
        .unwrap();
    assert_eq!(
        merge(b.document.as_deref(), &delta),
        Err(MergeError::BaseMissing)
    );
}

#[test]
fn a_delta_does_not_pass_for_a_document() {
    let mut a = Replica::new(1);
    a.insert(1000, r#"{"a":1}"#);
    let whole = delta(a.document.as_deref().unwrap(), &VersionVector::new())
        .unwrap()
        .unwrap();
    assert!(check_document(&whole).is_err());
    assert!(DocumentView::new(&whole).is_err());
}

#[test]
fn a_removal_vector_above_its_own_commit_is_the_peers_fault() {
    // The document's only removal covers actor 1 up to age 0 (the newest
    // millisecond) although its commit is older.
    let (mut a, mut b) = (Replica::new(1), Replica::new(2));
    a.insert(1000, r#"{"a":1,"b":1}"#);
    sync(&mut a, &mut b);
    a.unset(2000, "a");
    a.pull(&b);
    b.set(3000, "b", "2");
    b.pull(&a);
    let good = b.document.unwrap();
    let vector = version_vector(&good).unwrap();
    assert_eq!(vector.len(), 2);
    // Find the removal vector's stamp (age 2000 ms behind 3000) and make it 0.
    let age = [0xA0, 0x1F];
    let at = good.windows(2).rposition(|window| window == age).unwrap();
    let mut lying = good[..at].to_vec();
    lying.push(0);
    lying.extend_from_slice(&good[at + 2..]);
    assert!(check_document(&good).is_ok());
    assert!(matches!(
        check_document(&lying),
        Err(DecodeError::Malformed { .. })
    ));
}

#[test]
fn t41_the_last_actor_is_accepted_and_one_more_is_refused() {
    let mut document: Option<Vec<u8>> = None;
    let commit = |number: usize, document: Option<&[u8]>| {
        let mut site = [0; 16];
        site[..8].copy_from_slice(&number.to_be_bytes());
        let dot = Dot::new(
            Actor::new(SiteId(site), 1),
            Stamp::new(1000 + number as u64, 0),
        );
        let mut edit = Edit::open(document, dot)?;
        edit.set(&["a"], &replica::value("1"), &Schema::INFERRED)?;
        edit.finish()
    };
    for number in 0..MAX_ACTORS {
        document = commit(number, document.as_deref()).unwrap();
    }
    assert_eq!(
        commit(MAX_ACTORS, document.as_deref()),
        Err(EditError::TooManyActors)
    );
    let other = commit(MAX_ACTORS, None).unwrap().unwrap();
    assert_eq!(
        merge(document.as_deref(), &other),
        Err(MergeError::TooManyActors)
    );
}

#[test]
fn a_stamp_that_is_not_later_is_refused() {
    let mut a = Replica::new(1);
    a.insert(1000, r#"{"a":1}"#);
    let dot = Dot::new(Actor::new(SiteId([2; 16]), 1), Stamp::new(1000, 0));
    assert_eq!(
        Edit::open(a.document.as_deref(), dot).unwrap_err(),
        EditError::StampNotLater
    );
}

#[test]
fn one_commit_with_two_contents_raises_the_alarm_and_the_greater_wins() {
    let (mut a, mut copy) = (Replica::new(1), Replica::new(1));
    a.insert(1000, r#"{"a":1}"#);
    copy.insert(1000, r#"{"a":2}"#);
    let (ours, theirs) = (a.document.unwrap(), copy.document.unwrap());
    let one = merge(Some(&ours), &theirs).unwrap();
    let other = merge(Some(&theirs), &ours).unwrap();
    assert_eq!(one.equivocations.len(), 1);
    assert_eq!(one.document, other.document);
    let view = DocumentView::new(&one.document).unwrap();
    let shown = view.to_object(&Schema::INFERRED).unwrap();
    assert_eq!(shown, replica::object(r#"{"a":2}"#));
}
