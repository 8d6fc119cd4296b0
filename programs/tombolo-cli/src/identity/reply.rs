//! What the service answers over HTTP. A refusal tells a device what it can do, and nothing of who exists.

use http::{HeaderValue, StatusCode, header};
use tombolo::Value;
use tombolo_http::{Response, json_response};
use tombolo_identity::LoginRefusal;

/// Why a request gets no certificate, as the client sees it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Refused {
    /// 404.
    UnknownPath,
    /// 405, with the methods that are taken.
    Method(&'static str),
    /// 400: the request, never who sent it.
    Malformed(String),
    /// 413.
    TooLarge,
    /// 401: the challenge is not good, or its signature.
    Challenge,
    /// 401: the same for every user, token and provider. With what a provider wants the client to know.
    Login(Value),
    /// 429, and when to try again.
    TooOften { retry_after_s: u64 },
    /// 503: too many at once.
    Busy,
    /// 404: there is no list.
    NoRevocations,
    /// 502: the provider gave no answer that can be used.
    ProviderFailed,
    /// 504: it gave none in time.
    ProviderLate,
    /// 500: ours.
    Internal,
}

impl Refused {
    const fn words(&self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::UnknownPath => (
                StatusCode::NOT_FOUND,
                "unknown_path",
                "nothing is served at this path",
            ),
            Self::Method(_) => (
                StatusCode::METHOD_NOT_ALLOWED,
                "wrong_method",
                "HTTP method not allowed",
            ),
            Self::Malformed(_) => (StatusCode::BAD_REQUEST, "malformed", ""),
            Self::TooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "too_large",
                "the request is too long",
            ),
            Self::Challenge => (
                StatusCode::UNAUTHORIZED,
                "challenge_refused",
                "the challenge is not good any more, or was not signed by this device: ask for a new one and answer it once, for the same database",
            ),
            Self::Login(_) => (
                StatusCode::UNAUTHORIZED,
                "login_refused",
                "the login was refused: check the provider and the token",
            ),
            Self::TooOften { .. } => (
                StatusCode::TOO_MANY_REQUESTS,
                "too_often",
                "too many logins: try again later",
            ),
            Self::Busy => (
                StatusCode::SERVICE_UNAVAILABLE,
                "busy",
                "too many logins are being checked: try again later",
            ),
            Self::NoRevocations => (
                StatusCode::NOT_FOUND,
                "no_revocations",
                "nobody was cut off yet",
            ),
            Self::ProviderFailed => (
                StatusCode::BAD_GATEWAY,
                "provider_failed",
                "the identity provider gave no answer that can be used: tell the operator of this service",
            ),
            Self::ProviderLate => (
                StatusCode::GATEWAY_TIMEOUT,
                "provider_late",
                "the identity provider did not answer in time: try again later",
            ),
            Self::Internal => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "the service failed; its log names this request by its x-request-id",
            ),
        }
    }

    pub(super) fn status(&self) -> StatusCode {
        self.words().0
    }

    /// For machines; never changes its spelling.
    pub(super) fn code(&self) -> &'static str {
        self.words().1
    }

    pub(super) fn response(self) -> Response {
        let (status, code, text) = self.words();
        if let Self::Method(allowed) = self {
            let mut response = text_response(status, "text/plain; charset=utf-8", text);
            let headers = response.headers_mut();
            headers.insert(header::ALLOW, HeaderValue::from_static(allowed));
            return response;
        }
        let retry_after_s = match self {
            Self::TooOften { retry_after_s } => Some(retry_after_s),
            Self::Busy | Self::ProviderLate => Some(1),
            _ => None,
        };
        let (message, client_info) = match self {
            Self::Malformed(text) => (text, Value::Null),
            Self::Login(client_info) => (text.to_owned(), client_info),
            _ => (text.to_owned(), Value::Null),
        };
        let body = LoginRefusal {
            code: code.to_owned(),
            message,
            client_info,
        };
        let mut response = fresh(json_response(status, body.render()));
        if let Some(seconds) = retry_after_s {
            let headers = response.headers_mut();
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// An answer that nobody may keep.
pub(super) fn fresh(mut response: Response) -> Response {
    let value = HeaderValue::from_static("no-store");
    response.headers_mut().insert(header::CACHE_CONTROL, value);
    response
}

/// An answer of another type than JSON.
pub(super) fn text_response(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<bytes::Bytes>,
) -> Response {
    let mut response = json_response(status, body);
    let value = HeaderValue::from_static(content_type);
    response.headers_mut().insert(header::CONTENT_TYPE, value);
    response
}
