//! What TLS between two peers runs over: any stream of bytes, whatever carries it.

use tokio::io::{AsyncRead, AsyncWrite, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;

use crate::link::Transport;

/// A stream of bytes in both directions.
pub trait ByteStream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> ByteStream for S {}

/// Bytes that are taken from the network at once. TLS asks for 4 KiB at a time.
const ARRIVING_BYTES: usize = 64 * 1024;

/// A connection that is read in large pieces.
pub(crate) fn buffered(tcp: TcpStream) -> BufReader<TcpStream> {
    BufReader::with_capacity(ARRIVING_BYTES, tcp)
}

/// One stream, whatever carries it.
pub(crate) type Wire = Box<dyn ByteStream>;

/// What carries a link, and where from.
pub(crate) struct Carrier {
    pub(crate) transport: Transport,
    pub(crate) address: String,
}

/// TLS between two peers.
pub(crate) type PeerStream = TlsStream<Wire>;
