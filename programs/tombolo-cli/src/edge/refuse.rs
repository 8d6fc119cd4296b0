//! The words for everything that can go wrong behind a route: status, code and what to do.

use std::time::Duration;

use http::{HeaderName, HeaderValue, StatusCode, header};
use tombolo_http::BodyError;

use super::authorize::AuthRefusal;
use super::node::Failure;
use super::question;
use super::record::RecorderFull;
use super::reply::Refused;
use super::throttle::TooMany;

pub(super) fn refuse_client(refusal: AuthRefusal) -> Refused {
    match refusal {
        AuthRefusal::NoKey => Refused::new(
            StatusCode::UNAUTHORIZED,
            "no_key",
            "send the API key as: Authorization: Bearer <key>",
        ),
        AuthRefusal::UnknownKey => Refused::new(
            StatusCode::UNAUTHORIZED,
            "unknown_key",
            "this API key belongs to no identity; ask the operator for one",
        ),
        AuthRefusal::NotPermitted => Refused::new(
            StatusCode::FORBIDDEN,
            "not_permitted",
            "this identity has no permission set that is valid; ask the operator",
        ),
        AuthRefusal::Endpoint(endpoint) => Refused::new(
            StatusCode::FORBIDDEN,
            "not_permitted",
            format!(
                "no permission set of this identity allows the endpoint {endpoint}; ask the operator"
            ),
        ),
        AuthRefusal::Statement(kind) => Refused::new(
            StatusCode::FORBIDDEN,
            "not_permitted",
            format!(
                "no permission set of this identity allows {kind} statements; ask the operator"
            ),
        ),
        AuthRefusal::TooManyKeys(too_many) => refuse_often(too_many),
        AuthRefusal::Busy => Refused::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "busy_keys",
            "too many unknown API keys are being checked; try again later",
        ),
    }
}

pub(super) fn refuse_other_than_json() -> Refused {
    let text = "send the body with content-type: application/json";
    Refused::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not_json", text)
}

pub(super) fn refuse_other_than_json_or_cbor() -> Refused {
    let text = "send the body with content-type: application/json or application/cbor";
    Refused::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not_json", text)
}

pub(super) fn refuse_body(error: BodyError) -> Refused {
    let code = match error {
        BodyError::TooLarge { .. } => "body_too_large",
        BodyError::Broken(_) => "body_broken",
        BodyError::NotGzip(_) => "body_not_gzip",
        BodyError::UnknownEncoding => "unknown_encoding",
    };
    Refused::new(error.status(), code, error.to_string())
}

pub(super) fn refuse_question(error: question::QuestionError) -> Refused {
    let mut refused = Refused::new(StatusCode::BAD_REQUEST, "bad_body", error.to_string());
    if let question::QuestionError::NotJson(error)
    | question::QuestionError::ArgumentsNotJson(error) = &error
    {
        refused.place = Some((error.line, error.column));
    }
    refused
}

pub(super) fn refuse_failed(failure: Failure, id: tombolo_http::RequestId) -> Refused {
    match failure {
        Failure::Statement {
            code,
            message,
            place,
        } => Refused {
            place,
            ..Refused::new(StatusCode::BAD_REQUEST, code, message)
        },
        Failure::NotPermitted { message } => {
            Refused::new(StatusCode::FORBIDDEN, "not_permitted_here", message)
        }
        Failure::CallerNotPermitted { message } => {
            Refused::new(StatusCode::FORBIDDEN, "not_permitted", message)
        }
        Failure::OtherRequest { message } => Refused::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "idempotency_key_reused",
            message,
        ),
        Failure::AnswerTooLarge { message } => Refused::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "answer_too_large",
            message,
        ),
        Failure::AnswersFull {
            is_own,
            ends_in,
            message,
        } => {
            let (status, code) = if is_own {
                (StatusCode::TOO_MANY_REQUESTS, "too_many_answers")
            } else {
                (StatusCode::SERVICE_UNAVAILABLE, "busy_answers")
            };
            Refused {
                header: Some(retry_after(ends_in)),
                ..Refused::new(status, code, message)
            }
        }
        Failure::Busy => Refused::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "busy",
            "too many statements wait; try again later",
        ),
        Failure::TimedOut => Refused::new(
            StatusCode::REQUEST_TIMEOUT,
            "timed_out",
            "the statement took too long and was given up; ask for less",
        ),
        Failure::Internal { reason } => {
            tracing::error!(request_id = %id, reason, "a request failed inside the node");
            Refused::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "the node failed; its log names this request by its x-request-id",
            )
        }
    }
}

pub(super) fn refuse_often(refusal: TooMany) -> Refused {
    let seconds = whole_seconds(refusal.retry_after);
    let text = format!("too many requests; ask again in {seconds} seconds");
    let mut refused = Refused::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", text);
    refused.header = Some(retry_after(refusal.retry_after));
    refused
}

fn retry_after(after: Duration) -> (HeaderName, HeaderValue) {
    (header::RETRY_AFTER, whole_seconds(after).into())
}

fn whole_seconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis().div_ceil(1000)).unwrap_or(u64::MAX)
}

pub(super) fn refuse_unrecorded(full: RecorderFull) -> Refused {
    Refused::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "audit_full",
        full.to_string(),
    )
}
