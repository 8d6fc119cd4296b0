//! `/docs/`: the description of the HTTP API and a page that shows it, all from this binary.
//! The page may load nothing from elsewhere, run nothing but its two files, and be framed by nobody.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};
use tombolo_http::{Body, Response};

use super::reply::Refused;
use super::routes;

/// Scripts and styles come from this origin alone, and nothing is inline.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

/// What is served under `/docs`.
#[derive(Debug)]
pub(crate) struct Docs {
    description: Bytes,
}

impl Docs {
    pub(crate) fn new(description: &serde_json::Value) -> Self {
        Self {
            description: Bytes::from(description.to_string()),
        }
    }

    /// The file at a path of the endpoint.
    pub(super) fn answer(&self, path: &str) -> Result<Response, Refused> {
        let (kind, body) = match path {
            "/docs" => return Ok(to_the_directory()),
            "/docs/" => (
                "text/html; charset=utf-8",
                Bytes::from_static(include_bytes!("../../assets/docs.html")),
            ),
            "/docs/edge_server_api.json" => ("application/json", self.description.clone()),
            "/docs/start.js" => (
                JAVASCRIPT,
                Bytes::from_static(include_bytes!("../../assets/docs.js")),
            ),
            "/docs/swagger-ui-bundle.js" => (
                JAVASCRIPT,
                Bytes::from_static(include_bytes!(
                    "../../assets/swagger-ui/swagger-ui-bundle.js"
                )),
            ),
            "/docs/swagger-ui.css" => (
                "text/css; charset=utf-8",
                Bytes::from_static(include_bytes!("../../assets/swagger-ui/swagger-ui.css")),
            ),
            _ => return Err(routes::unknown_path()),
        };
        let mut response = Response::new(Body::full(body));
        add(&mut response, header::CONTENT_TYPE, kind);
        Ok(guarded(response))
    }
}

/// The page names its files relative to the directory, so that a proxy may put a path before it.
fn to_the_directory() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    add(&mut response, header::LOCATION, "docs/");
    guarded(response)
}

fn guarded(mut response: Response) -> Response {
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
        // It changes with the configuration and the program.
        (header::CACHE_CONTROL, "no-cache"),
    ] {
        add(&mut response, name, value);
    }
    response
}

fn add(response: &mut Response, name: HeaderName, value: &'static str) {
    response
        .headers_mut()
        .insert(name, HeaderValue::from_static(value));
}
