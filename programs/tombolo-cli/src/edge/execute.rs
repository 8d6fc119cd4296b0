//! `POST /execute`: a body becomes statements, and these an answer. Several are kept together or not at all.

use tombolo_http::{Request, RequestId, Response};

use super::Edge;
use super::authorize::Caller;
use super::media::Media;
use super::node::{Node, PermittedStep};
use super::question::{Asked, Question};
use super::record::Record;
use super::refuse::{
    refuse_body, refuse_client, refuse_failed, refuse_other_than_json_or_cbor, refuse_question,
    refuse_unrecorded,
};
use super::reply::{self, Refused};

pub(super) async fn execute<N: Node>(
    edge: &Edge<N>,
    request: Request,
    caller: &Caller,
    record: &mut Record,
) -> Result<Response, Refused> {
    let Request { head, body, id, .. } = request;
    let Some(asked_in) = Media::of_body(&head.headers) else {
        return Err(refuse_other_than_json_or_cbor());
    };
    let answer_in = Media::of_answer(&head.headers);
    let bytes_max = edge.routes.api().execute_body_bytes_max.unwrap_or_default();
    let body = body.read(bytes_max).await.map_err(refuse_body)?;
    let asked = match asked_in {
        Media::Json => Asked::parse(&body),
        Media::Cbor => Asked::parse_cbor(&body),
    };
    let asked = asked.map_err(refuse_question)?;
    // Both lie in the connection's buffer: while they do, it cannot be used again.
    drop((head, body));
    match asked {
        Asked::One(question) => {
            let run = run(edge, vec![question], caller, (record, id));
            let mut done = run.await.map_err(|failed| failed.refused)?;
            Ok(reply::executed(&done.pop().unwrap_or_default(), answer_in))
        }
        Asked::All(questions) => {
            let done = run(edge, questions, caller, (record, id)).await;
            let done = done.map_err(FailedStep::named)?;
            Ok(reply::executed_all(&done, answer_in))
        }
    }
}

/// Which statement was refused.
struct FailedStep {
    at: usize,
    refused: Refused,
}

impl FailedStep {
    /// The refusal, with the place of its statement.
    fn named(self) -> Refused {
        let description = format!("statements[{}]: {}", self.at, self.refused.description);
        Refused {
            description,
            ..self.refused
        }
    }
}

async fn run<N: Node>(
    edge: &Edge<N>,
    questions: Vec<Question>,
    caller: &Caller,
    (record, id): (&mut Record, RequestId),
) -> Result<Vec<tombolo::Response>, FailedStep> {
    let mut steps = Vec::with_capacity(questions.len());
    for (at, question) in questions.into_iter().enumerate() {
        let step = permitted(edge, question, caller, (record, id));
        steps.push(step.map_err(|refused| FailedStep { at, refused })?);
    }
    if let Some(at) = steps.iter().position(|step| step.statement.is_mutation()) {
        let place = record.require_place().map_err(refuse_unrecorded);
        place.map_err(|refused| FailedStep { at, refused })?;
    }
    let done = edge.node.execute(steps, edge.request_timeout).await;
    let done = done.map_err(|failed| FailedStep {
        at: failed.at,
        refused: refuse_failed(failed.failure, id),
    })?;
    for response in &done {
        record.documents += response.mutated_document_ids.len() as u64;
        record.rows += response.items.len() as u64;
    }
    Ok(done)
}

fn permitted<N: Node>(
    edge: &Edge<N>,
    question: Question,
    caller: &Caller,
    (record, id): (&mut Record, RequestId),
) -> Result<PermittedStep, Refused> {
    let statement = edge.node.prepare(&question.statement);
    let statement = statement.map_err(|failure| refuse_failed(failure, id))?;
    record.statements.push(statement.clone());
    let permit = caller.permit_execute(&statement).map_err(refuse_client)?;
    Ok(PermittedStep {
        permit,
        statement,
        arguments: question.arguments,
    })
}
