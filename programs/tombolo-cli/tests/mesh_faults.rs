//! Real nodes that are killed, forget, come back from a backup or are copied, and still agree in the end.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod support;

use std::thread;

use support::peer::{Peer, Plan, copy};
use tombolo::SharedKey;

/// Documents that each end writes around the kill.
const WRITES: usize = 60;

fn count(number: usize) -> String {
    format!("[{{\"n\":{number}}}]")
}

const COUNT: &str = "SELECT COUNT(*) AS n FROM cars";

fn write(peer: &Peer, name: &str, from: usize, to: usize) {
    for number in from..to {
        peer.run(&format!(
            "INSERT INTO cars DOCUMENTS ({{'_id': '{name}-{number}', 'n': {number}}})"
        ));
    }
}

#[test]
fn what_both_ends_write_around_a_kill_of_the_middle_arrives_everywhere() {
    let key = SharedKey::generate().unwrap();
    let middle = Peer::start(Plan::new("middle", &key));
    let left = Peer::start(Plan::new("left", &key).dialling(&[&middle]));
    let right = Peer::start(Plan::new("right", &key).dialling(&[&middle]));
    write(&left, "first", 0, 1);
    right.wait_for(COUNT, &count(1));
    let (home, plan) = thread::scope(|scope| {
        scope.spawn(|| write(&left, "left", 0, WRITES));
        scope.spawn(|| write(&right, "right", 0, WRITES));
        // Somewhere in the middle of their writes; where is of no importance.
        left.wait_for(
            "SELECT COUNT(*) > 9 AS some FROM cars",
            r#"[{"some":true}]"#,
        );
        middle.kill()
    });
    write(&left, "left-alone", 0, WRITES);
    let middle = Peer::start_in(home, plan);
    let all = count(1 + 3 * WRITES);
    for peer in [&left, &middle, &right] {
        peer.wait_for(COUNT, &all);
    }
    // Stopped in good order and started again, each still has everything.
    let (home, plan) = middle.stop();
    assert_eq!(Peer::start_in(home, plan).run(COUNT), all);
}

#[test]
fn an_evicted_document_returns_whole_while_it_is_subscribed_to() {
    let key = SharedKey::generate().unwrap();
    let one = Peer::start(Plan::new("one", &key));
    let other = Peer::start(Plan::new("other", &key).dialling(&[&one]));
    one.run("INSERT INTO cars DOCUMENTS ({'_id': 'a', 'color': 'red', 'doors': 5})");
    let whole = r#"[{"_id":"a","color":"red","doors":5}]"#;
    other.wait_for("SELECT * FROM cars", whole);
    other.run("EVICT FROM cars WHERE _id = 'a'");
    other.wait_for("SELECT * FROM cars", whole);
    assert_eq!(one.run("SELECT * FROM cars"), whole);
}

#[test]
fn what_was_evicted_and_changed_elsewhere_meanwhile_returns_as_it_is_there() {
    let key = SharedKey::generate().unwrap();
    let one = Peer::start(Plan::new("one", &key));
    let other = Peer::start(Plan::new("other", &key).dialling(&[&one]));
    one.run("INSERT INTO cars DOCUMENTS ({'_id': 'a', 'color': 'red', 'doors': 5})");
    other.wait_for(COUNT, &count(1));
    let (home, plan) = one.kill();
    other.run("EVICT FROM cars WHERE _id = 'a'");
    assert_eq!(other.run(COUNT), count(0));
    other.run("INSERT INTO cars DOCUMENTS ({'_id': 'a', 'seats': 4})");
    let one = Peer::start_in(home, plan);
    for peer in [&one, &other] {
        peer.wait_for(
            "SELECT * FROM cars",
            r#"[{"_id":"a","color":"red","doors":5,"seats":4}]"#,
        );
    }
}

#[test]
fn a_restored_backup_is_noticed_and_loses_nothing_that_a_peer_has() {
    let key = SharedKey::generate().unwrap();
    let hub = Peer::start(Plan::new("hub", &key));
    let node = Peer::start(Plan::new("node", &key).dialling(&[&hub]));
    write(&node, "before", 0, 5);
    hub.wait_for(COUNT, &count(5));
    let (home, plan) = node.stop();
    copy(&home.path().join("data"), &home.path().join("backup"));
    let node = Peer::start_in(home, plan);
    write(&node, "after", 0, 5);
    write(&hub, "hub", 0, 5);
    for peer in [&hub, &node] {
        peer.wait_for(COUNT, &count(15));
    }
    let (home, plan) = node.kill();
    std::fs::remove_dir_all(home.path().join("data")).unwrap();
    std::fs::rename(home.path().join("backup"), home.path().join("data")).unwrap();
    let node = Peer::start_in(home, plan);
    node.wait_for_log(&["copied or restored from a backup"]);
    // Written under the new identity, beside what the old one wrote after the backup.
    write(&node, "again", 0, 5);
    for peer in [&hub, &node] {
        peer.wait_for(COUNT, &count(20));
    }
}

#[test]
fn a_copied_directory_is_noticed_and_both_copies_agree_with_the_rest() {
    let key = SharedKey::generate().unwrap();
    let hub = Peer::start(Plan::new("hub", &key));
    let original = Peer::start(Plan::new("original", &key).dialling(&[&hub]));
    write(&original, "before", 0, 5);
    hub.wait_for(COUNT, &count(5));
    let (home, plan) = original.stop();
    let twin_home = tempfile::tempdir().unwrap();
    copy(&home.path().join("data"), &twin_home.path().join("data"));
    let original = Peer::start_in(home, plan);
    let twin = Peer::start_in(twin_home, Plan::new("twin", &key).dialling(&[&hub]));
    twin.wait_for_log(&["copied or restored from a backup"]);
    assert!(!original.log().contains("copied or restored"));
    write(&original, "original", 0, 3);
    write(&twin, "twin", 0, 3);
    for peer in [&hub, &original, &twin] {
        peer.wait_for(COUNT, &count(11));
    }
}
