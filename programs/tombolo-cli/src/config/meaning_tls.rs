//! What TLS means for the HTTP server, as the configuration says it. Paths are still as typed.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use tombolo_http::{ClientProof, MinVersion};
use zeroize::Zeroizing;

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
    /// The node asks an ACME server for it.
    Acme(Acme),
}

/// Which certificate is asked for, where, and as whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Acme {
    /// In lower case, as typed, none twice.
    pub(crate) domains: Vec<String>,
    /// `mailto:` addresses.
    pub(crate) contact: Vec<String>,
    pub(crate) directory_url: String,
    /// PEM roots; `None`: those of the system.
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) external_account: Option<ExternalAccount>,
}

/// What the ACME server gave out for making an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ExternalAccount {
    pub(crate) key_id: String,
    pub(crate) key: MacKey,
}

/// A key that `Debug` does not show.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct MacKey(Arc<Zeroizing<Vec<u8>>>);

impl MacKey {
    pub(super) fn new(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(Arc::new(bytes))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for MacKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("MacKey(redacted)")
    }
}

/// Whose certificates clients show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Clients {
    /// PEM certificates of the authorities.
    pub(crate) authorities: PathBuf,
    pub(crate) proof: ClientProof,
}
