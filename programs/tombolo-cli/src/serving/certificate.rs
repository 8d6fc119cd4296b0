//! The certificate of the HTTP server while the node runs: taken anew when its files change, and watched to its end.
//! A pair that cannot be used leaves the old one in place.

use std::path::PathBuf;

use tokio::sync::watch;
use tombolo_http::TlsIdentity;

use super::expiry::{ExpiryAlarm, span};
use super::reload::{Cause, Party, Taken};
use crate::config::{Acme, CertificateSource, Config, Encryption, LoadedTls, Tls, named_files};
use crate::run::say;

/// Keeps the certificate of files fresh, and tells who asks an ACME server what to ask for.
pub(crate) struct CertificateKeeper {
    identity: TlsIdentity,
    tls: Tls,
    base: PathBuf,
    alarm: ExpiryAlarm,
    /// `None`: the certificate is of files.
    wanted: Option<watch::Sender<Acme>>,
}

impl CertificateKeeper {
    /// `base`: what relative paths start at.
    pub(crate) fn new(
        identity: TlsIdentity,
        tls: Tls,
        base: PathBuf,
        wanted: Option<watch::Sender<Acme>>,
    ) -> Self {
        Self {
            identity,
            tls,
            base,
            alarm: ExpiryAlarm::default(),
            wanted,
        }
    }

    fn follow(&mut self, config: &Config) {
        match config.http.as_ref().map(|http| &http.encryption) {
            Some(Encryption::Tls(tls)) => self.follow_tls(tls),
            Some(Encryption::Plain) | None => tracing::error!(
                "http_server.tls_config names no certificate any more, and the node goes on with the old one: restart it to serve plain HTTP"
            ),
        }
    }

    fn follow_tls(&mut self, tls: &Tls) {
        match (&self.wanted, &tls.source) {
            (None, CertificateSource::Files { .. }) => {}
            (Some(wanted), CertificateSource::Acme(acme)) => {
                wanted.send_if_modified(|held| {
                    let is_new = held != acme;
                    held.clone_from(acme);
                    is_new
                });
            }
            _ => {
                tracing::error!(
                    "http_server.tls_config changed between files and acme, and the node goes on with what it had: restart it"
                );
                return;
            }
        }
        self.tls = tls.clone();
    }

    /// What to do about the end of the certificate.
    fn remedy(&self) -> &'static str {
        match self.wanted {
            None => "renew its files; a running node takes them by itself",
            Some(_) => {
                "the node renews it by itself and has not succeeded; the messages of acme tell why"
            }
        }
    }
}

impl Party for CertificateKeeper {
    fn reload(&mut self, config: Option<&Config>, cause: Cause, now_unix_s: i64) -> Taken {
        if let Some(config) = config {
            self.follow(config);
        }
        let loaded = match LoadedTls::load(&self.tls, &self.base, now_unix_s) {
            Ok(loaded) => loaded,
            Err(error) => {
                if cause != Cause::Retried {
                    tracing::error!(
                        "the certificate was not taken, the node goes on with the old one: {error}"
                    );
                }
                return Taken::NotAll;
            }
        };
        let Some(certificate) = loaded.certificate.clone() else {
            loaded.apply(&self.identity);
            return Taken::All;
        };
        let held = self.identity.certificate();
        let is_held = held.is_some_and(|held| held.is_same(&certificate));
        let about = certificate.about().clone();
        loaded.apply(&self.identity);
        if is_held && cause != Cause::Asked {
            return Taken::All;
        }
        let left = span(about.not_after_unix_s - now_unix_s);
        let subject = about.subject;
        say(&format!(
            "certificate: {subject} is in use, it ends in {left}"
        ));
        Taken::All
    }

    fn files(&self) -> Vec<PathBuf> {
        named_files(&self.tls, &self.base)
    }

    fn look(&mut self, now_unix_s: i64) {
        let Some(certificate) = self.identity.certificate() else {
            return;
        };
        match self.alarm.rings(certificate.about(), now_unix_s) {
            Some(left_s) if left_s < 0 => tracing::error!(
                "the certificate has ended, and clients refuse it: {}",
                self.remedy()
            ),
            Some(left_s) => tracing::warn!(
                "the certificate ends in {}: {}",
                span(left_s),
                self.remedy()
            ),
            None => {}
        }
    }
}
