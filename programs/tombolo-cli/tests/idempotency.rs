//! Clients that lose an answer because the node is killed, and send the request again under its key.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod support;

use std::io::Write;
use std::net::TcpStream;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use support::{Node, assert_status, plain};

const KILLS: usize = 8;
const WRITERS: usize = 4;
/// The kill comes when so many more requests were answered.
const ANSWERED_BETWEEN_KILLS: usize = 40;

/// Inserts a document under an id of its own each time that it runs.
fn request(key: &str, collection: &str) -> String {
    let body =
        format!(r#"{{"statement":"INSERT INTO {collection} DOCUMENTS ({{'key': '{key}'}})"}}"#);
    let length = body.len();
    format!(
        "POST /execute HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n\
         idempotency-key: {key}\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

fn count(node: &Node, collection: &str) -> usize {
    let body = format!(r#"{{"statement":"SELECT COUNT(*) AS c FROM {collection}"}}"#);
    let length = body.len();
    let answer = node.send(&format!(
        "POST /execute HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    ));
    assert_status(&answer, 200);
    let (_, rest) = answer.split_once(r#""c":"#).unwrap();
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

fn kill(mut node: Node) -> tempfile::TempDir {
    node.child.kill().unwrap();
    node.child.wait().unwrap();
    node.take_directory()
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").unwrap().1
}

#[test]
fn an_answer_outlives_the_process_that_gave_it() {
    let node = Node::start(&plain(""));
    let first = node.send(&request("k", "orders"));
    assert_status(&first, 200);
    let node = Node::start_in(kill(node), &plain(""));
    let again = node.send(&request("k", "orders"));
    assert!(again.contains("idempotency-replayed: true\r\n"), "{again}");
    assert_eq!(body(&again), body(&first));
    let node = Node::start_in(node.stop(), &plain(""));
    assert_eq!(body(&node.send(&request("k", "orders"))), body(&first));
    assert_eq!(count(&node, "orders"), 1);
}

#[test]
fn an_answer_that_the_kill_took_is_given_to_who_asks_again() {
    let node = Node::start(&plain(""));
    let mut lost = node.connect();
    lost.write_all(request("k", "orders").as_bytes()).unwrap();
    // It is on the disk once others see it, and its answer is never read.
    while count(&node, "orders") == 0 {}
    let node = Node::start_in(kill(node), &plain(""));
    drop(lost);
    let again = node.send(&request("k", "orders"));
    assert_status(&again, 200);
    assert!(again.contains("idempotency-replayed: true\r\n"), "{again}");
    assert!(again.contains(r#""queryType":"mutation""#), "{again}");
    assert_eq!(count(&node, "orders"), 1);
}

/// Sends requests until the node dies; gives how many were answered, and which was not.
fn write(address: &str, writer: usize, from: usize, told: &SyncSender<()>) -> usize {
    for number in from.. {
        let answer = try_send(address, &request(&format!("w{writer}-{number}"), "orders"));
        let Some(answer) = answer else {
            return number;
        };
        assert_status(&answer, 200);
        // Nobody counts any more once the kill is on its way.
        let _ = told.send(());
    }
    unreachable!("there is no end of numbers")
}

/// `None` if the node died before it answered.
fn try_send(address: &str, request: &str) -> Option<String> {
    use std::io::Read;
    let mut stream = TcpStream::connect(address).ok()?;
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.ends_with('}').then_some(answer)
}

#[test]
fn clients_that_repeat_what_was_not_answered_write_everything_once() {
    let mut directory = tempfile::tempdir().unwrap();
    let mut next = [0; WRITERS];
    for _ in 0..KILLS {
        let mut node = Node::start_in(directory, &plain(""));
        let address = node.address.clone();
        let (told, tellings) = sync_channel(WRITERS);
        next = thread::scope(|scope| {
            let writers: Vec<_> = next
                .into_iter()
                .enumerate()
                .map(|(writer, from)| {
                    let (address, told) = (&address, told.clone());
                    scope.spawn(move || write(address, writer, from, &told))
                })
                .collect();
            for _ in 0..ANSWERED_BETWEEN_KILLS {
                tellings.recv().unwrap();
            }
            node.child.kill().unwrap();
            node.child.wait().unwrap();
            drop(tellings);
            let mut ended = writers.into_iter().map(|writer| writer.join().unwrap());
            std::array::from_fn(|_| ended.next().unwrap())
        });
        directory = node.take_directory();
    }
    let node = Node::start_in(directory, &plain(""));
    for (writer, number) in next.iter().enumerate() {
        let last = node.send(&request(&format!("w{writer}-{number}"), "orders"));
        assert_status(&last, 200);
    }
    let expected: usize = next.iter().map(|number| number + 1).sum();
    assert_eq!(count(&node, "orders"), expected);
    assert!(expected >= KILLS * ANSWERED_BETWEEN_KILLS, "{expected}");
}
