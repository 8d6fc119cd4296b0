//! The least that a durable hop costs: a message over TLS 1.3, one write and flush at the receiver, the message back.
//! The receiver is a process of its own with blocking sockets and nothing behind them.

use std::fs::File;
use std::io::{BufRead, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};

use super::peer::Peer;
use crate::error::BenchError;
use crate::machine::Stopwatch;

const USAGE: &str = "usage: tombolo-bench echo FILE BYTES";
const NAME: &str = "localhost";

/// A connection to an echo.
pub(crate) struct Echo {
    stream: StreamOwned<ClientConnection, TcpStream>,
    message: Vec<u8>,
    _process: Peer,
}

impl Echo {
    /// Starts the process that writes to `file`, and connects.
    pub(crate) fn start(file: &str, bytes: usize) -> Result<Self, BenchError> {
        let mut process = Peer::start(&["echo", file, &bytes.to_string()])?;
        Ok(Self {
            stream: connect(&process.answer()?)?,
            message: vec![7; bytes],
            _process: process,
        })
    }

    /// One message there and back, in microseconds.
    pub(crate) fn exchange(&mut self) -> Result<u64, BenchError> {
        let watch = Stopwatch::start();
        let sent = self.stream.write_all(&self.message);
        sent.and_then(|()| self.stream.flush())
            .and_then(|()| self.stream.read_exact(&mut self.message))
            .map_err(|error| wrong(&error))?;
        Ok(u64::try_from(watch.elapsed().as_micros()).unwrap_or(u64::MAX))
    }
}

/// Serves one connection, and ends with it.
pub(crate) fn serve(arguments: &[String]) -> Result<(), BenchError> {
    let [file, bytes] = arguments else {
        return Err(BenchError::Usage(USAGE));
    };
    let bytes: usize = bytes.parse().map_err(|_| BenchError::Usage(USAGE))?;
    let mut stream = accept()?;
    let mut disk = File::create(file).map_err(|error| wrong(&error))?;
    let mut message = vec![0; bytes];
    while stream.read_exact(&mut message).is_ok() {
        disk.write_all(&message)
            .and_then(|()| disk.sync_data())
            .and_then(|()| stream.write_all(&message))
            .and_then(|()| stream.flush())
            .map_err(|error| wrong(&error))?;
    }
    // The parent's end of the input is the end of both.
    let _ = std::io::stdin().lock().lines().count();
    Ok(())
}

/// Connects to a child that [`accept`]s, by what it told.
pub(crate) fn connect(told: &str) -> Result<StreamOwned<ClientConnection, TcpStream>, BenchError> {
    let (address, certificate) = told.split_once(' ').ok_or_else(|| wrong(&"no address"))?;
    let mut roots = RootCertStore::empty();
    let added = roots.add(CertificateDer::from(from_hex(certificate)));
    added.map_err(|error| wrong(&error))?;
    let config = ClientConfig::builder_with_protocol_versions(&[&rustls::version::TLS13])
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(NAME).map_err(|error| wrong(&error))?;
    let connection = ClientConnection::new(Arc::new(config), name);
    let socket = TcpStream::connect(address).map_err(|error| wrong(&error))?;
    socket.set_nodelay(true).map_err(|error| wrong(&error))?;
    let connection = connection.map_err(|error| wrong(&error))?;
    Ok(StreamOwned::new(connection, socket))
}

/// Tells where it listens, and lets the parent in.
pub(super) fn accept() -> Result<StreamOwned<ServerConnection, TcpStream>, BenchError> {
    let issued = rcgen::generate_simple_self_signed([NAME.to_owned()]);
    let issued = issued.map_err(|error| wrong(&error))?;
    let certificate = issued.cert.der().clone();
    let hex = to_hex(&certificate);
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(issued.signing_key.serialize_der()));
    let config = ServerConfig::builder_with_protocol_versions(&[&rustls::version::TLS13])
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .map_err(|error| wrong(&error))?;
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| wrong(&error))?;
    let address = listener.local_addr().map_err(|error| wrong(&error))?;
    writeln!(std::io::stdout(), "ok {address} {hex}").map_err(|error| wrong(&error))?;
    let (socket, _) = listener.accept().map_err(|error| wrong(&error))?;
    socket.set_nodelay(true).map_err(|error| wrong(&error))?;
    let connection = ServerConnection::new(Arc::new(config)).map_err(|error| wrong(&error))?;
    Ok(StreamOwned::new(connection, socket))
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text
        .chars()
        .filter_map(|digit| digit.to_digit(16))
        .collect();
    digits
        .chunks_exact(2)
        .map(|pair| (pair[0] << 4 | pair[1]) as u8)
        .collect()
}

fn wrong(error: &dyn std::fmt::Display) -> BenchError {
    BenchError::Wrong {
        contender: "bare echo",
        detail: error.to_string(),
    }
}
