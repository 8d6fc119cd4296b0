//! A hundred times: writers load the real program, SIGKILL takes it at a random
//! moment, and the next start finds every write that was acknowledged, whole.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod support;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use support::{Node, plain};
use tombolo::{Value, json};

const KILLS: u64 = 100;
const WRITERS: u64 = 8;
/// The kill comes when so many writes of the round were acknowledged, or some
/// more: the number comes from a fixed sequence.
const ACKNOWLEDGED_MAX: u64 = 120;
const SEED: u64 = 0x5EED_0F10_55ED_DA7A;

/// A client that keeps its connection.
struct Client {
    reader: BufReader<TcpStream>,
}

impl Client {
    fn connect(address: &str) -> Self {
        Self {
            reader: BufReader::new(TcpStream::connect(address).unwrap()),
        }
    }

    /// The answer's body; `None` if the node died before it answered.
    fn execute(&mut self, body: &str) -> Option<String> {
        let length = body.len();
        let request = format!(
            "POST /execute HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        self.reader.get_mut().write_all(request.as_bytes()).ok()?;
        let mut length = 0;
        loop {
            let mut line = String::new();
            if self.reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.trim().parse().unwrap();
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        self.reader.read_exact(&mut body).ok()?;
        Some(String::from_utf8(body).unwrap())
    }
}

/// What the writers were told, by document: the highest acknowledged count.
type Acknowledged = BTreeMap<String, i64>;

/// One writer: inserts a document, then counts it up, over and over. Every
/// write sets two fields to the same number, so that a torn one would show.
fn write(mut client: Client, writer: u64, round: u64, told: &SyncSender<()>) -> Acknowledged {
    let mut acknowledged = Acknowledged::new();
    for step in 0_i64.. {
        let id = format!("w{writer}-r{round}-{}", step / 4);
        let count = step % 4;
        // A new document and a changed one take different ways to the disk.
        let policy = if count == 0 {
            ""
        } else {
            " ON ID CONFLICT DO UPDATE"
        };
        let body = format!(
            r#"{{"statement":"INSERT INTO log DOCUMENTS (:d){policy}","args":{{"d":{{"_id":"{id}","a":{count},"b":{{"again":{count}}}}}}}}}"#
        );
        let Some(answer) = client.execute(&body) else {
            return acknowledged;
        };
        assert!(
            answer.contains(&format!("\"mutatedDocumentIds\":[\"{id}\"]")),
            "{answer}"
        );
        acknowledged.insert(id, count);
        // Nobody counts any more once the kill is on its way.
        let _ = told.send(());
    }
    acknowledged
}

/// Every document of the node: its count, after checking that it is whole.
fn read(address: &str) -> Acknowledged {
    let answer = Client::connect(address)
        .execute(r#"{"statement":"SELECT * FROM log"}"#)
        .unwrap();
    let answer = json::parse(answer.as_bytes()).unwrap();
    let Some(Value::Array(items)) = answer.as_object().unwrap().get("items") else {
        panic!("no items")
    };
    items
        .iter()
        .map(|item| {
            let item = item.as_object().unwrap();
            let (Value::String(id), Value::Int(count)) = (&item["_id"], &item["a"]) else {
                panic!("not a whole document: {item:?}")
            };
            assert_eq!(
                item["b"].as_object().unwrap()["again"],
                item["a"],
                "{id} is torn"
            );
            (id.clone(), *count)
        })
        .collect()
}

fn load_and_kill(node: &mut Node, round: u64, kill_after: u64) -> Acknowledged {
    let (told, tellings) = sync_channel(WRITERS as usize);
    let address = node.address.clone();
    thread::scope(|scope| {
        let start = |writer| {
            // Here, so that no writer comes when the node is already killed.
            let (client, told) = (Client::connect(&address), told.clone());
            scope.spawn(move || write(client, writer, round, &told))
        };
        let writers: Vec<_> = (0..WRITERS).map(start).collect();
        for _ in 0..kill_after {
            tellings.recv().unwrap();
        }
        node.child.kill().unwrap();
        node.child.wait().unwrap();
        drop(tellings);
        let told = writers.into_iter().map(|writer| writer.join().unwrap());
        told.flatten().collect()
    })
}

#[test]
fn nothing_acknowledged_is_lost_in_a_hundred_kills() {
    let mut directory = tempfile::tempdir().unwrap();
    let mut acknowledged = Acknowledged::new();
    let mut random = SEED;
    for round in 0..KILLS {
        let mut node = Node::start_in(directory, &plain(""));
        let found = read(&node.address);
        for (id, count) in &acknowledged {
            let stored = found
                .get(id)
                .unwrap_or_else(|| panic!("{id} was lost before round {round}"));
            // One more write may have been durable and not yet told.
            assert!(
                (*count..=count + 1).contains(stored),
                "{id}: {count} became {stored}"
            );
        }
        let untold = found.len() - acknowledged.len();
        assert!(
            untold as u64 <= WRITERS * (round + 1),
            "{untold} documents from nowhere"
        );
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let kill_after = 1 + (random >> 33) % ACKNOWLEDGED_MAX;
        acknowledged.extend(load_and_kill(&mut node, round, kill_after));
        directory = node.take_directory();
    }
}
