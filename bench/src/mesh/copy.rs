//! The least that a copy costs: a file over TLS 1.3 with blocking sockets into another file, flushed once at its end.
//! The other side is a process of its own; nothing is hashed, kept apart or resumed.

use std::fs::File;
use std::io::{BufRead, Read, Write};
use std::path::Path;

use super::echo::{accept, connect};
use super::peer::Peer;
use crate::error::BenchError;
use crate::machine::{self, Stopwatch};

const USAGE: &str = "usage: tombolo-bench copy FILE | copy-into FILE BYTES";
/// Bytes that are read and written at once.
const PIECE_BYTES: usize = 64 * 1024;

/// What a copy took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Copied {
    /// From the connection to the flush.
    pub(crate) seconds: f64,
    /// Of both processes.
    pub(crate) cpu_seconds: f64,
}

/// Copies a file through a process that sends it, into a file of this one.
pub(crate) fn copy(source: &Path, target: &Path) -> Result<Copied, BenchError> {
    let mut process = Peer::start(&["copy", &source.to_string_lossy()])?;
    let told = process.answer()?;
    let (before, own) = (process.begin()?, own_cpu_us());
    let watch = Stopwatch::start();
    let mut stream = connect(&told)?;
    // The first byte of the client ends the handshake.
    stream
        .write_all(&[1])
        .and_then(|()| stream.flush())
        .map_err(|error| wrong(&error))?;
    save(&mut stream, target, length_of(source)?)?;
    Ok(Copied {
        seconds: watch.elapsed().as_secs_f64(),
        cpu_seconds: process.since(before).cpu_seconds + own_cpu_since(own),
    })
}

/// Copies a file of this process through one that takes it, into a file there.
pub(crate) fn copy_into(source: &Path, target: &Path) -> Result<Copied, BenchError> {
    let length = length_of(source)?;
    let target = target.to_string_lossy();
    let mut process = Peer::start(&["copy-into", &target, &length.to_string()])?;
    let told = process.answer()?;
    let (before, own) = (process.begin()?, own_cpu_us());
    let watch = Stopwatch::start();
    let mut stream = connect(&told)?;
    send(source, &mut stream)?;
    stream.read_exact(&mut [0]).map_err(|error| wrong(&error))?;
    Ok(Copied {
        seconds: watch.elapsed().as_secs_f64(),
        cpu_seconds: process.since(before).cpu_seconds + own_cpu_since(own),
    })
}

/// Sends the file to one connection, and ends with the parent.
pub(crate) fn serve(arguments: &[String]) -> Result<(), BenchError> {
    let [file] = arguments else {
        return Err(BenchError::Usage(USAGE));
    };
    let mut stream = accept()?;
    stream.read_exact(&mut [0]).map_err(|error| wrong(&error))?;
    send(Path::new(file), &mut stream)?;
    let _ = std::io::stdin().lock().lines().count();
    Ok(())
}

/// Takes a file from one connection, says when it is durable, and ends with the parent.
pub(crate) fn serve_into(arguments: &[String]) -> Result<(), BenchError> {
    let [file, bytes] = arguments else {
        return Err(BenchError::Usage(USAGE));
    };
    let bytes: u64 = bytes.parse().map_err(|_| BenchError::Usage(USAGE))?;
    let mut stream = accept()?;
    save(&mut stream, Path::new(file), bytes)?;
    let told = stream.write_all(&[1]).and_then(|()| stream.flush());
    told.map_err(|error| wrong(&error))?;
    let _ = std::io::stdin().lock().lines().count();
    Ok(())
}

/// Sends a whole file.
pub(crate) fn send(file: &Path, stream: &mut impl Write) -> Result<(), BenchError> {
    let mut file = File::open(file).map_err(|error| wrong(&error))?;
    let mut buffer = vec![0; PIECE_BYTES];
    loop {
        let read = file.read(&mut buffer).map_err(|error| wrong(&error))?;
        if read == 0 {
            break;
        }
        stream
            .write_all(&buffer[..read])
            .map_err(|error| wrong(&error))?;
    }
    stream.flush().map_err(|error| wrong(&error))
}

/// Writes so many bytes into a file, and flushes it.
pub(crate) fn save(stream: &mut impl Read, file: &Path, bytes: u64) -> Result<(), BenchError> {
    let mut file = File::create(file).map_err(|error| wrong(&error))?;
    let (mut left, mut buffer) = (bytes, vec![0; PIECE_BYTES]);
    while left > 0 {
        let read = stream.read(&mut buffer).map_err(|error| wrong(&error))?;
        if read == 0 {
            return Err(wrong(&"the copy ended early"));
        }
        file.write_all(&buffer[..read])
            .map_err(|error| wrong(&error))?;
        left -= read as u64;
    }
    file.sync_data().map_err(|error| wrong(&error))
}

pub(crate) fn own_cpu_us() -> u64 {
    machine::own_cpu_us(std::process::id())
}

pub(crate) fn own_cpu_since(before_us: u64) -> f64 {
    own_cpu_us().saturating_sub(before_us) as f64 / 1e6
}

fn length_of(file: &Path) -> Result<u64, BenchError> {
    let metadata = std::fs::metadata(file).map_err(|error| wrong(&error))?;
    Ok(metadata.len())
}

fn wrong(error: &dyn std::fmt::Display) -> BenchError {
    BenchError::Wrong {
        contender: "plain TLS copy",
        detail: error.to_string(),
    }
}
