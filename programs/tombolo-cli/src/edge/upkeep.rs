//! `GET /health/ready`, `GET /metrics` and `GET /logs`: what whoever looks after the node may ask for.

use http::{HeaderValue, Method, StatusCode, header};
use tombolo_http::{Body, Response};

use super::reply::Refused;
use super::routes;
use crate::metrics::CONTENT_TYPE;
use crate::upkeep::Upkeep;

const ARCHIVE_NAME: &str = "attachment; filename=\"tombolo-logs.tar.gz\"";

/// `None` stands for a node that nobody looks after, which only tests run.
pub(super) type Kept<'u> = Option<&'u Upkeep>;

pub(super) fn ready(upkeep: Kept<'_>) -> Result<Response, Refused> {
    let found = upkeep.ok_or_else(routes::unknown_path)?.readiness();
    let status = match found.is_ready {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    let mut response = of_type("text/plain; charset=utf-8", Body::full(found.text));
    *response.status_mut() = status;
    Ok(response)
}

pub(super) fn metrics(upkeep: Kept<'_>) -> Result<Response, Refused> {
    let text = upkeep.ok_or_else(routes::unknown_path)?.metrics();
    let text = text.map_err(|_| {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Refused::new(status, "internal", "the numbers cannot be written")
    })?;
    Ok(of_type(CONTENT_TYPE, Body::full(text)))
}

pub(super) fn logs(upkeep: Kept<'_>, method: &Method) -> Result<Response, Refused> {
    let upkeep = upkeep.ok_or_else(routes::unknown_path)?;
    let body = match *method {
        Method::HEAD => Body::empty(),
        _ => upkeep.archive().map_err(|_| {
            let text = "the logs are being sent to somebody else; try again later";
            Refused::new(StatusCode::SERVICE_UNAVAILABLE, "busy", text)
        })?,
    };
    let mut response = of_type("application/gzip", body);
    let name = HeaderValue::from_static(ARCHIVE_NAME);
    response
        .headers_mut()
        .insert(header::CONTENT_DISPOSITION, name);
    Ok(response)
}

fn of_type(kind: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
