//! Requests that a browser makes for a page: CORS for the origins that are named, and nothing for all others.
//!
//! A page of another origin can make a browser send requests here without asking; those that could
//! change something are refused, also on a socket. A node without keys that only its own machine reaches
//! is asked by address or as localhost: any other name is one that somebody bent to this machine.

use std::net::IpAddr;

use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header, request};
use tombolo_http::{Body, Response};

use super::reply::Refused;
use crate::config::Cors;

const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE");
/// Header fields that a page may send.
const ALLOWED: HeaderValue = HeaderValue::from_static(
    "authorization, content-type, idempotency-key, range, if-none-match, if-range, last-event-id, x-ditto-txn-id",
);
/// Header fields of answers that a page may read.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "x-request-id, retry-after, www-authenticate, etag, content-range, accept-ranges, idempotency-replayed",
);

/// Which pages may use the API.
#[derive(Debug)]
pub(crate) struct Origins {
    cors: Option<Cors>,
    /// Only this machine reaches the server, and it asks for no key.
    is_local_and_open: bool,
}

/// What is to be done with a request.
#[derive(Debug)]
pub(super) enum Judged {
    /// It goes its way, and its answer is readable for this origin.
    Named(HeaderValue),
    /// It goes its way.
    Ordinary,
    /// A browser asked whether it may.
    Preflight(HeaderValue),
}

impl Origins {
    pub(crate) const fn new(cors: Option<Cors>, is_local_and_open: bool) -> Self {
        Self {
            cors,
            is_local_and_open,
        }
    }

    /// Judges a request by its head alone.
    pub(super) fn judge(&self, head: &request::Parts) -> Result<Judged, Refused> {
        let host = host(&head.uri, &head.headers);
        if self.is_local_and_open && !host.is_none_or(is_of_this_machine) {
            return Err(Refused::new(
                StatusCode::FORBIDDEN,
                "unknown_host",
                "a node without API keys answers under its address or as localhost only; correct the URL, or set auth to identities with keys",
            ));
        }
        let Some(origin) = head.headers.get(header::ORIGIN) else {
            let site = head.headers.get("sec-fetch-site");
            let is_foreign = site.is_some_and(|site| site == "cross-site");
            return if is_foreign && may_change(head) {
                Err(foreign())
            } else {
                Ok(Judged::Ordinary)
            };
        };
        let asks = head.method == Method::OPTIONS
            && head
                .headers
                .contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        if self.names(origin) {
            return Ok(if asks {
                Judged::Preflight(origin.clone())
            } else {
                Judged::Named(origin.clone())
            });
        }
        if is_same(origin, host) || !(asks || may_change(head)) {
            return Ok(Judged::Ordinary);
        }
        Err(foreign())
    }

    fn names(&self, origin: &HeaderValue) -> bool {
        let cors = self.cors.as_ref();
        cors.is_some_and(|cors| cors.origins.iter().any(|named| origin == named.as_str()))
    }

    /// Answers a browser's question.
    pub(super) fn preflight(&self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let max_age = self.cors.as_ref().map_or(0, |cors| cors.max_age_secs);
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED);
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, max_age.into());
        response
    }

    /// Says for whom an answer is.
    pub(super) fn mark(&self, headers: &mut HeaderMap, origin: Option<HeaderValue>) {
        if self.cors.is_none() {
            return;
        }
        headers.append(header::VARY, HeaderValue::from_static("origin"));
        if let Some(origin) = origin {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        }
    }
}

fn foreign() -> Refused {
    Refused::new(
        StatusCode::FORBIDDEN,
        "foreign_origin",
        "pages of this origin may not use the API; name it under http_server.cors.origins",
    )
}

/// Whether answering could change something, or open a socket that could.
fn may_change(head: &request::Parts) -> bool {
    let is_safe = matches!(head.method, Method::GET | Method::HEAD | Method::OPTIONS);
    !is_safe || head.headers.contains_key(header::UPGRADE) || head.method == Method::CONNECT
}

/// What the client calls this server, with its port.
fn host<'h>(uri: &'h Uri, headers: &'h HeaderMap) -> Option<&'h str> {
    let authority = uri.authority().map(http::uri::Authority::as_str);
    authority.or_else(|| Some(headers.get(header::HOST)?.to_str().unwrap_or("?")))
}

/// Whether a page was served by this very server.
fn is_same(origin: &HeaderValue, host: Option<&str>) -> bool {
    let origin = origin.to_str().ok();
    let origin = origin.and_then(|origin| origin.split_once("://"));
    origin.is_some_and(|(_, authority)| Some(authority) == host)
}

fn is_of_this_machine(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(inside) => inside.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}
