//! Whom to ask for an attachment, and when again.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use tombolo_document::attachment::AttachmentId;
use tombolo_document::{DocumentId, Value};
use tombolo_sync::attachments::{FetchEnd, Fetcher, Order, Place, Waiting, Who};
use tombolo_sync::limits::{
    FETCH_PAUSE, FETCHES_BY_ITSELF_MAX, FETCHES_MAX, FETCHES_ON_LINK_MAX, FETCHES_UNDER_WAY_MAX,
};
use tombolo_sync::wire::Lack;

const NOT_HELD: FetchEnd = FetchEnd::Lacking(Lack::NotHeld);
const START: Duration = Duration::from_secs(100);

fn id(number: usize) -> AttachmentId {
    AttachmentId::of(&number.to_le_bytes())
}

fn place(name: &str) -> Place {
    Place {
        collection: "cars".to_owned(),
        id: DocumentId::from_value(&Value::from(name)).unwrap(),
        length: 1,
    }
}

/// The link that is asked next, for the attachment.
fn asked(fetcher: &mut Fetcher, now: Duration) -> Option<(u64, AttachmentId)> {
    match fetcher.next(now)? {
        Order::Seek {
            link, attachment, ..
        } => Some((link, attachment)),
        Order::GivenUp(_) => None,
    }
}

fn wanting(who: Who, links: &[u64]) -> Fetcher {
    let mut fetcher = Fetcher::default();
    fetcher.want(id(0), place("1"), who).unwrap();
    for link in links {
        fetcher.linked(*link);
    }
    fetcher
}

#[test]
fn neighbours_are_asked_in_turn_until_one_has_it() {
    let mut fetcher = wanting(Who::Somebody, &[1, 2, 3]);
    for link in [1, 2] {
        assert_eq!(asked(&mut fetcher, START), Some((link, id(0))));
        assert_eq!(fetcher.next(START), None, "one at a time");
        fetcher.ended(link, id(0), NOT_HELD);
    }
    assert_eq!(asked(&mut fetcher, START), Some((3, id(0))));
    assert_eq!(fetcher.waiting(id(0)), Some(Waiting::Coming(3)));
    fetcher.ended(3, id(0), FetchEnd::Complete);
    assert!(!fetcher.is_wanted(id(0)));
    assert_eq!(fetcher.next(START), None);
}

#[test]
fn a_neighbour_is_asked_by_each_document_that_refers_to_it() {
    let mut fetcher = wanting(Who::Somebody, &[1]);
    fetcher.want(id(0), place("2"), Who::Somebody).unwrap();
    let mut by = Vec::new();
    while let Some(Order::Seek { place, .. }) = fetcher.next(START) {
        by.push(place);
        fetcher.ended(1, id(0), FetchEnd::Lacking(Lack::Refused));
    }
    assert_eq!(by, [place("2"), place("1")]);
}

#[test]
fn what_somebody_waits_for_is_asked_for_again_after_a_pause_that_doubles() {
    let mut fetcher = wanting(Who::Somebody, &[1]);
    let (mut now, mut pause) = (START, FETCH_PAUSE.0);
    for _ in 0..10 {
        assert_eq!(asked(&mut fetcher, now), Some((1, id(0))));
        fetcher.ended(1, id(0), NOT_HELD);
        assert_eq!(fetcher.next(now), None);
        assert_eq!(fetcher.waiting(id(0)), Some(Waiting::Lacking(NOT_HELD)));
        assert_eq!(fetcher.alarm(), Some(now + pause));
        now += pause;
        pause = (pause * 2).min(FETCH_PAUSE.1);
    }
}

#[test]
fn what_only_a_document_wants_is_given_up_when_nobody_has_it() {
    let mut fetcher = wanting(Who::Document, &[1]);
    assert_eq!(fetcher.next(START).map(|_| ()), Some(()));
    fetcher.ended(1, id(0), NOT_HELD);
    assert_eq!(fetcher.next(START), Some(Order::GivenUp(id(0))));
    assert_eq!(fetcher.count(Who::Document), 0);
}

#[test]
fn a_new_neighbour_is_asked_at_once() {
    let mut fetcher = wanting(Who::Somebody, &[1]);
    asked(&mut fetcher, START).unwrap();
    fetcher.ended(1, id(0), NOT_HELD);
    assert_eq!(fetcher.next(START), None);
    fetcher.linked(2);
    let first = asked(&mut fetcher, START).unwrap();
    fetcher.ended(first.0, id(0), NOT_HELD);
    let second = asked(&mut fetcher, START).unwrap();
    assert_eq!([first.0, second.0].iter().max(), Some(&2));
}

#[test]
fn what_was_asked_on_a_link_that_is_gone_is_asked_elsewhere() {
    let mut fetcher = wanting(Who::Somebody, &[1, 2]);
    assert_eq!(asked(&mut fetcher, START), Some((1, id(0))));
    fetcher.unlinked(1);
    // What comes late of it changes nothing.
    fetcher.ended(1, id(0), FetchEnd::Complete);
    assert_eq!(asked(&mut fetcher, START), Some((2, id(0))));
}

#[test]
fn so_many_come_at_a_time_and_the_oldest_first() {
    let mut fetcher = Fetcher::default();
    for number in 0..20 {
        fetcher.want(id(number), place("1"), Who::Somebody).unwrap();
    }
    fetcher.linked(1);
    let mut under_way = Vec::new();
    while let Some((_, attachment)) = asked(&mut fetcher, START) {
        under_way.push(attachment);
    }
    let oldest: Vec<_> = (0..FETCHES_ON_LINK_MAX).map(id).collect();
    assert_eq!(under_way, oldest);
    for link in 2..9 {
        fetcher.linked(link);
    }
    while asked(&mut fetcher, START).is_some() {
        under_way.push(id(0));
    }
    assert_eq!(under_way.len(), FETCHES_UNDER_WAY_MAX);
}

#[test]
fn one_more_than_the_limit_is_refused() {
    for (who, max) in [
        (Who::Somebody, FETCHES_MAX),
        (Who::Document, FETCHES_BY_ITSELF_MAX),
    ] {
        let mut fetcher = Fetcher::default();
        for number in 0..max {
            fetcher.want(id(number), place("1"), who).unwrap();
        }
        let refused = fetcher.want(id(max), place("1"), who);
        assert_eq!(refused.unwrap_err().max, max);
        // Another document for what is wanted already needs no room.
        assert!(fetcher.want(id(0), place("2"), who).is_ok());
    }
}

#[test]
fn what_nobody_wants_any_more_is_called_off_where_it_is_asked() {
    let mut fetcher = wanting(Who::Somebody, &[1]);
    asked(&mut fetcher, START).unwrap();
    assert_eq!(fetcher.forget(id(0)), Some(1));
    assert_eq!(fetcher.forget(id(0)), None);
    assert_eq!(fetcher.next(START), None);
    let mut fetcher = wanting(Who::Somebody, &[]);
    assert_eq!(fetcher.forget(id(0)), None);
}
