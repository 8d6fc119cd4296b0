//! The production checklist of the security guide, judged from the configuration: what is in order, what is missing,
//! and what only the operator can see. Nothing is connected to and nothing is changed.

use std::io::{Result, Write};

use super::facts::{
    Address, CertificateFacts, Facts, HttpFacts, KeyFacts, Maker, Membership, Reach,
};

/// A certificate with fewer is as good as gone, as its renewal has failed already.
const CERTIFICATE_DAYS_MIN: i64 = 14;
/// Above it, a limit of a body is asked about: the default of `/execute`.
const EXECUTE_BYTES_USUAL: u64 = 2 << 20;
/// The same of an upload.
const UPLOAD_BYTES_USUAL: u64 = 50 << 20;
/// Names in one line; of more only the number is told.
const NAMES_MAX: usize = 8;
/// Of the guide.
const LINES: usize = 15;

/// How an item was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Good,
    /// The configuration lacks it.
    Missing,
    /// It lies outside of the configuration.
    Unseen,
}

/// What was found, and what to do.
type Judgement = (State, String);

/// One line of the checklist.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) name: &'static str,
    pub(super) state: State,
    pub(super) text: String,
}

/// Judges every line, in the order of the guide.
pub(super) fn judge(facts: &Facts) -> [Item; LINES] {
    let of_http = |judge: fn(&HttpFacts) -> Judgement| match &facts.http {
        None => good("this node serves no HTTP"),
        Some(http) => judge(http),
    };
    [
        ("TLS/HTTPS", of_http(tls)),
        ("HTTP API authentication", of_http(authentication)),
        ("database authentication", database(facts.membership)),
        ("strong credentials", of_http(strong_keys)),
        ("secure credential storage", secrets(facts)),
        ("firewall rules", firewall(facts)),
        ("monitoring", of_http(monitoring)),
        ("rate limiting", of_http(rate_limiting)),
        ("separate keys", of_http(separate_keys)),
        ("key rotation", of_http(rotation)),
        ("least privilege", of_http(least_privilege)),
        ("audit logs", audit(facts.has_audit)),
        ("software updates", version(facts.version)),
        ("network isolation", isolation(&facts.addresses)),
        ("request limits", of_http(request_limits)),
    ]
    .map(|(name, (state, text))| Item { name, state, text })
}

/// Prints the items, and gives how many are missing.
pub(super) fn print(items: &[Item], out: &mut dyn Write) -> Result<usize> {
    writeln!(out, "\nproduction checklist")?;
    for Item { name, state, text } in items {
        let word = match state {
            State::Good => "ok",
            State::Missing => "MISSING",
            State::Unseen => "check",
        };
        writeln!(out, "{word:7} {name:25} {text}")?;
    }
    let count = |state| items.iter().filter(|item| item.state == state).count();
    let missing = count(State::Missing);
    writeln!(
        out,
        "{missing} of {} missing, {} cannot be told from here",
        items.len(),
        count(State::Unseen)
    )?;
    Ok(missing)
}

fn good(text: impl Into<String>) -> Judgement {
    (State::Good, text.into())
}

fn missing(text: impl Into<String>) -> Judgement {
    (State::Missing, text.into())
}

fn unseen(text: impl Into<String>) -> Judgement {
    (State::Unseen, text.into())
}

fn tls(http: &HttpFacts) -> Judgement {
    match &http.certificate {
        None => missing(
            "set http_server.tls_config to { cert: FILE, key: FILE } of a certificate that clients trust, or to { acme: ... }",
        ),
        Some(CertificateFacts::Files {
            is_self_signed: true,
            ..
        }) => missing(
            "the certificate signs itself, so no client can tell it from another: take one of Let's Encrypt or another authority",
        ),
        Some(CertificateFacts::Files { days_left, .. }) if *days_left < CERTIFICATE_DAYS_MIN => {
            missing(format!(
                "the certificate ends in {days_left} days: renew it; a node that runs takes new files by itself"
            ))
        }
        Some(CertificateFacts::Files { days_left, .. }) => {
            good(format!("the certificate is good for {days_left} days"))
        }
        Some(CertificateFacts::Acme { days_left, failure }) => acme(*days_left, failure.as_deref()),
    }
}

/// Of a certificate that the node renews by itself, a short life alone is no fault.
fn acme(days_left: Option<i64>, failure: Option<&str>) -> Judgement {
    match (days_left, failure) {
        (None, None) => missing(
            "there is no certificate yet: start the node, which asks the ACME server for one",
        ),
        (None, Some(why)) => missing(format!("there is no certificate yet: {why}")),
        (Some(days), Some(why)) => missing(format!(
            "the certificate ends in {days} days and was not renewed: {why}"
        )),
        (Some(days), None) => good(format!(
            "the certificate is good for {days} days, and the node renews it by itself"
        )),
    }
}

fn authentication(http: &HttpFacts) -> Judgement {
    match http.keys.as_deref() {
        None => missing("replace auth: dev_mode by identities with API keys and permission_sets"),
        Some([]) => missing("auth.identities is empty, so nobody can use the API: add one"),
        Some(keys) => good(format!("identities with keys: {}", keys.len())),
    }
}

fn database(membership: Membership) -> Judgement {
    match membership {
        Membership::Playground => missing(
            "whoever has the token of a playground reads and writes everything: use a webhook or jwt provider",
        ),
        Membership::SharedKey => unseen(
            "whoever has the shared key reads and writes everything: give it to no device that may be lost, or use logins",
        ),
        Membership::Logins => good("by logins of a provider that is no playground"),
        Membership::None => good("this node joins no mesh"),
    }
}

fn strong_keys(http: &HttpFacts) -> Judgement {
    let Some(keys) = &http.keys else {
        return missing(
            "there are no API keys: make one for each client with tombolo api-key generate",
        );
    };
    let made_by = |maker| names(keys, |key: &KeyFacts| key.maker == maker);
    match (made_by(Maker::Unknown), made_by(Maker::AsCostly)) {
        (Some(names), _) => missing(format!(
            "no hash of tombolo api-key generate, so the key may be made by hand: {names}; make new ones"
        )),
        (None, Some(names)) => unseen(format!(
            "hashes of another program: {names}; unless its tool made the keys, make new ones with tombolo api-key generate"
        )),
        (None, None) => good("every key was made by tombolo api-key generate"),
    }
}

fn secrets(facts: &Facts) -> Judgement {
    match (
        facts.typed_secrets.as_slice(),
        facts.open_secret_files.as_slice(),
    ) {
        ([], []) => good("no secret stands in the configuration itself"),
        ([], files) => missing(format!(
            "other users of this machine can read a secret: chmod 600 {}",
            listed(files)
        )),
        (keys, _) => missing(format!(
            "in the configuration itself: {}; write {{ from_file: FILE }} or {{ from_env: NAME }}",
            listed(keys)
        )),
    }
}

fn firewall(facts: &Facts) -> Judgement {
    let open = reached(&facts.addresses, |reach| reach != Reach::ThisMachine);
    let unprotected = facts
        .http
        .as_ref()
        .filter(|http| !http.is_local && (http.certificate.is_none() || http.keys.is_none()));
    match (unprotected, open) {
        (Some(HttpFacts { address, .. }), _) => missing(format!(
            "other machines reach {address} in dev_mode: set http_server.listen_addr to 127.0.0.1"
        )),
        (None, None) => good("only this machine reaches the node"),
        (None, Some(open)) => unseen(format!("let only {open} through to this node")),
    }
}

fn monitoring(http: &HttpFacts) -> Judgement {
    match http.has_health {
        true => good("GET /health and /health/ready are on: have them asked from another machine"),
        false => missing("set http_server.enable_healthcheck to true, and watch GET /health/ready"),
    }
}

fn rate_limiting(http: &HttpFacts) -> Judgement {
    match http.is_throttled {
        true => good("http_server.throttling limits requests"),
        false => missing("add http_server.throttling.strategies of ip_address and api_key"),
    }
}

fn separate_keys(http: &HttpFacts) -> Judgement {
    match http.keys.as_deref() {
        None | Some([]) => missing("there are no keys: give each client one of its own"),
        Some([only]) => unseen(format!(
            "{} is the only identity: see that one client alone has its key",
            only.name
        )),
        Some(keys) => good(format!("{} identities, and no two share a key", keys.len())),
    }
}

fn rotation(http: &HttpFacts) -> Judgement {
    let Some(keys) = &http.keys else {
        return missing("there are no keys that could be replaced: make some");
    };
    match names(keys, |key| !key.expires) {
        Some(names) => unseen(format!(
            "no last day, and their age is unknown: {names}; replace them in time, or set expires in their permission sets"
        )),
        None => good("the permissions of every key have a last day"),
    }
}

fn least_privilege(http: &HttpFacts) -> Judgement {
    let Some(keys) = &http.keys else {
        return missing("auth: dev_mode lets everybody do everything");
    };
    match names(keys, |key| key.is_full) {
        None => good("no identity may do everything"),
        Some(names) if keys.len() > 1 && keys.iter().all(|key| key.is_full) => missing(format!(
            "all may do everything: {names}; give each a permission set of what it needs"
        )),
        Some(names) => unseen(format!(
            "may do everything: {names}; see whether a smaller permission set would do"
        )),
    }
}

fn audit(has_audit: bool) -> Judgement {
    match has_audit {
        true => good("written: read it, and check it with tombolo audit verify"),
        false => missing("add logging.edge_server.audit_logs with a directory"),
    }
}

fn version(version: &str) -> Judgement {
    unseen(format!(
        "this is {version}: compare it with the newest release"
    ))
}

fn isolation(addresses: &[Address]) -> Judgement {
    match reached(addresses, |reach| reach == Reach::AllNetworks) {
        None => good("the node listens only where the configuration names an address"),
        Some(open) => unseen(format!(
            "{open} is every network of this machine: name the address of a private one, or see that it has no other"
        )),
    }
}

fn request_limits(http: &HttpFacts) -> Judgement {
    let above = |limit: Option<u64>, usual| limit.is_some_and(|limit| limit > usual);
    let bodies = format!(
        "bodies of execute {}, of attachments_upload {}",
        size(http.execute_bytes_max),
        size(http.upload_bytes_max)
    );
    match http.has_time_limit {
        false => missing("request_timeout_ms: 0 lets a request run for ever: set a limit"),
        true if above(http.execute_bytes_max, EXECUTE_BYTES_USUAL)
            || above(http.upload_bytes_max, UPLOAD_BYTES_USUAL) =>
        {
            unseen(format!(
                "{bodies}: lower max_body_size_mb unless clients send so much"
            ))
        }
        true => good(format!("{bodies}; connections: {}", http.connections_max)),
    }
}

fn size(limit: Option<u64>) -> String {
    match limit {
        None => "off".to_owned(),
        Some(bytes) => format!("up to {} MiB", bytes >> 20),
    }
}

/// Whom this is true of; `None`: nobody.
fn names(keys: &[KeyFacts], is_meant: impl Fn(&KeyFacts) -> bool) -> Option<String> {
    let found: Vec<&str> = keys
        .iter()
        .filter(|key| is_meant(key))
        .map(|key| key.name.as_str())
        .collect();
    (!found.is_empty()).then(|| listed(&found))
}

/// The addresses that are reached so; `None`: there are none.
fn reached(addresses: &[Address], is_meant: fn(Reach) -> bool) -> Option<String> {
    let found: Vec<&str> = addresses
        .iter()
        .filter(|address| is_meant(address.reach))
        .map(|address| address.text.as_str())
        .collect();
    (!found.is_empty()).then(|| listed(&found))
}

fn listed(texts: &[impl AsRef<str>]) -> String {
    let told: Vec<&str> = texts.iter().take(NAMES_MAX).map(AsRef::as_ref).collect();
    let more = texts.len() - told.len();
    match more {
        0 => told.join(", "),
        more => format!("{} and {more} more", told.join(", ")),
    }
}

#[cfg(test)]
#[path = "checklist_tests.rs"]
mod tests;
