//! Why a link did not come to be, told to the operator of this node. The peer
//! is told less: a TLS alert with the class of its mistake.

use std::io;
use std::time::Duration;

use rustls::{AlertDescription, PeerIncompatible};
use tombolo_identity::{IssueError, RevokedBy, Span, VerifyError};

use crate::link::CloseReason;

/// Why a link did not come to be.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The name of a server leads nowhere. The operator's or the network's fault.
    #[error("the name does not resolve: {0}")]
    Resolve(io::Error),
    /// Nobody answers at the address.
    #[error("no connection: {0}")]
    Connect(io::Error),
    /// It took too long.
    #[error("{step} took longer than {} s", .limit.as_secs())]
    Timeout {
        /// What took too long.
        step: &'static str,
        /// How long is allowed.
        limit: Duration,
    },
    /// The certificate of the outer HTTPS is not vouched for, or it broke.
    #[error(
        "HTTPS of the WebSocket failed: {0}; compare the host with the certificate of the server, and ca_file with who signed it"
    )]
    OuterTls(io::Error),
    /// The server does not switch to WebSocket.
    #[error(
        "the server answers HTTP {status} and no WebSocket: compare the path, and look whether sync runs there"
    )]
    NoWebSocket {
        /// Its status.
        status: u16,
    },
    /// The peer speaks no TLS 1.3.
    #[error("the peer does not speak TLS 1.3, and nothing older is spoken here")]
    OldTls,
    /// The peer speaks no TLS at all.
    #[error(
        "the peer does not speak TLS: something else connects to this port, or listens on that one"
    )]
    NotTls,
    /// The peer speaks TLS for something else.
    #[error("the peer speaks TLS but not the protocol tombolo/1")]
    OtherProtocol,
    /// The peer shows no certificate.
    #[error("the peer shows no certificate: it is not a node with a shared key")]
    NoCertificate,
    /// The peer's leaf was signed by another key.
    #[error("{0}")]
    ForeignKey(VerifyError),
    /// The peer's leaf is for another database.
    #[error("{0}")]
    WrongDatabase(VerifyError),
    /// The peer's leaf has expired.
    #[error("{0}")]
    Expired(VerifyError),
    /// The peer's leaf is from the future.
    #[error("{0}")]
    NotYetValid(VerifyError),
    /// The peer is cut off.
    #[error("the peer's certificate was revoked, {}: its user logs in again if the device is in the right hands", entry(.0))]
    Revoked(RevokedBy),
    /// The peer's leaf is refused for another reason.
    #[error("{0}")]
    Certificate(VerifyError),
    /// The peer refused us in TLS.
    #[error("the peer refuses this node: {}", told(*.0))]
    RefusedByPeer(AlertDescription),
    /// The peer broke the rules of TLS, or ours did.
    #[error("TLS failed: {0}")]
    Tls(rustls::Error),
    /// Both ends have the same key.
    #[error(
        "the peer has this node's own key: the address is this node's, or its data directory was copied"
    )]
    Myself,
    /// This node has as many links as it may.
    #[error("this node has as many links as it may")]
    Full,
    /// The peer has as many links as it may.
    #[error("the peer has as many links as it may")]
    PeerFull,
    /// There is a better link to the same peer. Nobody's fault.
    #[error("there is another link to the same peer")]
    Duplicate,
    /// The peer went away.
    #[error("the peer ended the connection during the handshake")]
    Ended,
    /// The peer said something unknown after TLS.
    #[error("the peer answered with the byte {0}, which this version does not know")]
    UnknownAnswer(u8),
    /// The network failed.
    #[error("the connection failed: {0}")]
    Io(io::Error),
    /// This node has no certificate. The operator's fault.
    #[error("this node cannot make a certificate for itself: {0}")]
    Credential(#[from] IssueError),
    /// This node's certificate has run out. The operator's fault.
    #[error("this node's own certificate expired {} ago: log in again to sync; what is stored here stays usable", Span(*.ago_ms))]
    OwnExpired {
        /// For how long, in milliseconds.
        ago_ms: u64,
    },
    /// This node's certificate is from its clock's future. The operator's fault.
    #[error("this node's own certificate is not valid for another {}: the clock of this device is behind; set it", Span(*.wait_ms))]
    OwnNotYetValid {
        /// For how long, in milliseconds.
        wait_ms: u64,
    },
    /// This node is cut off.
    #[error("this node's own certificate was revoked, {}: log in again", entry(.0))]
    OwnRevoked(RevokedBy),
    /// This node's certificate changed while the link was made. Nobody's fault.
    #[error("this node has a new certificate: the link is made anew with it")]
    Renewed,
    /// This node stops.
    #[error("this node stops")]
    Stopped,
}

impl HandshakeError {
    /// A short name for metrics.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Resolve(_) => "resolve",
            Self::Connect(_) => "connect",
            Self::Timeout { .. } => "timeout",
            Self::OuterTls(_) => "outer_tls",
            Self::NoWebSocket { .. } => "no_websocket",
            Self::OldTls => "old_tls",
            Self::NotTls => "not_tls",
            Self::OtherProtocol => "other_protocol",
            Self::NoCertificate => "no_certificate",
            Self::ForeignKey(_) => "foreign_key",
            Self::WrongDatabase(_) => "wrong_database",
            Self::Expired(_) => "expired",
            Self::NotYetValid(_) => "not_yet_valid",
            Self::Certificate(_) => "certificate",
            Self::Revoked(_) => "revoked",
            Self::RefusedByPeer(_) => "refused_by_peer",
            Self::Tls(_) => "tls",
            Self::Myself => "myself",
            Self::Full => "full",
            Self::PeerFull => "peer_full",
            Self::Duplicate => "duplicate",
            Self::Ended => "ended",
            Self::UnknownAnswer(_) => "unknown_answer",
            Self::Io(_) => "io",
            Self::Credential(_) => "credential",
            Self::OwnExpired { .. } => "own_expired",
            Self::OwnNotYetValid { .. } => "own_not_yet_valid",
            Self::OwnRevoked(_) => "own_revoked",
            Self::Renewed => "renewed",
            Self::Stopped => "stopped",
        }
    }

    /// Whether it is worth a line in the log of an operator: a second link that
    /// was not needed and a node that stops are not.
    pub(crate) const fn is_trouble(&self) -> bool {
        !matches!(self, Self::Duplicate | Self::Stopped | Self::Renewed)
    }

    /// Why a link ends that would not come to be now.
    pub(crate) const fn close_reason(&self) -> CloseReason {
        match self {
            Self::Expired(_) => CloseReason::Expired,
            Self::Revoked(_) => CloseReason::Revoked,
            Self::OwnExpired { .. } => CloseReason::OwnExpired,
            Self::OwnNotYetValid { .. } => CloseReason::OwnNotYetValid,
            Self::OwnRevoked(_) => CloseReason::OwnRevoked,
            Self::Renewed => CloseReason::Renewed,
            _ => CloseReason::Untrusted,
        }
    }

    /// From an error of the stream under TLS.
    pub(crate) fn from_io(error: io::Error) -> Self {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
        match inner {
            Some(tls) => Self::from_tls(rustls::Error::clone(tls)),
            None if error.kind() == io::ErrorKind::UnexpectedEof => Self::Ended,
            None => Self::Io(error),
        }
    }

    fn from_tls(error: rustls::Error) -> Self {
        match error {
            rustls::Error::NoCertificatesPresented => Self::NoCertificate,
            rustls::Error::InvalidMessage(_) => Self::NotTls,
            rustls::Error::NoApplicationProtocol => Self::OtherProtocol,
            rustls::Error::AlertReceived(AlertDescription::ProtocolVersion)
            | rustls::Error::PeerIncompatible(
                PeerIncompatible::Tls12NotOffered
                | PeerIncompatible::Tls12NotOfferedOrEnabled
                | PeerIncompatible::SupportedVersionsExtensionRequired
                | PeerIncompatible::ServerDoesNotSupportTls12Or13
                | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
            ) => Self::OldTls,
            rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol) => {
                Self::OtherProtocol
            }
            rustls::Error::AlertReceived(alert) => Self::RefusedByPeer(alert),
            error => Self::Tls(error),
        }
    }
}

impl From<VerifyError> for HandshakeError {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::ForeignKey => Self::ForeignKey(error),
            VerifyError::WrongDatabase { .. } => Self::WrongDatabase(error),
            VerifyError::Expired { .. } => Self::Expired(error),
            VerifyError::NotYetValid { .. } => Self::NotYetValid(error),
            error => Self::Certificate(error),
        }
    }
}

/// By which kind of entry somebody is cut off, for an operator to find it.
fn entry(by: &RevokedBy) -> String {
    match by {
        RevokedBy::User => "by its user".to_owned(),
        RevokedBy::PeerKey => "by its peer key".to_owned(),
        RevokedBy::Filter(filter) => format!("by the filter {filter:?}"),
    }
}

/// What an alert of the peer means to the operator of this node.
fn told(alert: AlertDescription) -> String {
    let meaning = match alert {
        AlertDescription::UnknownCA => {
            "it has another shared key or identity service (unknown CA): give all nodes of a mesh the same key, or log in to the same service"
        }
        AlertDescription::CertificateRevoked => {
            "this node's certificate was revoked: log in again if the device is in the right hands"
        }
        AlertDescription::AccessDenied => {
            "it is of another database (access denied): give both nodes the same db_id"
        }
        AlertDescription::CertificateExpired => {
            "for it this node's certificate has expired or is not valid yet: compare the two clocks"
        }
        AlertDescription::CertificateRequired => "it wants a certificate and saw none",
        AlertDescription::UnsupportedCertificate | AlertDescription::BadCertificate => {
            "it cannot use this node's certificate: compare the two versions"
        }
        other => return format!("TLS alert {other:?}"),
    };
    meaning.to_owned()
}
