//! The door to an identity service: one question, one answer. Behind it stands
//! HTTPS, a service within the same process, or one that a test makes up.

use tombolo_identity::{CHALLENGE_PATH, LOGIN_PATH};

/// What a device asks.
#[derive(Clone, Copy)]
pub enum Ask<'b> {
    /// For a challenge.
    Challenge,
    /// To be let in, with the body of a login, which holds a secret.
    Login(&'b [u8]),
}

impl Ask<'_> {
    /// Where it is asked.
    #[must_use]
    pub const fn path(&self) -> &'static str {
        match self {
            Self::Challenge => CHALLENGE_PATH,
            Self::Login(_) => LOGIN_PATH,
        }
    }
}

/// What a service answers, whether it says yes or no.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status of HTTP.
    pub status: u16,
    /// Retry-After, in seconds.
    pub retry_after_s: Option<u64>,
    /// The body.
    pub body: Vec<u8>,
}

/// Why there was no answer. The network's fault, or that of whoever set up the
/// service or its URL. The texts name no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// Nobody is there.
    #[error(
        "no connection to the identity service: {reason}; check the network, the name and the port"
    )]
    Connect {
        /// From the system.
        reason: String,
    },
    /// It could not prove who it is, or is not a TLS server.
    #[error(
        "the identity service could not prove who it is: {reason}; give the file with its root certificate as ca_file, or correct the URL"
    )]
    Tls {
        /// From TLS.
        reason: String,
    },
    /// It took too long.
    #[error("the identity service did not answer within {limit_s} s: try again later")]
    Timeout {
        /// How long it may take, in seconds.
        limit_s: u64,
    },
    /// It answered with more than any service does.
    #[error("the answer has more than {bytes_max} bytes: this is not an identity service")]
    TooLarge {
        /// How many are read.
        bytes_max: usize,
    },
    /// The connection ended in the middle, or it was no HTTP.
    #[error("the identity service ended the connection: {reason}")]
    Broken {
        /// From HTTP.
        reason: String,
    },
    /// The file of roots cannot be used.
    #[error("ca_file {path}: {reason}")]
    CaFile {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// No connection of this process can be made secure.
    #[error("no HTTPS connection can be made here: {reason}; give the roots as ca_file")]
    NoTls {
        /// Why.
        reason: String,
    },
}

/// An identity service that can be asked.
pub trait LoginService {
    /// Asks and waits for the answer.
    ///
    /// # Errors
    /// There was none.
    fn ask(&mut self, ask: Ask<'_>) -> Result<Answer, ServiceError>;
}
