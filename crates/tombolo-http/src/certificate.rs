//! A certificate chain with its key: read from PEM files, and checked at the door.
//! What it says of itself is kept in words, for whoever has to explain it to an operator.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rustls::InconsistentKeys;
use rustls::client::verify_server_name;
use rustls::crypto::aws_lc_rs;
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::public_key::PublicKey;

use crate::tls_error::TlsError;

/// A larger certificate or key file is refused unread.
const PEM_BYTES_MAX: u64 = 1024 * 1024;
/// Shortest RSA key that clients accept.
const RSA_BITS_MIN: usize = 2048;

/// A certificate chain with its key, checked to belong together and to be valid at load time.
#[derive(Clone)]
pub struct Certificate {
    pub(crate) key: Arc<CertifiedKey>,
    about: Arc<About>,
}

/// What a certificate says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// Whom it is for.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// Names and addresses that clients may reach it under.
    pub names: Vec<String>,
    /// First second of its validity, since 1970.
    pub not_before_unix_s: i64,
    /// Last second of its validity, since 1970.
    pub not_after_unix_s: i64,
    /// Kind and size of its key.
    pub key_kind: String,
    /// Nobody vouches for it but itself.
    pub is_self_signed: bool,
    /// Certificates in the file; the first one is the server's.
    pub chain_length: usize,
    /// Counted from 1: the first certificate of the file that the one after it did not sign.
    pub chain_break: Option<usize>,
}

impl Certificate {
    /// Reads and checks a PEM chain and its PEM key. `now_unix_s` is the time in seconds since 1970.
    ///
    /// # Errors
    /// [`TlsError`], one variant per mistake.
    pub fn load(certificate: &Path, key: &Path, now_unix_s: i64) -> Result<Self, TlsError> {
        let chain = read_chain(certificate)?;
        let about = describe(certificate, &chain)?;
        check_validity(certificate, &about, now_unix_s)?;
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
                about: Arc::new(about),
            }),
            Err(_) => {
                let (certificate, key) = (certificate.to_owned(), key.to_owned());
                Err(TlsError::KeyMismatch { certificate, key })
            }
        }
    }

    /// When the certificate ends, in seconds since 1970.
    pub fn expires_unix_s(&self) -> i64 {
        self.about.not_after_unix_s
    }

    /// What it says of itself.
    pub fn about(&self) -> &About {
        &self.about
    }

    /// Whether both are the same chain.
    pub fn is_same(&self, other: &Self) -> bool {
        self.key.cert == other.key.cert
    }

    /// Whether a client that asks for `name`, a host name or an address, would accept it there.
    pub fn covers(&self, name: &str) -> bool {
        let Ok(name) = ServerName::try_from(name) else {
            return false;
        };
        let Some(leaf) = self.key.cert.first() else {
            return false;
        };
        ParsedCertificate::try_from(leaf).is_ok_and(|leaf| verify_server_name(&leaf, &name).is_ok())
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Certificate")
            .field("about", &self.about)
            .finish_non_exhaustive()
    }
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
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

fn describe(path: &Path, chain: &[CertificateDer<'_>]) -> Result<About, TlsError> {
    let malformed = |_| TlsError::CertificateMalformed {
        path: path.to_owned(),
    };
    let chain: Result<Vec<_>, _> = chain
        .iter()
        .map(|certificate| X509Certificate::from_der(certificate).map(|(_, parsed)| parsed))
        .collect();
    let chain = chain.map_err(malformed)?;
    let leaf = chain
        .first()
        .ok_or_else(|| TlsError::CertificateMalformed {
            path: path.to_owned(),
        })?;
    let chain_break = chain
        .windows(2)
        .position(|pair| pair[0].issuer().as_raw() != pair[1].subject().as_raw());
    Ok(About {
        subject: leaf.subject().to_string(),
        issuer: leaf.issuer().to_string(),
        names: names(leaf),
        not_before_unix_s: leaf.validity().not_before.timestamp(),
        not_after_unix_s: leaf.validity().not_after.timestamp(),
        key_kind: key_kind(path, leaf)?,
        is_self_signed: leaf.subject().as_raw() == leaf.issuer().as_raw(),
        chain_length: chain.len(),
        chain_break: chain_break.map(|index| index + 1),
    })
}

fn names(leaf: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(alternative)) = leaf.subject_alternative_name() else {
        return Vec::new();
    };
    let names = alternative.value.general_names.iter();
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(octets) => address(octets),
        _ => None,
    };
    names.filter_map(name).collect()
}

fn address(octets: &[u8]) -> Option<String> {
    let v4 = <[u8; 4]>::try_from(octets).map(std::net::IpAddr::from);
    let v6 = <[u8; 16]>::try_from(octets).map(std::net::IpAddr::from);
    v4.or(v6).ok().map(|address| address.to_string())
}

/// The kind of the key in words, if it is one that clients accept.
fn key_kind(path: &Path, leaf: &X509Certificate<'_>) -> Result<String, TlsError> {
    const P256: &str = "1.2.840.10045.3.1.7";
    const P384: &str = "1.3.132.0.34";
    const ED25519: &str = "1.3.101.112";
    let too_weak = |kind: String| TlsError::KeyTooWeak {
        path: path.to_owned(),
        kind,
    };
    let key = leaf.public_key();
    let curve = || key.algorithm.parameters.as_ref()?.as_oid().ok();
    match key.parsed() {
        Ok(PublicKey::RSA(rsa)) => {
            let bits = rsa.key_size();
            let kind = format!("RSA, {bits} bits");
            if bits < RSA_BITS_MIN {
                return Err(too_weak(kind));
            }
            Ok(kind)
        }
        Ok(PublicKey::EC(_)) => match curve().map(|curve| curve.to_id_string()) {
            Some(curve) if curve == P256 => Ok("ECDSA P-256".to_owned()),
            Some(curve) if curve == P384 => Ok("ECDSA P-384".to_owned()),
            Some(curve) => Err(too_weak(format!("ECDSA on the curve {curve}"))),
            None => Err(too_weak("ECDSA on an unnamed curve".to_owned())),
        },
        _ if key.algorithm.algorithm.to_id_string() == ED25519 => Ok("Ed25519".to_owned()),
        _ => Err(too_weak(format!("the kind {}", key.algorithm.algorithm))),
    }
}

fn check_validity(path: &Path, about: &About, now_unix_s: i64) -> Result<(), TlsError> {
    if now_unix_s > about.not_after_unix_s {
        return Err(TlsError::Expired {
            path: path.to_owned(),
            not_after: in_words(about.not_after_unix_s),
        });
    }
    if now_unix_s < about.not_before_unix_s {
        return Err(TlsError::NotYetValid {
            path: path.to_owned(),
            not_before: in_words(about.not_before_unix_s),
        });
    }
    Ok(())
}

/// A time as certificates print it.
pub(crate) fn in_words(unix_s: i64) -> String {
    x509_parser::time::ASN1Time::from_timestamp(unix_s).map_or_else(
        |_| format!("{unix_s} s since 1970"),
        |time| time.to_string(),
    )
}
