//! Replication of many documents from one node to an empty one over loopback TLS, beside the engine's own bulk load.
//! Both nodes are processes of their own; a round counts only if both hold the same afterwards.
//! Bytes on the wire are exact where only this benchmark uses the loopback: run it under `unshare -n`.

use std::fmt::Write as _;
use std::path::Path;

use tempfile::TempDir;
use tombolo::SharedKey;

use super::bulk::{Load, Rows};
use super::payload::Payload;
use super::peer::{Growth, Peer};
use crate::error::BenchError;
use crate::machine;
use crate::rounds::{ROUNDS_MIN, Summary};

const USAGE: &str =
    "usage: tombolo-bench replicate [--documents N] [--payload regular|random] [--rounds N]";
const DOCUMENTS_DEFAULT: u64 = 100_000;

/// What the command line asks for.
struct Plan {
    documents: u64,
    payload: Payload,
    rounds: usize,
}

/// What one round yielded.
struct Round {
    seconds: f64,
    wire_bytes: u64,
    sender: Growth,
    receiver: Growth,
    engine: Load,
    documents_per_batch: f64,
}

/// Runs all rounds and returns the report.
pub(crate) fn run(arguments: &[String]) -> Result<String, BenchError> {
    let plan = Plan::parse(arguments)?;
    let machine = machine::describe();
    let key = SharedKey::generate().map_err(|error| failed(&error))?;
    let key = key.to_base64();
    let source = directory()?;
    let mut loader = Peer::node(source.path(), &key)?;
    let load = format!("load {} {}", plan.payload.name(), plan.documents);
    let json_bytes = loader.ask(&load)?;
    let json_bytes: u64 = json_bytes.parse().map_err(|error| failed(&error))?;
    loader.end()?;
    let mut rounds = Vec::new();
    for number in 0..plan.rounds {
        rounds.push(round(&plan, number, source.path(), &key)?);
    }
    Ok(render(&plan, &machine, json_bytes, &rounds))
}

fn round(plan: &Plan, number: usize, source: &Path, key: &str) -> Result<Round, BenchError> {
    let target = directory()?;
    // A node that was just opened, so that what it needed to be filled is not taken for idle.
    let mut sender = Peer::node(source, key)?;
    let mut receiver = Peer::node(target.path(), key)?;
    let address = sender.ask("sync")?;
    receiver.ask(&format!("sync {address}"))?;
    sender.ask(&format!("insert {number}"))?;
    receiver.ask(&format!("meet {number}"))?;
    let (sender_idle, receiver_idle) = (sender.begin()?, receiver.begin()?);
    let wire_before = machine::loopback_bytes();
    let us = receiver.ask(&format!("receive {}", plan.documents))?;
    let wire_bytes = machine::loopback_bytes() - wire_before;
    let (sender_used, receiver_used) = (sender.since(sender_idle), receiver.since(receiver_idle));
    let digest = format!("digest {}", plan.documents);
    let (theirs, ours) = (sender.ask(&digest)?, receiver.ask(&digest)?);
    let held = format!("{} ", plan.documents);
    if theirs != ours || !ours.starts_with(&held) {
        return Err(failed(&format!(
            "the sender holds {theirs}, the receiver {ours}"
        )));
    }
    receiver.end()?;
    sender.end()?;
    let rows = Rows::of(target.path())?;
    let us: u64 = us.parse().map_err(|error| failed(&error))?;
    Ok(Round {
        seconds: us as f64 / 1e6,
        wire_bytes,
        sender: sender_used,
        receiver: receiver_used,
        engine: rows.load(directory()?.path())?,
        documents_per_batch: rows.documents_per_batch(),
    })
}

impl Plan {
    fn parse(arguments: &[String]) -> Result<Self, BenchError> {
        let mut plan = Self {
            documents: DOCUMENTS_DEFAULT,
            payload: Payload::Regular,
            rounds: ROUNDS_MIN,
        };
        for pair in arguments.chunks(2) {
            let [name, value] = pair else {
                return Err(BenchError::Usage(USAGE));
            };
            let number = || value.parse::<u64>().map_err(|_| BenchError::Usage(USAGE));
            match name.as_str() {
                "--documents" => plan.documents = number()?.max(1),
                "--payload" => plan.payload = value.parse()?,
                "--rounds" => plan.rounds = usize::try_from(number()?).unwrap_or(1).max(1),
                _ => return Err(BenchError::Usage(USAGE)),
            }
        }
        Ok(plan)
    }
}

fn directory() -> Result<TempDir, BenchError> {
    tempfile::tempdir().map_err(|error| failed(&error))
}

fn failed(error: &dyn std::fmt::Display) -> BenchError {
    BenchError::Wrong {
        contender: "replication",
        detail: error.to_string(),
    }
}

fn render(plan: &Plan, machine: &str, json_bytes: u64, rounds: &[Round]) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "machine: {machine}; load at the end {}",
        machine::load()
    );
    let wire = if machine::loopback_is_shared() {
        "the loopback is shared: its bytes may be others'"
    } else {
        "the loopback is this benchmark's alone"
    };
    let _ = writeln!(
        text,
        "{} documents, payload {}, {:.0} bytes of JSON each; {} rounds; {wire}; median (min-max)\n",
        plan.documents,
        plan.payload.name(),
        json_bytes as f64 / plan.documents as f64,
        rounds.len()
    );
    let _ = writeln!(text, "| measure | value |\n|---|---|");
    for (name, summary, digits) in measures(plan.documents as f64, json_bytes as f64, rounds) {
        let _ = writeln!(text, "| {name} | {} |", summary.show(digits));
    }
    text
}

/// Each measure with its name and its digits behind the point.
fn measures(
    documents: f64,
    json_bytes: f64,
    rounds: &[Round],
) -> Vec<(&'static str, Summary, usize)> {
    let each = |value: &dyn Fn(&Round) -> f64| rounds.iter().map(value).collect::<Vec<_>>();
    let of = |value: &dyn Fn(&Round) -> f64| Summary::of(&each(value));
    let ours = each(&|round| documents / round.seconds);
    let engine = each(&|round| documents / round.engine.seconds);
    let micros = |seconds: f64| seconds * 1e6 / documents;
    vec![
        (
            "documents/s, from the subscription to COUNT(*) = N on B",
            Summary::of(&ours),
            0,
        ),
        (
            "documents/s, the engine's own bulk load of the same rows",
            Summary::of(&engine),
            0,
        ),
        ("of the engine's rate", Summary::of_ratio(&ours, &engine), 2),
        ("seconds", of(&|round| round.seconds), 2),
        (
            "documents in a batch and flush",
            of(&|round| round.documents_per_batch),
            0,
        ),
        (
            "processor us a document, A",
            of(&|round| micros(round.sender.cpu_seconds)),
            1,
        ),
        (
            "processor us a document, B",
            of(&|round| micros(round.receiver.cpu_seconds)),
            1,
        ),
        (
            "processor us a document, engine",
            of(&|round| micros(round.engine.cpu_seconds)),
            1,
        ),
        (
            "memory growth of A, MiB",
            of(&|round| round.sender.memory_mib),
            0,
        ),
        (
            "memory growth of B, MiB",
            of(&|round| round.receiver.memory_mib),
            0,
        ),
        (
            "bytes on the wire of the JSON",
            of(&|round| round.wire_bytes as f64 / json_bytes),
            3,
        ),
    ]
}
