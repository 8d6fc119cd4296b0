//! The files behind `http_server.tls_config`: read together, so that a pair is never half old and half new.

use std::path::{Path, PathBuf};

use tombolo_http::{Certificate, ClientAuthority, MinVersion, TlsError, TlsIdentity};

use super::meaning_tls::{CertificateSource, Tls};

/// What the files hold.
#[derive(Debug, Clone)]
pub(crate) struct LoadedTls {
    pub(crate) certificate: Certificate,
    clients: Option<ClientAuthority>,
    min_version: MinVersion,
}

impl LoadedTls {
    /// Reads and checks the files, relative to `base`.
    ///
    /// # Errors
    /// [`TlsError`].
    pub(crate) fn load(tls: &Tls, base: &Path, now_unix_s: i64) -> Result<Self, TlsError> {
        let CertificateSource::Files { certificate, key } = &tls.source;
        let certificate = Certificate::load(&base.join(certificate), &base.join(key), now_unix_s)?;
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
        identity.replace(self.certificate);
    }
}

/// The files that [`LoadedTls::load`] reads.
pub(crate) fn named_files(tls: &Tls, base: &Path) -> Vec<PathBuf> {
    let CertificateSource::Files { certificate, key } = &tls.source;
    let clients = tls.clients.as_ref().map(|clients| &clients.authorities);
    let files = [certificate, key].into_iter().chain(clients);
    files.map(|file| base.join(file)).collect()
}
