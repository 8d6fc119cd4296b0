//! The honest client: so many reads a second whatever else happens, each counted from the moment when it was due, so
//! that a read that had to wait for the one before is as late as its user finds it. It has threads of its own and
//! blocks, because a shared runtime would measure itself.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustls::{ClientConfig, ClientConnection, StreamOwned};
use rustls_pki_types::ServerName;

use super::client::{Place, status};
use super::site::NAME;
use super::wrong;
use crate::error::BenchError;
use crate::machine::Stopwatch;

/// Connections that stay open; each asks when its turn is due.
const CONNECTIONS: u32 = 8;
/// Reads a second of all connections together.
pub(super) const RATE: u32 = 400;
/// A read that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(10);

/// What one phase yielded.
#[derive(Default)]
pub(super) struct Yield {
    /// From the moment each read was due, sorted.
    pub(super) latencies_us: Vec<u32>,
    /// Reads that were not answered, or not with 200.
    pub(super) failures: u64,
}

/// A client with its request.
pub(super) struct Honest {
    place: Place,
    config: Arc<ClientConfig>,
    request: Vec<u8>,
}

impl Honest {
    pub(super) fn new(place: Place, request: Vec<u8>) -> Result<Self, BenchError> {
        let config = place.tls.clone();
        Ok(Self {
            config: config.ok_or_else(|| wrong(&"the honest client speaks TLS"))?,
            place,
            request,
        })
    }

    /// Asks for `duration`.
    pub(super) fn run(&self, duration: Duration) -> Result<Yield, BenchError> {
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            connections.push(self.connect().map_err(|error| wrong(&error))?);
        }
        let watch = Stopwatch::start();
        let mut total = Yield::default();
        thread::scope(|scope| {
            let threads: Vec<_> = (0..CONNECTIONS)
                .zip(connections)
                .map(|(at, connection)| {
                    scope.spawn(move || self.ask(connection, at, (watch, duration)))
                })
                .collect();
            for thread in threads {
                let part = thread.join().map_err(|_| wrong(&"a thread panicked"))?;
                total.latencies_us.extend(part.latencies_us);
                total.failures += part.failures;
            }
            Ok::<_, BenchError>(())
        })?;
        total.latencies_us.sort_unstable();
        Ok(total)
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a load that has a rate waits for the time, and a timer of the runtime is too coarse"
    )]
    fn ask(
        &self,
        mut connection: Connection,
        at: u32,
        (watch, duration): (Stopwatch, Duration),
    ) -> Yield {
        let mut part = Yield::default();
        let mut answer = Vec::new();
        let mut turn = at;
        loop {
            let due = Duration::from_secs(1) * turn / RATE;
            if due >= duration {
                return part;
            }
            thread::sleep(due.saturating_sub(watch.elapsed()));
            let asked = exchange(&mut connection, &self.request, &mut answer);
            let late = watch.elapsed().saturating_sub(due);
            if asked.is_ok() && status(&answer) == 200 {
                let late = u32::try_from(late.as_micros()).unwrap_or(u32::MAX);
                part.latencies_us.push(late);
            } else {
                part.failures += 1;
                if let Ok(fresh) = self.connect() {
                    connection = fresh;
                }
            }
            turn += CONNECTIONS;
        }
    }

    fn connect(&self) -> std::io::Result<Connection> {
        let socket = TcpStream::connect_timeout(&self.place.address, PATIENCE)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        let name = ServerName::try_from(NAME).map_err(std::io::Error::other)?;
        let tls = ClientConnection::new(Arc::clone(&self.config), name);
        let tls = tls.map_err(std::io::Error::other)?;
        let mut stream = StreamOwned::new(tls, socket);
        // The handshake happens now, and not within the first read.
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(Connection(stream))
    }
}

struct Connection(StreamOwned<ClientConnection, TcpStream>);

impl Drop for Connection {
    fn drop(&mut self) {
        // It may be closed already.
        let _ = self.0.sock.shutdown(Shutdown::Both);
    }
}

fn exchange(
    connection: &mut Connection,
    request: &[u8],
    answer: &mut Vec<u8>,
) -> std::io::Result<()> {
    let stream = &mut connection.0;
    stream.write_all(request)?;
    stream.flush()?;
    answer.clear();
    let mut chunk = [0; 4096];
    while !crate::http::is_whole(answer) {
        let count = stream.read(&mut chunk)?;
        if count == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        answer.extend_from_slice(&chunk[..count]);
    }
    Ok(())
}
