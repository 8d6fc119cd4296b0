//! The section `http_server`: where to listen, for whom, and which routes exist.

use std::net::IpAddr;
use std::time::Duration;

use serde_saphyr::Location;
use tombolo_http::Limits;

use super::meaning::{Api, Clients, Encryption, Http};
use super::raw::{
    Placed, RawAuth, RawEndpoint, RawHttpApi, RawHttpServer, RawMetrics, Setting, Spanned, WordOr,
};
use super::resolve::{Findings, InsecureListen};
use super::{resolve_auth, resolve_clients, resolve_limits, resolve_tls};

/// Default of `http_api.execute.max_body_size_mb`.
const EXECUTE_BODY_MB: u64 = 2;
/// Largest value it may have: a body is held in memory.
const EXECUTE_BODY_MB_MAX: u64 = 64;
/// Default of `http_api.attachments_upload.max_body_size_mb`.
const UPLOAD_MB: u64 = 50;
/// Largest value it may have: no attachment is longer.
const UPLOAD_MB_MAX: u64 = 32 * 1024;
const UPLOAD_BYTES: u64 = UPLOAD_MB * BYTES_PER_MB as u64;
const BYTES_PER_MB: usize = 1024 * 1024;
/// Largest value of `max_connections`.
const CONNECTIONS_MAX: u64 = 1_000_000;

const BASE_PATH: &str = "http_server.base_path";
const BASE_PATH_BYTES_MAX: usize = 128;
/// With which the paths of the HTTP API begin.
const FIRST_STEPS: [&str; 10] = [
    "_ditto",
    "api",
    "attachments",
    "docs",
    "execute",
    "health",
    "logs",
    "metrics",
    "observe",
    "presence",
];

pub(super) fn http(
    raw: Placed<Setting<RawHttpServer>>,
    (raw_auth, metrics): (
        Placed<Setting<WordOr<RawAuth>>>,
        Option<Setting<RawMetrics>>,
    ),
    insecure: InsecureListen,
    findings: &mut Findings,
) -> Option<Http> {
    let auth = resolve_auth::clients(raw_auth, findings);
    let Some(Spanned {
        value: raw,
        referenced: place,
        ..
    }) = findings.section("http_server", raw)
    else {
        findings.notice("http: off (http_server is omitted)");
        return None;
    };
    let host = host_of(&raw.listen_addr, findings);
    let encryption = resolve_tls::encryption(raw.tls_config, findings);
    let health = raw.enable_healthcheck.is_some_and(|switch| switch.value);
    let docs = raw.serve_docs.is_some_and(|switch| switch.value);
    let api = Api {
        health,
        docs,
        ..api(raw.http_api, findings)
    };
    let api = with_metrics(api, metrics);
    let clients = auth.unwrap_or_else(|| {
        let remedy =
            "add auth with identities and permission_sets, or auth: dev_mode on a loopback address";
        findings.refuse(
            "auth",
            place,
            "is missing, so nobody could use http_server",
            remedy,
        );
        Clients::Anyone
    });
    let is_local = host.as_deref().is_some_and(is_loopback);
    if host.is_some() && !is_local && insecure == InsecureListen::Refused {
        refuse_insecure(
            raw.listen_addr.referenced,
            encryption.as_ref(),
            &clients,
            findings,
        );
    }
    if let Some(Encryption::Tls(tls)) = &encryption {
        resolve_tls::tell_port(tls, &raw.listen_addr.value, findings);
    }
    let base_path = base_path(raw.base_path, findings);
    Some(Http {
        listen_address: raw.listen_addr.value,
        base_path,
        encryption: encryption?,
        api,
        clients,
        request_timeout: request_timeout(raw.request_timeout_ms, findings),
        connections_max: connections_max(raw.max_connections, findings),
        limits: resolve_limits::limits(raw.limits, findings),
        throttling: resolve_clients::throttling(raw.throttling, findings),
        proxies: resolve_clients::proxies(raw.trusted_proxies, raw.forwarded_header, findings),
        cors: resolve_clients::cors(raw.cors, findings),
        is_local,
    })
}

fn base_path(raw: Placed<String>, findings: &mut Findings) -> Option<String> {
    let raw = raw?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let text = raw.value;
    let fits = (1..=BASE_PATH_BYTES_MAX).contains(&text.len()) && text.bytes().all(is_plain);
    if !fits || matches!(text.as_str(), "." | "..") {
        let remedy = "write one step of a path without slashes: up to 128 letters, digits, dashes, dots and underscores";
        findings.refuse(BASE_PATH, raw.referenced, "is no step of a path", remedy);
        return None;
    }
    if FIRST_STEPS.contains(&text.as_str()) {
        let what = format!("/{text} is a path of its own");
        findings.refuse(BASE_PATH, raw.referenced, what, "choose another name");
        return None;
    }
    Some(text)
}

/// The host of `host:port`, brackets removed.
fn host_of(raw: &Spanned<String>, findings: &mut Findings) -> Option<String> {
    let parts = raw.value.rsplit_once(':');
    let parts = parts.filter(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    let host = parts
        .map(|(host, _)| host)
        .and_then(|host| match host.strip_prefix('[') {
            Some(inside) => inside
                .strip_suffix(']')
                .filter(|inside| inside.parse::<std::net::Ipv6Addr>().is_ok()),
            None => Some(host).filter(|host| !host.contains([':', '/', ' '])),
        });
    if host.is_none() {
        let remedy = "write host:port, for example 127.0.0.1:8080, localhost:8080 or [::1]:8080";
        findings.refuse(
            "http_server.listen_addr",
            raw.referenced,
            "is not an address with a port",
            remedy,
        );
    }
    host.map(str::to_owned)
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn refuse_insecure(
    place: Location,
    encryption: Option<&Encryption>,
    clients: &Clients,
    findings: &mut Findings,
) {
    const REMEDY: &str = "listen on 127.0.0.1, or start with --allow-insecure-listen if the network around it is trusted";
    if matches!(encryption, Some(Encryption::Plain)) {
        let what = "other machines reach this address, but tls_config: dev_mode sends every key and document unencrypted";
        findings.refuse(
            "http_server.listen_addr",
            place,
            what,
            format!("set tls_config to a cert and key; or {REMEDY}"),
        );
    }
    if matches!(clients, Clients::Anyone) {
        let what = "other machines reach this address, but auth: dev_mode lets anyone read and write everything";
        findings.refuse(
            "http_server.listen_addr",
            place,
            what,
            format!("set auth to identities with API keys; or {REMEDY}"),
        );
    }
}

/// Which routes are on.
fn api(raw: Spanned<Setting<RawHttpApi>>, findings: &mut Findings) -> Api {
    let raw = match raw.value {
        Setting::Bool(switch) => {
            return Api {
                execute_body_bytes_max: megabytes(EXECUTE_BODY_MB).filter(|_| switch),
                attachments_upload_bytes_max: switch.then_some(UPLOAD_BYTES),
                attachments_download: switch,
                presence: switch,
                observe: switch,
                logs: switch,
                ..Api::NOTHING
            };
        }
        Setting::Given(raw) => raw,
    };
    Api {
        execute_body_bytes_max: execute(raw.execute, findings),
        attachments_upload_bytes_max: upload(raw.attachments_upload, findings),
        attachments_download: without_body(
            "attachments_download",
            raw.attachments_download,
            findings,
        ),
        observe: without_body("observe", raw.observe, findings),
        presence: without_body("presence", raw.presence, findings),
        logs: without_body("logs", raw.logs, findings),
        ..Api::NOTHING
    }
}

fn with_metrics(api: Api, raw: Option<Setting<RawMetrics>>) -> Api {
    let is_on = |switch: Placed<bool>, default| switch.map_or(default, |switch| switch.value);
    let (metrics, metrics_public) = match raw {
        None => (false, false),
        Some(Setting::Bool(switch)) => (switch, false),
        Some(Setting::Given(RawMetrics { enabled, public })) => {
            (is_on(enabled, true), is_on(public, false))
        }
    };
    Api {
        metrics,
        metrics_public,
        ..api
    }
}

/// The size limit of `/execute`, or `None` if the route is off.
fn execute(raw: Placed<Setting<RawEndpoint>>, findings: &mut Findings) -> Option<usize> {
    match raw?.value {
        Setting::Bool(false) => None,
        Setting::Bool(true) => megabytes(EXECUTE_BODY_MB),
        Setting::Given(RawEndpoint {
            enabled,
            max_body_size_mb,
        }) => {
            let range = (EXECUTE_BODY_MB, EXECUTE_BODY_MB_MAX);
            let size = body_size("execute", max_body_size_mb, range, findings);
            let size = size.and_then(megabytes);
            size.filter(|_| enabled.is_none_or(|switch| switch.value))
        }
    }
}

/// Whether an endpoint is on whose requests have no body.
fn without_body(name: &str, raw: Placed<Setting<RawEndpoint>>, findings: &mut Findings) -> bool {
    let Some(raw) = raw else { return false };
    if let Setting::Given(RawEndpoint {
        max_body_size_mb: Some(size),
        ..
    }) = &raw.value
    {
        let path = format!("http_server.http_api.{name}.max_body_size_mb");
        let what = format!("limits nothing: a request for {name} has no body");
        findings.refuse(&path, size.referenced, what, "remove it");
    }
    is_on(&raw.value)
}

fn is_on(raw: &Setting<RawEndpoint>) -> bool {
    match raw {
        Setting::Bool(switch) => *switch,
        Setting::Given(RawEndpoint { enabled, .. }) => {
            enabled.as_ref().is_none_or(|switch| switch.value)
        }
    }
}

/// The size limit of an upload, or `None` if the route is off.
fn upload(raw: Placed<Setting<RawEndpoint>>, findings: &mut Findings) -> Option<u64> {
    match raw?.value {
        Setting::Bool(switch) => switch.then_some(UPLOAD_BYTES),
        Setting::Given(RawEndpoint {
            enabled,
            max_body_size_mb,
        }) => {
            let range = (UPLOAD_MB, UPLOAD_MB_MAX);
            let size = body_size("attachments_upload", max_body_size_mb, range, findings);
            let size = size.map(|size| size * BYTES_PER_MB as u64);
            size.filter(|_| enabled.is_none_or(|switch| switch.value))
        }
    }
}

/// The size of a body in MiB: what was typed, or the default.
fn body_size(
    endpoint: &str,
    raw: Placed<u64>,
    (default, most): (u64, u64),
    findings: &mut Findings,
) -> Option<u64> {
    let Some(raw) = raw else {
        return Some(default);
    };
    if (1..=most).contains(&raw.value) {
        return Some(raw.value);
    }
    let path = format!("http_server.http_api.{endpoint}.max_body_size_mb");
    let remedy = format!("write a number from 1 to {most}");
    findings.refuse(&path, raw.referenced, "is out of range", remedy);
    None
}

fn megabytes(count: u64) -> Option<usize> {
    usize::try_from(count).ok()?.checked_mul(BYTES_PER_MB)
}

fn request_timeout(raw: Placed<u64>, findings: &mut Findings) -> Option<Duration> {
    match raw.map(|raw| raw.value) {
        None => Some(Limits::REQUEST_TIMEOUT),
        Some(0) => {
            findings.notice("request_timeout_ms: 0 lets a request wait for ever");
            None
        }
        Some(timeout_ms) => Some(Duration::from_millis(timeout_ms)),
    }
}

fn connections_max(raw: Placed<u64>, findings: &mut Findings) -> usize {
    let Some(raw) = raw else {
        return Limits::CONNECTIONS_MAX;
    };
    if let Ok(count) = usize::try_from(raw.value)
        && (1..=CONNECTIONS_MAX).contains(&raw.value)
    {
        return count;
    }
    let remedy = format!("write a number from 1 to {CONNECTIONS_MAX}");
    findings.refuse(
        "http_server.max_connections",
        raw.referenced,
        "is out of range",
        remedy,
    );
    Limits::CONNECTIONS_MAX
}
