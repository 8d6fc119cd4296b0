//! The files behind `http_server.tls_config`: read together, so that a pair is never half old and half new.

use std::path::{Path, PathBuf};

use tombolo_http::{Certificate, ClientAuthority, MinVersion, TlsError, TlsIdentity};

use super::meaning_tls::{Acme, CertificateSource, Tls};

const PEM_MARK: &[u8] = b"-----BEGIN CERTIFICATE-----";

/// What the files hold.
#[derive(Debug, Clone)]
pub(crate) struct LoadedTls {
    /// `None`: it comes from an ACME server.
    pub(crate) certificate: Option<Certificate>,
    clients: Option<ClientAuthority>,
    min_version: MinVersion,
}

impl LoadedTls {
    /// Reads and checks the files, relative to `base`.
    ///
    /// # Errors
    /// [`TlsError`].
    pub(crate) fn load(tls: &Tls, base: &Path, now_unix_s: i64) -> Result<Self, TlsError> {
        let certificate = match &tls.source {
            CertificateSource::Files { certificate, key } => {
                let (certificate, key) = (base.join(certificate), base.join(key));
                Some(Certificate::load(&certificate, &key, now_unix_s)?)
            }
            CertificateSource::Acme(acme) => {
                check_roots(acme, base)?;
                None
            }
        };
        let clients = tls.clients.as_ref();
        let clients = clients
            .map(|clients| ClientAuthority::load(&base.join(&clients.authorities), clients.proof));
        Ok(Self {
            certificate,
            clients: clients.transpose()?,
            min_version: tls.min_version,
        })
    }

    /// New handshakes use it from now on.
    pub(crate) fn apply(self, identity: &TlsIdentity) {
        identity.accept(self.min_version, self.clients);
        if let Some(certificate) = self.certificate {
            identity.replace(certificate);
        }
    }
}

/// So that an operator hears of a wrong file now, and not from the first try.
fn check_roots(acme: &Acme, base: &Path) -> Result<(), TlsError> {
    let Some(path) = acme.ca_file.as_ref().map(|file| base.join(file)) else {
        return Ok(());
    };
    match std::fs::read(&path) {
        Ok(text) if text.windows(PEM_MARK.len()).any(|found| found == PEM_MARK) => Ok(()),
        Ok(_) => Err(TlsError::CertificateNotPem { path }),
        Err(source) => Err(TlsError::Unreadable { path, source }),
    }
}

/// The files that [`LoadedTls::load`] reads.
pub(crate) fn named_files(tls: &Tls, base: &Path) -> Vec<PathBuf> {
    let pair = match &tls.source {
        CertificateSource::Files { certificate, key } => vec![certificate, key],
        CertificateSource::Acme(_) => Vec::new(),
    };
    let clients = tls.clients.as_ref().map(|clients| &clients.authorities);
    let files = pair.into_iter().chain(clients);
    files.map(|file| base.join(file)).collect()
}
