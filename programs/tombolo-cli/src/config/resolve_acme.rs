//! The key `http_server.tls_config.acme`: which certificate the node asks for by itself, where, and as whom.
//! What an ACME server would refuse in any case is refused here, before a try is counted against the operator.

use std::net::IpAddr;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_saphyr::Location;
use zeroize::Zeroizing;

use super::meaning::{Directory, Encryption};
use super::meaning_tls::{Acme, CertificateSource, ExternalAccount, MacKey};
use super::raw::{Placed, RawAcme, RawExternalAccount, Setting, Spanned};
use super::resolve::Findings;
use super::resolve_database::filled;
use super::resolve_secret::secret;
use super::url;

pub(super) const ACME: &str = "http_server.tls_config.acme";
const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";
/// Of one certificate; Let's Encrypt takes no more.
const DOMAINS_MAX: usize = 100;
const DOMAIN_BYTES_MAX: usize = 253;
const LABEL_BYTES_MAX: usize = 63;
const CONTACTS_MAX: usize = 8;
const CONTACT_BYTES_MAX: usize = 256;
const MAC_KEY_BYTES_MIN: usize = 16;

pub(super) fn acme(raw: Spanned<RawAcme>, findings: &mut Findings) -> Option<Acme> {
    let place = raw.referenced;
    let RawAcme {
        domains: names,
        contact,
        terms_of_service_agreed,
        directory_url,
        ca_file,
        external_account_binding,
    } = raw.value;
    if !terms_of_service_agreed.is_some_and(|agreed| agreed.value) {
        let place = terms_of_service_agreed.map_or(place, |agreed| agreed.referenced);
        let remedy = "read the terms of the ACME server (https://letsencrypt.org/repository for Let's Encrypt) and set it to true";
        let path = format!("{ACME}.terms_of_service_agreed");
        let what = "is not true, and no ACME server gives certificates without it";
        findings.refuse(path, place, what, remedy);
    }
    let domains = domains(names, findings);
    let contact = contacts(contact, findings);
    let directory_url = directory(directory_url, findings);
    let ca_file = ca_file.map(|file| filled(format!("{ACME}.ca_file"), file, findings));
    let external_account = findings
        .section(
            &format!("{ACME}.external_account_binding"),
            external_account_binding,
        )
        .map(|raw| external_account(raw.value, findings));
    Some(Acme {
        domains: domains?,
        contact: contact?,
        directory_url: directory_url?,
        // What was refused is a problem by itself.
        ca_file: ca_file.flatten().map(Into::into),
        external_account: external_account.flatten(),
    })
}

fn domains(raw: Spanned<Vec<Spanned<String>>>, findings: &mut Findings) -> Option<Vec<String>> {
    let path = format!("{ACME}.domains");
    let Spanned { value, referenced } = raw;
    if value.is_empty() || value.len() > DOMAINS_MAX {
        let what = format!("has {} names", value.len());
        let remedy = format!(
            "write the names that clients use, from 1 to {DOMAINS_MAX}, for example [edge.example.com]"
        );
        findings.refuse(path, referenced, what, remedy);
        return None;
    }
    let mut domains: Vec<String> = Vec::with_capacity(value.len());
    let mut is_good = true;
    for (index, raw) in value.into_iter().enumerate() {
        let name = raw.value.to_ascii_lowercase();
        let fault = match check_domain(&name) {
            Err(fault) => Some(fault),
            Ok(()) if domains.contains(&name) => Some(("stands here twice", "remove one of both")),
            Ok(()) => None,
        };
        if let Some((what, remedy)) = fault {
            findings.refuse(format!("{path}[{index}]"), raw.referenced, what, remedy);
            is_good = false;
        }
        domains.push(name);
    }
    is_good.then_some(domains)
}

/// A node that forgets its certificate at each start soon meets the limits of the ACME server.
pub(super) fn refuse_forgetting(
    directory: &Directory,
    encryption: &Encryption,
    place: Location,
    findings: &mut Findings,
) {
    let Encryption::Tls(tls) = encryption else {
        return;
    };
    if matches!(tls.source, CertificateSource::Acme(_)) && *directory == Directory::Temporary {
        let what =
            "is temporary, and tls_config.acme would ask for a new certificate at each start";
        let remedy = "write { path: ... } of a directory that stays";
        findings.refuse("database.persistence_dir", place, what, remedy);
    }
}

/// What is wrong with a name in lower case, and what to do.
fn check_domain(name: &str) -> Result<(), (&'static str, &'static str)> {
    if name.starts_with("*.") {
        return Err((
            "is a wildcard, and the challenge tls-alpn-01 cannot prove one",
            "name each host, or get a wildcard certificate elsewhere and write cert and key",
        ));
    }
    if name.parse::<IpAddr>().is_ok() {
        return Err((
            "is an address, and the node asks for names alone",
            "write a name that leads to this address",
        ));
    }
    if !name.is_ascii() {
        return Err((
            "has letters outside of ASCII",
            "write it as browsers send it, beginning with xn--",
        ));
    }
    let is_label = |label: &str| {
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        (1..=LABEL_BYTES_MAX).contains(&label.len())
            && label.bytes().all(is_letter)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last = name.rsplit('.').next().unwrap_or_default();
    let is_name = name.len() <= DOMAIN_BYTES_MAX
        && name.split('.').all(is_label)
        && last.starts_with(|letter: char| letter.is_ascii_alphabetic());
    is_name.then_some(()).ok_or((
        "is no name of a host",
        "write it as in edge.example.com, without scheme, port, path or a dot at its end",
    ))
}

fn contacts(
    raw: Placed<Setting<Vec<Spanned<String>>>>,
    findings: &mut Findings,
) -> Option<Vec<String>> {
    let path = format!("{ACME}.contact");
    let Some(Spanned { value, referenced }) = findings.section(&path, raw) else {
        return Some(Vec::new());
    };
    if value.len() > CONTACTS_MAX {
        let what = format!("has {} addresses", value.len());
        let remedy = format!("write at most {CONTACTS_MAX}");
        findings.refuse(path, referenced, what, remedy);
        return None;
    }
    let mut is_good = true;
    for (index, raw) in value.iter().enumerate() {
        if !is_mail_address(&raw.value) {
            let remedy = "write mailto: and one mail address, for example mailto:ops@example.com";
            let path = format!("{path}[{index}]");
            findings.refuse(path, raw.referenced, "is no mailto: address", remedy);
            is_good = false;
        }
    }
    let contacts = value.into_iter().map(|raw| raw.value).collect();
    is_good.then_some(contacts)
}

/// Of the one form that every ACME server takes: no list, no headers.
fn is_mail_address(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b',' | b'?' | b'<' | b'>');
    let parts = text
        .strip_prefix("mailto:")
        .and_then(|rest| rest.split_once('@'));
    text.len() <= CONTACT_BYTES_MAX
        && text.bytes().all(is_plain)
        && parts.is_some_and(|(user, host)| !user.is_empty() && check_domain(host).is_ok())
}

fn directory(raw: Placed<String>, findings: &mut Findings) -> Option<String> {
    let Some(raw) = raw else {
        return Some(LETS_ENCRYPT.to_owned());
    };
    // An authority inside of a private network is as good as another; in the clear none is.
    let checked = match raw.value.starts_with("http://") {
        true => Err("is not https"),
        false => url::check(&raw.value, true),
    };
    if let Err(what) = checked {
        let remedy = "write the https:// URL of the directory of the ACME server; leave it out for Let's Encrypt";
        let path = format!("{ACME}.directory_url");
        findings.refuse(path, raw.referenced, what, remedy);
        return None;
    }
    Some(raw.value)
}

fn external_account(raw: RawExternalAccount, findings: &mut Findings) -> Option<ExternalAccount> {
    let path = format!("{ACME}.external_account_binding");
    let key_path = format!("{path}.hmac_key");
    let key_id = filled(format!("{path}.key_id"), raw.key_id, findings);
    let secret = secret(&key_path, raw.hmac_key, findings)?;
    let decoded = BASE64_URL_SAFE_NO_PAD.decode(secret.text.trim_end_matches('='));
    let key = decoded
        .map(Zeroizing::new)
        .ok()
        .filter(|key| key.len() >= MAC_KEY_BYTES_MIN);
    let Some(key) = key else {
        let what = format!("is no base64url of {MAC_KEY_BYTES_MIN} bytes or more");
        let what = secret.complaint(what);
        let remedy = "copy it from where the ACME server gave it out";
        findings.refuse(key_path, secret.place, what, remedy);
        return None;
    };
    Some(ExternalAccount {
        key_id: key_id?,
        key: MacKey::new(key),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_hosts_are_taken_and_nothing_else() {
        let label = "a".repeat(LABEL_BYTES_MAX);
        let longest = format!("{label}.{label}.{label}.{}", "a".repeat(61));
        for good in [
            "edge.example.com",
            "localhost",
            "xn--bcher-kva.example",
            "3.example",
            &longest,
        ] {
            assert_eq!(check_domain(good), Ok(()), "{good}");
        }
        let too_long = format!("{longest}a");
        let label_too_long = format!("{label}a.example");
        for bad in [
            "",
            "*.example.com",
            "*",
            "127.0.0.1",
            "::1",
            "[::1]",
            "edge.example.com.",
            "edge..example",
            "-edge.example",
            "edge-.example",
            "ed_ge.example",
            "b\u{fc}cher.example",
            "https://edge.example",
            "edge.example:443",
            "edge.example/x",
            "1.2.3",
            &too_long,
            &label_too_long,
        ] {
            assert!(check_domain(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn one_mail_address_is_taken_and_nothing_else() {
        assert!(is_mail_address("mailto:ops@example.com"));
        for bad in [
            "ops@example.com",
            "mailto:",
            "mailto:ops",
            "mailto:@example.com",
            "mailto:a@example.com,b@example.com",
            "mailto:a@example.com?subject=x",
            "mailto:a@b@example.com",
            "tel:+491234",
        ] {
            assert!(!is_mail_address(bad), "{bad}");
        }
    }
}
