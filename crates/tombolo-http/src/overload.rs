//! The answer to a connection that is one too many: a 503 written without any HTTP machinery.
//! It never reads more than one buffer and never waits longer than its limit.

use std::time::Duration;

use http::StatusCode;
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::answer::{Answer, Refusal};

/// Connections being turned away at once; one more is closed without a word.
pub(crate) const REFUSALS_MAX: usize = 64;
/// A client that is turned away has this long to send its request and take the answer.
const REFUSAL_LIMIT: Duration = Duration::from_secs(1);
/// Of that request, at most this many bytes are taken.
const REQUEST_BYTES_MAX: usize = 8 * 1024;
/// Told to the client as Retry-After.
const RETRY_AFTER_SECONDS: u32 = 1;
/// The operator is told so often at the most, however many are turned away.
const TOLD_EVERY: Duration = Duration::from_secs(10);

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

/// Keeps a flood of connections from becoming a flood of lines.
#[derive(Debug, Default)]
pub(crate) struct Alarm {
    told: Option<Instant>,
    untold: u64,
}

impl Alarm {
    /// One more was turned away. Gives how many there were since the operator was told, if it is time to tell.
    pub(crate) fn ring(&mut self, now: Instant) -> Option<u64> {
        self.untold += 1;
        let is_time = self.told.is_none_or(|told| now - told >= TOLD_EVERY);
        is_time.then(|| {
            self.told = Some(now);
            std::mem::take(&mut self.untold)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_told_at_once_and_then_by_its_number() {
        let (mut alarm, start) = (Alarm::default(), Instant::now());
        assert_eq!(alarm.ring(start), Some(1));
        let almost = start + TOLD_EVERY - Duration::from_nanos(1);
        assert_eq!((alarm.ring(start), alarm.ring(almost)), (None, None));
        assert_eq!(alarm.ring(start + TOLD_EVERY), Some(3));
        assert_eq!(alarm.ring(start + TOLD_EVERY), None);
    }
}
