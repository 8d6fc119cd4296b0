//! Answers that are kept with what they tell.

use std::{ops::ControlFlow, sync::atomic::Ordering, time::Duration};

use tombolo_store::{
    ANSWER_BYTES_MAX, ANSWER_LIFETIME, ANSWERS_OWNER_MAX, AnswerKey, Answers, KeptAnswer, Store,
    StoreError, WriteError,
    engine::{Fault, MemoryEngine},
};

use crate::bench::{Faulty, World, read, set, write};

fn key(owner: &str, name: &str, request: &str) -> AnswerKey {
    AnswerKey::new(owner.as_bytes(), name.as_bytes(), &[request.as_bytes()])
}

fn keep(store: &Store, key: AnswerKey, answer: &[u8]) -> Result<(), StoreError> {
    let answer = answer.to_vec();
    let kept = store.write_and_wait(move |transaction| transaction.keep_answer(&key, &answer));
    match kept {
        Ok(_) => Ok(()),
        Err(WriteError::Work(error) | WriteError::Store(error)) => Err(error),
    }
}

fn kept(store: &Store, key: AnswerKey) -> Option<KeptAnswer> {
    let found = store.write_and_wait(move |transaction| transaction.kept_answer(&key));
    found.unwrap().1
}

fn same(answer: &str) -> Option<KeptAnswer> {
    Some(KeptAnswer::Same(answer.as_bytes().to_vec()))
}

fn lifetime_ms() -> u64 {
    u64::try_from(ANSWER_LIFETIME.as_millis()).unwrap()
}

#[test]
fn an_answer_is_found_by_its_owner_under_its_name_for_its_request() {
    let world = World::default();
    let store = world.open(MemoryEngine::new());
    keep(&store, key("a", "n", "r"), b"done").unwrap();
    assert_eq!(kept(&store, key("a", "n", "r")), same("done"));
    assert_eq!(
        kept(&store, key("a", "n", "other")),
        Some(KeptAnswer::OfOther)
    );
    assert_eq!(kept(&store, key("b", "n", "r")), None);
    assert_eq!(kept(&store, key("a", "m", "r")), None);
}

#[test]
fn a_commit_that_keeps_an_answer_alone_tells_peers_of_no_document() {
    let store = World::default().open(MemoryEngine::new());
    keep(&store, key("a", "n", "r"), b"done").unwrap();
    let snapshot = store.snapshot();
    let mut changes = 0;
    snapshot
        .changes_after(0, &mut |_| {
            changes += 1;
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!((changes, snapshot.last_commit()), (0, 1));
    snapshot.verify().unwrap();
}

#[test]
fn an_answer_and_what_it_tells_survive_a_power_cut_together_or_not_at_all() {
    for seed in 0..32 {
        let mut faulty = Faulty::new();
        faulty.disk.set_fault(Fault::FlushFails { after: 0 });
        let name = key("a", "n", "r");
        let written = write(faulty.store(), move |transaction| {
            set(transaction, "cars", 1, r#"{"n":1}"#)?;
            Ok(transaction.keep_answer(&name, b"done")?)
        });
        assert!(written.is_err());
        faulty.power_cut(seed);
        let found = (
            read(&faulty.store().snapshot(), "cars", 1),
            kept(faulty.store(), name),
        );
        let nothing = (None, None);
        let both = (Some(r#"{"n":1}"#.to_owned()), same("done"));
        assert!(found == nothing || found == both, "{found:?}");
    }
}

#[test]
fn what_is_undone_has_no_answer() {
    let store = World::default().open(MemoryEngine::new());
    let name = key("a", "n", "r");
    let undone = store.write_and_wait(move |transaction| {
        transaction.keep_answer(&name, b"done")?;
        Err::<(), _>(StoreError::Closed)
    });
    assert!(undone.is_err());
    assert_eq!(kept(&store, name), None);
    assert_eq!(store.snapshot().answers().unwrap(), Answers::default());
}

#[test]
fn an_answer_ends_after_a_day_and_is_removed_by_those_that_follow() {
    let world = World::default();
    let store = world.open(MemoryEngine::new());
    for name in 0..20 {
        keep(&store, key("a", &format!("{name}"), "r"), b"0123456789").unwrap();
    }
    let first = key("a", "0", "r");
    world
        .clock
        .unix_ms
        .store(lifetime_ms() - 1, Ordering::SeqCst);
    assert!(kept(&store, first).is_some());
    world.clock.unix_ms.store(lifetime_ms(), Ordering::SeqCst);
    assert_eq!(kept(&store, first), None);
    // Eight are removed in passing, and one comes.
    keep(&store, key("b", "0", "r"), b"new").unwrap();
    let left = Answers {
        count: 13,
        bytes: 123,
    };
    assert_eq!(store.snapshot().answers().unwrap(), left);
    // The name of one that has ended can be used again, for another request.
    keep(&store, key("a", "19", "s"), b"again").unwrap();
    assert_eq!(kept(&store, key("a", "19", "s")), same("again"));
    for name in 1..4 {
        keep(&store, key("b", &format!("{name}"), "r"), b"new").unwrap();
    }
    let left = Answers {
        count: 5,
        bytes: 17,
    };
    assert_eq!(store.snapshot().answers().unwrap(), left);
    assert_eq!(kept(&store, key("b", "0", "r")), same("new"));
}

#[test]
fn a_clock_that_went_back_leaves_nothing_behind() {
    let world = World::default();
    world
        .clock
        .unix_ms
        .store(10 * lifetime_ms(), Ordering::SeqCst);
    let store = world.open(MemoryEngine::new());
    keep(&store, key("a", "late", "r"), b"1").unwrap();
    world
        .clock
        .unix_ms
        .store(20 * lifetime_ms(), Ordering::SeqCst);
    keep(&store, key("a", "later", "r"), b"1").unwrap();
    world
        .clock
        .unix_ms
        .store(5 * lifetime_ms(), Ordering::SeqCst);
    keep(&store, key("a", "early", "r"), b"1").unwrap();
    world
        .clock
        .unix_ms
        .store(30 * lifetime_ms(), Ordering::SeqCst);
    keep(&store, key("a", "last", "r"), b"1").unwrap();
    let left = Answers { count: 1, bytes: 1 };
    assert_eq!(store.snapshot().answers().unwrap(), left);
}

#[test]
fn an_owner_keeps_so_many_bytes_and_an_answer_has_so_many() {
    let world = World::default();
    let store = world.open(MemoryEngine::new());
    let longest = vec![0; ANSWER_BYTES_MAX];
    let too_long = vec![0; ANSWER_BYTES_MAX + 1];
    let refused = keep(&store, key("a", "n", "r"), &too_long).unwrap_err();
    assert!(
        matches!(refused, StoreError::AnswerTooLarge { bytes } if bytes == ANSWER_BYTES_MAX + 1)
    );
    let count = ANSWERS_OWNER_MAX.bytes / ANSWER_BYTES_MAX as u64;
    for name in 0..count {
        keep(&store, key("a", &format!("{name}"), "r"), &longest).unwrap();
    }
    world.clock.unix_ms.store(1000, Ordering::SeqCst);
    let refused = keep(&store, key("a", "more", "r"), b"1").unwrap_err();
    let in_a_day = ANSWER_LIFETIME - Duration::from_secs(1);
    assert!(
        matches!(refused, StoreError::AnswersFull { is_own: true, ends_in } if ends_in == in_a_day),
        "{refused:?}"
    );
    keep(&store, key("b", "more", "r"), b"1").unwrap();
    // All that is needed is removed at once when there is no room otherwise.
    world.clock.unix_ms.store(lifetime_ms(), Ordering::SeqCst);
    keep(&store, key("a", "more", "r"), &longest).unwrap();
    assert!(kept(&store, key("a", "more", "r")).is_some());
}

#[test]
fn answers_are_forgotten_so_many_at_a_time() {
    let store = World::default().open(MemoryEngine::new());
    for name in 0..5 {
        keep(&store, key("a", &format!("{name}"), "r"), b"1").unwrap();
    }
    let forget = || {
        let forgotten = store.write_and_wait(|transaction| transaction.forget_answers(3));
        forgotten.unwrap().1
    };
    assert_eq!([forget(), forget(), forget()], [3, 2, 0]);
    assert_eq!(store.snapshot().answers().unwrap(), Answers::default());
    // The clock stands before what was forgotten, and the next one is found all the same.
    keep(&store, key("a", "0", "r"), b"1").unwrap();
    assert_eq!(forget(), 1);
}
