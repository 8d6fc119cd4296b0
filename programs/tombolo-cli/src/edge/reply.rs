//! The answers of the HTTP API: one object for success and failure, shaped as documented.
//! A failure carries the same members with queryType unknown, so that every client can read it.

use http::{HeaderName, HeaderValue, StatusCode, header};
use tombolo::Value;
use tombolo_http::{Response, json_response};

use super::cbor_reply;
use super::media::Media;

/// Told as Retry-After with every 503 that knows nothing better.
const RETRY_AFTER_SECONDS: &str = "1";

/// A failure as the client sees it.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) status: StatusCode,
    /// For machines; never changes its spelling.
    pub(crate) code: &'static str,
    pub(crate) description: String,
    /// Line and column, both from 1.
    pub(crate) place: Option<(usize, usize)>,
    /// What the status wants told besides.
    pub(crate) header: Option<(HeaderName, HeaderValue)>,
}

impl Refused {
    pub(crate) fn new(
        status: StatusCode,
        code: &'static str,
        description: impl Into<String>,
    ) -> Self {
        Self {
            status,
            code,
            description: description.into(),
            place: None,
            header: None,
        }
    }

    /// Whether it says that the client may not, rather than that something went wrong.
    pub(crate) fn is_of_client(&self) -> bool {
        matches!(
            self.status,
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS
        )
    }

    /// Writes the member `error`.
    pub(crate) fn write_error(&self, body: &mut Vec<u8>) {
        body.extend_from_slice(br#"{"description":"#);
        write_text(body, &self.description);
        body.extend_from_slice(br#","code":"#);
        write_text(body, self.code);
        if let Some((line, column)) = self.place {
            body.extend_from_slice(format!(r#","line":{line},"column":{column}"#).as_bytes());
        }
        body.push(b'}');
    }

    /// The answer in JSON.
    pub(crate) fn response(&self) -> Response {
        self.response_as(Media::Json)
    }

    /// The answer.
    pub(crate) fn response_as(&self, media: Media) -> Response {
        let body = match media {
            Media::Json => self.json(),
            Media::Cbor => cbor_reply::refused(self),
        };
        let mut response = response(self.status, media, body);
        let headers = response.headers_mut();
        if let Some((name, value)) = &self.header {
            headers.insert(name.clone(), value.clone());
        }
        match self.status {
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                let seconds = HeaderValue::from_static(RETRY_AFTER_SECONDS);
                headers.entry(header::RETRY_AFTER).or_insert(seconds);
            }
            _ => {}
        }
        response
    }

    fn json(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(256);
        body.extend_from_slice(
            br#"{"queryType":"unknown","items":[],"mutatedDocumentIds":[],"error":"#,
        );
        self.write_error(&mut body);
        body.extend_from_slice(br#","warnings":[],"totalWarningsCount":0}"#);
        body
    }
}

fn response(status: StatusCode, media: Media, body: Vec<u8>) -> Response {
    let mut response = json_response(status, body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, media.header());
    response
}

/// Whether one statement was asked for, or an array of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    One,
    All,
}

/// The answer to statements that succeeded: what one gave, or one result for each of those that were kept together.
pub(crate) fn executed(shape: Shape, done: &[tombolo::Response], media: Media) -> Response {
    let mut body = Vec::with_capacity(256 * (1 + done.len()));
    write_body(&mut body, (shape, done), media);
    answered(body, media)
}

/// An answer that was written before.
pub(crate) fn answered(body: Vec<u8>, media: Media) -> Response {
    response(StatusCode::OK, media, body)
}

/// Writes the body of [`executed`].
pub(crate) fn write_body(
    body: &mut Vec<u8>,
    (shape, done): (Shape, &[tombolo::Response]),
    media: Media,
) {
    match (media, shape, done) {
        (Media::Json, Shape::One, [done]) => write_done(body, done),
        (Media::Json, ..) => write_all(body, done),
        (Media::Cbor, Shape::One, [done]) => cbor_reply::executed(body, done),
        (Media::Cbor, ..) => cbor_reply::executed_all(body, done),
    }
}

fn write_all(body: &mut Vec<u8>, done: &[tombolo::Response]) {
    body.push(b'{');
    if let Some(commit) = done.iter().find_map(|done| done.commit_id) {
        body.extend_from_slice(
            format!(r#""transactionId":{commit},"commitId":{commit},"#).as_bytes(),
        );
    }
    body.extend_from_slice(br#""results":["#);
    for (at, done) in done.iter().enumerate() {
        if at > 0 {
            body.push(b',');
        }
        write_done(body, done);
    }
    body.extend_from_slice(b"]}");
}

fn write_done(body: &mut Vec<u8>, done: &tombolo::Response) {
    body.push(b'{');
    if let Some(commit) = done.commit_id {
        body.extend_from_slice(format!(r#""transactionId":{commit},"#).as_bytes());
    }
    body.extend_from_slice(format!(r#""queryType":"{}","items":"#, done.kind.name()).as_bytes());
    write_list(body, &done.items);
    body.extend_from_slice(br#","mutatedDocumentIds":"#);
    write_list(body, &done.mutated_document_ids);
    body.extend_from_slice(br#","error":{},"warnings":"#);
    write_warnings(body, &done.warnings);
    body.extend_from_slice(format!(r#","totalWarningsCount":{}"#, done.warnings_total).as_bytes());
    if let Some(commit) = done.commit_id {
        body.extend_from_slice(format!(r#","commitId":{commit}"#).as_bytes());
    }
    body.push(b'}');
}

fn write_list(body: &mut Vec<u8>, values: &[Value]) {
    body.push(b'[');
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            body.push(b',');
        }
        write_value(body, value);
    }
    body.push(b']');
}

fn write_warnings(body: &mut Vec<u8>, warnings: &[String]) {
    body.push(b'[');
    for (index, warning) in warnings.iter().enumerate() {
        body.extend_from_slice(if index > 0 { b",{" } else { b"{" });
        body.extend_from_slice(br#""description":"#);
        write_text(body, warning);
        body.push(b'}');
    }
    body.push(b']');
}

pub(crate) fn write_value(body: &mut Vec<u8>, value: &Value) {
    serde_json::to_writer(body, value)
        .expect("invariant: values have string keys and a vector takes all bytes");
}

pub(crate) fn write_text(body: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(body, text)
        .expect("invariant: text is JSON and a vector takes all bytes");
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;
    use tombolo::{OutcomeKind, json};

    async fn text(response: Response) -> String {
        let body = response.into_body().collect().await.unwrap();
        String::from_utf8(body.to_bytes().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn a_select_has_every_documented_member() {
        let items = vec![json::parse(br#"{"_id":"a","n":1}"#).unwrap()];
        let done = tombolo::Response {
            kind: OutcomeKind::Select,
            items,
            ..tombolo::Response::default()
        };
        let expected = r#"{"queryType":"select","items":[{"_id":"a","n":1}],"mutatedDocumentIds":[],"error":{},"warnings":[],"totalWarningsCount":0}"#;
        assert_eq!(
            text(executed(Shape::One, &[done], Media::Json)).await,
            expected
        );
    }

    #[tokio::test]
    async fn a_mutation_names_its_commit_and_counts_its_warnings() {
        let done = tombolo::Response {
            kind: OutcomeKind::Mutation,
            mutated_document_ids: vec![Value::from("a")],
            commit_id: Some(7),
            warnings: vec!["one".to_owned(), "two".to_owned()],
            warnings_total: 11,
            ..tombolo::Response::default()
        };
        let text = text(executed(Shape::One, &[done], Media::Json)).await;
        let start =
            r#"{"transactionId":7,"queryType":"mutation","items":[],"mutatedDocumentIds":["a"]"#;
        assert!(text.starts_with(start), "{text}");
        let end = r#""warnings":[{"description":"one"},{"description":"two"}],"totalWarningsCount":11,"commitId":7}"#;
        assert!(text.ends_with(end), "{text}");
    }

    #[tokio::test]
    async fn a_failure_has_the_same_shape_and_says_where() {
        let mut refused = Refused::new(StatusCode::BAD_REQUEST, "syntax", "no \"such\" thing");
        refused.place = Some((1, 8));
        let expected = r#"{"queryType":"unknown","items":[],"mutatedDocumentIds":[],"error":{"description":"no \"such\" thing","code":"syntax","line":1,"column":8},"warnings":[],"totalWarningsCount":0}"#;
        assert_eq!(text(refused.response()).await, expected);
    }
}
