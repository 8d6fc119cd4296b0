//! Connections to a node, with TLS or without, from any address of the loopback; and the load of clients that ask one
//! after another on connections that stay open.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use super::site::{NAME, Site};
use super::wrong;
use crate::error::BenchError;
use crate::http::read_answer;
use crate::machine::Stopwatch;

/// Bytes in both directions.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Duplex for S {}

/// Where a node is and what it speaks.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) address: SocketAddr,
    /// `None`: without TLS.
    pub(super) tls: Option<Arc<ClientConfig>>,
}

impl Place {
    pub(super) fn of(site: &Site) -> Result<Self, BenchError> {
        let address = site.address().parse();
        Ok(Self {
            address: address.map_err(|error| wrong(&error))?,
            tls: site.tls()?,
        })
    }

    /// Connects from this address, without TLS.
    pub(super) async fn connect_bare(&self, source: Ipv4Addr) -> std::io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddrV4::new(source, 0).into())?;
        let stream = socket.connect(self.address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    pub(super) async fn connect(&self, source: Ipv4Addr) -> std::io::Result<Box<dyn Duplex>> {
        let stream = self.connect_bare(source).await?;
        let Some(config) = &self.tls else {
            return Ok(Box::new(stream));
        };
        let name = ServerName::try_from(NAME).map_err(std::io::Error::other)?;
        let connector = TlsConnector::from(Arc::clone(config));
        Ok(Box::new(connector.connect(name, stream).await?))
    }
}

/// A request with a JSON body; `key` is sent if there is one.
pub(super) fn post(path: &str, key: Option<&str>, body: &str) -> Vec<u8> {
    let key = key.map_or_else(String::new, |key| {
        format!("authorization: Bearer {key}\r\n")
    });
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: {NAME}\r\n{key}content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// The status of an answer.
pub(super) fn status(answer: &[u8]) -> u16 {
    let digits = answer
        .get(9..12)
        .and_then(|digits| std::str::from_utf8(digits).ok());
    digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

/// Asks once on a connection of its own.
pub(super) async fn ask_once(place: &Place, request: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = place.connect(Ipv4Addr::LOCALHOST).await?;
    stream.write_all(request).await?;
    let mut answer = Vec::new();
    read_answer(&mut stream, &mut answer).await?;
    Ok(answer)
}

/// What one phase yielded.
pub(super) struct Yield {
    pub(super) answers: u64,
    pub(super) seconds: f64,
    /// Of the node, for each answer.
    pub(super) cpu_us: f64,
    /// Sorted.
    pub(super) latencies_us: Vec<u32>,
}

/// Asks `request` on so many connections for `duration`, each after the answer before; all must be `expected`.
pub(super) async fn ask(
    site: &Site,
    (request, expected): (&[u8], u16),
    connections: usize,
    duration: Duration,
) -> Result<Yield, BenchError> {
    let (place, request) = (Place::of(site)?, Arc::new(request.to_vec()));
    let mut streams = Vec::new();
    for _ in 0..connections {
        let stream = place.connect(Ipv4Addr::LOCALHOST).await;
        streams.push(stream.map_err(|error| wrong(&error))?);
    }
    let (before_us, watch) = (site.cpu_us(), Stopwatch::start());
    let mut tasks = JoinSet::new();
    for mut stream in streams {
        let request = Arc::clone(&request);
        tasks.spawn(async move {
            let (mut latencies, mut answer) = (Vec::new(), Vec::new());
            while watch.elapsed() < duration {
                let single = Stopwatch::start();
                stream.write_all(&request).await?;
                read_answer(&mut stream, &mut answer).await?;
                latencies.push(u32::try_from(single.elapsed().as_micros()).unwrap_or(u32::MAX));
                if status(&answer) != expected {
                    let text = String::from_utf8_lossy(&answer).into_owned();
                    return Err(std::io::Error::other(text));
                }
            }
            Ok(latencies)
        });
    }
    let mut latencies_us = Vec::new();
    while let Some(joined) = tasks.join_next().await {
        let part = joined.map_err(|error| wrong(&error))?;
        latencies_us.extend(part.map_err(|error| wrong(&error))?);
    }
    let (seconds, used_us) = (watch.elapsed().as_secs_f64(), site.cpu_us() - before_us);
    latencies_us.sort_unstable();
    let answers = latencies_us.len() as u64;
    Ok(Yield {
        answers,
        seconds,
        cpu_us: used_us as f64 / answers.max(1) as f64,
        latencies_us,
    })
}
