//! The answers of `POST /execute` as CBOR: the members of the JSON ones, under the same names.
//! A test holds the two against each other.

use minicbor::Encoder;
use tombolo::Response;

use super::cbor::{Written, write_list};
use super::reply::Refused;

type Out<'a> = Encoder<&'a mut Vec<u8>>;

/// What a statement gave.
pub(super) fn executed(body: &mut Vec<u8>, done: &Response) {
    write(body, |out| write_done(out, done));
}

/// What several statements gave that were kept together.
pub(super) fn executed_all(body: &mut Vec<u8>, done: &[Response]) {
    write(body, |out| {
        let commit = done.iter().find_map(|done| done.commit_id);
        out.map(if commit.is_some() { 3 } else { 1 })?;
        if let Some(commit) = commit {
            out.str("transactionId")?.u64(commit)?;
            out.str("commitId")?.u64(commit)?;
        }
        out.str("results")?.array(done.len() as u64)?;
        done.iter().try_for_each(|done| write_done(out, done))
    });
}

/// A failure.
pub(super) fn refused(refused: &Refused) -> Vec<u8> {
    let mut body = Vec::with_capacity(256);
    write(&mut body, |out| {
        out.map(6)?.str("queryType")?.str("unknown")?;
        out.str("items")?.array(0)?;
        out.str("mutatedDocumentIds")?.array(0)?;
        out.str("error")?;
        out.map(if refused.place.is_some() { 4 } else { 2 })?;
        out.str("description")?.str(&refused.description)?;
        out.str("code")?.str(refused.code)?;
        if let Some((line, column)) = refused.place {
            out.str("line")?.u64(line as u64)?;
            out.str("column")?.u64(column as u64)?;
        }
        out.str("warnings")?.array(0)?;
        out.str("totalWarningsCount")?.u64(0)?;
        Ok(())
    });
    body
}

fn write(body: &mut Vec<u8>, write: impl FnOnce(&mut Out<'_>) -> Written) {
    write(&mut Encoder::new(body)).expect("invariant: a vector takes all bytes");
}

fn write_done(out: &mut Out<'_>, done: &Response) -> Written {
    out.map(if done.commit_id.is_some() { 8 } else { 6 })?;
    if let Some(commit) = done.commit_id {
        out.str("transactionId")?.u64(commit)?;
    }
    out.str("queryType")?.str(done.kind.name())?;
    write_list(out.str("items")?, &done.items)?;
    write_list(out.str("mutatedDocumentIds")?, &done.mutated_document_ids)?;
    out.str("error")?.map(0)?;
    out.str("warnings")?.array(done.warnings.len() as u64)?;
    for warning in &done.warnings {
        out.map(1)?.str("description")?.str(warning)?;
    }
    out.str("totalWarningsCount")?;
    out.u64(done.warnings_total as u64)?;
    if let Some(commit) = done.commit_id {
        out.str("commitId")?.u64(commit)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::cbor;
    use super::super::media::Media;
    use super::super::reply::{self, Shape};
    use super::*;
    use http::StatusCode;
    use http_body_util::BodyExt;
    use tombolo::{OutcomeKind, Value, json};

    async fn read(response: tombolo_http::Response) -> Value {
        let (head, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        match head.headers["content-type"].to_str().unwrap() {
            "application/cbor" => cbor::parse(&bytes).unwrap(),
            "application/json" => json::parse(&bytes).unwrap(),
            other => panic!("{other}"),
        }
    }

    #[tokio::test]
    async fn both_formats_have_the_same_members() {
        let mutation = Response {
            kind: OutcomeKind::Mutation,
            mutated_document_ids: vec![Value::from("a"), Value::Int(-1)],
            commit_id: Some(7),
            warnings: vec!["one".to_owned(), "two".to_owned()],
            warnings_total: 11,
            ..Response::default()
        };
        let row = br#"{"_id":"a","n":[1,2.5,null,true,18446744073709551615,{"m":-3}]}"#;
        let select = Response {
            kind: OutcomeKind::Select,
            items: vec![json::parse(row).unwrap()],
            ..Response::default()
        };
        let without_place = Refused::new(StatusCode::BAD_REQUEST, "syntax", "no \"such\"");
        let mut placed = Refused::new(StatusCode::BAD_REQUEST, "syntax", "no");
        placed.place = Some((1, 8));
        let answers = |media| {
            [
                reply::executed(Shape::One, std::slice::from_ref(&mutation), media),
                reply::executed(Shape::One, std::slice::from_ref(&select), media),
                reply::executed(Shape::All, &[select.clone(), mutation.clone()], media),
                reply::executed(Shape::All, std::slice::from_ref(&select), media),
                without_place.response_as(media),
                placed.response_as(media),
            ]
        };
        for (json, cbor) in answers(Media::Json).into_iter().zip(answers(Media::Cbor)) {
            assert_eq!(json.status(), cbor.status());
            assert_eq!(read(json).await, read(cbor).await);
        }
    }

    #[test]
    fn binary_values_are_byte_strings() {
        let done = Response {
            items: vec![Value::Binary(vec![0, 255])],
            ..Response::default()
        };
        let mut bytes = Vec::new();
        executed(&mut bytes, &done);
        let found = bytes.windows(4).any(|part| part == [0x81, 0x42, 0, 255]);
        assert!(found, "{bytes:x?}");
    }
}
