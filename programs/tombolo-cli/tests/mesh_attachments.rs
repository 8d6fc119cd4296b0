//! An attachment on its way between real nodes, one of which is killed when a part of it has arrived.
//! What was checked and stored before is not sent again.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod support;

use std::fmt::Write;

use support::peer::{Peer, Plan, until};
use support::proxy::Proxy;
use tombolo::SharedKey;

const MIB: u64 = 1024 * 1024;
/// The content: whole chunks, and one that is shorter.
const LENGTH: usize = 24 * 1024 * 1024 + 77;
/// What comes through before the transfer is held: frames and TLS around the content, and the document.
const HELD_AFTER: u64 = 12 * MIB;
/// Of that, what is checked and stored at least; the rest is pieces of a chunk that is not whole.
const STORED: u64 = 10 * MIB;

/// Lines of text, no two alike.
fn content() -> String {
    let mut text = String::with_capacity(LENGTH + 64);
    let mut number = 0_u64;
    while text.len() < LENGTH {
        let mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        writeln!(text, "{number:016x} {mixed:016x}").unwrap();
        number += 1;
    }
    text.truncate(LENGTH);
    text
}

/// A counter of the node, from its metrics.
fn counter(peer: &Peer, name: &str) -> u64 {
    let page = peer.ask("GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    let name = format!("tombolo_{name} ");
    let line = page.lines().find_map(|line| line.strip_prefix(&*name));
    let value: f64 = line
        .unwrap_or_else(|| panic!("no {name} in {page}"))
        .parse()
        .unwrap();
    value as u64
}

fn given(holder: &Peer) -> u64 {
    counter(holder, "sync_attachments_given_bytes_total")
}

fn fetched(asker: &Peer) -> u64 {
    counter(asker, "sync_attachments_fetched_bytes_total")
}

fn plan(name: &'static str, key: &SharedKey) -> Plan {
    let mut plan = Plan::new(name, key);
    plan.auth += "\n  auto_fetch_attachments: true";
    plan.sections += "metrics: { public: true }\n";
    plan
}

/// Uploads the content and refers to it; gives its id.
fn attach(holder: &Peer, content: &str) -> String {
    let length = content.len();
    let answer = holder.ask(&format!(
        "POST /attachments/upload HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: text/plain\r\n\
         content-length: {length}\r\n\r\n{content}"
    ));
    let (_, id) = answer.split_once("{\"id\":\"").unwrap();
    let (id, _) = id.split_once('"').unwrap();
    holder.run(&format!(
        "INSERT INTO COLLECTION cars (file ATTACHMENT) DOCUMENTS \
         ({{'_id': 'a', 'file': {{'id': '{id}', 'len': {length}, 'metadata': {{}}}}}})"
    ));
    id.to_owned()
}

fn download(peer: &Peer, id: &str) -> String {
    peer.ask(&format!(
        "GET /attachments/{id} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
    ))
}

fn wait_for_content(peer: &Peer, id: &str, content: &str) {
    until(
        || download(peer, id).starts_with("HTTP/1.1 200"),
        || format!("the attachment:\n{}", peer.log()),
    );
    let answer = download(peer, id);
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(body == content, "other content of {} bytes", body.len());
}

/// A holder, an asker that has a part of its attachment, and what still holds the rest.
fn half_way(content: &str) -> (Peer, Peer, Proxy, String) {
    let key = SharedKey::generate().unwrap();
    let holder = Peer::start(plan("holder", &key));
    let id = attach(&holder, content);
    let proxy = Proxy::start(&holder.address, HELD_AFTER);
    let mut asking = plan("asker", &key);
    asking.servers = vec![proxy.address.clone()];
    let asker = Peer::start(asking);
    until(
        || fetched(&asker) >= STORED,
        || format!("a part of it:\n{}", asker.log()),
    );
    assert!(fetched(&asker) < content.len() as u64);
    (holder, asker, proxy, id)
}

#[test]
fn an_asker_that_is_killed_is_sent_only_what_it_lacks() {
    let content = content();
    let (holder, asker, proxy, id) = half_way(&content);
    let stored = fetched(&asker);
    let (home, plan) = asker.kill();
    // Nothing is given any more once the holder has seen the end of the link.
    until(|| counter(&holder, "sync_links") == 0, || holder.log());
    let before = given(&holder);
    proxy.open();
    let asker = Peer::start_in(home, plan);
    wait_for_content(&asker, &id, &content);
    let again = fetched(&asker);
    assert!(
        again <= content.len() as u64 - stored,
        "{stored} bytes were stored, and then {again}"
    );
    assert_eq!(given(&holder) - before, again);
}

#[test]
fn a_holder_that_is_killed_goes_on_with_what_the_asker_lacks() {
    let content = content();
    let (holder, asker, proxy, id) = half_way(&content);
    let stored = fetched(&asker);
    let (home, plan) = holder.kill();
    let holder = Peer::start_in(home, plan);
    proxy.open();
    wait_for_content(&asker, &id, &content);
    // Every chunk was stored once, in one life of the asker.
    assert_eq!(fetched(&asker), content.len() as u64);
    let again = given(&holder);
    assert!(
        again <= content.len() as u64 - stored,
        "{stored} bytes were stored, and then {again} given"
    );
}
