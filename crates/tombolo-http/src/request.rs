//! One request as a route sees it: its head, its id, where it came from and its unread body.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use http::{HeaderValue, Method, request};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

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
}

impl Request {
    /// The method.
    pub fn method(&self) -> &Method {
        &self.head.method
    }

    /// The connection under the request, for another protocol once the answer 101
    /// was sent; `None` if the client did not ask for one, or speaks HTTP/2.
    /// Whoever takes it has no watchdog, and is no connection of this server.
    pub fn take_upgrade(&mut self) -> Option<Upgrade> {
        self.head.extensions.remove().map(Upgrade)
    }

    /// The path without its query.
    pub fn path(&self) -> &str {
        self.head.uri.path()
    }
}

/// A connection that is about to speak another protocol.
#[derive(Debug)]
pub struct Upgrade(OnUpgrade);

impl Upgrade {
    /// The stream of bytes behind the answer 101.
    ///
    /// # Errors
    /// The connection ended before the answer was sent, or the answer was another.
    pub async fn stream(
        self,
    ) -> Result<impl AsyncRead + AsyncWrite + Unpin + Send + 'static, hyper::Error> {
        self.0.await.map(TokioIo::new)
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
