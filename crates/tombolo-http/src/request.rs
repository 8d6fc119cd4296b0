//! One request as a route sees it: its head, its id, where it came from and its unread body.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::{fmt, io};

use http::{HeaderValue, Method, request};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;

use crate::counts::OpenConnection;
use crate::request_body::RequestBody;
use crate::tls::ClientCertificate;

/// A request whose head is complete and within the limits; its body is still unread.
#[derive(Debug)]
pub struct Request {
    /// Method, path, header fields, version.
    pub head: request::Parts,
    /// Unread until [`RequestBody::read`] or [`RequestBody::chunk`].
    pub body: RequestBody,
    /// Sent back as `x-request-id`.
    pub id: RequestId,
    /// The other end of the connection.
    pub peer: SocketAddr,
    /// Who the client proved to be by a certificate; `None` if it showed none or was not asked.
    pub client: Option<Arc<ClientCertificate>>,
    pub(crate) slot: Arc<Slot>,
}

/// The place of one connection among those that are allowed at once; free when the last holder drops it.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) open: OpenConnection,
    pub(crate) _permit: OwnedSemaphorePermit,
}

impl Request {
    /// The method.
    pub fn method(&self) -> &Method {
        &self.head.method
    }

    /// The connection under the request, for another protocol once the answer 101
    /// was sent; `None` if the client did not ask for one, or speaks HTTP/2.
    /// Whoever takes it has no watchdog; it counts as a connection until its stream is dropped.
    pub fn take_upgrade(&mut self) -> Option<Upgrade> {
        let upgrade = self.head.extensions.remove()?;
        let slot = Arc::clone(&self.slot);
        Some(Upgrade { upgrade, slot })
    }

    /// The path without its query.
    pub fn path(&self) -> &str {
        self.head.uri.path()
    }
}

/// A connection that is about to speak another protocol.
#[derive(Debug)]
pub struct Upgrade {
    upgrade: OnUpgrade,
    slot: Arc<Slot>,
}

impl Upgrade {
    /// The stream of bytes behind the answer 101.
    ///
    /// # Errors
    /// The connection ended before the answer was sent, or the answer was another.
    pub async fn stream(
        self,
    ) -> Result<impl AsyncRead + AsyncWrite + Unpin + Send + 'static, hyper::Error> {
        let stream = TokioIo::new(self.upgrade.await?);
        Ok(Counted {
            stream,
            _slot: self.slot,
        })
    }
}

/// The stream of another protocol, which still takes the place of a connection.
struct Counted {
    stream: TokioIo<Upgraded>,
    _slot: Arc<Slot>,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

/// Names one request in answers and logs: the process's instance number and a count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestId {
    pub(crate) instance: u32,
    pub(crate) count: u64,
}

/// 8 digits of the instance, a dash, 12 digits of the count.
const ID_BYTES: usize = 21;

impl RequestId {
    /// The request with this number of this process. The server counts them; a program needs it where it has no server.
    pub const fn new(instance: u32, count: u64) -> Self {
        Self { instance, count }
    }

    /// The id as a header value, without going through the formatter.
    pub(crate) fn header_value(self) -> HeaderValue {
        let text = self.text();
        HeaderValue::from_bytes(&text)
            .expect("invariant: hexadecimal digits and a dash are a legal value")
    }

    fn text(self) -> [u8; ID_BYTES] {
        let mut text = [b'-'; ID_BYTES];
        write_hex(&mut text[..8], u64::from(self.instance));
        write_hex(&mut text[9..], self.count);
        text
    }
}

fn write_hex(digits: &mut [u8], mut number: u64) {
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(number & 15) as usize];
        number >>= 4;
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text()
            .iter()
            .try_for_each(|byte| fmt::Write::write_char(formatter, char::from(*byte)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_prints_as_instance_and_count() {
        let id = RequestId {
            instance: 0xabcd,
            count: 0x2a,
        };
        assert_eq!(id.to_string(), "0000abcd-00000000002a");
        assert_eq!(id.header_value(), "0000abcd-00000000002a");
    }
}
