//! A node of ours as a child process, killed when it is dropped.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::error::BenchError;

/// A node without encryption and without keys, so that all contenders do the same work.
const CONFIGURATION: &str = r#"
database:
  db_id: "00000000-0000-4000-0000-000000000000"
  device_name: "bench"
  persistence_dir: { path: "./data" }
http_server:
  listen_addr: "127.0.0.1:0"
  tls_config: dev_mode
  http_api: true
auth: dev_mode
logging:
  edge_server: { level: warning, console_logs: std_err }
"#;

/// The line of a started node that names its address.
const LISTENING: &str = "listening on ";

/// A child process that ends with its owner.
pub(crate) struct Process(pub(crate) Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to kill.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A node that listens.
pub(crate) struct Node {
    pub(crate) process: Process,
    /// Host and port.
    pub(crate) address: String,
}

impl Node {
    /// Starts the binary that was built beside this one, with its data in `directory`.
    pub(crate) fn start(directory: &Path) -> Result<Self, BenchError> {
        Self::start_with(directory, CONFIGURATION)
    }

    /// As [`Node::start`], with a configuration of the caller's.
    pub(crate) fn start_with(directory: &Path, text: &str) -> Result<Self, BenchError> {
        let failed = |error: std::io::Error| start_error("tombolo", &error.to_string());
        let configuration = directory.join("node.yaml");
        std::fs::write(&configuration, text).map_err(failed)?;
        let program = std::env::current_exe()
            .map_err(failed)?
            .with_file_name("tombolo");
        let mut child = spawn(
            Command::new(program)
                .args(["run", "-c"])
                .arg(&configuration)
                .stderr(Stdio::piped()),
        )?;
        let output = child.stderr.take().map(BufReader::new);
        let process = Process(child);
        let mut lines = output
            .into_iter()
            .flat_map(BufRead::lines)
            .map_while(Result::ok);
        let address = lines.find_map(|line| {
            let (_, address) = line.strip_prefix(LISTENING)?.split_once("://")?;
            Some(address.to_owned())
        });
        let address =
            address.ok_or_else(|| start_error("tombolo", "it ended before it listened"))?;
        // Whatever the node still says is read and dropped, so that it never waits for us.
        std::thread::spawn(move || lines.count());
        Ok(Self { process, address })
    }
}

/// Starts a program, or says which one did not start.
pub(crate) fn spawn(command: &mut Command) -> Result<Child, BenchError> {
    let program = command.get_program().to_string_lossy().into_owned();
    command
        .spawn()
        .map_err(|error| start_error(&program, &error.to_string()))
}

/// Why a program did not start.
pub(crate) fn start_error(program: &str, reason: &str) -> BenchError {
    BenchError::Start {
        program: program.to_owned(),
        reason: reason.to_owned(),
    }
}
