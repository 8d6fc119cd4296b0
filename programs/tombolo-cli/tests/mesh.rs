//! Three real nodes in a line: two ends that know only the one in the middle, and a stranger with another key.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod support;

use support::peer::{Peer, Plan, until};
use support::{Node, assert_status, get, text, tombolo};
use tombolo::SharedKey;

struct Line {
    left: Peer,
    middle: Peer,
    right: Peer,
}

impl Line {
    fn start(key: &SharedKey) -> Self {
        let middle = Peer::start(Plan::new("middle", key));
        let left = Peer::start(Plan::new("left", key).dialling(&[&middle]));
        let right = Peer::start(Plan::new("right", key).dialling(&[&middle]));
        Self {
            left,
            middle,
            right,
        }
    }

    fn all(&self) -> [&Peer; 3] {
        [&self.left, &self.middle, &self.right]
    }

    /// Waits until all three have this answer.
    fn wait_for(&self, statement: &str, items: &str) {
        let answers = || self.all().map(|peer| peer.run(statement));
        until(
            || answers().iter().all(|answer| answer == items),
            || format!("{items}\nfrom {statement}\nbut  {:?}", answers()),
        );
    }
}

#[test]
fn a_document_written_at_either_end_appears_at_the_other() {
    let line = Line::start(&SharedKey::generate().unwrap());
    line.left
        .run("INSERT INTO cars DOCUMENTS ({'_id': 'l', 'color': 'red'})");
    line.right
        .run("INSERT INTO cars DOCUMENTS ({'_id': 'r', 'color': 'blue'})");
    line.wait_for(
        "SELECT * FROM cars ORDER BY _id",
        r#"[{"_id":"l","color":"red"},{"_id":"r","color":"blue"}]"#,
    );
    line.right.run("DELETE FROM cars WHERE _id = 'l'");
    line.wait_for("SELECT _id FROM cars", r#"[{"_id":"r"}]"#);
}

/// One row of the documented table of concurrent edits: what is there first, what each end does
/// while it is alone, the left one earlier, and what both have in the end.
struct Row {
    id: &'static str,
    first: &'static str,
    earlier: &'static str,
    later: &'static str,
    result: &'static str,
}

/// `{W}` stands for the condition on the row's id.
const ROWS: [Row; 11] = [
    Row {
        id: "a-register",
        first: "INSERT INTO stock DOCUMENTS ({'_id': 'a-register', 's': 'x'})",
        earlier: "UPDATE stock SET s = 'A' {W}",
        later: "UPDATE stock SET s = 'B' {W}",
        result: r#"{"_id":"a-register","s":"B"}"#,
    },
    Row {
        id: "b-two-keys",
        first: "INSERT INTO stock DOCUMENTS ({'_id': 'b-two-keys', 'm': {}})",
        earlier: "UPDATE stock SET m.a = 1 {W}",
        later: "UPDATE stock SET m.b = 2 {W}",
        result: r#"{"_id":"b-two-keys","m":{"a":1,"b":2}}"#,
    },
    Row {
        id: "c-map-and-key",
        first: "INSERT INTO stock DOCUMENTS ({'_id': 'c-map-and-key', 'm': {}})",
        earlier: "UPDATE stock SET m = {'a': 10} {W}",
        later: "UPDATE stock SET m.b = 20 {W}",
        result: r#"{"_id":"c-map-and-key","m":{"a":10,"b":20}}"#,
    },
    Row {
        id: "d-unset-map",
        first: "INSERT INTO stock DOCUMENTS ({'_id': 'd-unset-map', 'm': {'a': 1}})",
        earlier: "UPDATE stock UNSET m {W}",
        later: "UPDATE stock SET m.c = 5 {W}",
        result: r#"{"_id":"d-unset-map","m":{"c":5}}"#,
    },
    Row {
        id: "e-unset-earlier",
        first: "INSERT INTO stock DOCUMENTS ({'_id': 'e-unset-earlier', 'it': {'k': {'q': 1, 'r': 2}}})",
        earlier: "UPDATE stock UNSET it.k {W}",
        later: "UPDATE stock SET it.k.q = 5 {W}",
        result: r#"{"_id":"e-unset-earlier","it":{"k":{"q":5}}}"#,
    },
    Row {
        id: "e-unset-later",
        first: "INSERT INTO stock DOCUMENTS ({'_id': 'e-unset-later', 'it': {'k': {'q': 1}}})",
        earlier: "UPDATE stock SET it.k.q = 5 {W}",
        later: "UPDATE stock UNSET it.k {W}",
        result: r#"{"_id":"e-unset-later","it":{"k":{"q":null}}}"#,
    },
    Row {
        id: "f-array",
        first: "INSERT INTO stock DOCUMENTS ({'_id': 'f-array', 'l': [0]})",
        earlier: "UPDATE stock SET l = [1, 2, 3] {W}",
        later: "UPDATE stock SET l = [4] {W}",
        result: r#"{"_id":"f-array","l":[4]}"#,
    },
    Row {
        id: "g-increments",
        first: "INSERT INTO COLLECTION stock (n COUNTER) DOCUMENTS ({'_id': 'g-increments', 'n': 1})",
        earlier: "UPDATE stock APPLY n INCREMENT BY 5 {W}",
        later: "UPDATE stock APPLY n INCREMENT BY 7 {W}",
        result: r#"{"_id":"g-increments","n":13}"#,
    },
    Row {
        id: "h-restart",
        first: "INSERT INTO COLLECTION stock (n COUNTER) DOCUMENTS ({'_id': 'h-restart', 'n': 1})",
        earlier: "UPDATE stock APPLY n RESTART WITH 100 {W}",
        later: "UPDATE stock APPLY n INCREMENT BY 5 {W}",
        result: r#"{"_id":"h-restart","n":100}"#,
    },
    Row {
        id: "i-delete-and-update",
        first: "INSERT INTO stock DOCUMENTS ({'_id': 'i-delete-and-update', 'a': 1, 'c': 1})",
        earlier: "DELETE FROM stock {W}",
        later: "UPDATE stock SET c = 2 {W}",
        result: r#"{"_id":"i-delete-and-update","c":2}"#,
    },
    Row {
        id: "j-update-and-delete",
        first: "INSERT INTO stock DOCUMENTS ({'_id': 'j-update-and-delete', 'a': 1, 'c': 1})",
        earlier: "UPDATE stock SET c = 2 {W}",
        later: "DELETE FROM stock {W}",
        result: r#"{"_id":"j-update-and-delete","c":null}"#,
    },
];

impl Row {
    fn on_this(&self, statement: &str) -> String {
        statement.replace(" {W}", &format!(" WHERE _id = '{}'", self.id))
    }
}

#[test]
fn edits_made_apart_merge_as_documented() {
    let mut line = Line::start(&SharedKey::generate().unwrap());
    for row in &ROWS {
        line.left.run(row.first);
    }
    let count = format!("[{{\"n\":{}}}]", ROWS.len());
    line.wait_for("SELECT COUNT(*) AS n FROM stock", &count);
    let (home, plan) = line.middle.kill();
    // The last row: both insert it, and one document comes of two.
    for row in &ROWS {
        line.left.run(&row.on_this(row.earlier));
    }
    line.left
        .run("INSERT INTO cars DOCUMENTS ({'_id': 'both', 'l': 1, 's': 'A'})");
    line.right.pass(&line.left);
    for row in &ROWS {
        line.right.run(&row.on_this(row.later));
    }
    line.right
        .run("INSERT INTO cars DOCUMENTS ({'_id': 'both', 'r': 2, 's': 'B'})");
    line.middle = Peer::start_in(home, plan);
    let results: Vec<&str> = ROWS.iter().map(|row| row.result).collect();
    let results = format!("[{}]", results.join(","));
    line.wait_for("SELECT * FROM stock ORDER BY _id", &results);
    line.wait_for(
        "SELECT * FROM cars",
        r#"[{"_id":"both","l":1,"r":2,"s":"B"}]"#,
    );
}

#[test]
fn a_stranger_with_another_key_sees_nothing_and_both_logs_say_why() {
    let line = Line::start(&SharedKey::generate().unwrap());
    let other = SharedKey::generate().unwrap();
    let stranger = Peer::start(Plan::new("stranger", &other).dialling(&[&line.middle]));
    stranger.wait_for_log(&["no link to a known server", "signed by another key"]);
    line.middle
        .wait_for_log(&["a peer was not let in", "it has another shared key"]);
    line.left
        .run("INSERT INTO cars DOCUMENTS ({'_id': 'secret'})");
    stranger.run("INSERT INTO cars DOCUMENTS ({'_id': 'foreign'})");
    line.wait_for("SELECT * FROM cars", r#"[{"_id":"secret"}]"#);
    assert_eq!(stranger.run("SELECT * FROM cars"), r#"[{"_id":"foreign"}]"#);
    assert_eq!(stranger.run("SELECT * FROM system:data_sync_info"), "[]");
    assert!(presence(&stranger).contains(r#""remotePeers":[]"#));
}

fn presence(peer: &Peer) -> String {
    let answer = peer.ask(&get("/presence"));
    assert_status(&answer, 200);
    answer
}

#[test]
fn presence_and_sync_info_tell_of_the_direct_neighbours() {
    let line = Line::start(&SharedKey::generate().unwrap());
    line.left.run("INSERT INTO cars DOCUMENTS ({'_id': 'l'})");
    line.wait_for("SELECT * FROM cars", r#"[{"_id":"l"}]"#);
    let middle = presence(&line.middle);
    for name in ["middle", "left", "right"] {
        assert!(
            middle.contains(&format!(r#""deviceName":"{name}""#)),
            "{middle}"
        );
    }
    let left = presence(&line.left);
    assert!(left.contains(r#""deviceName":"middle""#), "{left}");
    assert!(!left.contains(r#""deviceName":"right""#), "{left}");
    line.middle.wait_for(
        "SELECT COUNT(*) AS n FROM system:data_sync_info WHERE `documents`.sync_session_status = 'Connected'",
        r#"[{"n":2}]"#,
    );
}

#[test]
fn a_node_without_a_key_keeps_its_transports_off_and_says_so() {
    let plan = Plan::new("keyless", &SharedKey::generate().unwrap());
    let keyless = plan
        .yaml()
        .replace(&plan.auth, "auth: { small_peer_only: { key_b64: null } }");
    let mut node = Node::start(&keyless);
    let said = node.said.join("\n");
    assert!(
        said.contains("mesh: off (small_peer_only has no key_b64"),
        "{said}"
    );
    assert!(
        said.contains("tcp_listen and the known servers stay off"),
        "{said}"
    );
    assert!(!said.contains("listening for peers"), "{said}");
    node.signal("-TERM");
    node.wait_for("stopped");
}

#[test]
fn a_taken_port_for_peers_keeps_the_node_from_starting_and_is_named_once() {
    let key = SharedKey::generate().unwrap();
    let first = Peer::start(Plan::new("first", &key));
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("config.yaml");
    let mut plan = Plan::new("second", &key);
    plan.listen.clone_from(&first.address);
    std::fs::write(&config, plan.yaml()).unwrap();
    let output = tombolo(&["run", "-c", config.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let error = text(&output.stderr);
    assert!(
        error.contains(&format!("cannot listen on {}", first.address)),
        "{error}"
    );
    assert_eq!(error.matches("in use").count(), 1, "{error}");
}
