//! What TLS means for the HTTP server, as the configuration says it. Paths are still as typed.

use std::path::PathBuf;

use tombolo_http::{ClientProof, MinVersion};

/// How the HTTP server encrypts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tls {
    pub(crate) source: CertificateSource,
    pub(crate) min_version: MinVersion,
    /// `None`: clients are not asked for certificates.
    pub(crate) clients: Option<Clients>,
}

/// Where the certificate comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CertificateSource {
    /// PEM files that somebody else keeps fresh.
    Files { certificate: PathBuf, key: PathBuf },
}

/// Whose certificates clients show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Clients {
    /// PEM certificates of the authorities.
    pub(crate) authorities: PathBuf,
    pub(crate) proof: ClientProof,
}
