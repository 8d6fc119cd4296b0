//! The answers of the HTTP API: one object for success and failure, shaped as documented.
//! A failure carries the same members with queryType unknown, so that every client can read it.

use http::{HeaderValue, StatusCode, header};
use tombolo_document::Value;
use tombolo_http::{Response, json_response};

use super::node::{Executed, StatementKind, StatementPlace, Warning};

/// Warnings listed in one answer; `totalWarningsCount` tells them all.
const WARNINGS_LISTED_MAX: usize = 10;
/// Characters of the statement's line shown around the caret.
const CARET_CHARS_AROUND: usize = 60;
/// Told as Retry-After with every 503.
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
        }
    }

    /// The answer.
    pub(crate) fn response(&self) -> Response {
        let mut body = Vec::with_capacity(256);
        body.extend_from_slice(
            br#"{"queryType":"unknown","items":[],"mutatedDocumentIds":[],"error":{"description":"#,
        );
        write_text(&mut body, &self.description);
        body.extend_from_slice(br#","code":"#);
        write_text(&mut body, self.code);
        if let Some((line, column)) = self.place {
            body.extend_from_slice(format!(r#","line":{line},"column":{column}"#).as_bytes());
        }
        body.extend_from_slice(br#"},"warnings":[],"totalWarningsCount":0}"#);
        let mut response = json_response(self.status, body);
        let headers = response.headers_mut();
        match self.status {
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(
                    header::RETRY_AFTER,
                    HeaderValue::from_static(RETRY_AFTER_SECONDS),
                );
            }
            _ => {}
        }
        response
    }
}

/// The answer to a statement that succeeded.
pub(crate) fn executed(done: &Executed) -> Response {
    let mut body = Vec::with_capacity(256);
    body.push(b'{');
    if let Some(commit) = done.commit_id {
        body.extend_from_slice(format!(r#""transactionId":{commit},"#).as_bytes());
    }
    body.extend_from_slice(match done.kind {
        StatementKind::Select => br#""queryType":"select","items":"#.as_slice(),
        StatementKind::Mutation => br#""queryType":"mutation","items":"#,
        StatementKind::Unknown => br#""queryType":"unknown","items":"#,
    });
    write_list(&mut body, &done.items);
    body.extend_from_slice(br#","mutatedDocumentIds":"#);
    write_list(&mut body, &done.mutated_document_ids);
    body.extend_from_slice(br#","error":{},"warnings":"#);
    write_warnings(&mut body, &done.warnings);
    body.extend_from_slice(format!(r#","totalWarningsCount":{}"#, done.warnings.len()).as_bytes());
    if let Some(commit) = done.commit_id {
        body.extend_from_slice(format!(r#","commitId":{commit}"#).as_bytes());
    }
    body.push(b'}');
    json_response(StatusCode::OK, body)
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

fn write_warnings(body: &mut Vec<u8>, warnings: &[Warning]) {
    body.push(b'[');
    for (index, warning) in warnings.iter().take(WARNINGS_LISTED_MAX).enumerate() {
        body.extend_from_slice(if index > 0 { b",{" } else { b"{" });
        if let Some(id) = &warning.document_id {
            body.extend_from_slice(br#""_id":"#);
            write_value(body, id);
            body.push(b',');
        }
        body.extend_from_slice(br#""description":"#);
        write_text(body, &warning.description);
        body.push(b'}');
    }
    body.push(b']');
}

fn write_value(body: &mut Vec<u8>, value: &Value) {
    serde_json::to_writer(body, value)
        .expect("invariant: values have string keys and a vector takes all bytes");
}

fn write_text(body: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(body, text)
        .expect("invariant: text is JSON and a vector takes all bytes");
}

/// A message with the place, the line and a caret below it, and the place as line and column.
pub(crate) fn point_at(
    statement: &str,
    place: StatementPlace,
    message: &str,
) -> (String, (usize, usize)) {
    let mut offset = place.offset_bytes.min(statement.len());
    while !statement.is_char_boundary(offset) {
        offset -= 1;
    }
    let before = &statement[..offset];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = before.matches('\n').count() + 1;
    let column = before[line_start..].chars().count() + 1;
    let text = statement[line_start..].lines().next().unwrap_or_default();
    let skipped = (column - 1).saturating_sub(CARET_CHARS_AROUND);
    let shown: String = text
        .chars()
        .skip(skipped)
        .take(2 * CARET_CHARS_AROUND)
        .collect();
    let indent = " ".repeat(column - 1 - skipped);
    (
        format!("{message} (line {line}, column {column})\n{shown}\n{indent}^"),
        (line, column),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;
    use tombolo_document::json;

    async fn text(response: Response) -> String {
        let Ok(body) = response.into_body().collect().await;
        String::from_utf8(body.to_bytes().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn a_select_has_every_documented_member() {
        let items = vec![json::parse(br#"{"_id":"a","n":1}"#).unwrap()];
        let done = Executed {
            kind: StatementKind::Select,
            items,
            ..Executed::default()
        };
        let expected = r#"{"queryType":"select","items":[{"_id":"a","n":1}],"mutatedDocumentIds":[],"error":{},"warnings":[],"totalWarningsCount":0}"#;
        assert_eq!(text(executed(&done)).await, expected);
    }

    #[tokio::test]
    async fn a_mutation_names_its_commit_and_lists_ten_warnings_at_most() {
        let warning = |id: i64| Warning {
            document_id: Some(Value::Int(id)),
            description: "w".to_owned(),
        };
        let done = Executed {
            kind: StatementKind::Mutation,
            mutated_document_ids: vec![Value::String("a".to_owned())],
            commit_id: Some(7),
            warnings: (0..=10).map(warning).collect(),
            ..Executed::default()
        };
        let text = text(executed(&done)).await;
        assert!(
            text.starts_with(
                r#"{"transactionId":7,"queryType":"mutation","items":[],"mutatedDocumentIds":["a"]"#
            ),
            "{text}"
        );
        assert!(
            text.ends_with(r#"{"_id":9,"description":"w"}],"totalWarningsCount":11,"commitId":7}"#),
            "{text}"
        );
    }

    #[tokio::test]
    async fn a_failure_has_the_same_shape_and_says_where() {
        let mut refused = Refused::new(StatusCode::BAD_REQUEST, "syntax", "no \"such\" thing");
        refused.place = Some((1, 8));
        let expected = r#"{"queryType":"unknown","items":[],"mutatedDocumentIds":[],"error":{"description":"no \"such\" thing","code":"syntax","line":1,"column":8},"warnings":[],"totalWarningsCount":0}"#;
        assert_eq!(text(refused.response()).await, expected);
    }

    #[test]
    fn the_caret_stands_below_the_place_in_any_line() {
        let at =
            |offset_bytes| point_at("SELECT é\nFROM x", StatementPlace { offset_bytes }, "bad");
        assert_eq!(
            at(0),
            ("bad (line 1, column 1)\nSELECT é\n^".to_owned(), (1, 1))
        );
        assert_eq!(
            at(8),
            (
                "bad (line 1, column 8)\nSELECT é\n       ^".to_owned(),
                (1, 8)
            )
        );
        assert_eq!(
            at(15),
            ("bad (line 2, column 6)\nFROM x\n     ^".to_owned(), (2, 6))
        );
        assert_eq!(at(999).1, (2, 7));
    }

    #[test]
    fn a_long_line_is_cut_around_the_caret() {
        let statement = "x".repeat(10_000);
        let (text, place) = point_at(
            &statement,
            StatementPlace {
                offset_bytes: 5_000,
            },
            "bad",
        );
        assert_eq!(place, (1, 5_001));
        assert!(text.len() < 300);
        assert_eq!(text.lines().last().unwrap().len(), CARET_CHARS_AROUND + 1);
    }
}
