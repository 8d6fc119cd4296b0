//! The table of concurrent edits: two replicas share a document, change it
//! apart and exchange deltas. Each row runs with either side as the earlier.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod replica;

use replica::{Replica, sync, value};

type Step = fn(&mut Replica, u64);

const EARLIER: u64 = 2000;
const LATER: u64 = 2005;

/// Shares `start`, runs the steps apart at the given times, exchanges, and
/// gives what both show.
fn outcome(start: &str, one: (Step, u64), other: (Step, u64)) -> String {
    let mut results = Vec::new();
    // The sites swap, so that no result rests on which site id is greater.
    for sites in [(1, 2), (2, 1)] {
        let (mut a, mut b) = (Replica::new(sites.0), Replica::new(sites.1));
        if !start.is_empty() {
            a.insert(1000, start);
            sync(&mut a, &mut b);
        }
        one.0(&mut a, one.1);
        other.0(&mut b, other.1);
        let mut reversed = (a.clone(), b.clone());
        sync(&mut a, &mut b);
        sync(&mut reversed.1, &mut reversed.0);
        assert_eq!(a.document, b.document);
        assert_eq!(a.document, reversed.0.document);
        results.push(shown(&a));
    }
    assert_eq!(results[0], results[1]);
    results.swap_remove(0)
}

fn shown(replica: &Replica) -> String {
    match replica.shows() {
        Some(value) => tombolo_document::json::print(&value),
        None => "nothing".to_owned(),
    }
}

#[test]
fn the_later_register_wins() {
    let a: Step = |a, at| a.set(at, "s", "\"A\"");
    let b: Step = |b, at| b.set(at, "s", "\"B\"");
    assert_eq!(
        outcome(r#"{"s":"x"}"#, (a, EARLIER), (b, LATER)),
        r#"{"s":"B"}"#
    );
    assert_eq!(
        outcome(r#"{"s":"x"}"#, (a, LATER), (b, EARLIER)),
        r#"{"s":"A"}"#
    );
}

#[test]
fn fields_of_one_map_are_both_kept() {
    let a: Step = |a, at| a.set(at, "m.a", "1");
    let b: Step = |b, at| b.set(at, "m.b", "2");
    for (one, other) in [(EARLIER, LATER), (LATER, EARLIER)] {
        assert_eq!(
            outcome(r#"{"m":{}}"#, (a, one), (b, other)),
            r#"{"m":{"a":1,"b":2}}"#
        );
    }
}

#[test]
fn assigning_an_object_merges_it() {
    let a: Step = |a, at| a.set(at, "m", r#"{"a":10}"#);
    let b: Step = |b, at| b.set(at, "m.b", "20");
    for (one, other) in [(EARLIER, LATER), (LATER, EARLIER)] {
        let shown = outcome(r#"{"m":{"a":1,"b":1}}"#, (a, one), (b, other));
        assert_eq!(shown, r#"{"m":{"a":10,"b":20}}"#);
    }
}

#[test]
fn a_key_added_to_a_removed_map_survives() {
    let a: Step = |a, at| a.unset(at, "m");
    let b: Step = |b, at| b.set(at, "m.c", "5");
    assert_eq!(
        outcome(r#"{"m":{"a":1}}"#, (a, EARLIER), (b, LATER)),
        r#"{"m":{"c":5}}"#
    );
    assert_eq!(
        outcome(r#"{"m":{"a":1}}"#, (a, LATER), (b, EARLIER)),
        r#"{"m":{"c":null}}"#
    );
}

#[test]
fn an_entry_removed_and_edited_keeps_the_edit_or_its_null() {
    let a: Step = |a, at| a.unset(at, "it.k");
    let b: Step = |b, at| b.set(at, "it.k.q", "5");
    let start = r#"{"it":{"k":{"q":1,"n":"x"}}}"#;
    assert_eq!(
        outcome(start, (a, EARLIER), (b, LATER)),
        r#"{"it":{"k":{"q":5}}}"#
    );
    assert_eq!(
        outcome(start, (a, LATER), (b, EARLIER)),
        r#"{"it":{"k":{"q":null}}}"#
    );
}

#[test]
fn a_map_touched_without_fields_reads_null_under_a_later_removal() {
    let a: Step = |a, at| a.unset(at, "m");
    let b: Step = |b, at| b.set(at, "m", "{}");
    assert_eq!(
        outcome(r#"{"m":{"a":1}}"#, (a, EARLIER), (b, LATER)),
        r#"{"m":{}}"#
    );
    assert_eq!(
        outcome(r#"{"m":{"a":1}}"#, (a, LATER), (b, EARLIER)),
        r#"{"m":null}"#
    );
}

#[test]
fn the_later_array_wins_whole() {
    let a: Step = |a, at| a.set(at, "l", "[1,2,3]");
    let b: Step = |b, at| b.set(at, "l", "[0,1,2]");
    assert_eq!(
        outcome(r#"{"l":[1,2]}"#, (a, EARLIER), (b, LATER)),
        r#"{"l":[0,1,2]}"#
    );
    assert_eq!(
        outcome(r#"{"l":[1,2]}"#, (a, LATER), (b, EARLIER)),
        r#"{"l":[1,2,3]}"#
    );
}

#[test]
fn increments_add_up() {
    let a: Step = |a, at| a.increment(at, "n", 5);
    let b: Step = |b, at| b.increment(at, "n", 7);
    for (one, other) in [(EARLIER, LATER), (LATER, EARLIER)] {
        assert_eq!(outcome("{}", (a, one), (b, other)), r#"{"n":12}"#);
    }
}

#[test]
fn a_restart_drops_every_increment_that_it_had_not_seen() {
    let a: Step = |a, at| a.restart(at, "n", 100);
    let b: Step = |b, at| b.increment(at, "n", 5);
    for (one, other) in [(EARLIER, LATER), (LATER, EARLIER)] {
        assert_eq!(outcome("{}", (a, one), (b, other)), r#"{"n":100}"#);
    }
}

#[test]
fn the_later_restart_wins() {
    let a: Step = |a, at| a.restart(at, "n", 3);
    let b: Step = |b, at| b.restart(at, "n", 4);
    assert_eq!(outcome("{}", (a, EARLIER), (b, LATER)), r#"{"n":4}"#);
    assert_eq!(outcome("{}", (a, LATER), (b, EARLIER)), r#"{"n":3}"#);
}

#[test]
fn a_deleted_document_that_was_edited_is_a_husk() {
    let a: Step = |a, at| a.delete(at);
    let b: Step = |b, at| b.set(at, "c", "\"blue\"");
    let start = r#"{"c":"red","y":2020}"#;
    assert_eq!(outcome(start, (a, EARLIER), (b, LATER)), r#"{"c":"blue"}"#);
    assert_eq!(outcome(start, (a, LATER), (b, EARLIER)), r#"{"c":null}"#);
}

#[test]
fn deleting_twice_leaves_nothing() {
    let delete: Step = |replica, at| replica.delete(at);
    for (one, other) in [(EARLIER, LATER), (LATER, EARLIER)] {
        assert_eq!(
            outcome(r#"{"c":1}"#, (delete, one), (delete, other)),
            "nothing"
        );
    }
}

#[test]
fn a_second_delete_clears_a_husk_everywhere() {
    let (mut a, mut b) = (Replica::new(1), Replica::new(2));
    a.insert(1000, r#"{"c":"red"}"#);
    sync(&mut a, &mut b);
    a.delete(LATER);
    b.set(EARLIER, "c", "\"blue\"");
    sync(&mut a, &mut b);
    a.delete(3000);
    sync(&mut a, &mut b);
    assert_eq!((a.shows(), b.shows()), (None, None));
    assert_eq!(a.document, b.document);
}

#[test]
fn inserts_of_one_id_unite_their_fields() {
    let a: Step = |a, at| a.insert(at, r#"{"x":1,"s":"a"}"#);
    let b: Step = |b, at| b.insert(at, r#"{"y":2,"s":"b"}"#);
    assert_eq!(
        outcome("", (a, EARLIER), (b, LATER)),
        r#"{"s":"b","x":1,"y":2}"#
    );
    assert_eq!(
        outcome("", (a, LATER), (b, EARLIER)),
        r#"{"s":"a","x":1,"y":2}"#
    );
}

#[test]
fn seeds_unite_and_a_shared_field_goes_by_value_not_time() {
    let a: Step = |a, _| a.seed(r#"{"x":1,"s":"a"}"#);
    let b: Step = |b, _| b.seed(r#"{"y":2,"s":"b"}"#);
    let shown = outcome("", (a, EARLIER), (b, LATER));
    assert_eq!(shown, outcome("", (b, EARLIER), (a, LATER)));
    assert_eq!(value(&shown).as_object().unwrap().len(), 3);
}

#[test]
fn equal_seeds_are_one_write() {
    let (mut a, mut b) = (Replica::new(1), Replica::new(2));
    a.seed(r#"{"v":1}"#);
    b.seed(r#"{"v":1}"#);
    assert_eq!(a.document, b.document);
}

#[test]
fn a_regular_write_beats_a_seed() {
    let a: Step = |a, _| a.seed(r#"{"v":1}"#);
    let b: Step = |b, at| b.insert(at, r#"{"v":9}"#);
    for (one, other) in [(EARLIER, LATER), (LATER, EARLIER)] {
        assert_eq!(outcome("", (a, one), (b, other)), r#"{"v":9}"#);
    }
}

#[test]
fn a_deleted_seed_stays_deleted_and_another_one_comes_back_as_null() {
    let mut a = Replica::new(1);
    a.seed(r#"{"v":1}"#);
    a.delete(1000);
    a.seed(r#"{"v":1}"#);
    assert_eq!(a.shows(), None);
    a.seed(r#"{"w":2}"#);
    assert_eq!(a.shows(), Some(value(r#"{"w":null}"#)));
}

#[test]
fn removing_a_counter_keeps_the_increments_that_it_had_not_seen() {
    let (mut a, mut b) = (Replica::new(1), Replica::new(2));
    a.insert(1000, "{}");
    sync(&mut a, &mut b);
    b.increment(1500, "n", 5);
    sync(&mut a, &mut b);
    a.unset(LATER, "n");
    b.increment(EARLIER, "n", 7);
    sync(&mut a, &mut b);
    assert_eq!(shown(&a), r#"{"n":7}"#);
    b.increment(3000, "n", 1);
    sync(&mut a, &mut b);
    assert_eq!(
        (shown(&a), a.document),
        (r#"{"n":8}"#.to_owned(), b.document)
    );
}

#[test]
fn a_loser_of_a_removed_winner_reads_null_in_every_order() {
    // A and B write one field apart; C saw B alone and removes the field. A
    // replica that merged A and B first must not forget that A wrote too.
    let (mut a, mut b, mut c) = (Replica::new(1), Replica::new(2), Replica::new(3));
    a.insert(1000, "{}");
    b.pull(&a);
    c.pull(&a);
    a.set(2000, "v", "1");
    b.set(2001, "v", "2");
    let mut both = a.clone();
    both.pull(&b);
    c.pull(&b);
    c.unset(3000, "v");
    both.pull(&c);
    c.pull(&a);
    assert_eq!(shown(&both), r#"{"v":null}"#);
    assert_eq!(both.document, c.document);
}
