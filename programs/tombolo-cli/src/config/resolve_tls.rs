//! The key `http_server.tls_config`: plain HTTP, or a certificate and what it is used with.

use serde_saphyr::Location;
use tombolo_http::{ClientProof, MinVersion};

use super::meaning::Encryption;
use super::meaning_tls::{CertificateSource, Clients, Tls};
use super::raw::{Placed, RawAcme, RawClientCa, RawTls, Spanned, WordOr};
use super::resolve::Findings;
use super::resolve_acme::{ACME, acme};
use super::resolve_database::filled;

const TLS: &str = "http_server.tls_config";

pub(super) fn encryption(
    raw: Spanned<WordOr<RawTls>>,
    findings: &mut Findings,
) -> Option<Encryption> {
    let place = raw.referenced;
    match raw.value {
        WordOr::Given(raw) => tls(raw, place, findings).map(Encryption::Tls),
        WordOr::Word(word) if word == "dev_mode" => Some(Encryption::Plain),
        WordOr::Word(_) => {
            let remedy = "write dev_mode for plain HTTP, { cert: ..., key: ... }, or { acme: ... }";
            let what = "is neither dev_mode nor a certificate";
            findings.refuse(TLS, place, what, remedy);
            None
        }
    }
}

fn tls(raw: RawTls, place: Location, findings: &mut Findings) -> Option<Tls> {
    let RawTls {
        cert,
        key,
        acme: asked,
        min_version,
        client_ca,
    } = raw;
    let min_version = oldest(min_version, findings);
    let clients = clients(client_ca, findings);
    let source = match findings.section(ACME, asked) {
        Some(asked) => asked_for(asked, [cert, key], findings)?,
        None => files(cert, key, place, findings)?,
    };
    Some(Tls {
        source,
        min_version,
        clients,
    })
}

fn asked_for(
    raw: Spanned<RawAcme>,
    files: [Placed<String>; 2],
    findings: &mut Findings,
) -> Option<CertificateSource> {
    if let Some(file) = files.into_iter().flatten().next() {
        let remedy = "keep acme, or cert and key";
        let what = "names files beside acme, so there are two certificates";
        findings.refuse(TLS, file.referenced, what, remedy);
        return None;
    }
    acme(raw, findings).map(CertificateSource::Acme)
}

fn files(
    cert: Placed<String>,
    key: Placed<String>,
    place: Location,
    findings: &mut Findings,
) -> Option<CertificateSource> {
    for (name, value) in [("cert", &cert), ("key", &key)] {
        if value.is_none() {
            let remedy = "name both PEM files: { cert: ..., key: ... }; or let the node ask for a certificate: { acme: { domains: [...], terms_of_service_agreed: true } }";
            findings.refuse(TLS, place, format!("has no {name}"), remedy);
        }
    }
    let (cert, key) = (cert?, key?);
    let certificate = filled(format!("{TLS}.cert"), cert, findings);
    let key = filled(format!("{TLS}.key"), key, findings);
    Some(CertificateSource::Files {
        certificate: certificate?.into(),
        key: key?.into(),
    })
}

/// An ACME server asks one port alone, whatever the node listens on.
pub(super) fn tell_port(tls: &Tls, listen_address: &str, findings: &mut Findings) {
    let is_asked_for = matches!(tls.source, CertificateSource::Acme(_));
    if is_asked_for && !listen_address.ends_with(":443") {
        findings.notice(format!(
            "tls_config.acme: ACME servers ask port 443 of the domains, and this node listens on {listen_address}: connections to 443 must be forwarded there as they are"
        ));
    }
}

fn oldest(raw: Placed<String>, findings: &mut Findings) -> MinVersion {
    let Some(raw) = raw else {
        return MinVersion::default();
    };
    match raw.value.as_str() {
        "1.2" => MinVersion::Tls12,
        "1.3" => MinVersion::Tls13,
        _ => {
            let path = format!("{TLS}.min_version");
            let remedy = "write \"1.2\" or \"1.3\"; older versions are not spoken";
            findings.refuse(path, raw.referenced, "is no version of TLS", remedy);
            MinVersion::default()
        }
    }
}

fn clients(raw: Placed<WordOr<RawClientCa>>, findings: &mut Findings) -> Option<Clients> {
    let Spanned { value, referenced } = raw?;
    let path = format!("{TLS}.client_ca");
    let (path, file, required) = match value {
        WordOr::Word(value) => {
            let file = Spanned { value, referenced };
            (path, file, None)
        }
        WordOr::Given(RawClientCa { file, required }) => (format!("{path}.file"), file, required),
    };
    let proof = match required.map(|required| required.value) {
        None | Some(true) => ClientProof::Required,
        Some(false) => ClientProof::Optional,
    };
    Some(Clients {
        authorities: filled(path, file, findings)?.into(),
        proof,
    })
}
