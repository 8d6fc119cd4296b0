//! The section `identity_service` as it is meant, in two steps: with the names of files, and with what is in them.
//! No `Debug` output here shows a secret.

use std::path::PathBuf;
use std::time::Duration;

use tombolo_identity::{KeySet, TokenRules, WebhookSecret};
use zeroize::Zeroizing;

use super::secret::SecretText;

/// An identity service, before its files were read. Paths are as typed.
#[derive(Debug)]
pub(crate) struct IdentityService {
    pub(crate) ca: PathBuf,
    pub(crate) providers: Vec<(String, Provider)>,
    pub(crate) limits: LoginLimits,
    /// `tls_config: dev_mode`: nobody but this machine can log in.
    pub(crate) is_development: bool,
}

/// How often logins are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LoginLimits {
    pub(crate) per_minute_and_address: u32,
    pub(crate) per_minute_and_user: u32,
}

/// Who recognizes users.
#[derive(Debug)]
pub(crate) enum Provider {
    Playground {
        shared_token: SecretText,
    },
    Webhook {
        endpoint: Endpoint,
        timeout: Duration,
        signing_secrets: Vec<WebhookSecret>,
    },
    Jwt {
        keys: KeysFrom,
        rules: Box<TokenRules>,
    },
}

/// A URL and how it may be reached.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) url: String,
    pub(crate) allow_private_network: bool,
    /// PEM roots that count instead of the system's.
    pub(crate) ca_file: Option<PathBuf>,
}

/// Where the keys of an OpenID provider are.
#[derive(Debug)]
pub(crate) enum KeysFrom {
    File(PathBuf),
    Url(Endpoint),
}

/// An identity service whose files were read.
pub(crate) struct IdentitySettings {
    pub(crate) ca: PathBuf,
    pub(crate) providers: Vec<(String, ProviderSettings)>,
    pub(crate) limits: LoginLimits,
    pub(crate) is_development: bool,
}

/// Who recognizes users, with all that it takes.
pub(crate) enum ProviderSettings {
    Playground {
        shared_token: Zeroizing<String>,
    },
    Webhook {
        server: WebServer,
        timeout: Duration,
        secrets: Vec<WebhookSecret>,
    },
    Jwt {
        keys: Keys,
        rules: Box<TokenRules>,
    },
}

/// A URL and how it may be reached.
pub(crate) struct WebServer {
    pub(crate) url: String,
    pub(crate) allow_private_network: bool,
    /// PEM roots that count instead of the system's.
    pub(crate) roots: Option<Vec<u8>>,
}

/// The keys of an OpenID provider.
pub(crate) enum Keys {
    Fixed(KeySet),
    /// They are asked for when they are needed.
    Url(WebServer),
}
