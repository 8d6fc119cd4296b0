//! Why there is no new certificate: the network, the server's refusal, the proof, or this machine. Each says what to do.
//! What a server says is cut, and loses its control characters, before it comes into a message.

use instant_acme::{Error, Problem};
use tombolo_http::TlsError;

use super::https::NoAnswer;
use super::kept::KeptError;
use super::schedule::Pace;
use crate::client_tls::ClientTlsError;

/// Letters of what a server says that are repeated.
const TOLD_CHARS_MAX: usize = 600;

#[derive(Debug, thiserror::Error)]
pub(super) enum OrderError {
    #[error("{0}; check the network, and directory_url")]
    NoAnswer(#[from] NoAnswer),
    #[error("the ACME server refused: {told}")]
    Refused { told: String },
    #[error(
        "the ACME server does not believe that this node holds {domain}: {told}; the name must lead to this node, and port 443 of it to the HTTPS port"
    )]
    NotProven { domain: String, told: String },
    #[error(
        "the ACME server offers no tls-alpn-01 for {domain}; use another server, or a certificate of files"
    )]
    NoChallenge { domain: String },
    #[error("the ACME server came to no end within {limit_s} s")]
    Late { limit_s: u64 },
    #[error("the ACME server was not understood: {told}; check directory_url")]
    NotUnderstood { told: String },
    #[error("what the ACME server gave cannot be used: {0}")]
    Unusable(#[from] TlsError),
    #[error("the ACME server gave a certificate for {names}, and other names were asked for")]
    OtherNames { names: String },
    #[error("the proof cannot be made: {reason}")]
    NoProof { reason: String },
    #[error("{0}")]
    Setup(#[from] ClientTlsError),
    #[error("ca_file cannot be read: {0}")]
    Roots(std::io::Error),
    #[error(transparent)]
    Kept(#[from] KeptError),
    #[error("the node is ending")]
    Ending,
}

impl OrderError {
    /// How fast the try may be repeated.
    pub(super) const fn pace(&self) -> Pace {
        match self {
            Self::NoAnswer(_) | Self::Setup(_) | Self::Roots(_) | Self::Kept(_) | Self::Ending => {
                Pace::Unreached
            }
            Self::Refused { .. }
            | Self::NotProven { .. }
            | Self::NoChallenge { .. }
            | Self::Late { .. }
            | Self::NotUnderstood { .. }
            | Self::Unusable(_)
            | Self::OtherNames { .. }
            | Self::NoProof { .. } => Pace::Refused,
        }
    }
}

impl From<Error> for OrderError {
    fn from(error: Error) -> Self {
        match error {
            Error::Api(problem) => Self::Refused {
                told: words(&problem),
            },
            Error::Other(inner) => match inner.downcast::<NoAnswer>() {
                Ok(no_answer) => Self::NoAnswer(*no_answer),
                Err(other) => Self::NotUnderstood {
                    told: plain(&other.to_string()),
                },
            },
            other => Self::NotUnderstood {
                told: plain(&other.to_string()),
            },
        }
    }
}

/// What a problem document says.
pub(super) fn words(problem: &Problem) -> String {
    let mut said = problem.detail.clone().unwrap_or_default();
    for part in &problem.subproblems {
        said.push_str(&format!("; {part}"));
    }
    if let Some(kind) = &problem.r#type {
        let kind = kind.rsplit(':').next().unwrap_or_default();
        said.push_str(&format!(" ({kind})"));
    }
    plain(&said)
}

fn plain(text: &str) -> String {
    let letters = text.chars().take(TOLD_CHARS_MAX);
    let plain = letters.map(|letter| if letter.is_control() { ' ' } else { letter });
    plain.collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_told_by_detail_and_kind_without_what_could_forge_a_line() {
        let problem = serde_json::json!({
            "type": "urn:ietf:params:acme:error:dns",
            "detail": "no address\nlistening on https://\u{1b}[31m",
            "subproblems": [{ "detail": "for edge" }],
        });
        let problem: Problem = serde_json::from_value(problem).unwrap();
        let told = words(&problem);
        assert_eq!(
            told,
            "no address listening on https:// [31m; : for edge (dns)"
        );
        let long = Problem {
            detail: Some("x".repeat(TOLD_CHARS_MAX * 2)),
            ..problem
        };
        assert_eq!(words(&long).chars().count(), TOLD_CHARS_MAX);
    }

    #[test]
    fn only_what_no_server_counts_is_repeated_soon() {
        let no_answer = NoAnswer::Late {
            host: "acme.example".to_owned(),
        };
        let error = OrderError::from(Error::Other(Box::new(no_answer)));
        assert_eq!(error.pace(), Pace::Unreached);
        assert!(error.to_string().contains("acme.example"), "{error}");
        let error = OrderError::from(Error::Crypto);
        assert_eq!(error.pace(), Pace::Refused);
    }
}
