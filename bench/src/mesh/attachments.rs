//! An attachment from one node to another, beside a plain TLS copy of as many bytes; how long one change of a document
//! takes meanwhile, beside the same without an attachment; and what both nodes hold in memory for it.
//! Nodes and copies are processes of their own and take turns.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use tempfile::TempDir;
use tombolo::SharedKey;

use super::copy::copy;
use super::payload;
use super::peer::Peer;
use crate::error::BenchError;
use crate::machine;
use crate::rounds::{Summary, percentile};

const USAGE: &str = "usage: tombolo-bench attachments-sync [--mib N] [--rounds N]";
const MIB_DEFAULT: u64 = 1_024;
const ROUNDS_DEFAULT: usize = 3;
/// Documents that both nodes hold.
const DOCUMENTS: u64 = 1_000;
/// Changes whose latency is measured before the attachment comes.
const QUIET_CHANGES: u64 = 200;

/// What one round yielded.
struct Round {
    copy_seconds: f64,
    fetch_seconds: f64,
    /// Microseconds of each change from its durable commit to a query at the other node, sorted.
    quiet: Vec<u32>,
    busy: Vec<u32>,
    holder_mib: f64,
    asker_mib: f64,
    cpu_seconds: f64,
}

/// Runs all rounds and returns the report.
pub(crate) fn run(arguments: &[String]) -> Result<String, BenchError> {
    let (mib, rounds) = parse(arguments)?;
    let machine = machine::describe();
    let disk = directory()?;
    let source = disk.path().join("source");
    fill(&source, mib)?;
    let mut pair = Pair::start()?;
    let mut results = Vec::new();
    for round in 0..rounds {
        let target = disk.path().join("target");
        let copy_seconds = copy(&source, &target)?;
        results.push(pair.fetch(round, mib, copy_seconds)?);
    }
    Ok(render(&machine, mib, &results))
}

/// Two nodes with the same documents.
struct Pair {
    holder: Peer,
    asker: Peer,
    _directories: [TempDir; 2],
    changed: u64,
}

impl Pair {
    fn start() -> Result<Self, BenchError> {
        let key = SharedKey::generate()
            .map_err(|error| failed(&error))?
            .to_base64();
        let directories = [directory()?, directory()?];
        let mut holder = Peer::node(directories[0].path(), &key)?;
        let mut asker = Peer::node(directories[1].path(), &key)?;
        let server = holder.ask("sync")?;
        asker.ask(&format!("sync {server}"))?;
        holder.ask(&format!("load regular {DOCUMENTS}"))?;
        asker.ask(&format!("receive {DOCUMENTS}"))?;
        asker.ask(&format!("watch {}", payload::id(DOCUMENTS / 2)))?;
        Ok(Self {
            holder,
            asker,
            _directories: directories,
            changed: 0,
        })
    }

    fn fetch(&mut self, round: usize, mib: u64, copy_seconds: f64) -> Result<Round, BenchError> {
        let name = format!("attached-{round}");
        let seed = (round as u64 + 1) << 32;
        self.holder.ask(&format!("attach {name} {mib} {seed}"))?;
        let mut quiet = Vec::new();
        for _ in 0..QUIET_CHANGES {
            quiet.push(self.change()?);
        }
        let before = [self.holder.begin()?, self.asker.begin()?];
        self.asker.ask(&format!("fetch {name}"))?;
        let mut busy = Vec::new();
        while self.asker.ask("fetching")? == "1" {
            busy.push(self.change()?);
        }
        let fetch_seconds = self.asker.ask("fetched")?;
        let fetch_us: f64 = fetch_seconds.parse().map_err(|error| failed(&error))?;
        let growth = [self.holder.since(before[0]), self.asker.since(before[1])];
        quiet.sort_unstable();
        busy.sort_unstable();
        Ok(Round {
            copy_seconds,
            fetch_seconds: fetch_us / 1e6,
            quiet,
            busy,
            holder_mib: growth[0].memory_mib,
            asker_mib: growth[1].memory_mib,
            cpu_seconds: growth[0].cpu_seconds + growth[1].cpu_seconds,
        })
    }

    /// One change, and how long it took to a query at the other node.
    fn change(&mut self) -> Result<u32, BenchError> {
        self.changed += 1;
        let value = format!("t{}", self.changed);
        let id = payload::id(DOCUMENTS / 2);
        self.asker.tell(&format!("await {value}"))?;
        let changed = self.holder.ask(&format!("change {id} {value}"))?;
        let seen: u64 = self
            .asker
            .answer()?
            .parse()
            .map_err(|error| failed(&error))?;
        let (_, commit) = changed.split_once(' ').ok_or_else(|| failed(&changed))?;
        let commit: u64 = commit.parse().map_err(|error| failed(&error))?;
        Ok(u32::try_from(seen.saturating_sub(commit)).unwrap_or(u32::MAX))
    }
}

/// Writes so many MiB that no two chunks of are equal.
fn fill(path: &Path, mib: u64) -> Result<(), BenchError> {
    let mut file = std::fs::File::create(path).map_err(|error| failed(&error))?;
    for number in 0..mib {
        let chunk = payload::noise(number);
        file.write_all(&chunk).map_err(|error| failed(&error))?;
    }
    file.sync_data().map_err(|error| failed(&error))
}

fn parse(arguments: &[String]) -> Result<(u64, usize), BenchError> {
    let (mut mib, mut rounds) = (MIB_DEFAULT, ROUNDS_DEFAULT);
    for pair in arguments.chunks(2) {
        let [name, value] = pair else {
            return Err(BenchError::Usage(USAGE));
        };
        let number: u64 = value.parse().map_err(|_| BenchError::Usage(USAGE))?;
        match name.as_str() {
            "--mib" => mib = number.max(1),
            "--rounds" => rounds = usize::try_from(number).unwrap_or(1).max(1),
            _ => return Err(BenchError::Usage(USAGE)),
        }
    }
    Ok((mib, rounds))
}

fn directory() -> Result<TempDir, BenchError> {
    tempfile::tempdir().map_err(|error| failed(&error))
}

fn failed(error: &dyn std::fmt::Display) -> BenchError {
    BenchError::Wrong {
        contender: "attachments-sync",
        detail: error.to_string(),
    }
}

fn render(machine: &str, mib: u64, rounds: &[Round]) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "machine: {machine}; load at the end {}",
        machine::load()
    );
    let _ = writeln!(
        text,
        "{} rounds in turn, {mib} MiB each; median (min-max)\n",
        rounds.len()
    );
    let _ = writeln!(text, "| what | value |\n|---|---|");
    for (name, measure) in MEASURES {
        let values: Vec<f64> = rounds.iter().map(|round| measure(round, mib)).collect();
        let _ = writeln!(text, "| {name} | {} |", Summary::of(&values).show(2));
    }
    text
}

/// What is told of each round, and how it follows from it.
type Measure = (&'static str, fn(&Round, u64) -> f64);

const MEASURES: [Measure; 11] = [
    ("plain TLS copy, MiB/s", |round, mib| {
        mib as f64 / round.copy_seconds
    }),
    ("attachment, MiB/s", |round, mib| {
        mib as f64 / round.fetch_seconds
    }),
    ("attachment of the copy", |round, _| {
        round.copy_seconds / round.fetch_seconds
    }),
    ("processor seconds of both nodes", |round, _| {
        round.cpu_seconds
    }),
    ("a change without, p50 ms", |round, _| ms(&round.quiet, 0.5)),
    ("a change without, p99 ms", |round, _| {
        ms(&round.quiet, 0.99)
    }),
    ("a change meanwhile, p50 ms", |round, _| {
        ms(&round.busy, 0.5)
    }),
    ("a change meanwhile, p99 ms", |round, _| {
        ms(&round.busy, 0.99)
    }),
    ("changes meanwhile", |round, _| round.busy.len() as f64),
    ("memory grown at the holder, MiB", |round, _| {
        round.holder_mib
    }),
    ("memory grown at the asker, MiB", |round, _| round.asker_mib),
];

fn ms(sorted: &[u32], share: f64) -> f64 {
    f64::from(percentile(sorted, share)) / 1e3
}
