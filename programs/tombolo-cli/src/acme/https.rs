//! Questions to the ACME server: HTTPS, a deadline and a bound for each, and how long it asks to be left alone.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{HeaderMap, RETRY_AFTER};
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use jiff::fmt::rfc2822;
use reqwest::{Client, redirect};
use tokio::time::timeout;

use crate::client_tls::{self, ClientTlsError, innermost};
use crate::clock::unix_ms;

/// Until the whole answer is there.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);
/// A chain of certificates has some kilobytes.
const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// Why there is no answer that a protocol could be read from. The network's fault, or the server's.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoAnswer {
    #[error("no answer from {host} within {} s", ANSWER_LIMIT.as_secs())]
    Late { host: String },
    #[error("{host} cannot be asked: {reason}")]
    Connection { host: String, reason: String },
    #[error("the answer of {host} has more than {ANSWER_BYTES_MAX} bytes")]
    TooLarge { host: String },
    #[error("{host} answered {status}, and not as an ACME server does")]
    Foreign { host: String, status: StatusCode },
}

/// Asks for the library that speaks the protocol.
#[derive(Debug, Clone)]
pub(super) struct Questions {
    client: Client,
    retry_after: RetryAfter,
}

/// How long the server asked to be left alone, the last time that it refused.
#[derive(Debug, Clone, Default)]
pub(super) struct RetryAfter(Arc<Mutex<Option<Duration>>>);

impl RetryAfter {
    pub(super) fn get(&self) -> Option<Duration> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, status: StatusCode, headers: &HeaderMap) {
        if status.is_client_error() || status.is_server_error() {
            let asked = headers.get(RETRY_AFTER);
            let asked = asked.and_then(|value| value.to_str().ok());
            let asked = asked.and_then(|text| span(text.trim(), unix_ms() / 1000));
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = asked;
        }
    }
}

impl Questions {
    /// `roots` are PEM certificates; `None` asks the system.
    ///
    /// # Errors
    /// [`ClientTlsError`].
    pub(super) fn new(
        roots: Option<&[u8]>,
        retry_after: RetryAfter,
    ) -> Result<Self, ClientTlsError> {
        let client = Client::builder()
            .tls_backend_preconfigured(client_tls::config(roots)?)
            .https_only(true)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .http1_only()
            .referer(false)
            .build()
            .map_err(|error| ClientTlsError::NoTls {
                reason: innermost(&error),
            })?;
        Ok(Self {
            client,
            retry_after,
        })
    }

    async fn ask(self, request: Request<BodyWrapper<Bytes>>) -> Result<BytesResponse, NoAnswer> {
        let host = request.uri().host().unwrap_or_default().to_owned();
        let (head, body) = request.into_parts();
        let body = match body.collect().await {
            Ok(body) => body.to_bytes(),
            Err(never) => match never {},
        };
        let connection = |error: reqwest::Error| NoAnswer::Connection {
            host: host.clone(),
            reason: innermost(&error.without_url()),
        };
        let request = Request::from_parts(head, body);
        let request = reqwest::Request::try_from(request).map_err(connection)?;
        let read = async {
            let mut answer = self.client.execute(request).await.map_err(connection)?;
            let mut body = Vec::new();
            while let Some(chunk) = answer.chunk().await.map_err(connection)? {
                if body.len() + chunk.len() > ANSWER_BYTES_MAX {
                    return Err(NoAnswer::TooLarge { host: host.clone() });
                }
                body.extend_from_slice(&chunk);
            }
            Ok((answer.status(), answer.headers().clone(), body))
        };
        let late = || NoAnswer::Late { host: host.clone() };
        let (status, headers, body) = timeout(ANSWER_LIMIT, read).await.map_err(|_| late())??;
        self.retry_after.note(status, &headers);
        // A proxy or a server in trouble answers with a page.
        let is_problem = body.first() == Some(&b'{');
        if !status.is_success() && !is_problem {
            return Err(NoAnswer::Foreign { host, status });
        }
        let (mut parts, ()) = http::Response::new(()).into_parts();
        parts.status = status;
        parts.headers = headers;
        Ok(BytesResponse {
            parts,
            body: Box::new(Bytes::from(body)),
        })
    }
}

impl HttpClient for Questions {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let asked = self.clone().ask(request);
        Box::pin(async move { asked.await.map_err(|error| Error::Other(Box::new(error))) })
    }
}

/// Seconds or a date, as HTTP has it.
fn span(text: &str, now_s: u64) -> Option<Duration> {
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = rfc2822::parse(text).ok()?.timestamp().as_second();
    let left_s = u64::try_from(date).ok()?.saturating_sub(now_s);
    Some(Duration::from_secs(left_s))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_asks_for_time_by_seconds_or_by_a_date() {
        let seconds = |text| span(text, 1_000_000_000).map(|span| span.as_secs());
        assert_eq!(seconds("120"), Some(120));
        assert_eq!(seconds("Sun, 09 Sep 2001 01:47:40 GMT"), Some(60));
        assert_eq!(seconds("Sun, 09 Sep 2001 01:00:00 GMT"), Some(0));
        assert_eq!(seconds("soon"), None);
        assert_eq!(seconds("-1"), None);
    }
}
