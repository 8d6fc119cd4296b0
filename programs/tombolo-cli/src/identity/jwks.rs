//! The keys of an OpenID provider: from a file, or from a URL that is asked when they are old or lack a key.
//! Who sends tokens decides how often that is at most once a minute, and never how often it is more.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::StatusCode;
use tombolo_identity::{
    JWKS_BYTES_MAX, KeySet, ProviderAnswer, ProviderTokenError, TokenError, TokenRules,
    check_provider_token,
};

use super::provider::{Question, Unanswered};
use super::web::{self, Web, WebSetupError};
use crate::config::Keys;

/// After this the keys are asked for again; if nobody answers, the old ones count.
const FRESH_MS: u64 = 60 * 60 * 1000;
/// Between two questions for keys.
const PAUSE_MS: u64 = 60 * 1000;
const LIMIT: Duration = Duration::from_secs(5);

/// A provider whose tokens are checked in place.
#[derive(Debug)]
pub(super) struct JwtProvider {
    keys: Source,
    rules: Box<TokenRules>,
}

#[derive(Debug)]
enum Source {
    Fixed(Arc<KeySet>),
    Asked(Box<Asked>),
}

#[derive(Debug)]
struct Asked {
    web: Web,
    held: Mutex<Held>,
    /// One question at a time; whoever waits finds its answer.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Debug, Clone, Default)]
struct Held {
    keys: Option<Arc<KeySet>>,
    asked_ms: u64,
}

impl JwtProvider {
    /// # Errors
    /// [`WebSetupError`].
    pub(super) fn new(keys: Keys, rules: Box<TokenRules>) -> Result<Self, WebSetupError> {
        let keys = match keys {
            Keys::Fixed(keys) => Source::Fixed(Arc::new(keys)),
            Keys::Url(server) => Source::Asked(Box::new(Asked {
                web: Web::new(server)?,
                held: Mutex::default(),
                asking: tokio::sync::Mutex::new(()),
            })),
        };
        Ok(Self { keys, rules })
    }

    /// Checks the token, with newer keys if it names one that is not known.
    ///
    /// # Errors
    /// [`Unanswered`]: the token is not believed, or there are no keys to check it.
    pub(super) async fn ask(&self, question: &Question<'_>) -> Result<ProviderAnswer, Unanswered> {
        let now_ms = question.now_ms;
        let keys = match &self.keys {
            Source::Fixed(keys) => Arc::clone(keys),
            Source::Asked(asked) => asked.keys(now_ms, FRESH_MS).await?,
        };
        let judged = self.check(question, &keys);
        let unknown = Err(ProviderTokenError::Token(TokenError::UnknownKey {
            found: match &judged {
                Err(ProviderTokenError::Token(TokenError::UnknownKey { found })) => found.clone(),
                _ => return judged.map_err(refused),
            },
        }));
        match &self.keys {
            Source::Fixed(_) => unknown.map_err(refused),
            Source::Asked(asked) => {
                let keys = asked.keys(now_ms, PAUSE_MS).await?;
                self.check(question, &keys).map_err(refused)
            }
        }
    }

    fn check(
        &self,
        question: &Question<'_>,
        keys: &KeySet,
    ) -> Result<ProviderAnswer, ProviderTokenError> {
        let Question {
            provider,
            token,
            now_ms,
            ..
        } = question;
        check_provider_token(token, provider, keys, &self.rules, *now_ms)
    }
}

impl Asked {
    fn held(&self) -> Held {
        self.held
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Keys that were asked for at most `age_max_ms` ago, or older ones if nobody answers.
    async fn keys(&self, now_ms: u64, age_max_ms: u64) -> Result<Arc<KeySet>, Unanswered> {
        let is_due = |held: &Held, pause_ms| now_ms.abs_diff(held.asked_ms) >= pause_ms;
        let wanted = |held: &Held| {
            let pause_ms = if held.keys.is_some() {
                age_max_ms
            } else {
                PAUSE_MS
            };
            is_due(held, pause_ms)
        };
        if wanted(&self.held()) {
            let _asking = self.asking.lock().await;
            if wanted(&self.held()) {
                self.fetch(now_ms).await;
            }
        }
        let none = || Unanswered::Failed("its key set could not be read yet".to_owned());
        self.held().keys.ok_or_else(none)
    }

    async fn fetch(&self, now_ms: u64) {
        let answer = web::ask(self.web.get(), JWKS_BYTES_MAX, LIMIT).await;
        let keys = match answer {
            Ok(answer) if answer.status == StatusCode::OK => {
                KeySet::parse(&answer.body).map_err(|error| error.to_string())
            }
            Ok(answer) => Err(format!("it answered {}", answer.status)),
            Err(error) => Err(error.to_string()),
        };
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.asked_ms = now_ms;
        match keys {
            Ok(keys) => held.keys = Some(Arc::new(keys)),
            Err(reason) => tracing::warn!(reason, "the key set of a provider cannot be read"),
        }
    }
}

/// A token that is not believed is the user's; what it grants is the provider's.
fn refused(error: ProviderTokenError) -> Unanswered {
    match error {
        ProviderTokenError::Token(error) => Unanswered::NotBelieved(error.to_string()),
        ProviderTokenError::Answer(error) => Unanswered::Failed(error.to_string()),
    }
}
