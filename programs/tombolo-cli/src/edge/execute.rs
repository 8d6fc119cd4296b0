//! `POST /execute`: a body becomes statements, and these an answer. Several are kept together or not at all.

use tombolo::{AnswerKey, Ran, StatementKind};
use tombolo_http::{Request, RequestId, Response};

use super::Edge;
use super::authorize::Caller;
use super::media::Media;
use super::node::{Failure, Node, PermittedStep, StepFailure};
use super::question::{Asked, Question};
use super::record::{Record, RecordPlace};
use super::refuse::{
    refuse_body, refuse_client, refuse_failed, refuse_other_than_json_or_cbor, refuse_question,
    refuse_unrecorded,
};
use super::reply::{self, Refused, Shape};
use super::{idempotency, least_transaction};

pub(super) async fn execute<N: Node>(
    edge: &Edge<N>,
    request: Box<Request>,
    caller: &Caller,
    record: &mut Record,
) -> Result<Response, Refused> {
    let Request { head, body, id, .. } = *request;
    let Some(asked_in) = Media::of_body(&head.headers) else {
        return Err(refuse_other_than_json_or_cbor());
    };
    let answer_in = Media::of_answer(&head.headers);
    let bytes_max = edge.routes.api().execute_body_bytes_max.unwrap_or_default();
    // A body may take its time, and whoever sends none of it must not hold a place of the audit log meanwhile.
    record.place = RecordPlace::default();
    let body = body.read(bytes_max).await;
    record.place = edge.recorder.admit();
    if edge.recorder.needs_reads() {
        record.require_place().map_err(refuse_unrecorded)?;
    }
    let body = body.map_err(refuse_body)?;
    // Only now, since a client that is refused while it sends may see its connection end before its answer.
    let key = idempotency::key(&head.headers)?;
    let least = least_transaction::asked(&head.headers)?;
    let asked = match asked_in {
        Media::Json => Asked::parse(&body),
        Media::Cbor => Asked::parse_cbor(&body),
    };
    let asked = asked.map_err(refuse_question)?;
    let name = key.map(|key| idempotency::name(key, caller, (asked_in, &body)));
    // Both lie in the connection's buffer: while they do, it cannot be used again.
    drop((head, body));
    let (questions, shape) = match asked {
        Asked::One(question) => (vec![question], Shape::One),
        Asked::All(questions) => (questions, Shape::All),
    };
    let wanted = Wanted {
        questions,
        name,
        least,
        answer: (shape, answer_in),
    };
    let run = run(edge, wanted, caller, (record, id));
    run.await.map_err(|failed| match shape {
        Shape::One => failed.refused,
        Shape::All => failed.named(),
    })
}

/// What a request wants.
struct Wanted {
    questions: Vec<Question>,
    /// What makes it run once.
    name: Option<AnswerKey>,
    /// The transaction that it wants to see.
    least: Option<u64>,
    answer: (Shape, Media),
}

/// Which statement was refused.
struct FailedStep {
    /// `None`: it is about all of them.
    at: Option<usize>,
    refused: Refused,
}

impl FailedStep {
    fn of(StepFailure { at, failure }: StepFailure, id: RequestId) -> Self {
        Self {
            at: failure.is_of_one_statement().then_some(at),
            refused: refuse_failed(failure, id),
        }
    }

    /// The refusal, with the place of its statement.
    fn named(self) -> Refused {
        let Some(at) = self.at else {
            return self.refused;
        };
        let description = format!("statements[{at}]: {}", self.refused.description);
        Refused {
            description,
            ..self.refused
        }
    }
}

async fn run<N: Node>(
    edge: &Edge<N>,
    wanted: Wanted,
    caller: &Caller,
    (record, id): (&mut Record, RequestId),
) -> Result<Response, FailedStep> {
    let Wanted {
        questions,
        name,
        least,
        answer,
    } = wanted;
    let mut steps = Vec::with_capacity(questions.len());
    for (at, question) in questions.into_iter().enumerate() {
        let step = permitted(edge, question, caller, (record, id));
        steps.push(step.map_err(|refused| FailedStep {
            at: Some(at),
            refused,
        })?);
    }
    if let Some(step) = steps.first() {
        let newest = edge.node.last_transaction(&step.permit);
        let reached = least_transaction::check(least, newest);
        reached.map_err(|refused| FailedStep { at: None, refused })?;
    }
    let writes = steps.iter().position(|step| step.statement.is_mutation());
    if writes.is_some() {
        let place = record.require_place().map_err(refuse_unrecorded);
        place.map_err(|refused| FailedStep {
            at: writes,
            refused,
        })?;
    }
    let time_left = edge.request_timeout;
    let failed = |failed| FailedStep::of(failed, id);
    // A system parameter takes effect at once and cannot be undone, and to set it again changes nothing.
    let is_kept = |step: &PermittedStep| step.statement.kind() != StatementKind::AlterSystem;
    let runs_once = writes.is_some_and(|at| is_kept(&steps[at]));
    let Some(name) = name.filter(|_| runs_once) else {
        let done = edge.node.execute(steps, time_left).await;
        let done = done.map_err(failed)?;
        count(record, &done);
        let (shape, media) = answer;
        return Ok(reply::executed(shape, &done, media));
    };
    let once = idempotency::once(name, answer);
    let ran = edge.node.execute_once(steps, once, time_left).await;
    let (kept, is_replayed) = match ran.map_err(failed)? {
        Ran::Now { responses, answer } => {
            count(record, &responses);
            (answer, false)
        }
        Ran::Before { answer } => (answer, true),
    };
    idempotency::kept_answer(kept, is_replayed).ok_or_else(|| {
        let reason = "a kept answer is damaged, or of a newer release".to_owned();
        FailedStep {
            at: None,
            refused: refuse_failed(Failure::Internal { reason }, id),
        }
    })
}

fn count(record: &mut Record, done: &[tombolo::Response]) {
    for response in done {
        record.documents += response.mutated_document_ids.len() as u64;
        record.rows += response.items.len() as u64;
    }
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
