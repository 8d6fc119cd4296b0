//! An attachment over HTTPS to a real node and back, beside a plain TLS copy of the same file in the same direction.
//! Client, certificate, sizes of reads and the one flush at the end are the same for both; they take turns.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use rustls::{ClientConnection, StreamOwned};
use tempfile::TempDir;

use crate::error::BenchError;
use crate::machine::{self, Stopwatch};
use crate::mesh::{
    Copied, connect, copy, copy_into, fill, own_cpu_since, own_cpu_us, save, send, sizes,
};
use crate::node::Node;
use crate::rounds::Summary;

const USAGE: &str = "usage: tombolo-bench attachments [--mib N] [--rounds N]";
/// The longest head of an answer.
const HEAD_BYTES_MAX: usize = 8 * 1024;

const CONFIGURATION: &str = r#"
database:
  db_id: "00000000-0000-4000-0000-000000000000"
  device_name: "bench"
  persistence_dir: { path: "./data" }
http_server:
  listen_addr: "127.0.0.1:0"
  tls_config: { cert: "./cert.pem", key: "./key.pem" }
  http_api:
    attachments_upload: { enabled: true, max_body_size_mb: 32768 }
    attachments_download: true
auth: dev_mode
logging:
  edge_server: { level: warning, console_logs: std_err }
"#;

type Stream = StreamOwned<ClientConnection, TcpStream>;

/// What one round yielded.
struct Round {
    copy_in: Copied,
    upload: Moved,
    copy_out: Copied,
    download: Moved,
}

/// What one transfer took, and cost the node.
#[derive(Clone, Copy)]
struct Moved {
    seconds: f64,
    node_cpu_seconds: f64,
    client_cpu_seconds: f64,
    memory_mib: f64,
}

/// Runs all rounds and returns the report.
pub(crate) fn run(arguments: &[String]) -> Result<String, BenchError> {
    let (mib, rounds) = sizes(arguments, USAGE)?;
    let machine = machine::describe();
    let disk = directory()?;
    let (source, target) = (disk.path().join("source"), disk.path().join("target"));
    fill(&source, mib)?;
    let server = Server::start()?;
    let mut results = Vec::new();
    for _ in 0..rounds {
        let copy_in = copy_into(&source, &target)?;
        let (id, upload) = server.moved(|server| server.upload(&source, mib << 20))?;
        let copy_out = copy(&source, &target)?;
        let (_, download) = server.moved(|server| server.download(&id, &target, mib << 20))?;
        results.push(Round {
            copy_in,
            upload,
            copy_out,
            download,
        });
    }
    Ok(render(&machine, mib, &results))
}

/// A node with a certificate.
struct Server {
    node: Node,
    /// Where it is and what it proves itself with, as [`connect`] reads it.
    told: String,
    _directory: TempDir,
}

impl Server {
    fn start() -> Result<Self, BenchError> {
        let directory = directory()?;
        let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]);
        let issued = issued.map_err(|error| wrong(&error))?;
        let write = |name: &str, text: String| {
            std::fs::write(directory.path().join(name), text).map_err(|error| wrong(&error))
        };
        write("cert.pem", issued.cert.pem())?;
        write("key.pem", issued.signing_key.serialize_pem())?;
        let node = Node::start_with(directory.path(), CONFIGURATION)?;
        let mut told = format!("{} ", node.address);
        for byte in issued.cert.der().iter() {
            let _ = write!(told, "{byte:02x}");
        }
        Ok(Self {
            node,
            told,
            _directory: directory,
        })
    }

    /// Measures one transfer.
    fn moved<T>(
        &self,
        transfer: impl FnOnce(&Self) -> Result<T, BenchError>,
    ) -> Result<(T, Moved), BenchError> {
        let id = self.node.process.0.id();
        machine::forget_peak(id).map_err(|error| wrong(&error))?;
        let (held_kib, _) = machine::memory_kib(id);
        let (node_us, own_us) = (machine::cpu_us(id), own_cpu_us());
        let watch = Stopwatch::start();
        let done = transfer(self)?;
        let seconds = watch.elapsed().as_secs_f64();
        let (_, peak_kib) = machine::memory_kib(id);
        let moved = Moved {
            seconds,
            node_cpu_seconds: machine::cpu_us(id).saturating_sub(node_us) as f64 / 1e6,
            client_cpu_seconds: own_cpu_since(own_us),
            memory_mib: peak_kib.saturating_sub(held_kib) as f64 / 1024.0,
        };
        Ok((done, moved))
    }

    /// Sends a file as the body; gives its id once the node has it on its disk.
    fn upload(&self, file: &Path, bytes: u64) -> Result<String, BenchError> {
        let mut stream = connect(&self.told)?;
        let head = format!(
            "POST /attachments/upload HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
             content-type: application/octet-stream\r\ncontent-length: {bytes}\r\n\r\n"
        );
        stream
            .write_all(head.as_bytes())
            .map_err(|error| wrong(&error))?;
        send(file, &mut stream)?;
        let length = answer(&mut stream)?;
        let mut body = Vec::new();
        let read = stream.take(length).read_to_end(&mut body);
        read.map_err(|error| wrong(&error))?;
        let body = String::from_utf8_lossy(&body);
        let id = body.split('"').nth(3);
        Ok(id.ok_or_else(|| wrong(&body))?.to_owned())
    }

    /// Takes an attachment into a file, which is flushed.
    fn download(&self, id: &str, file: &Path, bytes: u64) -> Result<(), BenchError> {
        let mut stream = connect(&self.told)?;
        let head = format!(
            "GET /attachments/{id} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
        );
        stream
            .write_all(head.as_bytes())
            .and_then(|()| stream.flush())
            .map_err(|error| wrong(&error))?;
        let length = answer(&mut stream)?;
        if length != bytes {
            return Err(wrong(&format!("{length} bytes instead of {bytes}")));
        }
        save(&mut stream, file, length)
    }
}

/// Reads the head of a good answer; gives the length of its body.
fn answer(stream: &mut Stream) -> Result<u64, BenchError> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream
            .read_exact(&mut byte)
            .map_err(|error| wrong(&error))?;
        head.push(byte[0]);
        if head.len() > HEAD_BYTES_MAX {
            return Err(wrong(&"the head of an answer is too long"));
        }
    }
    let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
    if !head.starts_with("http/1.1 200 ") {
        return Err(wrong(&head));
    }
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"));
    let length = length.and_then(|length| length.trim().parse().ok());
    length.ok_or_else(|| wrong(&head))
}

fn directory() -> Result<TempDir, BenchError> {
    tempfile::tempdir().map_err(|error| wrong(&error))
}

fn wrong(error: &dyn std::fmt::Display) -> BenchError {
    BenchError::Wrong {
        contender: "attachments",
        detail: error.to_string(),
    }
}

fn render(machine: &str, mib: u64, rounds: &[Round]) -> String {
    let mut text = String::new();
    let load = machine::load();
    let _ = writeln!(text, "machine: {machine}; load at the end {load}");
    let count = rounds.len();
    let _ = writeln!(
        text,
        "{count} rounds in turn, {mib} MiB each; median (min-max)\n"
    );
    let _ = writeln!(text, "| what | up | down |\n|---|---|---|");
    for (name, measure) in MEASURES {
        let column = |of: fn(&Round) -> (Copied, Moved)| {
            let values = rounds.iter().map(|round| measure(of(round), mib));
            Summary::of(&values.collect::<Vec<_>>()).show(2)
        };
        let up = column(|round| (round.copy_in, round.upload));
        let down = column(|round| (round.copy_out, round.download));
        let _ = writeln!(text, "| {name} | {up} | {down} |");
    }
    text
}

/// What is told of each direction, and how it follows from a copy and a transfer.
type Measure = (&'static str, fn((Copied, Moved), u64) -> f64);

const MEASURES: [Measure; 7] = [
    ("plain TLS copy, MiB/s", |(copy, _), mib| {
        mib as f64 / copy.seconds
    }),
    ("attachment, MiB/s", |(_, moved), mib| {
        mib as f64 / moved.seconds
    }),
    ("attachment of the copy", |(copy, moved), _| {
        copy.seconds / moved.seconds
    }),
    (
        "processor seconds of the copy, both sides",
        |(copy, _), _| copy.cpu_seconds,
    ),
    ("processor seconds of the node", |(_, moved), _| {
        moved.node_cpu_seconds
    }),
    ("processor seconds of the client", |(_, moved), _| {
        moved.client_cpu_seconds
    }),
    ("memory grown at the node, MiB", |(_, moved), _| {
        moved.memory_mib
    }),
];
