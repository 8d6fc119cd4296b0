//! The least that a copy costs: a file over TLS 1.3 with blocking sockets into another file, flushed once at its end.
//! Who sends is a process of its own; nothing is hashed, kept apart or resumed.

use std::fs::File;
use std::io::{BufRead, Read, Write};
use std::path::Path;

use super::echo::{accept, connect};
use super::peer::Peer;
use crate::error::BenchError;
use crate::machine::Stopwatch;

const USAGE: &str = "usage: tombolo-bench copy FILE";
/// Bytes that are read and written at once.
const PIECE_BYTES: usize = 64 * 1024;

/// Copies a file through a process that sends it; gives the seconds from the connection to the flush.
pub(crate) fn copy(source: &Path, target: &Path) -> Result<f64, BenchError> {
    let mut process = Peer::start(&["copy", &source.to_string_lossy()])?;
    let told = process.answer()?;
    let watch = Stopwatch::start();
    let mut stream = connect(&told)?;
    // The first byte of the client ends the handshake.
    stream
        .write_all(&[1])
        .and_then(|()| stream.flush())
        .map_err(|error| wrong(&error))?;
    let mut file = File::create(target).map_err(|error| wrong(&error))?;
    let mut left = std::fs::metadata(source)
        .map_err(|error| wrong(&error))?
        .len();
    let mut buffer = vec![0; PIECE_BYTES];
    while left > 0 {
        let read = stream.read(&mut buffer).map_err(|error| wrong(&error))?;
        if read == 0 {
            return Err(wrong(&"the copy ended early"));
        }
        file.write_all(&buffer[..read])
            .map_err(|error| wrong(&error))?;
        left -= read as u64;
    }
    file.sync_data().map_err(|error| wrong(&error))?;
    Ok(watch.elapsed().as_secs_f64())
}

/// Sends the file to one connection, and ends with the parent.
pub(crate) fn serve(arguments: &[String]) -> Result<(), BenchError> {
    let [file] = arguments else {
        return Err(BenchError::Usage(USAGE));
    };
    let mut stream = accept()?;
    stream.read_exact(&mut [0]).map_err(|error| wrong(&error))?;
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
    stream.flush().map_err(|error| wrong(&error))?;
    let _ = std::io::stdin().lock().lines().count();
    Ok(())
}

fn wrong(error: &dyn std::fmt::Display) -> BenchError {
    BenchError::Wrong {
        contender: "plain TLS copy",
        detail: error.to_string(),
    }
}
