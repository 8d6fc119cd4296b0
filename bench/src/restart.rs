//! How long a node takes from SIGKILL to its first right answer, with many documents in it.
//! The node is killed while it writes, so that there is a journal to read back.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::error::BenchError;
use crate::machine::{self, Stopwatch};
use crate::node::{Node, start_error};
use crate::order::order;
use crate::rounds::Summary;

const DOCUMENTS: u64 = 100_000;
const DOCUMENTS_AT_ONCE: u64 = 1000;
const ROUNDS: usize = 5;

/// Runs all rounds and returns the report.
pub(crate) fn run() -> Result<String, BenchError> {
    let machine = machine::describe();
    let directory =
        tempfile::tempdir().map_err(|error| start_error("tombolo", &error.to_string()))?;
    let mut node = Node::start(directory.path())?;
    for first in (0..DOCUMENTS).step_by(DOCUMENTS_AT_ONCE as usize) {
        let documents: Vec<Value> = (first..first + DOCUMENTS_AT_ONCE).map(order).collect();
        execute(
            &node.address,
            &json!({"statement": "INSERT INTO orders DOCUMENTS (:d)", "args": {"d": documents}}),
        )?;
    }
    let mut seconds = Vec::new();
    for round in 0..ROUNDS {
        // Half of the documents once more, so that the last journal is never empty.
        let update = format!(
            "UPDATE orders SET round = {round} WHERE till % 2 = 0 OR total >= 0 LIMIT 50000"
        );
        execute(&node.address, &json!({"statement": update}))?;
        drop(node);
        let watch = Stopwatch::start();
        node = Node::start(directory.path())?;
        let answer = execute(
            &node.address,
            &json!({"statement": "SELECT COUNT(*) AS count FROM orders"}),
        )?;
        seconds.push(watch.elapsed().as_secs_f64());
        if answer["items"][0]["count"].as_u64() != Some(DOCUMENTS) {
            return Err(wrong(&answer));
        }
    }
    let mut text = String::new();
    let _ = writeln!(
        text,
        "machine: {machine}; load at the end {}",
        machine::load()
    );
    let _ = writeln!(
        text,
        "{DOCUMENTS} documents of 418 bytes, {ROUNDS} rounds; from the start of the program after SIGKILL to the right answer of COUNT(*), s: {}",
        Summary::of(&seconds).show(3)
    );
    Ok(text)
}

/// One statement over a connection of its own.
fn execute(address: &str, question: &Value) -> Result<Value, BenchError> {
    let connection = |source| BenchError::Connection {
        contender: "tombolo",
        source,
    };
    let body = question.to_string();
    let head = format!(
        "POST /execute HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(address).map_err(connection)?;
    stream.write_all(head.as_bytes()).map_err(connection)?;
    stream.write_all(body.as_bytes()).map_err(connection)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(connection)?;
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let answer: Value = serde_json::from_str(body).unwrap_or_default();
    let failed = answer["error"]
        .as_object()
        .is_none_or(|error| !error.is_empty());
    if failed {
        Err(wrong(&answer))
    } else {
        Ok(answer)
    }
}

fn wrong(answer: &Value) -> BenchError {
    BenchError::Wrong {
        contender: "tombolo",
        detail: answer.to_string(),
    }
}
