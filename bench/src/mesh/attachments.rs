//! An attachment from one node to another, beside a plain TLS copy of as many bytes: first alone, then while
//! documents are changed as fast as each change arrives; and what both nodes hold in memory for it.
//! Nodes and copies are processes of their own and take turns.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use tempfile::TempDir;
use tombolo::SharedKey;

use super::copy::{Copied, copy};
use super::payload;
use super::peer::{Growth, Peer};
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
    copy: Copied,
    alone: Fetched,
    meanwhile: Fetched,
    /// Microseconds of each change from its durable commit to a query at the other node, sorted.
    quiet: Vec<u32>,
}

/// What one fetch took and cost.
struct Fetched {
    seconds: f64,
    /// Of the changes that were made meanwhile; microseconds, sorted.
    changes: Vec<u32>,
    holder: Growth,
    asker: Growth,
}

impl Fetched {
    fn cpu_seconds(&self) -> f64 {
        self.holder.cpu_seconds + self.asker.cpu_seconds
    }
}

/// Runs all rounds and returns the report.
pub(crate) fn run(arguments: &[String]) -> Result<String, BenchError> {
    let (mib, rounds) = sizes(arguments, USAGE)?;
    let machine = machine::describe();
    let disk = directory()?;
    let source = disk.path().join("source");
    fill(&source, mib)?;
    let mut pair = Pair::start()?;
    let mut results = Vec::new();
    for round in 0..rounds {
        let target = disk.path().join("target");
        let copied = copy(&source, &target)?;
        results.push(pair.round(round, mib, copied)?);
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

    fn round(&mut self, round: usize, mib: u64, copy: Copied) -> Result<Round, BenchError> {
        let alone = self.fetch(2 * round as u64, mib, false)?;
        let mut quiet = Vec::new();
        for _ in 0..QUIET_CHANGES {
            quiet.push(self.change()?);
        }
        quiet.sort_unstable();
        Ok(Round {
            copy,
            alone,
            meanwhile: self.fetch(2 * round as u64 + 1, mib, true)?,
            quiet,
        })
    }

    /// Fetches content that neither node has seen.
    fn fetch(&mut self, number: u64, mib: u64, with_changes: bool) -> Result<Fetched, BenchError> {
        let (name, seed) = (format!("attached-{number}"), (number + 1) << 32);
        self.holder.ask(&format!("attach {name} {mib} {seed}"))?;
        let before = [self.holder.begin()?, self.asker.begin()?];
        self.asker.ask(&format!("fetch {name}"))?;
        let mut changes = Vec::new();
        while with_changes && self.asker.ask("fetching")? == "1" {
            changes.push(self.change()?);
        }
        let fetch_us = self.asker.ask("fetched")?;
        let fetch_us: f64 = fetch_us.parse().map_err(|error| failed(&error))?;
        changes.sort_unstable();
        Ok(Fetched {
            seconds: fetch_us / 1e6,
            changes,
            holder: self.holder.since(before[0]),
            asker: self.asker.since(before[1]),
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
pub(crate) fn fill(path: &Path, mib: u64) -> Result<(), BenchError> {
    let mut file = std::fs::File::create(path).map_err(|error| failed(&error))?;
    for number in 0..mib {
        let chunk = payload::noise(number);
        file.write_all(&chunk).map_err(|error| failed(&error))?;
    }
    file.sync_data().map_err(|error| failed(&error))
}

/// How many MiB and rounds a command line asks for.
pub(crate) fn sizes(arguments: &[String], usage: &'static str) -> Result<(u64, usize), BenchError> {
    let (mut mib, mut rounds) = (MIB_DEFAULT, ROUNDS_DEFAULT);
    for pair in arguments.chunks(2) {
        let [name, value] = pair else {
            return Err(BenchError::Usage(usage));
        };
        let number: u64 = value.parse().map_err(|_| BenchError::Usage(usage))?;
        match name.as_str() {
            "--mib" => mib = number.max(1),
            "--rounds" => rounds = usize::try_from(number).unwrap_or(1).max(1),
            _ => return Err(BenchError::Usage(usage)),
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

const MEASURES: [Measure; 17] = [
    ("plain TLS copy, MiB/s", |round, mib| {
        mib as f64 / round.copy.seconds
    }),
    ("attachment alone, MiB/s", |round, mib| {
        mib as f64 / round.alone.seconds
    }),
    ("attachment alone, of the copy", |round, _| {
        round.copy.seconds / round.alone.seconds
    }),
    ("attachment while documents change, MiB/s", |round, mib| {
        mib as f64 / round.meanwhile.seconds
    }),
    (
        "attachment while documents change, of the copy",
        |round, _| round.copy.seconds / round.meanwhile.seconds,
    ),
    ("processor seconds of the copy", |round, _| {
        round.copy.cpu_seconds
    }),
    ("processor seconds of the holder, alone", |round, _| {
        round.alone.holder.cpu_seconds
    }),
    ("processor seconds of the asker, alone", |round, _| {
        round.alone.asker.cpu_seconds
    }),
    ("processor seconds of both, with changes", |round, _| {
        round.meanwhile.cpu_seconds()
    }),
    ("a change without, p50 ms", |round, _| ms(&round.quiet, 0.5)),
    ("a change without, p99 ms", |round, _| {
        ms(&round.quiet, 0.99)
    }),
    ("a change meanwhile, p50 ms", |round, _| {
        ms(&round.meanwhile.changes, 0.5)
    }),
    ("a change meanwhile, p99 ms", |round, _| {
        ms(&round.meanwhile.changes, 0.99)
    }),
    ("the slowest change meanwhile, ms", |round, _| {
        ms(&round.meanwhile.changes, 1.0)
    }),
    ("changes meanwhile", |round, _| {
        round.meanwhile.changes.len() as f64
    }),
    ("memory grown at the holder, MiB", |round, _| {
        let grown = [&round.alone, &round.meanwhile].map(|fetched| fetched.holder.memory_mib);
        grown[0].max(grown[1])
    }),
    ("memory grown at the asker, MiB", |round, _| {
        let grown = [&round.alone, &round.meanwhile].map(|fetched| fetched.asker.memory_mib);
        grown[0].max(grown[1])
    }),
];

fn ms(sorted: &[u32], share: f64) -> f64 {
    f64::from(percentile(sorted, share)) / 1e3
}
