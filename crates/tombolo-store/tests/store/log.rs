//! The change log: one live entry for each document, and notes that tell what a peer has.

use std::ops::ControlFlow;

use tombolo_document::{Dot, Edit, Schema, SiteId, Stamp, merge};
use tombolo_query::Source;
use tombolo_store::{LogId, Sidecar, Snapshot, Store, StoreError, engine::MemoryEngine};

use crate::bench::{World, id, object, read, set, write};

const REMOTE: LogId = LogId([9; 16]);
const OTHER: LogId = LogId([8; 16]);

fn changes(snapshot: &Snapshot, after: u64) -> Vec<(u64, String, Vec<u8>)> {
    let mut found = Vec::new();
    snapshot
        .changes_after(after, &mut |change| {
            found.push((
                change.commit,
                change.collection.to_owned(),
                change.id.to_vec(),
            ));
            ControlFlow::Continue(())
        })
        .unwrap();
    found
}

fn entry(commit: u64, number: u64) -> (u64, String, Vec<u8>) {
    (commit, "cars".to_owned(), id(number).as_bytes().to_vec())
}

/// A document as another device wrote it.
fn remote_document(fields: &str, millis: u64) -> Vec<u8> {
    let actor = tombolo_document::Actor::new(SiteId([3; 16]), 1);
    let mut edit = Edit::open(None, Dot::new(actor, Stamp::new(millis, 0))).unwrap();
    edit.set_object(&object(fields), &Schema::INFERRED).unwrap();
    edit.finish().unwrap().unwrap()
}

fn merge_from(store: &Store, log: LogId, document: Vec<u8>) {
    merge_at(store, 1, log, document);
}

fn merge_at(store: &Store, number: u64, log: LogId, document: Vec<u8>) {
    write(store, move |transaction| {
        transaction.merge("cars", &id(number), &document, Some(log))?;
        Ok(())
    })
    .unwrap();
}

#[test]
fn a_document_stands_in_the_log_once_at_its_newest_commit() {
    let store = World::default().open(MemoryEngine::new());
    for (number, fields) in [(1, r#"{"a":1}"#), (2, "{}"), (1, r#"{"a":2}"#)] {
        write(&store, move |transaction| {
            set(transaction, "cars", number, fields)
        })
        .unwrap();
    }
    let snapshot = store.snapshot();
    assert_eq!(changes(&snapshot, 0), [entry(2, 2), entry(3, 1)]);
    assert_eq!(changes(&snapshot, 2), [entry(3, 1)]);
    assert_eq!(changes(&snapshot, 3), []);
    let verified = snapshot.verify().unwrap();
    assert_eq!((verified.commits, verified.documents), (3, 2));
}

#[test]
fn the_running_hash_of_an_acknowledged_position_can_be_shown_again() {
    let store = World::default().open(MemoryEngine::new());
    write(&store, |transaction| set(transaction, "cars", 1, "{}")).unwrap();
    let chain = store.snapshot().chain();
    write(&store, |transaction| set(transaction, "cars", 2, "{}")).unwrap();
    let snapshot = store.snapshot();
    assert_eq!(snapshot.chain_at(1).unwrap(), Some(chain));
    assert_ne!(snapshot.chain(), chain);
    assert_eq!(snapshot.chain_at(3).unwrap(), None);
}

#[test]
fn a_peer_is_sent_what_came_after_its_cursor_and_not_from_its_own_log() {
    let store = World::default().open(MemoryEngine::new());
    merge_from(&store, REMOTE, remote_document(r#"{"theirs":1}"#, 10));
    write(&store, |transaction| {
        set(transaction, "cars", 1, r#"{"ours":2}"#)
    })
    .unwrap();
    let snapshot = store.snapshot();
    let stored = snapshot.stored("cars", id(1).as_bytes()).unwrap().unwrap();
    let (origin, vector) = (
        snapshot.origin(REMOTE),
        merge::version_vector(&stored.document).unwrap(),
    );
    assert!(origin.is_some() && snapshot.origin(OTHER).is_none());
    let delta = |cursor, echo| {
        let base = stored.arrivals.covered_by(cursor, echo);
        merge::delta(&stored.document, &base).unwrap()
    };
    assert_eq!(delta(2, None), None);
    // A catch-up from zero gets everything, the peer's own log only what is ours.
    assert!(delta(0, None).unwrap().len() > delta(0, origin).unwrap().len());
    assert_eq!(stored.arrivals.covered_by(2, None), vector);
}

/// A peer whose log all newest commits came from need not be read anything.
#[test]
fn commits_from_one_log_are_known_as_its_echo() {
    let store = World::default().open(MemoryEngine::new());
    let ours = |number| {
        write(&store, move |transaction| {
            set(transaction, "cars", number, r#"{"ours":2}"#)
        })
    };
    let theirs = |number, log| {
        let document = remote_document(r#"{"theirs":1}"#, 10);
        merge_at(&store, number, log, document);
    };
    // From which commit on all is an echo of that log, if any is.
    let since = |log| {
        let snapshot = store.snapshot();
        let origin = snapshot.origin(log)?;
        let last = snapshot.last_commit();
        let since = (0..=last).find(|commit| snapshot.is_echo(origin, *commit))?;
        let mut is_true = true;
        let looked = snapshot.changes_after(since, &mut |change| {
            is_true &= change.only_log == Some(origin);
            ControlFlow::Continue(())
        });
        looked.unwrap();
        assert!(is_true && (since..=last).all(|commit| snapshot.is_echo(origin, commit)));
        Some(since)
    };
    ours(1).unwrap();
    assert_eq!(since(REMOTE), None);
    theirs(2, REMOTE);
    theirs(3, REMOTE);
    assert_eq!(since(REMOTE), Some(1));
    // What comes to nothing leaves it as it was.
    theirs(3, OTHER);
    let undone = store.write_and_wait(|transaction| {
        set(transaction, "cars", 4, "{}").map_err(|_| StoreError::Busy)?;
        Err::<(), _>(StoreError::Busy)
    });
    undone.unwrap_err();
    assert_eq!((since(REMOTE), since(OTHER)), (Some(1), None));
    theirs(4, OTHER);
    assert_eq!((since(REMOTE), since(OTHER)), (None, Some(3)));
    // A document of both is an echo of neither.
    ours(4).unwrap();
    assert_eq!((since(REMOTE), since(OTHER)), (None, None));
}

#[test]
fn merging_the_same_document_twice_changes_nothing() {
    let store = World::default().open(MemoryEngine::new());
    let document = remote_document(r#"{"theirs":1}"#, 10);
    merge_from(&store, REMOTE, document.clone());
    merge_from(&store, OTHER, document);
    assert_eq!(store.snapshot().last_commit(), 1);
    assert_eq!(
        read(&store.snapshot(), "cars", 1).unwrap(),
        r#"{"theirs":1}"#
    );
}

#[test]
fn a_stamp_too_far_ahead_is_refused_and_moves_nothing() {
    let store = World::default().open(MemoryEngine::new());
    let at_limit = remote_document("{}", 60_000);
    let above = remote_document("{}", 60_001);
    let result =
        store.write_and_wait(move |transaction| transaction.merge("cars", &id(1), &above, None));
    assert!(matches!(
        result,
        Err(tombolo_store::WriteError::Work(StoreError::Clock(_)))
    ));
    assert_eq!(store.snapshot().last_commit(), 0);
    merge_from(&store, REMOTE, at_limit);
    assert_eq!(store.snapshot().high_water(), Stamp::new(60_000, 0));
}

#[test]
fn what_stands_beside_the_documents_is_kept_in_the_same_commit() {
    let store = World::default().open(MemoryEngine::new());
    write(&store, |transaction| {
        transaction.set_sidecar(Sidecar::Sessions, b"peer", Some(b"cursor".to_vec()))?;
        assert_eq!(
            transaction.sidecar(Sidecar::Sessions, b"peer")?.as_deref(),
            Some(&b"cursor"[..])
        );
        set(transaction, "cars", 1, "{}")
    })
    .unwrap();
    let snapshot = store.snapshot();
    assert_eq!(
        snapshot
            .sidecar(Sidecar::Sessions, b"peer")
            .unwrap()
            .as_deref(),
        Some(&b"cursor"[..])
    );
    assert_eq!(snapshot.sidecar(Sidecar::Sessions, b"other").unwrap(), None);
    snapshot.verify().unwrap();
}

/// Beyond some number of documents that are not here, a transaction looks for
/// further ones only up to the last that is here.
#[test]
fn many_documents_that_arrive_at_once_meet_those_that_are_here() {
    let store = World::default().open(MemoryEngine::new());
    for number in [50, 150] {
        write(&store, move |transaction| {
            set(transaction, "cars", number, r#"{"here":1}"#)
        })
        .unwrap();
    }
    let document = remote_document(r#"{"there":1}"#, 7);
    write(&store, move |transaction| {
        for round in 0..2 {
            for number in 0..200 {
                let merged = transaction.merge("cars", &id(number), &document, Some(REMOTE))?;
                assert_eq!(merged.changed, round == 0, "{number} in round {round}");
            }
        }
        Ok(())
    })
    .unwrap();
    let snapshot = store.snapshot();
    assert_eq!(snapshot.count("cars").unwrap(), 200);
    let both = Some(r#"{"here":1,"there":1}"#.to_owned());
    let there = Some(r#"{"there":1}"#.to_owned());
    assert_eq!(
        (read(&snapshot, "cars", 50), read(&snapshot, "cars", 150)),
        (both.clone(), both)
    );
    assert_eq!(
        (read(&snapshot, "cars", 49), read(&snapshot, "cars", 199)),
        (there.clone(), there)
    );
    assert_eq!(snapshot.verify().unwrap().documents, 200);
}
