//! Who recognizes users: the playground's shared token, a webhook, or a provider of OpenID tokens.
//! All give the same answer, so that what follows does not know which it was.

use tombolo::Value;
use tombolo_identity::{Granted, PeerPublicKey, ProviderAnswer, tokens_match};
use zeroize::Zeroizing;

use super::jwks::JwtProvider;
use super::web::WebSetupError;
use super::webhook::Webhook;
use crate::config::ProviderSettings;

/// One way to be recognized.
pub(super) enum Provider {
    Playground { shared_token: Zeroizing<String> },
    Webhook(Box<Webhook>),
    Jwt(Box<JwtProvider>),
}

/// What a provider is asked.
pub(super) struct Question<'q> {
    pub(super) provider: &'q str,
    pub(super) database_id: &'q str,
    pub(super) token: &'q str,
    pub(super) now_ms: u64,
}

/// Why there is neither a grant nor a refusal. Texts are for the log and hold no token.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unanswered {
    /// The token is not good, and this is why.
    NotBelieved(String),
    /// The provider failed, and this is how.
    Failed(String),
    /// It took too long.
    Late(String),
    /// Too many are being asked for.
    Busy,
}

impl Provider {
    /// # Errors
    /// [`WebSetupError`].
    pub(super) fn new(settings: ProviderSettings) -> Result<Self, WebSetupError> {
        Ok(match settings {
            ProviderSettings::Playground { shared_token } => Self::Playground { shared_token },
            ProviderSettings::Webhook {
                server,
                timeout,
                secrets,
            } => Self::Webhook(Box::new(Webhook::new(server, timeout, secrets)?)),
            ProviderSettings::Jwt { keys, rules } => {
                Self::Jwt(Box::new(JwtProvider::new(keys, rules)?))
            }
        })
    }

    /// Asks who the holder of `peer_key` is.
    ///
    /// # Errors
    /// [`Unanswered`].
    pub(super) async fn ask(
        &self,
        question: &Question<'_>,
        peer_key: &PeerPublicKey,
    ) -> Result<ProviderAnswer, Unanswered> {
        match self {
            Self::Playground { shared_token } => {
                Ok(if tokens_match(shared_token, question.token) {
                    ProviderAnswer::Granted(Box::new(Granted::playground(peer_key)))
                } else {
                    ProviderAnswer::Refused {
                        client_info: Value::Null,
                    }
                })
            }
            Self::Webhook(webhook) => webhook.ask(question).await,
            Self::Jwt(provider) => provider.ask(question).await,
        }
    }
}
