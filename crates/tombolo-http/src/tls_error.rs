//! Every way in which an operator's certificate files can be wrong, each naming the file and the remedy.

use std::path::PathBuf;

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
    /// Too short, or of a kind that clients do not take.
    #[error("the certificate {} has a key of {kind}, which clients do not accept; make a new one: RSA of 2048 bits or more, ECDSA P-256 or P-384, or Ed25519", path.display())]
    KeyTooWeak {
        /// The file.
        path: PathBuf,
        /// What it is, for example `RSA, 1024 bits`.
        kind: String,
    },
    /// A file of authorities that none can be read from.
    #[error("{} holds no certificate authority that can be used ({reason}); give the authorities of the clients as PEM certificates", path.display())]
    ClientAuthority {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
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
