//! The answer to a connection that is one too many: a 503 written without any HTTP machinery.
//! It never reads more than one buffer and never waits longer than its limit.

use std::time::Duration;

use http::StatusCode;
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::answer::{Answer, Refusal};

/// Connections being turned away at once; one more is closed without a word.
pub(crate) const REFUSALS_MAX: usize = 64;
/// A client that is turned away has this long to send its request and take the answer.
const REFUSAL_LIMIT: Duration = Duration::from_secs(1);
/// Of that request, at most this many bytes are taken.
const REQUEST_BYTES_MAX: usize = 8 * 1024;
/// Told to the client as Retry-After.
const RETRY_AFTER_SECONDS: u32 = 1;

/// The bytes of the answer, rendered once per server.
pub(crate) async fn render<A: Answer>(answer: &A, connections_max: usize) -> Vec<u8> {
    let response = answer.refuse(&Refusal::TooManyConnections { connections_max });
    let body = response.into_body().collect().await;
    let body = body.map(|body| body.to_bytes()).unwrap_or_default();
    let mut bytes = format!(
        "HTTP/1.1 {}\r\ncontent-type: application/json\r\nretry-after: {RETRY_AFTER_SECONDS}\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n",
        StatusCode::SERVICE_UNAVAILABLE,
        body.len()
    )
    .into_bytes();
    bytes.extend_from_slice(&body);
    bytes
}

/// Answers and closes. Reading first keeps the system from resetting the connection over unread bytes.
pub(crate) async fn turn_away(mut stream: TcpStream, answer: bytes::Bytes) {
    let talk = async {
        let mut request = [0; REQUEST_BYTES_MAX];
        let _ = stream.read(&mut request).await;
        let _ = stream.write_all(&answer).await;
        let _ = stream.shutdown().await;
    };
    // Whether it worked or not, the connection is dropped now.
    let _ = timeout(REFUSAL_LIMIT, talk).await;
}
