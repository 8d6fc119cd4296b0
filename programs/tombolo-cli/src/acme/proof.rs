//! The certificate that answers an ACME server on the HTTPS port (tls-alpn-01, RFC 8737), for as long as it asks.

use rcgen::{CertificateParams, CustomExtension, DistinguishedName, DnType, KeyPair};
use rustls_pki_types::PrivateKeyDer;
use tombolo_http::{DomainProof, TlsIdentity};

/// The domains that are being proven at the moment; dropping it ends that.
pub(super) struct Proving<'i> {
    identity: &'i TlsIdentity,
    proofs: Vec<DomainProof>,
}

impl<'i> Proving<'i> {
    pub(super) const fn begin(identity: &'i TlsIdentity) -> Self {
        let proofs = Vec::new();
        Self { identity, proofs }
    }

    /// From now on a connection that asks for `domain` finds `digest`, the SHA-256 that the server waits for.
    ///
    /// # Errors
    /// The certificate cannot be made, in words.
    pub(super) fn prove(&mut self, domain: &str, digest: &[u8; 32]) -> Result<(), String> {
        self.proofs.push(proof(domain, digest)?);
        self.identity.prove_domains(self.proofs.clone());
        Ok(())
    }
}

impl Drop for Proving<'_> {
    fn drop(&mut self) {
        self.identity.prove_domains(Vec::new());
    }
}

fn proof(domain: &str, digest: &[u8; 32]) -> Result<DomainProof, String> {
    let unmade = |error: rcgen::Error| error.to_string();
    let mut params = CertificateParams::new(vec![domain.to_owned()]).map_err(unmade)?;
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, "acme-tls/1");
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let key = KeyPair::generate().map_err(unmade)?;
    let certificate = params.self_signed(&key).map_err(unmade)?;
    let key = PrivateKeyDer::try_from(key.serialize_der())?;
    let made = DomainProof::new(domain, certificate.der().clone(), &key);
    made.map_err(|error| error.to_string())
}
