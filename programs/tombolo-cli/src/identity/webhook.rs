//! A developer's webhook: it is told the token and answers who the user is.
//! Each login costs it one call at most, so many at once at most, and it is never asked twice.

use std::time::Duration;

use bytes::Bytes;
use http::header;
use reqwest::StatusCode;
use tokio::sync::Semaphore;
use tombolo_identity::{
    ANSWER_BYTES_MAX, ProviderAnswer, SIGNATURE_HEADER, WebhookSecret, sign_webhook, webhook_body,
};

use super::provider::{Question, Unanswered};
use super::web::{self, Answer, Web, WebError, WebSetupError};
use crate::config::WebServer;

/// Calls to one webhook at once; whoever comes then is told to try again.
pub(super) const WEBHOOK_CALLS_MAX: usize = 64;

/// One webhook.
#[derive(Debug)]
pub(super) struct Webhook {
    web: Web,
    timeout: Duration,
    secrets: Vec<WebhookSecret>,
    calls: Semaphore,
}

impl Webhook {
    /// # Errors
    /// [`WebSetupError`].
    pub(super) fn new(
        server: WebServer,
        timeout: Duration,
        secrets: Vec<WebhookSecret>,
    ) -> Result<Self, WebSetupError> {
        Ok(Self {
            web: Web::new(server)?,
            timeout,
            secrets,
            calls: Semaphore::new(WEBHOOK_CALLS_MAX),
        })
    }

    /// Asks who the user is.
    ///
    /// # Errors
    /// [`Unanswered`].
    pub(super) async fn ask(&self, question: &Question<'_>) -> Result<ProviderAnswer, Unanswered> {
        let _call = self.calls.try_acquire().map_err(|_| Unanswered::Busy)?;
        let Question {
            provider,
            database_id,
            token,
            now_ms,
        } = question;
        let body = Bytes::from_owner(webhook_body(database_id, provider, token));
        let mut request = self
            .web
            .post()
            .header(header::CONTENT_TYPE, "application/json");
        if !self.secrets.is_empty() {
            let signature = sign_webhook(&self.secrets, &body, now_ms / 1000);
            request = request.header(SIGNATURE_HEADER, signature);
        }
        let answer = web::ask(request.body(body), ANSWER_BYTES_MAX, self.timeout).await;
        match answer {
            Ok(answer) => judge(&answer, provider),
            Err(error @ WebError::Late { .. }) => Err(Unanswered::Late(error.to_string())),
            Err(error) => Err(Unanswered::Failed(error.to_string())),
        }
    }
}

/// Only an answer with a status of success can let anybody in.
fn judge(answer: &Answer, provider: &str) -> Result<ProviderAnswer, Unanswered> {
    let read = ProviderAnswer::parse(&answer.body, provider);
    match answer.status {
        StatusCode::OK | StatusCode::CREATED => {
            read.map_err(|error| Unanswered::Failed(error.to_string()))
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Ok(match read {
            Ok(refused @ ProviderAnswer::Refused { .. }) => refused,
            _ => ProviderAnswer::Refused {
                client_info: tombolo::Value::Null,
            },
        }),
        status if status.is_redirection() => Err(Unanswered::Failed(format!(
            "it answered {status}, and redirects are not followed: write the last URL into url"
        ))),
        status => Err(Unanswered::Failed(format!("it answered {status}"))),
    }
}
