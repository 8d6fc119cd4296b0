//! The laws of merging, over random histories of a few replicas.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod replica;

use proptest::prelude::*;
use replica::{Replica, sync, value};
use tombolo_document::merge::{delta, merge};
use tombolo_document::{Dot, Kind, Schema};

const REPLICAS: usize = 4;

#[derive(Debug, Clone)]
enum Op {
    Set(&'static str, i8),
    SetMap(&'static str),
    Insert,
    Unset(&'static str),
    Delete,
    Increment(&'static str, i8),
    PnIncrement(&'static str, i8),
    Restart(&'static str, i8),
    Seed(bool),
    Replace(&'static str),
    Pull(usize),
}

fn path() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a", "b", "m", "m.a", "m.b", "m.n.a"])
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (path(), any::<i8>()).prop_map(|(path, value)| Op::Set(path, value)),
        2 => path().prop_map(Op::SetMap),
        1 => Just(Op::Insert),
        3 => path().prop_map(Op::Unset),
        1 => Just(Op::Delete),
        3 => (path(), any::<i8>()).prop_map(|(path, by)| Op::Increment(path, by)),
        1 => (path(), any::<i8>()).prop_map(|(path, by)| Op::PnIncrement(path, by)),
        1 => (path(), any::<i8>()).prop_map(|(path, with)| Op::Restart(path, with)),
        1 => any::<bool>().prop_map(Op::Seed),
        1 => path().prop_map(Op::Replace),
        5 => (0..REPLICAS).prop_map(Op::Pull),
    ]
}

fn history() -> impl Strategy<Value = Vec<(usize, u64, Op)>> {
    prop::collection::vec((0..REPLICAS, 1000_u64..1010, op()), 1..40)
}

fn play(history: &[(usize, u64, Op)]) -> Vec<Replica> {
    let mut replicas: Vec<Replica> = (0..REPLICAS)
        .map(|site| Replica::new(site as u8 + 1))
        .collect();
    for (at, now, op) in history {
        if let Op::Pull(from) = op {
            let other = replicas[*from].clone();
            replicas[*at].pull(&other);
        } else {
            run(&mut replicas[*at], *now, op);
        }
    }
    replicas
}

fn run(replica: &mut Replica, now: u64, op: &Op) {
    match *op {
        Op::Set(path, number) => replica.set(now, path, &number.to_string()),
        Op::SetMap(path) => replica.set(now, path, r#"{"a":1,"x":{}}"#),
        Op::Insert => replica.insert(now, r#"{"a":[1],"m":{"b":true}}"#),
        Op::Unset(path) => replica.unset(now, path),
        Op::Delete => replica.delete(now),
        Op::Increment(path, by) => replica.increment(now, path, i64::from(by)),
        Op::PnIncrement(path, by) => replica.commit(now, |edit| {
            edit.increment(
                &replica::names(path),
                Kind::PnCounter,
                i64::from(by),
                &Schema::INFERRED,
            )
        }),
        Op::Restart(path, with) => replica.restart(now, path, i64::from(with)),
        Op::Seed(first) => replica.seed(if first {
            r#"{"a":1,"b":1}"#
        } else {
            r#"{"a":2,"m":{"a":0}}"#
        }),
        Op::Replace(path) => {
            let dot = Dot::new(replica.actor, replica.clock.tick(now).unwrap());
            replica.statement(dot, |edit| {
                edit.unset(&replica::names(path), &Schema::INFERRED)
            });
            replica.statement(dot, |edit| {
                edit.increment(&["m"], Kind::Counter, 1, &Schema::INFERRED)?;
                edit.set(
                    &replica::names(path),
                    &value(r#"{"w":1}"#),
                    &Schema::INFERRED,
                )
            });
        }
        Op::Pull(_) => {}
    }
}

fn united(local: Option<&[u8]>, incoming: &Option<Vec<u8>>) -> Option<Vec<u8>> {
    match incoming {
        Some(bytes) => Some(merge(local, bytes).unwrap().document),
        None => local.map(<[u8]>::to_vec),
    }
}

proptest! {
    #[test]
    fn merging_is_commutative_associative_and_idempotent(history in history()) {
        let replicas = play(&history);
        let [a, b, c] = [&replicas[0].document, &replicas[1].document, &replicas[2].document];
        prop_assert_eq!(united(a.as_deref(), a), a.clone());
        let a_b = united(a.as_deref(), b);
        prop_assert_eq!(&a_b, &united(b.as_deref(), a));
        let b_c = united(b.as_deref(), c);
        prop_assert_eq!(united(a_b.as_deref(), c), united(a.as_deref(), &b_c));
        prop_assert_eq!(united(a_b.as_deref(), a), a_b.clone());
    }

    #[test]
    fn a_delta_does_what_the_whole_document_would(history in history()) {
        let replicas = play(&history);
        let (ours, theirs) = (&replicas[0], &replicas[1]);
        if let Some(document) = &theirs.document {
            let whole = united(ours.document.as_deref(), &theirs.document);
            let delta = delta(document, &ours.vector()).unwrap();
            prop_assert_eq!(united(ours.document.as_deref(), &delta), whole);
        }
    }

    #[test]
    fn replicas_that_saw_the_same_have_the_same_bytes(history in history()) {
        let mut replicas = play(&history);
        for _ in 0..2 {
            for left in 0..REPLICAS {
                for right in left + 1..REPLICAS {
                    let (head, tail) = replicas.split_at_mut(right);
                    sync(&mut head[left], &mut tail[0]);
                }
            }
        }
        for replica in &replicas[1..] {
            prop_assert_eq!(&replica.document, &replicas[0].document);
            prop_assert_eq!(replica.shows(), replicas[0].shows());
        }
    }

    #[test]
    fn canonical_bytes_decode_and_stay(history in history()) {
        for replica in play(&history) {
            if let Some(document) = &replica.document {
                let again = merge(None, document).unwrap();
                prop_assert_eq!(&again.document, document);
                let onto = merge(Some(document), document).unwrap();
                prop_assert!(!onto.changed);
            }
        }
    }

    #[test]
    fn a_new_write_on_what_all_saw_wins_everywhere(history in history()) {
        let mut replicas = play(&history);
        let mut writer = replicas.swap_remove(0);
        for other in &mut replicas {
            sync(&mut writer, other);
        }
        writer.set(5000, "fresh", "1");
        for other in &mut replicas {
            sync(&mut writer, other);
            let shown = other.shows().unwrap();
            prop_assert_eq!(shown.as_object().unwrap().get("fresh"), Some(&value("1")));
        }
    }
}

#[test]
fn a_hundred_overwrites_leave_one_leaf() {
    let mut replica = Replica::new(1);
    replica.insert(1000, r#"{"a":1,"b":"text"}"#);
    replica.set(1001, "a", "2");
    let after_one = replica.document.clone().unwrap().len();
    for step in 0..100 {
        replica.set(2000 + step, "a", "3");
    }
    let after_many = replica.document.unwrap().len();
    assert!(after_many <= after_one + 2, "{after_one} -> {after_many}");
}
