//! Asking a web server: one question, one answer, a deadline, a bound, and no way anywhere else.
//! docs/decisions/https-client.md tells why it is this client.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, RequestBuilder, StatusCode, Url, redirect};
use tokio::time::timeout;

use super::addresses::Addresses;
use crate::client_tls::{self, ClientTlsError, innermost};
use crate::config::{WebServer, is_public};

/// Connections to one server that are kept for the next question.
const IDLE_CONNECTIONS_MAX: usize = 16;
const IDLE_LIMIT: Duration = Duration::from_secs(30);

/// Why a server cannot be asked at all. The operator's to mend.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WebSetupError {
    #[error("{url} cannot be asked: {reason}")]
    Url { url: String, reason: String },
    #[error(transparent)]
    Tls(#[from] ClientTlsError),
}

/// Why there is no answer. The server's fault, or the network's; the text is for the operator.
#[derive(Debug, thiserror::Error)]
pub(super) enum WebError {
    #[error("no answer within {limit_ms} ms")]
    Late { limit_ms: u128 },
    #[error("the connection failed: {reason}")]
    Connection { reason: String },
    #[error("the answer has more than {bytes_max} bytes")]
    TooLarge { bytes_max: usize },
}

/// What a server answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Vec<u8>,
}

/// A server that may be asked.
#[derive(Debug)]
pub(super) struct Web {
    client: Client,
    url: Url,
}

impl Web {
    /// Gets ready for questions. Nothing is asked yet.
    ///
    /// # Errors
    /// [`WebSetupError`].
    pub(super) fn new(server: WebServer) -> Result<Self, WebSetupError> {
        let WebServer {
            url,
            allow_private_network,
            roots,
        } = server;
        let parsed = parse_url(&url, allow_private_network);
        let parsed = parsed.map_err(|reason| WebSetupError::Url { url, reason })?;
        let client = Client::builder()
            .tls_backend_preconfigured(client_tls::config(roots.as_deref())?)
            .dns_resolver(Arc::new(Addresses {
                allow_private_network,
            }))
            .https_only(!allow_private_network)
            .redirect(redirect::Policy::none())
            // A proxy would look addresses up by itself.
            .no_proxy()
            .http1_only()
            .referer(false)
            .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
            .pool_idle_timeout(IDLE_LIMIT)
            .user_agent(concat!("tombolo/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| ClientTlsError::NoTls {
                reason: innermost(&error),
            })?;
        Ok(Self {
            client,
            url: parsed,
        })
    }

    pub(super) fn post(&self) -> RequestBuilder {
        self.client.post(self.url.clone())
    }

    pub(super) fn get(&self) -> RequestBuilder {
        self.client.get(self.url.clone())
    }
}

/// Sends a question and reads the answer as it arrives, so that its announced length means nothing.
///
/// # Errors
/// [`WebError`].
pub(super) async fn ask(
    question: RequestBuilder,
    bytes_max: usize,
    limit: Duration,
) -> Result<Answer, WebError> {
    let read = async {
        let mut response = question.send().await.map_err(failed)?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > bytes_max {
                return Err(WebError::TooLarge { bytes_max });
            }
            body.extend_from_slice(&chunk);
        }
        let status = response.status();
        Ok(Answer { status, body })
    };
    let limit_ms = limit.as_millis();
    let answer = timeout(limit, read).await;
    answer.unwrap_or(Err(WebError::Late { limit_ms }))
}

/// An address in the URL itself is never looked up, so it is judged here.
fn parse_url(text: &str, allow_private_network: bool) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    let host = url.host_str().unwrap_or_default();
    let plain = host.trim_start_matches('[').trim_end_matches(']');
    let is_private = plain
        .parse::<IpAddr>()
        .is_ok_and(|address| !is_public(address));
    if is_private && !allow_private_network {
        return Err("its address is of a private network".to_owned());
    }
    Ok(url)
}

fn failed(error: reqwest::Error) -> WebError {
    // The URL may hold a secret.
    let reason = innermost(&error.without_url());
    WebError::Connection { reason }
}
