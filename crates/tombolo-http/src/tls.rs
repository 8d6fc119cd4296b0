//! The server's certificate: read from PEM files, checked at the door, replaceable while it serves.
//! Every way in which an operator's files can be wrong is an error of its own that names the file and the remedy.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::crypto::aws_lc_rs;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{InconsistentKeys, ServerConfig};
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;
use x509_parser::prelude::{FromDer, X509Certificate};

/// A larger certificate or key file is refused unread.
const PEM_BYTES_MAX: u64 = 1024 * 1024;

/// A certificate chain with its key, checked to belong together and to be valid at load time.
#[derive(Clone)]
pub struct Certificate {
    key: Arc<CertifiedKey>,
    expires_unix_s: i64,
}

/// Why a certificate cannot be used. The operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Missing, unreadable or too large.
    #[error("cannot read {}: {source}; check the path (relative paths start at the config file) and its permissions", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// From the system.
        source: std::io::Error,
    },
    /// No certificate in PEM form.
    #[error("{} holds no certificate in PEM form; it must begin with -----BEGIN CERTIFICATE-----, convert DER with: openssl x509 -inform der", path.display())]
    CertificateNotPem {
        /// The file.
        path: PathBuf,
    },
    /// No private key in PEM form.
    #[error("{} holds no private key in PEM form; it must hold a -----BEGIN PRIVATE KEY----- block without a password", path.display())]
    KeyNotPem {
        /// The file.
        path: PathBuf,
    },
    /// PEM, but not a certificate inside.
    #[error("{} is PEM, but its first certificate cannot be decoded; ask for it again where it was issued", path.display())]
    CertificateMalformed {
        /// The file.
        path: PathBuf,
    },
    /// PEM, but no key that this server can use.
    #[error("{} is PEM, but its key cannot be used ({reason}); use RSA of 2048 bits or more, ECDSA P-256 or P-384, or Ed25519", path.display())]
    KeyUnusable {
        /// The file.
        path: PathBuf,
        /// From the library.
        reason: rustls::Error,
    },
    /// Certificate and key are of different pairs.
    #[error("the key {} does not belong to the certificate {}; name the key that was made for it", key.display(), certificate.display())]
    KeyMismatch {
        /// The certificate file.
        certificate: PathBuf,
        /// The key file.
        key: PathBuf,
    },
    /// Too late.
    #[error("the certificate {} expired at {not_after}; renew it", path.display())]
    Expired {
        /// The file.
        path: PathBuf,
        /// As the certificate says it.
        not_after: String,
    },
    /// Too early.
    #[error("the certificate {} is not valid before {not_before}; check this machine's clock, or wait", path.display())]
    NotYetValid {
        /// The file.
        path: PathBuf,
        /// As the certificate says it.
        not_before: String,
    },
}

impl Certificate {
    /// Reads and checks a PEM chain and its PEM key. `now_unix_s` is the time in seconds since 1970.
    ///
    /// # Errors
    /// [`TlsError`], one variant per mistake.
    pub fn load(certificate: &Path, key: &Path, now_unix_s: i64) -> Result<Self, TlsError> {
        let chain = read_chain(certificate)?;
        let expires_unix_s = check_validity(certificate, &chain, now_unix_s)?;
        let key_der = read_key(key)?;
        let signing_key = aws_lc_rs::sign::any_supported_type(&key_der).map_err(|reason| {
            TlsError::KeyUnusable {
                path: key.to_owned(),
                reason,
            }
        })?;
        let certified = CertifiedKey::new(chain, signing_key);
        match certified.keys_match() {
            Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(Self {
                key: Arc::new(certified),
                expires_unix_s,
            }),
            Err(_) => {
                let (certificate, key) = (certificate.to_owned(), key.to_owned());
                Err(TlsError::KeyMismatch { certificate, key })
            }
        }
    }

    /// When the certificate ends, in seconds since 1970.
    pub fn expires_unix_s(&self) -> i64 {
        self.expires_unix_s
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Certificate")
            .field("expires_unix_s", &self.expires_unix_s)
            .finish_non_exhaustive()
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let unreadable = |source| TlsError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let size_bytes = std::fs::metadata(path).map_err(unreadable)?.len();
    if size_bytes > PEM_BYTES_MAX {
        let text = format!("the file has {size_bytes} bytes, at most {PEM_BYTES_MAX} are read");
        return Err(unreadable(std::io::Error::other(text)));
    }
    std::fs::read(path).map_err(unreadable)
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read(path)?;
    let chain: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(&text).collect();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        _ => Err(TlsError::CertificateNotPem {
            path: path.to_owned(),
        }),
    }
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let text = read(path)?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|_| TlsError::KeyNotPem {
        path: path.to_owned(),
    })
}

fn check_validity(
    path: &Path,
    chain: &[CertificateDer<'_>],
    now_unix_s: i64,
) -> Result<i64, TlsError> {
    let malformed = || TlsError::CertificateMalformed {
        path: path.to_owned(),
    };
    let leaf = chain.first().ok_or_else(malformed)?;
    let (_, leaf) = X509Certificate::from_der(leaf).map_err(|_| malformed())?;
    let validity = leaf.validity();
    if now_unix_s > validity.not_after.timestamp() {
        let not_after = validity.not_after.to_string();
        return Err(TlsError::Expired {
            path: path.to_owned(),
            not_after,
        });
    }
    if now_unix_s < validity.not_before.timestamp() {
        let not_before = validity.not_before.to_string();
        return Err(TlsError::NotYetValid {
            path: path.to_owned(),
            not_before,
        });
    }
    Ok(validity.not_after.timestamp())
}

/// Holds the certificate that new handshakes use. Clones share it.
#[derive(Debug, Clone)]
pub struct TlsIdentity {
    holder: Arc<Holder>,
}

struct Holder(RwLock<Arc<CertifiedKey>>);

impl TlsIdentity {
    /// Starts with `certificate`.
    pub fn new(certificate: Certificate) -> Self {
        Self {
            holder: Arc::new(Holder(RwLock::new(certificate.key))),
        }
    }

    /// New handshakes use `certificate` from now on; open connections keep theirs.
    pub fn replace(&self, certificate: Certificate) {
        *self
            .holder
            .0
            .write()
            .unwrap_or_else(PoisonError::into_inner) = certificate.key;
    }

    pub(crate) fn acceptor(self) -> TlsAcceptor {
        let mut config =
            ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()
                .expect("invariant: the provider has cipher suites for TLS 1.2 and 1.3")
                .with_no_client_auth()
                .with_cert_resolver(self.holder);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        TlsAcceptor::from(Arc::new(config))
    }
}

impl fmt::Debug for Holder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Holder")
    }
}

impl ResolvesServerCert for Holder {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(
            &self.0.read().unwrap_or_else(PoisonError::into_inner),
        ))
    }
}
