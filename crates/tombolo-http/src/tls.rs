//! What TLS connections are accepted with: certificate, lowest version, whose clients. All of it replaceable
//! while the server runs: the next handshake uses the new, open connections keep what they began with.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::crypto::aws_lc_rs;
use rustls::server::{
    ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig, ServerConnection, SupportedProtocolVersion};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::certificate::{self, Certificate};
use crate::domain_proof::{DomainProof, Proofs, is_question};
use crate::tls_error::TlsError;

/// Most authorities in a file of them.
const AUTHORITIES_MAX: usize = 256;

/// The oldest TLS that is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MinVersion {
    /// 1.2 and 1.3.
    #[default]
    Tls12,
    /// 1.3 alone.
    Tls13,
}

/// Whether a client must show a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientProof {
    /// A handshake without one fails.
    Required,
    /// One that is shown must be good; its owner stands in [`Request::client`](crate::Request::client).
    Optional,
}

/// Whose certificates clients may show.
#[derive(Clone)]
pub struct ClientAuthority {
    roots: Arc<RootCertStore>,
    proof: ClientProof,
}

/// The owner of a certificate that a client showed, and that was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The subject in words, for example `CN=sensor-7, O=Example`.
    pub subject: String,
}

/// Holds what the next handshake uses. Clones share it.
#[derive(Clone)]
pub struct TlsIdentity(Arc<RwLock<Held>>);

struct Held {
    certificate: Option<Certificate>,
    min_version: MinVersion,
    clients: Option<ClientAuthority>,
    config: Option<Arc<ServerConfig>>,
    proofs: Proofs,
}

/// What a handshake is for, and what to answer it with.
pub(crate) enum Handshake {
    /// Requests follow.
    Requests(Arc<ServerConfig>),
    /// An ACME server asks for a domain, and nothing follows.
    Proof(Arc<ServerConfig>),
    /// There is no certificate yet, or the domain that is asked for is not being proven.
    Refused,
}

impl ClientAuthority {
    /// Reads the PEM certificates of the authorities.
    ///
    /// # Errors
    /// [`TlsError::Unreadable`], [`TlsError::ClientAuthority`].
    pub fn load(path: &Path, proof: ClientProof) -> Result<Self, TlsError> {
        let refused = |reason: String| TlsError::ClientAuthority {
            path: path.to_owned(),
            reason,
        };
        let text = certificate::read(path)?;
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&text) {
            let certificate = certificate.map_err(|error| refused(error.to_string()))?;
            if roots.len() == AUTHORITIES_MAX {
                return Err(refused(format!("more than {AUTHORITIES_MAX} certificates")));
            }
            let added = roots.add(certificate);
            added.map_err(|error| refused(error.to_string()))?;
        }
        if roots.is_empty() {
            return Err(refused("no certificate in PEM form".to_owned()));
        }
        let roots = Arc::new(roots);
        Ok(Self { roots, proof })
    }
}

impl ClientCertificate {
    /// Whom the connection belongs to, if it proved one.
    pub(crate) fn of(connection: &ServerConnection) -> Option<Arc<Self>> {
        let leaf = connection.peer_certificates()?.first()?;
        let (_, leaf) = X509Certificate::from_der(leaf).ok()?;
        Some(Arc::new(Self {
            subject: leaf.subject().to_string(),
        }))
    }
}

impl TlsIdentity {
    /// Starts with `certificate`, TLS 1.2 and 1.3, and clients that show none.
    pub fn new(certificate: Certificate) -> Self {
        let identity = Self::without_certificate();
        identity.replace(certificate);
        identity
    }

    /// Starts without: until [`TlsIdentity::replace`] every handshake fails.
    pub fn without_certificate() -> Self {
        Self(Arc::new(RwLock::new(Held {
            certificate: None,
            min_version: MinVersion::default(),
            clients: None,
            config: None,
            proofs: Proofs::default(),
        })))
    }

    /// New handshakes use `certificate` from now on; open connections keep theirs.
    pub fn replace(&self, certificate: Certificate) {
        self.change(|held| held.certificate = Some(certificate));
    }

    /// New handshakes accept these versions and these clients from now on.
    pub fn accept(&self, min_version: MinVersion, clients: Option<ClientAuthority>) {
        self.change(|held| {
            held.min_version = min_version;
            held.clients = clients;
        });
    }

    /// From now on, and until the next call, proves to an ACME server that this server holds these domains, and no others.
    pub fn prove_domains(&self, proofs: Vec<DomainProof>) {
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        held.proofs = Proofs::of(proofs);
    }

    /// When the certificate ends, in seconds since 1970; `None` while there is none.
    pub fn not_after(&self) -> Option<i64> {
        let held = self.0.read().unwrap_or_else(PoisonError::into_inner);
        held.certificate.as_ref().map(Certificate::expires_unix_s)
    }

    /// The certificate that the next handshake uses.
    pub fn certificate(&self) -> Option<Certificate> {
        let held = self.0.read().unwrap_or_else(PoisonError::into_inner);
        held.certificate.clone()
    }

    fn change(&self, change: impl FnOnce(&mut Held)) {
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        change(&mut held);
        held.config = held.certificate.as_ref().map(|certificate| {
            let key = Arc::clone(&certificate.key);
            let mut config = plain_config(held.min_version, held.clients.as_ref(), key);
            config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
            Arc::new(config)
        });
    }

    /// How to go on after `hello`.
    pub(crate) fn answer(&self, hello: &ClientHello<'_>) -> Handshake {
        let held = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let answer = match is_question(hello) {
            true => held.proofs.config_for(hello).map(Handshake::Proof),
            false => held.config.clone().map(Handshake::Requests),
        };
        answer.unwrap_or(Handshake::Refused)
    }
}

pub(crate) fn plain_config(
    min_version: MinVersion,
    clients: Option<&ClientAuthority>,
    key: Arc<CertifiedKey>,
) -> ServerConfig {
    let versions: &[&SupportedProtocolVersion] = match min_version {
        MinVersion::Tls12 => &[&rustls::version::TLS13, &rustls::version::TLS12],
        MinVersion::Tls13 => &[&rustls::version::TLS13],
    };
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .expect("invariant: the provider has cipher suites for TLS 1.2 and 1.3");
    let Some(ClientAuthority { roots, proof }) = clients else {
        return builder
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(Only(key)));
    };
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), provider);
    let verifier = match proof {
        ClientProof::Required => verifier,
        ClientProof::Optional => verifier.allow_unauthenticated(),
    };
    let verifier = verifier
        .build()
        .expect("invariant: there are roots, and no list of revocations that could be wrong");
    let mut config = builder
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(Only(key)));
    // A resumed session is not verified again, so an authority that was taken out would go on counting.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config
}

impl fmt::Debug for TlsIdentity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("TlsIdentity")
            .field("not_after", &self.not_after())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ClientAuthority {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ClientAuthority")
            .field("roots", &self.roots.len())
            .field("proof", &self.proof)
            .finish()
    }
}

/// The key of this configuration, whatever name the client asks for.
#[derive(Debug)]
struct Only(Arc<CertifiedKey>);

impl ResolvesServerCert for Only {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}
