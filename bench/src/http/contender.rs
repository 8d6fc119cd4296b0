//! One measured server: how it is started, what it is sent, how it is checked, and how it ends.
//! A contender that is dropped is killed; nothing that a benchmark starts outlives it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::load::{Load, MARK, Numbering};
use super::postgres::Cluster;
use super::report::Phase;
use crate::error::BenchError;
use crate::machine;
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

/// What is behind the HTTP stack.
enum Kind {
    Null,
    Postgres(Cluster),
}

/// A child process that ends with its owner.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to kill.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
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
            _ => Err(BenchError::Usage("contenders are null and postgres")),
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
            Kind::Null => 0,
        };
        machine::cpu_us(self.process.0.id()) + behind
    }

    /// Checks that every acknowledged document is there.
    pub(super) async fn verify(&self) -> Result<(), BenchError> {
        let found = match &self.kind {
            Kind::Null => self.inserted,
            Kind::Postgres(cluster) => cluster.count().await?,
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

fn spawn(command: &mut Command) -> Result<Child, BenchError> {
    let program = command.get_program().to_string_lossy().into_owned();
    command
        .spawn()
        .map_err(|error| start_error(&program, &error.to_string()))
}

fn start_error(program: &str, reason: &str) -> BenchError {
    BenchError::Start {
        program: program.to_owned(),
        reason: reason.to_owned(),
    }
}
