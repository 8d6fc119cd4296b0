//! TLS for questions that the node asks other servers: the roots of the system, or those of one file and no others.
//! docs/decisions/https-client.md tells why.

use std::error::Error;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use rustls_platform_verifier::Verifier;

/// Most roots in a file of them.
const ROOTS_MAX: usize = 256;

/// Why no server can be asked. The operator's to mend.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientTlsError {
    #[error("ca_file: {reason}\n  = help: give the roots as PEM certificates")]
    Roots { reason: String },
    #[error(
        "no TLS for questions to other servers: {reason}\n  = help: on a machine without a store of certificates, write ca_file"
    )]
    NoTls { reason: String },
}

/// `roots` are PEM certificates; `None` asks the system.
///
/// # Errors
/// [`ClientTlsError`].
pub(crate) fn config(roots: Option<&[u8]>) -> Result<ClientConfig, ClientTlsError> {
    let no_tls = |error: rustls::Error| ClientTlsError::NoTls {
        reason: error.to_string(),
    };
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(no_tls)?;
    Ok(match roots {
        Some(pem) => builder
            .with_root_certificates(parse_roots(pem)?)
            .with_no_client_auth(),
        None => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Verifier::new(provider).map_err(no_tls)?))
            .with_no_client_auth(),
    })
}

fn parse_roots(pem: &[u8]) -> Result<RootCertStore, ClientTlsError> {
    let refused = |reason: String| ClientTlsError::Roots { reason };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate =
            certificate.map_err(|error| refused(format!("it is not PEM: {error}")))?;
        if roots.len() == ROOTS_MAX {
            return Err(refused(format!(
                "it has more than {ROOTS_MAX} certificates"
            )));
        }
        let added = roots.add(certificate);
        added.map_err(|error| refused(format!("one of it cannot be a root: {error}")))?;
    }
    match roots.is_empty() {
        true => Err(refused("it holds no certificate".to_owned())),
        false => Ok(roots),
    }
}

/// The innermost cause: what stands around it names libraries.
pub(crate) fn innermost(error: &dyn Error) -> String {
    let mut innermost = error;
    while let Some(inner) = innermost.source() {
        innermost = inner;
    }
    innermost.to_string()
}
