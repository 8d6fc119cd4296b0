//! The parent's side of a node that runs as a child process: commands, memory and processor time.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Command, Stdio};

use crate::error::BenchError;
use crate::machine;
use crate::node::{Process, spawn, start_error};

/// A child that answers each line with a line.
pub(crate) struct Peer {
    // Declared before the process, so that the input ends first.
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    process: Process,
}

/// What a child held and used at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    rss_kib: u64,
    peak_kib: u64,
    cpu_us: u64,
}

/// What a child used between two moments.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Growth {
    pub(crate) memory_mib: f64,
    pub(crate) cpu_seconds: f64,
}

impl Peer {
    /// Starts this program anew with other arguments.
    pub(crate) fn start(arguments: &[&str]) -> Result<Self, BenchError> {
        let failed = |reason: &dyn std::fmt::Display| start_error("node", &reason.to_string());
        let program = std::env::current_exe().map_err(|error| failed(&error))?;
        let mut child = spawn(
            Command::new(program)
                .args(arguments)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped()),
        )?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let process = Process(child);
        Ok(Self {
            input: input.ok_or_else(|| failed(&"it has no input"))?,
            output: BufReader::new(output.ok_or_else(|| failed(&"it has no output"))?),
            process,
        })
    }

    /// Starts a node with its data in `directory`.
    pub(crate) fn node(directory: &Path, key: &str) -> Result<Self, BenchError> {
        Self::start(&["node", &directory.to_string_lossy(), key])
    }

    /// Gives a command and waits for its answer.
    pub(crate) fn ask(&mut self, command: &str) -> Result<String, BenchError> {
        self.tell(command)?;
        self.answer()
    }

    /// Gives a command without waiting for its answer.
    pub(crate) fn tell(&mut self, command: &str) -> Result<(), BenchError> {
        writeln!(self.input, "{command}").map_err(disconnected)
    }

    /// The answer to the oldest command that has none.
    pub(crate) fn answer(&mut self) -> Result<String, BenchError> {
        let mut line = String::new();
        self.output.read_line(&mut line).map_err(disconnected)?;
        match line.trim_end_matches('\n').split_once(' ') {
            Some(("ok", answer)) => Ok(answer.to_owned()),
            _ => Err(BenchError::Wrong {
                contender: "node",
                detail: line,
            }),
        }
    }

    /// Lets the peak of memory begin anew, and tells what is held and used now.
    pub(crate) fn begin(&self) -> Result<Usage, BenchError> {
        machine::forget_peak(self.process.0.id()).map_err(disconnected)?;
        Ok(self.usage())
    }

    /// What was used since.
    pub(crate) fn since(&self, before: Usage) -> Growth {
        let now = self.usage();
        Growth {
            memory_mib: now.peak_kib.saturating_sub(before.rss_kib) as f64 / 1024.0,
            cpu_seconds: now.cpu_us.saturating_sub(before.cpu_us) as f64 / 1e6,
        }
    }

    fn usage(&self) -> Usage {
        let id = self.process.0.id();
        let (rss_kib, peak_kib) = machine::memory_kib(id);
        Usage {
            rss_kib,
            peak_kib,
            cpu_us: machine::cpu_us(id),
        }
    }

    /// Ends the child by the end of its input, so that it closes its database.
    pub(crate) fn end(self) -> Result<(), BenchError> {
        let Self {
            input, mut process, ..
        } = self;
        drop(input);
        let ended = process.0.wait().map_err(disconnected)?;
        if ended.success() {
            Ok(())
        } else {
            Err(start_error("node", &format!("it ended with {ended}")))
        }
    }
}

fn disconnected(source: std::io::Error) -> BenchError {
    BenchError::Connection {
        contender: "node",
        source,
    }
}
