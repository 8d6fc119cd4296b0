//! Answering the question of an ACME server whether this server holds a domain (tls-alpn-01, RFC 8737).
//! A connection that asks it gets the certificate of the proof and is never served HTTP.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::server::ClientHello;
use rustls::sign::CertifiedKey;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::tls::{MinVersion, plain_config};

/// What a client names that asks this question, and names nothing else.
const ACME_PROTOCOL: &[u8] = b"acme-tls/1";

/// The answer for one domain.
#[derive(Clone)]
pub struct DomainProof {
    domain: String,
    config: Arc<ServerConfig>,
}

impl DomainProof {
    /// `certificate` holds the digest that the ACME server waits for, and `key` is its key.
    /// `domain` is in lower case, without a dot at its end.
    ///
    /// # Errors
    /// The key cannot be used.
    pub fn new(
        domain: &str,
        certificate: CertificateDer<'static>,
        key: &PrivateKeyDer<'_>,
    ) -> Result<Self, rustls::Error> {
        let key = aws_lc_rs::sign::any_supported_type(key)?;
        // It carries a critical extension that only the ACME server knows, so nothing here may read it.
        let key = Arc::new(CertifiedKey::new(vec![certificate], key));
        let mut config = plain_config(MinVersion::Tls12, None, key);
        config.alpn_protocols = vec![ACME_PROTOCOL.to_vec()];
        Ok(Self {
            domain: domain.to_owned(),
            config: Arc::new(config),
        })
    }
}

impl fmt::Debug for DomainProof {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("DomainProof")
            .field("domain", &self.domain)
            .finish_non_exhaustive()
    }
}

/// The domains that are being proven.
#[derive(Debug, Default)]
pub(crate) struct Proofs(BTreeMap<String, Arc<ServerConfig>>);

impl Proofs {
    pub(crate) fn of(proofs: Vec<DomainProof>) -> Self {
        let proofs = proofs.into_iter();
        Self(proofs.map(|proof| (proof.domain, proof.config)).collect())
    }

    /// What to answer `hello` with, which [`is_question`]; `None` if the name that it gives is not being proven.
    pub(crate) fn config_for(&self, hello: &ClientHello<'_>) -> Option<Arc<ServerConfig>> {
        let name = hello.server_name()?.to_ascii_lowercase();
        self.0.get(&name).cloned()
    }
}

/// Whether a client asks whether this server holds a domain. One that can speak HTTP too is a client like any other.
pub(crate) fn is_question(hello: &ClientHello<'_>) -> bool {
    let Some(mut named) = hello.alpn() else {
        return false;
    };
    named.next() == Some(ACME_PROTOCOL) && named.next().is_none()
}
