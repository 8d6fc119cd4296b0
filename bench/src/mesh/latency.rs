//! How long one change takes from its commit on A to a query on B that gives it, after B's own flush; the same over
//! three hops; beside a bare TLS echo with one flush at the receiver, once and three in a row.
//! All nodes and echoes are processes of their own and take turns, so that a slow minute hits both.

use std::fmt::Write as _;

use tempfile::TempDir;
use tombolo::SharedKey;

use super::echo::Echo;
use super::payload;
use super::peer::Peer;
use crate::error::BenchError;
use crate::machine;
use crate::rounds::{ROUNDS_MIN, Summary, percentile};

const USAGE: &str = "usage: tombolo-bench latency [--changes N] [--rounds N]";
const CHANGES_DEFAULT: u64 = 200;
/// Documents that every node holds.
const DOCUMENTS: u64 = 1_000;
/// Changes before the first that counts.
const WARM_UP: u64 = 50;
/// What the bare echo sends: as much as a change of one field with its frame.
const MESSAGE_BYTES: usize = 96;

/// Nodes in a line, all with the same documents.
struct Chain {
    nodes: Vec<Peer>,
    _directories: Vec<TempDir>,
    changed: u64,
}

/// What one round of one contender yielded, in microseconds, sorted.
#[derive(Default)]
struct Samples {
    /// From the durable commit, or from the send.
    commit: Vec<u32>,
    /// From the call that asked for the change.
    call: Vec<u32>,
    wire_bytes: f64,
}

/// Runs all rounds and returns the report.
pub(crate) fn run(arguments: &[String]) -> Result<String, BenchError> {
    let (changes, rounds) = parse(arguments)?;
    let machine = machine::describe();
    let disk = directory()?;
    let mut echoes = Vec::new();
    for number in 0..3 {
        let file = disk.path().join(format!("echo-{number}"));
        echoes.push(Echo::start(&file.to_string_lossy(), MESSAGE_BYTES)?);
    }
    let (mut pair, mut line) = (Chain::start(2)?, Chain::start(4)?);
    let mut results: [Vec<Samples>; 4] = Default::default();
    pair.run(WARM_UP)?;
    line.run(WARM_UP)?;
    bare(&mut echoes, WARM_UP)?;
    for _ in 0..rounds {
        results[0].push(bare(&mut echoes[..1], changes)?);
        results[1].push(pair.run(changes)?);
        results[2].push(bare(&mut echoes, changes)?);
        results[3].push(line.run(changes)?);
    }
    Ok(render(&machine, changes, &results))
}

impl Chain {
    fn start(length: usize) -> Result<Self, BenchError> {
        let key = SharedKey::generate().map_err(|error| failed(&error))?;
        let key = key.to_base64();
        let mut chain = Self {
            nodes: Vec::new(),
            _directories: Vec::new(),
            changed: 0,
        };
        let mut server = String::new();
        for _ in 0..length {
            let directory = directory()?;
            let mut node = Peer::node(directory.path(), &key)?;
            server = node.ask(format!("sync {server}").trim_end())?;
            chain.nodes.push(node);
            chain._directories.push(directory);
        }
        chain.nodes[0].ask(&format!("load regular {DOCUMENTS}"))?;
        let watch = format!("watch {}", payload::id(DOCUMENTS / 2));
        for node in &mut chain.nodes[1..] {
            node.ask(&format!("receive {DOCUMENTS}"))?;
            node.ask(&watch)?;
        }
        Ok(chain)
    }

    /// Makes changes one after another, each once the last was seen at the other end.
    fn run(&mut self, changes: u64) -> Result<Samples, BenchError> {
        let mut samples = Samples::default();
        let before = machine::loopback_bytes();
        for _ in 0..changes {
            self.changed += 1;
            let value = format!("t{}", self.changed);
            let id = payload::id(DOCUMENTS / 2);
            let last = self.nodes.len() - 1;
            self.nodes[last].tell(&format!("await {value}"))?;
            let changed = self.nodes[0].ask(&format!("change {id} {value}"))?;
            let seen = moment(&self.nodes[last].answer()?)?;
            let (call, commit) = changed.split_once(' ').ok_or_else(|| failed(&changed))?;
            samples.call.push(between(moment(call)?, seen));
            samples.commit.push(between(moment(commit)?, seen));
        }
        Ok(samples.end(before, changes))
    }
}

/// Sends a message through every echo in turn.
fn bare(echoes: &mut [Echo], changes: u64) -> Result<Samples, BenchError> {
    let mut samples = Samples::default();
    let before = machine::loopback_bytes();
    for _ in 0..changes {
        let mut us = 0;
        for echo in &mut *echoes {
            us += echo.exchange()?;
        }
        let us = u32::try_from(us).unwrap_or(u32::MAX);
        samples.commit.push(us);
        samples.call.push(us);
    }
    Ok(samples.end(before, changes))
}

impl Samples {
    fn end(mut self, wire_before: u64, changes: u64) -> Self {
        self.commit.sort_unstable();
        self.call.sort_unstable();
        self.wire_bytes = (machine::loopback_bytes() - wire_before) as f64 / changes as f64;
        self
    }
}

fn parse(arguments: &[String]) -> Result<(u64, usize), BenchError> {
    let (mut changes, mut rounds) = (CHANGES_DEFAULT, ROUNDS_MIN);
    for pair in arguments.chunks(2) {
        let [name, value] = pair else {
            return Err(BenchError::Usage(USAGE));
        };
        let number: u64 = value.parse().map_err(|_| BenchError::Usage(USAGE))?;
        match name.as_str() {
            "--changes" => changes = number.max(1),
            "--rounds" => rounds = usize::try_from(number).unwrap_or(1).max(1),
            _ => return Err(BenchError::Usage(USAGE)),
        }
    }
    Ok((changes, rounds))
}

fn moment(text: &str) -> Result<u64, BenchError> {
    text.parse().map_err(|error| failed(&error))
}

fn between(from_us: u64, to_us: u64) -> u32 {
    u32::try_from(to_us.saturating_sub(from_us)).unwrap_or(u32::MAX)
}

fn directory() -> Result<TempDir, BenchError> {
    tempfile::tempdir().map_err(|error| failed(&error))
}

fn failed(error: &dyn std::fmt::Display) -> BenchError {
    BenchError::Wrong {
        contender: "latency",
        detail: error.to_string(),
    }
}

fn render(machine: &str, changes: u64, results: &[Vec<Samples>; 4]) -> String {
    let names = [
        "bare echo and flush",
        "one hop",
        "bare echo and flush, three in a row",
        "three hops",
    ];
    let mut text = String::new();
    let _ = writeln!(
        text,
        "machine: {machine}; load at the end {}",
        machine::load()
    );
    let _ = writeln!(
        text,
        "{} rounds in turn, {changes} changes each; median (min-max)\n",
        results[0].len()
    );
    let _ = writeln!(
        text,
        "| what | p50 us | p99 us | p50 of the bare one | p50 us from the call | wire bytes a change |\n|---|---|---|---|---|---|"
    );
    for (at, (name, samples)) in names.iter().zip(results).enumerate() {
        let each = |value: &dyn Fn(&Samples) -> f64| samples.iter().map(value).collect::<Vec<_>>();
        let median = |samples: &Samples| f64::from(percentile(&samples.commit, 0.5));
        let bare: Vec<f64> = results[at / 2 * 2].iter().map(median).collect();
        let _ = writeln!(
            text,
            "| {name} | {} | {} | {} | {} | {} |",
            Summary::of(&each(&median)).show(0),
            Summary::of(&each(&|samples| f64::from(percentile(
                &samples.commit,
                0.99
            ))))
            .show(0),
            Summary::of_ratio(&each(&median), &bare).show(2),
            Summary::of(&each(&|samples| f64::from(percentile(&samples.call, 0.5)))).show(0),
            Summary::of(&each(&|samples| samples.wire_bytes)).show(0),
        );
    }
    text
}
