//! The verb `config check-tls`: what clients would meet at the HTTPS port, step by step, and what to do where it fails.
//! It changes nothing; it binds the port for a moment if nobody holds it.

mod acme;

use std::io::{ErrorKind, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, ToSocketAddrs};
use std::path::Path;

use tombolo_http::{About, Certificate, TlsError};

use crate::config::{CertificateSource, Config, Encryption, Http, LoadedTls};

/// Width of the names of steps.
const NAME_WIDTH: usize = 12;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TlsVerdict {
    /// Nothing keeps clients that trust the certificate from connecting.
    Sound,
    /// Something does, and was told with its remedy.
    Faulty,
}

/// Where files are looked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Places<'p> {
    /// What relative paths of the configuration start at.
    pub(crate) base: &'p Path,
    /// The data directory of the node.
    pub(crate) data: &'p Path,
}

/// Writes a line for each step.
struct Report<'o> {
    out: &'o mut dyn Write,
    verdict: TlsVerdict,
}

impl Report<'_> {
    fn line(&mut self, mark: &str, step: &str, what: &str) -> std::io::Result<()> {
        writeln!(self.out, "{mark:<5} {step:NAME_WIDTH$} {what}")
    }

    fn fine(&mut self, step: &str, what: &str) -> std::io::Result<()> {
        self.line("ok", step, what)
    }

    fn note(&mut self, step: &str, what: &str) -> std::io::Result<()> {
        self.line("note", step, what)
    }

    fn fault(&mut self, step: &str, what: &str, remedy: &str) -> std::io::Result<()> {
        self.verdict = TlsVerdict::Faulty;
        self.line("FAULT", step, what)?;
        writeln!(self.out, "  = help: {remedy}")
    }
}

/// Checks the certificate of `config` for `name` or else for the host of its `listen_addr`. `now_unix_s` is the time in seconds since 1970.
///
/// # Errors
/// The report cannot be written.
pub(crate) fn check(
    config: &Config,
    places: Places<'_>,
    name: Option<&str>,
    now_unix_s: i64,
    out: &mut dyn Write,
) -> std::io::Result<TlsVerdict> {
    let verdict = TlsVerdict::Sound;
    let mut report = Report { out, verdict };
    let Some(http) = &config.http else {
        let remedy = "add http_server with a tls_config";
        report.fault("http_server", "it is off: there is no HTTPS", remedy)?;
        return Ok(report.verdict);
    };
    let Encryption::Tls(tls) = &http.encryption else {
        let remedy = "write tls_config: { cert: ..., key: ... }, or { acme: ... }";
        report.fault("tls_config", "it is dev_mode: plain HTTP, no HTTPS", remedy)?;
        return Ok(report.verdict);
    };
    let loaded = LoadedTls::load(tls, places.base, now_unix_s);
    match (loaded, &tls.source) {
        (Err(error), _) => report.fault("files", &error.to_string(), remedy(&error))?,
        (Ok(_), CertificateSource::Acme(acme)) => {
            if let Some(kept) = acme::look(acme, places.data, now_unix_s, &mut report)? {
                let own = acme.domains.first().map(String::as_str);
                judge(&kept, http, name.or(own), now_unix_s, &mut report)?;
            }
        }
        (Ok(loaded), CertificateSource::Files { .. }) => {
            if let Some(certificate) = loaded.certificate {
                judge(&certificate, http, name, now_unix_s, &mut report)?;
            }
        }
    }
    port(&http.listen_address, &mut report)?;
    Ok(report.verdict)
}

/// What the text of the error does not say.
fn remedy(error: &TlsError) -> &'static str {
    match error {
        TlsError::Unreadable { source, .. } => match source.kind() {
            ErrorKind::NotFound => {
                "no such file: write the path from the root, or relative to the configuration file"
            }
            ErrorKind::PermissionDenied => {
                "the node's user may not read it: give its group the right (chgrp, chmod 640), and the right to enter each directory above it; /etc/letsencrypt/live and archive are closed to others"
            }
            _ => "see whether the file can be read with cat, as the node's user",
        },
        TlsError::CertificateNotPem { .. } | TlsError::KeyNotPem { .. } => {
            "look into the file: PEM is text between BEGIN and END lines"
        }
        TlsError::KeyMismatch { .. } => {
            "compare: openssl x509 -in CERT -noout -pubkey, and: openssl pkey -in KEY -pubout; the two must be the same. The server's certificate must be the first of its file"
        }
        TlsError::Expired { .. } => "renew it; a node that runs takes the new files by itself",
        TlsError::NotYetValid { .. } => "compare the clock: date -u",
        TlsError::CertificateMalformed { .. }
        | TlsError::KeyUnusable { .. }
        | TlsError::KeyTooWeak { .. } => {
            "make a new key: openssl ecparam -name prime256v1 -genkey, and ask for a certificate for it"
        }
        TlsError::ClientAuthority { .. } => "client_ca names the authorities of your clients",
    }
}

fn judge(
    certificate: &Certificate,
    http: &Http,
    name: Option<&str>,
    now_unix_s: i64,
    report: &mut Report<'_>,
) -> std::io::Result<()> {
    let about = certificate.about();
    report.fine("files", "certificate and key are PEM and belong together")?;
    report.fine("key", &about.key_kind)?;
    let days = (about.not_after_unix_s - now_unix_s) / (24 * 60 * 60);
    report.fine("validity", &format!("it ends in {days} days"))?;
    chain(about, report)?;
    names(certificate, &http.listen_address, name, report)
}

fn chain(about: &About, report: &mut Report<'_>) -> std::io::Result<()> {
    if let Some(place) = about.chain_break {
        let what = format!(
            "certificate {} of the file did not sign certificate {place}",
            place + 1
        );
        let remedy = "put the server's certificate first, then the one that signed it, and so on; the root may be left out";
        return report.fault("chain", &what, remedy);
    }
    if about.is_self_signed {
        let what = "self-signed: browsers say \"Not Secure\", and clients refuse it unless they are told to trust it, for example with curl --cacert";
        return report.note("chain", what);
    }
    if about.chain_length == 1 {
        let what = format!(
            "it stands alone: clients that do not know {} refuse it; if the issuer sent a fullchain file, name that one",
            about.issuer
        );
        return report.note("chain", &what);
    }
    let what = format!(
        "{} certificates, signed by {}",
        about.chain_length, about.issuer
    );
    report.fine("chain", &what)
}

fn names(
    certificate: &Certificate,
    listen_address: &str,
    name: Option<&str>,
    report: &mut Report<'_>,
) -> std::io::Result<()> {
    let names = certificate.about().names.join(", ");
    let host = listen_address.rsplit_once(':').map_or("", |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let is_everywhere = host.parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified());
    let Some(asked) = name.or(Some(host).filter(|_| !is_everywhere)) else {
        let what = format!("it is for {names}; to compare it with what clients type, add --name");
        return report.note("name", &what);
    };
    if certificate.covers(asked) {
        return report.fine("name", &format!("it is for {asked}"));
    }
    let what = format!("it is not for {asked}, only for: {names}");
    let remedy = "ask for a certificate with that name among its subject alternative names (a common name does not count), or let clients use a name of it, given with --name";
    report.fault("name", &what, remedy)
}

fn port(listen_address: &str, report: &mut Report<'_>) -> std::io::Result<()> {
    let addresses: Vec<SocketAddr> = match listen_address.to_socket_addrs() {
        Ok(addresses) => addresses.collect(),
        Err(error) => {
            let what = format!("{listen_address} cannot be found: {error}");
            return report.fault("port", &what, "write an address of this machine");
        }
    };
    let Err(error) = TcpListener::bind(&addresses[..]) else {
        let what = format!(
            "{listen_address} is free; if clients are refused while the node runs, a firewall or another address is the cause"
        );
        return report.fine("port", &what);
    };
    let remedy = match error.kind() {
        ErrorKind::AddrInUse => {
            "see who holds it: ss -ltnp; if it is this node, all is well, else stop that program or choose another port"
        }
        ErrorKind::PermissionDenied => {
            "ports below 1024 need a right: setcap cap_net_bind_service=+ep on the program, AmbientCapabilities=CAP_NET_BIND_SERVICE in its unit, or a port from 1024 on"
        }
        ErrorKind::AddrNotAvailable => {
            "this machine has no such address: see ip addr, or write 0.0.0.0 for all of them"
        }
        _ => "choose another address",
    };
    report.fault("port", &format!("{listen_address}: {error}"), remedy)
}
