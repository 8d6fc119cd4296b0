//! One measured server: how it is started, what it is sent, how it is checked, and how it ends.
//! A contender that is dropped is killed; nothing that a benchmark starts outlives it.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::load::{self, Load, MARK, Numbering};
use super::postgres::Cluster;
use super::report::Phase;
use crate::error::BenchError;
use crate::machine;
use crate::node::{Node, Process, spawn, start_error};
use crate::order::order;

/// A running contender.
pub(super) struct Contender {
    /// The name in tables and errors.
    pub(super) name: &'static str,
    address: String,
    kind: Kind,
    process: Process,
    inserted: u64,
}

/// What is behind the HTTP stack, and with it whatever must live as long as the server.
enum Kind {
    Null,
    Postgres(Cluster),
    Tombolo { _directory: TempDir },
}

impl Contender {
    /// Starts the contender of that name.
    pub(super) fn start(name: &str) -> Result<Self, BenchError> {
        match name {
            "null" => Self::start_thin("null", &["serve", "null"], Kind::Null),
            "postgres" => {
                let cluster = Cluster::start()?;
                let connection = cluster.connection();
                Self::start_thin(
                    "postgres",
                    &["serve", "postgres", &connection],
                    Kind::Postgres(cluster),
                )
            }
            "tombolo" => Self::start_tombolo(),
            _ => Err(BenchError::Usage(
                "contenders are null, postgres and tombolo",
            )),
        }
    }

    fn start_thin(name: &'static str, arguments: &[&str], kind: Kind) -> Result<Self, BenchError> {
        let program =
            std::env::current_exe().map_err(|error| start_error(name, &error.to_string()))?;
        let mut child = spawn(Command::new(program).args(arguments).stdout(Stdio::piped()))?;
        let output = child.stdout.take().map(BufReader::new);
        let process = Process(child);
        let line = output
            .and_then(|reader| reader.lines().next())
            .and_then(Result::ok);
        let address = line.ok_or_else(|| start_error(name, "it ended before it listened"))?;
        Ok(Self {
            name,
            address,
            kind,
            process,
            inserted: 0,
        })
    }

    /// Starts a node with a directory of its own and the documented defaults.
    fn start_tombolo() -> Result<Self, BenchError> {
        let failed = |error: std::io::Error| start_error("tombolo", &error.to_string());
        let directory = tempfile::tempdir().map_err(failed)?;
        let node = Node::start(directory.path())?;
        let kind = Kind::Tombolo {
            _directory: directory,
        };
        Ok(Self {
            name: "tombolo",
            address: node.address,
            kind,
            process: node.process,
            inserted: 0,
        })
    }

    /// Inserts new documents for `duration`.
    pub(super) async fn insert(&mut self, duration: Duration) -> Result<Phase, BenchError> {
        let document = order(0).to_string().replace("00000000", MARK);
        let (target, body) = match self.kind {
            Kind::Postgres(_) => ("POST /documents/order-@NUMBER@", document),
            _ => (
                "POST /execute",
                format!(
                    r#"{{"statement":"INSERT INTO orders DOCUMENTS (:order)","args":{{"order":{document}}}}}"#
                ),
            ),
        };
        let load = Load {
            contender: self.name,
            address: self.address.clone(),
            target,
            body,
            numbering: Numbering::From(self.inserted),
            expected: String::new(),
        };
        let (phase, answers) = self.measure(load, duration).await?;
        self.inserted += answers;
        Ok(phase)
    }

    /// Reads single documents for `duration`.
    pub(super) async fn read(&self, duration: Duration) -> Result<Phase, BenchError> {
        let (target, body) = match self.kind {
            Kind::Postgres(_) => ("GET /documents/order-@NUMBER@", String::new()),
            _ => (
                "POST /execute",
                format!(
                    r#"{{"statement":"SELECT * FROM orders WHERE _id = :id","args":{{"id":"order-{MARK}"}}}}"#
                ),
            ),
        };
        let expected = if matches!(self.kind, Kind::Null) {
            String::new()
        } else {
            format!("c{MARK}@example.com")
        };
        let numbering = Numbering::Below(self.inserted);
        let load = Load {
            contender: self.name,
            address: self.address.clone(),
            target,
            body,
            numbering,
            expected,
        };
        Ok(self.measure(load, duration).await?.0)
    }

    async fn measure(&self, load: Load, duration: Duration) -> Result<(Phase, u64), BenchError> {
        let cpu_before = self.cpu_us();
        let outcome = load.run(duration).await?;
        Ok((
            Phase::of(&outcome, self.cpu_us() - cpu_before),
            outcome.answers,
        ))
    }

    /// Processor time of everything that works for this contender.
    fn cpu_us(&self) -> u64 {
        let behind = match &self.kind {
            Kind::Postgres(cluster) => machine::cpu_us(cluster.process_id()),
            Kind::Null | Kind::Tombolo { .. } => 0,
        };
        machine::cpu_us(self.process.0.id()) + behind
    }

    async fn count_tombolo(&self) -> Result<u64, BenchError> {
        let body = r#"{"statement":"SELECT COUNT(*) AS count FROM orders"}"#;
        let answer = load::ask(self.name, &self.address, "POST /execute", body).await?;
        let detail = || String::from_utf8_lossy(&answer).into_owned();
        count_in(&answer).ok_or_else(|| BenchError::Wrong {
            contender: self.name,
            detail: detail(),
        })
    }

    /// Checks that every acknowledged document is there.
    pub(super) async fn verify(&self) -> Result<(), BenchError> {
        let found = match &self.kind {
            Kind::Null => self.inserted,
            Kind::Postgres(cluster) => cluster.count().await?,
            Kind::Tombolo { .. } => self.count_tombolo().await?,
        };
        let detail = format!("{} documents acknowledged, {found} found", self.inserted);
        if found == self.inserted {
            Ok(())
        } else {
            Err(BenchError::Wrong {
                contender: self.name,
                detail,
            })
        }
    }
}

fn count_in(answer: &[u8]) -> Option<u64> {
    let answer: Value = serde_json::from_slice(answer).ok()?;
    answer["items"][0]["count"].as_u64()
}
