//! Real nodes that join their mesh by a login: at a node that is the identity service, and at one that a test makes up.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "../../../crates/tombolo/tests/identity_service/mod.rs"]
mod identity_service;
mod support;

use std::sync::Arc;

use identity_service::http::Listener;
use identity_service::{Clock, EVERYTHING, Service};
use support::peer::{Peer, Plan};
use support::{assert_status, text, tombolo};

const SEED: &str = include_str!("../../../conformance/permissions/seed.json");

/// A node that is the identity service of its fleet.
fn hub() -> Plan {
    let service = "identity_service: { ca: { path: ca }, providers: { __playgroundProvider: { playground: { shared_token: hunter2 } } } }\n";
    Plan::joining("hub", String::new(), service.to_owned())
}

/// A node that logs in.
fn edge(url: &str, token: &str, provider: &str) -> Plan {
    let auth = format!(
        "auth: {{ server: {{ access_token: {token}, auth_url: \"{url}\", provider: {provider}, enable_cloud_sync: false }} }}"
    );
    Plan::joining("edge", auth, String::new())
}

fn insert(peer: &Peer, collection: &str, document: &str) -> String {
    let statement = format!("INSERT INTO {collection} DOCUMENTS ({document})");
    let body = format!("{{\"statement\":{statement:?}}}");
    peer.ask(&format!(
        "POST /execute HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    ))
}

/// Who lets `ada` do everything, and `seed` what the example says; for the machine's clock.
fn made_up_service() -> (Arc<Service>, Listener) {
    let service = Service::of("mesh-test", &Clock::of_machine());
    service.admit("ada", 8, (EVERYTHING, EVERYTHING));
    let mut answers = service.answers.lock().unwrap();
    answers.insert("seed".to_owned(), SEED.to_owned());
    drop(answers);
    let listener = Listener::start(&service, None);
    (service, listener)
}

#[test]
fn a_node_is_the_identity_service_of_its_fleet_and_a_peer_in_it() {
    let hub = Peer::start(hub());
    let edge = edge(&hub.url(), "hunter2", "__playgroundProvider");
    let edge = Peer::start(edge.dialling(&[&hub]));
    hub.run("INSERT INTO cars DOCUMENTS ({'_id': 'h'})");
    edge.run("INSERT INTO cars DOCUMENTS ({'_id': 'e'})");
    for node in [&hub, &edge] {
        let both = r#"[{"_id":"e"},{"_id":"h"}]"#;
        node.wait_for("SELECT * FROM cars ORDER BY _id", both);
    }
    for node in [hub, edge] {
        assert!(!node.log().contains("hunter2"), "{}", node.log());
    }
}

#[test]
fn t36_a_node_cuts_off_whom_its_own_identity_service_revokes() {
    let hub = Peer::start(hub());
    let plan = edge(&hub.url(), "hunter2", "__playgroundProvider");
    let [lost, kept] = [(); 2].map(|()| Peer::start(plan.clone().dialling(&[&hub])));
    lost.run("INSERT INTO cars DOCUMENTS ({'_id': 1})");
    kept.wait_for("SELECT * FROM cars", r#"[{"_id":1}]"#);
    let log = lost.log();
    let key = log.lines().find_map(|line| line.strip_prefix("login: pk:"));
    let key = format!("pk:{}", key.unwrap());
    let config = hub.home().join("config.yaml");
    let config = config.to_str().unwrap();
    let revoked = tombolo(&["identity", "revoke", "-c", config, "--peer", &key]);
    assert!(revoked.status.success(), "{}", text(&revoked.stderr));
    hub.wait_for_log(&["a link is ended", &key, "revoked"]);
    // The others go on, and the one that is cut off keeps what it has.
    kept.run("INSERT INTO cars DOCUMENTS ({'_id': 2})");
    hub.wait_for(
        "SELECT * FROM cars ORDER BY _id",
        r#"[{"_id":1},{"_id":2}]"#,
    );
    lost.wait_for_log(&["revoked"]);
    assert_eq!(lost.run("SELECT * FROM cars"), r#"[{"_id":1}]"#);
}

#[test]
fn a_node_that_logged_in_once_starts_and_syncs_without_the_service() {
    let (_service, listener) = made_up_service();
    let plan = |servers: &[&Peer]| edge(&listener.url(), "ada", "my-auth").dialling(servers);
    let (one, other) = (Peer::start(plan(&[])), Peer::start(plan(&[])));
    let (homes, url) = ((one.stop().0, other.stop().0), listener.url());
    drop(listener);
    let plan = |servers: &[&Peer]| edge(&url, "ada", "my-auth").dialling(servers);
    let one = Peer::start_in(homes.0, plan(&[]));
    let other = Peer::start_in(homes.1, plan(&[&one]));
    assert!(
        one.log().contains("login: ada, as the last time"),
        "{}",
        one.log()
    );
    one.run("INSERT INTO cars DOCUMENTS ({'_id': 1})");
    other.wait_for("SELECT * FROM cars", r#"[{"_id":1}]"#);
}

#[test]
fn a_node_that_is_not_let_in_says_what_to_do_and_serves_all_the_same() {
    let (_service, listener) = made_up_service();
    let plan = edge(&listener.url(), "nobody", "my-auth");
    let node = Peer::start_unjoined(plan);
    node.wait_for_log(&["the login was refused (refused)", "check the token"]);
    node.wait_for_log(&["find out more with: tombolo doctor"]);
    assert_status(&insert(&node, "cars", "{'_id': 1}"), 200);
    assert_eq!(node.run("SELECT * FROM cars"), r#"[{"_id":1}]"#);
}

#[test]
fn a_client_is_refused_what_the_node_itself_may_not_write() {
    let (_service, listener) = made_up_service();
    let node = Peer::start(edge(&listener.url(), "seed", "my-auth"));
    let own = "{'_id': {'locationId': 'abcedef123456', 'isbn': 1}}";
    assert_status(&insert(&node, "books", own), 200);
    let other = "{'_id': {'locationId': 'elsewhere', 'isbn': 1}}";
    let answer = insert(
        &node,
        "books",
        &format!("{other}), ({}", own.replace("'isbn': 1", "'isbn': 2")),
    );
    assert_status(&answer, 403);
    assert!(
        answer.contains(r#""code":"not_permitted_here""#),
        "{answer}"
    );
    let rule = "may write in books only where (_id.`locationId` = 'abcedef123456')";
    assert!(answer.contains(rule), "{answer}");
    assert_eq!(node.run("SELECT COUNT(*) AS n FROM books"), r#"[{"n":1}]"#);
}

/// A place to walk from.
struct Walk(tempfile::TempDir);

impl Walk {
    fn doctor(&self, plan: &Plan) -> (Option<i32>, String) {
        self.doctor_with(&[], plan)
    }

    fn doctor_with(&self, options: &[&str], plan: &Plan) -> (Option<i32>, String) {
        let file = self.0.path().join("config.yaml");
        std::fs::write(&file, plan.yaml()).unwrap();
        let output = tombolo(&[&["doctor", "-c", file.to_str().unwrap()], options].concat());
        (output.status.code(), text(&output.stdout).to_owned())
    }

    /// It stops at this step, and says why and what to do.
    fn stops(&self, plan: &Plan, step: &str, [why, remedy]: [&str; 2]) {
        let (code, said) = self.doctor(plan);
        assert_eq!(code, Some(1), "{said}");
        let stop = said.lines().position(|line| line.starts_with("STOP"));
        let stop = stop.unwrap_or_else(|| panic!("{said}"));
        // The checklist is behind an empty line.
        let lines = said.lines().skip(stop);
        let lines: Vec<_> = lines.take_while(|line| !line.is_empty()).collect();
        assert!(lines[0].contains(step) && lines[0].contains(why), "{said}");
        assert!(lines[1].starts_with("  = help: "), "{said}");
        assert!(lines[1].contains(remedy), "{said}");
        assert_eq!(lines.len(), 2, "{said}");
    }
}

#[test]
fn the_doctor_walks_a_sound_way_to_its_end_and_makes_nothing() {
    let (_service, listener) = made_up_service();
    let walk = Walk(tempfile::tempdir().unwrap());
    let (code, said) = walk.doctor(&edge(&listener.url(), "ada", "my-auth"));
    assert_eq!(code, Some(0), "{said}");
    for step in [
        "configuration",
        "data directory",
        "clock",
        "connection",
        "challenge",
    ] {
        assert!(said.contains(&format!("ok    {step}")), "{said}");
    }
    assert!(said.contains("my-auth lets ada in"), "{said}");
    assert!(
        said.contains("reads everything, writes everything"),
        "{said}"
    );
    assert!(said.contains("\nnothing stops this node\n\n"), "{said}");
    assert!(!walk.0.path().join("data").exists());
}

#[test]
fn the_doctor_fails_for_what_production_lacks_only_if_it_is_asked_to() {
    let (_service, listener) = made_up_service();
    let walk = Walk(tempfile::tempdir().unwrap());
    let plan = edge(&listener.url(), "ada", "my-auth");
    for (options, expected) in [(&[][..], 0), (&["--production"], 1)] {
        let (code, said) = walk.doctor_with(options, &plan);
        assert_eq!(code, Some(expected), "{said}");
        let checklist = said.split_once("\n\nproduction checklist\n").unwrap().1;
        assert_eq!(checklist.lines().count(), 15 + 1, "{said}");
        assert!(checklist.contains("MISSING audit logs"), "{said}");
        assert!(checklist.contains("of 15 missing, "), "{said}");
    }
}

#[test]
fn the_doctor_says_at_which_step_a_login_stops_and_what_to_do() {
    let (service, listener) = made_up_service();
    let walk = Walk(tempfile::tempdir().unwrap());
    let at = |token: &str| edge(&listener.url(), token, "my-auth");
    let said = ["the login was refused", "compare access_token and provider"];
    walk.stops(&at("nobody"), "login", said);
    let mut unreached = at("ada");
    unreached.servers = vec!["127.0.0.1:1".to_owned()];
    let said = ["127.0.0.1:1: ", "check that this server runs"];
    walk.stops(&unreached, "server", said);
    service.meddle(|reply| reply.certificate.truncate(9));
    let said = ["no peer accepts", "log of the identity service"];
    walk.stops(&at("ada"), "certificate", said);
    service.fail_with(502, "");
    let said = ["status 502", "wait and run the doctor again"];
    walk.stops(&at("ada"), "challenge", said);
    service.fail_with(200, "<html>");
    let said = ["it is no JSON", "log of the identity service"];
    walk.stops(&at("ada"), "challenge", said);
    let gone = at("ada");
    let url = listener.url();
    drop(listener);
    let said = [url.as_str(), "check that the identity service runs"];
    walk.stops(&gone, "connection", said);
    let nowhere = edge("https://nowhere.invalid", "ada", "my-auth");
    let said = ["nowhere.invalid", "check the name"];
    walk.stops(&nowhere, "identity service", said);
}
