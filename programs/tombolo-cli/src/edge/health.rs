//! `GET /health`: the process answers. It needs no key and tells nothing.

use http::StatusCode;
use tombolo_http::{Response, json_response};

/// The answer.
pub(super) fn health() -> Response {
    json_response(StatusCode::OK, r#"{"status":"ok"}"#)
}
