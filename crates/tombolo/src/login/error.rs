//! Why somebody is not logged in, by whose fault it is. No text repeats a token,
//! and what the service said is shown only as far as it is for people.

use tombolo_document::Value;
use tombolo_identity::{LoginMessageError, ProofError, Quoted, TrustError, VerifyError};
use tombolo_query::SourceError;
use tombolo_store::StoreError;

use super::credentials::CredentialsError;
use super::server::AuthUrlError;
use super::service::ServiceError;

/// Why a login did not succeed. Nothing changed: who was logged in still is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoginError {
    /// The operator's: the service cannot be there.
    #[error("the URL of the identity service cannot be used: {0}")]
    Url(#[from] AuthUrlError),
    /// Nobody answered, or not securely.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// The caller's: a database that was opened in surroundings without a device
    /// has no key to log in with.
    #[error("this database was opened without a peer key")]
    NoPeerKey,
    /// The operator's: it answers, and is no identity service.
    #[error(
        "{path} was answered with status {status}: this is not an identity service, or its URL has another path"
    )]
    NotAService {
        /// What was asked.
        path: &'static str,
        /// What was answered.
        status: u16,
    },
    /// The operator's: it wants to send the token elsewhere.
    #[error(
        "{path} was answered with a redirect ({status}), and a token is not sent on to wherever a server says: write the URL that it redirects to"
    )]
    Redirected {
        /// What was asked.
        path: &'static str,
        /// What was answered.
        status: u16,
    },
    /// The provider does not know the user, or does not let him in.
    #[error(
        "the login was refused ({code}): {message}; check the token and the name of the provider, and what the log of the identity service says"
    )]
    Refused {
        /// For machines.
        code: Quoted,
        /// For people.
        message: Quoted,
        /// What the provider wants the application to know; null for nothing.
        client_info: Value,
    },
    /// The service did not understand: another version, or another database.
    #[error("the identity service did not take the login ({code}): {message}")]
    NotUnderstood {
        /// For machines.
        code: Quoted,
        /// For people.
        message: Quoted,
    },
    /// There were too many logins.
    #[error("too many logins were tried: try again in {retry_after_s} s")]
    TooMany {
        /// When to try again, in seconds.
        retry_after_s: u64,
    },
    /// The service, or the provider behind it, failed. Nobody's fault here.
    #[error(
        "the identity service could not decide (status {status}): try again later; its log says why"
    )]
    Failed {
        /// What was answered.
        status: u16,
    },
    /// The service's: it said something else than the protocol has.
    #[error("{path} was answered with something else than a service says: {source}")]
    Answer {
        /// What was asked.
        path: &'static str,
        /// What is wrong with the answer.
        source: LoginMessageError,
    },
    /// Ours: the challenge cannot be signed.
    #[error("the challenge cannot be signed: {0}")]
    Challenge(#[from] ProofError),
    /// The service's: its authorities cannot be trusted.
    #[error("the identity service names authorities that cannot be trusted: {0}")]
    Authorities(#[from] TrustError),
    /// The operator's: the clock here is behind.
    #[error(
        "the clock of this device is at least {} behind that of the identity service: set it", Told(*.behind_ms)
    )]
    ClockBehind {
        /// By how much at least, in milliseconds.
        behind_ms: u64,
    },
    /// The operator's: the clock here is ahead.
    #[error(
        "the certificate that was just made ended {} ago by the clock of this device: the clock is ahead, or that of the identity service is behind; set it", Told(*.ahead_ms)
    )]
    ClockAhead {
        /// By how much at least, in milliseconds.
        ahead_ms: u64,
    },
    /// The service's: nobody would accept the certificate.
    #[error("the identity service gave a certificate that no peer accepts: {0}")]
    Certificate(VerifyError),
    /// The service's: the certificate and what was said beside it differ.
    #[error("the identity service gave a certificate with another {what} than it should have")]
    Contradiction {
        /// In what.
        what: &'static str,
    },
    /// The caller's: the documents here are another user's.
    #[error(
        "the documents here belong to the user {bound} and the login is of {asked}: open a database in another directory for {asked}, or log out and clear this one"
    )]
    OtherUser {
        /// Whose documents they are.
        bound: Quoted,
        /// Who logged in.
        asked: Quoted,
    },
    /// The caller's: the mesh is joined with a shared key.
    #[error("sync runs with a shared key: stop it before logging in")]
    SharedKeySync,
    /// The operator's: what was got cannot be kept.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// The store failed.
    #[error("the store failed: {0}")]
    Store(#[from] StoreError),
    /// The store failed while it was looked through for what may be read no longer.
    #[error("what may be read no longer could not be evicted")]
    Purge(#[from] SourceError),
    /// The machine has no room for a thread.
    #[error("a thread could not be started: {0}")]
    Thread(std::io::Error),
    /// The caller's: nobody is logged in.
    #[error("nobody is logged in: log in first")]
    NotLoggedIn,
    /// Ours: the identity service of this node could not issue.
    #[error("this node could not make a certificate for itself: {reason}")]
    OwnService {
        /// Why.
        reason: String,
    },
}

impl LoginError {
    /// Whether asking again later can help without anybody doing anything.
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::Service(
                ServiceError::Connect { .. }
                    | ServiceError::Timeout { .. }
                    | ServiceError::Broken { .. }
            ) | Self::TooMany { .. }
                | Self::Failed { .. }
                | Self::Store(StoreError::Busy)
        )
    }
}

/// A span of time, in its largest whole unit.
struct Told(u64);

impl std::fmt::Display for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let seconds = self.0 / 1000;
        let (count, unit) = match seconds {
            0..=119 => (seconds, "seconds"),
            120..=7199 => (seconds / 60, "minutes"),
            7200..=172_799 => (seconds / 3600, "hours"),
            _ => (seconds / 86_400, "days"),
        };
        write!(f, "{count} {unit}")
    }
}
