//! The keys of `http_server` that are about where clients come from: throttling, proxies, origins.

use std::time::Duration;

use super::meaning::{Cors, ForwardedHeader, Proxies, Strategy, Throttled};
use super::network::Network;
use super::raw::{Placed, RawCors, RawStrategy, RawThrottling, Setting, Spanned};
use super::resolve::Findings;
use crate::edge::Endpoint;

/// Strategies in one file; each is asked at each request.
const STRATEGIES_MAX: usize = 16;
/// Longest window: what was counted is held that long.
const WINDOW_SECS_MAX: u64 = 24 * 60 * 60;
/// Proxies and origins in one file.
const LIST_MAX: usize = 64;
/// Browsers ask again after this long, unless `max_age_secs` says otherwise.
const MAX_AGE_SECS: u64 = 600;
const MAX_AGE_SECS_MAX: u64 = 24 * 60 * 60;

pub(super) fn throttling(
    raw: Placed<Setting<RawThrottling>>,
    findings: &mut Findings,
) -> Vec<Strategy> {
    let Some(raw) = findings.section("http_server.throttling", raw) else {
        return Vec::new();
    };
    let path = "http_server.throttling.strategies";
    if raw.value.strategies.len() > STRATEGIES_MAX {
        let remedy = format!("keep at most {STRATEGIES_MAX}");
        findings.refuse(path, raw.referenced, "has too many entries", remedy);
    }
    let strategies = raw.value.strategies.into_iter().enumerate();
    strategies
        .filter_map(|(at, raw)| strategy(&format!("{path}[{at}]"), raw, findings))
        .collect()
}

fn strategy(path: &str, raw: Spanned<RawStrategy>, findings: &mut Findings) -> Option<Strategy> {
    let place = raw.referenced;
    let raw = raw.value;
    let named = (raw.endpoint.as_ref(), raw.path.as_ref());
    let is_routed = raw.endpoint.is_some() || raw.path.is_some();
    let by = match raw.strategy.value.as_str() {
        "ip_address" => Some(Throttled::Address),
        "api_key" => Some(Throttled::Key),
        "route" => route(path, named, &raw.strategy, findings),
        _ => {
            let remedy = "write ip_address, api_key or route";
            let at = raw.strategy.referenced;
            findings.refuse(format!("{path}.strategy"), at, "is no strategy", remedy);
            None
        }
    };
    if !matches!(by, Some(Throttled::Route(_)) | None) && is_routed {
        let remedy = "remove endpoint and path, or write strategy: route";
        findings.refuse(path, place, "counts requests to all endpoints", remedy);
    }
    let requests_max = u32::try_from(raw.max_requests.value)
        .ok()
        .filter(|max| *max > 0);
    if requests_max.is_none() {
        let path = format!("{path}.max_requests");
        let remedy = "write a number from 1 to 4294967295";
        findings.refuse(path, raw.max_requests.referenced, "is out of range", remedy);
    }
    let window = raw.window_secs.value;
    if !(1..=WINDOW_SECS_MAX).contains(&window) {
        let path = format!("{path}.window_secs");
        let remedy = format!("write a number from 1 to {WINDOW_SECS_MAX}");
        findings.refuse(path, raw.window_secs.referenced, "is out of range", remedy);
        return None;
    }
    Some(Strategy {
        by: by?,
        requests_max: requests_max?,
        window: Duration::from_secs(window),
    })
}

fn route(
    path: &str,
    (endpoint, route): (Option<&Spanned<String>>, Option<&Spanned<String>>),
    strategy: &Spanned<String>,
    findings: &mut Findings,
) -> Option<Throttled> {
    let (key, typed) = match (endpoint, route) {
        (Some(endpoint), None) => ("endpoint", endpoint),
        (None, Some(route)) => ("path", route),
        _ => {
            let remedy = "write either endpoint: execute or path: /execute";
            findings.refuse(path, strategy.referenced, "needs one route", remedy);
            return None;
        }
    };
    let found = match key {
        "endpoint" => Endpoint::named(&typed.value),
        _ => Endpoint::at(&typed.value),
    };
    if found.is_none() {
        let names = Endpoint::ALL.map(Endpoint::name).join(", ");
        let remedy = format!("write endpoint: with one of {names}");
        findings.refuse(
            format!("{path}.{key}"),
            typed.referenced,
            "is no route",
            remedy,
        );
    }
    found.map(Throttled::Route)
}

pub(super) fn proxies(
    raw: Placed<Setting<Vec<Spanned<String>>>>,
    header: Placed<String>,
    findings: &mut Findings,
) -> Proxies {
    let path = "http_server.trusted_proxies";
    let header = match &header {
        None => ForwardedHeader::XForwardedFor,
        Some(named) => match named.value.to_ascii_lowercase().as_str() {
            "x-forwarded-for" => ForwardedHeader::XForwardedFor,
            "forwarded" => ForwardedHeader::Forwarded,
            _ => {
                let remedy = "write X-Forwarded-For or Forwarded, whichever your proxy sets";
                let path = "http_server.forwarded_header";
                findings.refuse(path, named.referenced, "is no known header", remedy);
                ForwardedHeader::XForwardedFor
            }
        },
    };
    let Some(raw) = findings.section(path, raw) else {
        return Proxies {
            trusted: Vec::new(),
            header,
        };
    };
    limit_list(path, (raw.value.len(), raw.referenced), findings);
    let mut trusted = Vec::new();
    for (at, typed) in raw.value.iter().enumerate() {
        match typed.value.parse::<Network>() {
            Ok(network) => trusted.push(network),
            Err(error) => {
                let remedy = "write addresses or prefixes, for example 10.0.0.7 or 10.0.0.0/8";
                let path = format!("{path}[{at}]");
                findings.refuse(path, typed.referenced, error.to_string(), remedy);
            }
        }
    }
    Proxies { trusted, header }
}

pub(super) fn cors(raw: Placed<Setting<RawCors>>, findings: &mut Findings) -> Option<Cors> {
    let raw = findings.section("http_server.cors", raw)?;
    let path = "http_server.cors.origins";
    limit_list(path, (raw.value.origins.len(), raw.referenced), findings);
    let mut origins = Vec::new();
    for (at, typed) in raw.value.origins.iter().enumerate() {
        if is_origin(&typed.value) {
            origins.push(typed.value.clone());
        } else {
            let remedy = "name each origin as a browser sends it, for example https://app.example.com; there is no wildcard";
            let path = format!("{path}[{at}]");
            findings.refuse(path, typed.referenced, "is no origin", remedy);
        }
    }
    let max_age_secs = raw.value.max_age_secs.map_or(MAX_AGE_SECS, |typed| {
        if typed.value > MAX_AGE_SECS_MAX {
            let remedy = format!("write a number from 0 to {MAX_AGE_SECS_MAX}");
            let path = "http_server.cors.max_age_secs";
            findings.refuse(path, typed.referenced, "is out of range", remedy);
        }
        typed.value
    });
    Some(Cors {
        origins,
        max_age_secs,
    })
}

/// A scheme, a host and perhaps a port, in the one spelling that browsers send.
fn is_origin(text: &str) -> bool {
    let host = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    let legal =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-:[]".contains(&byte);
    let default_port = (text.starts_with("https://") && text.ends_with(":443"))
        || (text.starts_with("http://") && text.ends_with(":80"));
    host.is_some_and(|host| !host.is_empty() && host.bytes().all(legal)) && !default_port
}

fn limit_list(
    path: &str,
    (length, place): (usize, serde_saphyr::Location),
    findings: &mut Findings,
) {
    if length > LIST_MAX {
        let remedy = format!("keep at most {LIST_MAX}");
        findings.refuse(path, place, "has too many entries", remedy);
    }
}
