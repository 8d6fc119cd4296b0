//! `POST /execute`: a body becomes a statement, a statement an answer.

use http::StatusCode;
use tombolo_http::{Request, Response};

use super::Edge;
use super::authorize::Caller;
use super::node::{Node, PermittedStep};
use super::question::{self, Question};
use super::record::Record;
use super::refuse::{
    refuse_body, refuse_client, refuse_failed, refuse_question, refuse_unrecorded,
};
use super::reply::{self, Refused};

pub(super) async fn execute<N: Node>(
    edge: &Edge<N>,
    request: Request,
    caller: &Caller,
    record: &mut Record,
) -> Result<Response, Refused> {
    let Request { head, body, id, .. } = request;
    if !question::is_json(&head.headers) {
        let text = "send the body with content-type: application/json";
        return Err(Refused::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "not_json",
            text,
        ));
    }
    let bytes_max = edge.routes.api().execute_body_bytes_max.unwrap_or_default();
    let body = body.read(bytes_max).await.map_err(refuse_body)?;
    let question = Question::parse(&body).map_err(refuse_question)?;
    // Both lie in the connection's buffer: while they do, it cannot be used again.
    drop((head, body));
    let Question {
        statement,
        arguments,
    } = question;
    let statement = edge.node.prepare(&statement);
    let statement = statement.map_err(|failure| refuse_failed(failure, id))?;
    record.statements.push(statement.clone());
    let permit = caller.permit_execute(&statement).map_err(refuse_client)?;
    if statement.is_mutation() {
        record.require_place().map_err(refuse_unrecorded)?;
    }
    let step = PermittedStep {
        permit,
        statement,
        arguments,
    };
    let run = edge.node.execute(vec![step], edge.request_timeout);
    let mut done = run
        .await
        .map_err(|failed| refuse_failed(failed.failure, id))?;
    let done = done.pop().unwrap_or_default();
    record.documents = done.mutated_document_ids.len() as u64;
    record.rows = done.items.len() as u64;
    Ok(reply::executed(&done))
}
