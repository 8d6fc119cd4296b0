//! The edge server's routes: which request means what, and for whom.
//! Each route is a list of steps; a permit stands between a client and the database.

mod authorize;
mod joined;
mod node;
mod question;
mod reply;
#[cfg(test)]
mod tests;
mod websocket;

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Method, StatusCode, header};
use tombolo::WEBSOCKET_PATH;
use tombolo_http::{Answer, BodyError, Refusal, Request, Response, json_response};

use crate::config::{Api, Clients};
use crate::identity::{self, IdentityService};
use authorize::{AuthRefusal, Guard};
use node::{Failure, Node};
use question::Question;
use reply::Refused;

pub(crate) use joined::{JoinedDatabase, chain};

/// Answers the HTTP API of one node.
#[derive(Debug)]
pub(crate) struct Edge<N> {
    api: Api,
    guard: Guard,
    database_id: String,
    request_timeout: Option<Duration>,
    identity: Option<Arc<IdentityService>>,
    node: N,
}

/// What the configuration says about the routes.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) api: Api,
    pub(crate) clients: Clients,
    pub(crate) database_id: String,
    /// Told to the node with each statement; the server itself answers 408.
    pub(crate) request_timeout: Option<Duration>,
    /// Drawn at random once per process.
    pub(crate) digest_key: [u8; 32],
    /// `None`: nobody logs in here.
    pub(crate) identity: Option<Arc<IdentityService>>,
}

/// What a request asks for.
enum Route {
    Execute { body_bytes_max: usize },
    Health,
    Presence,
    Sync,
}

impl<N: Node> Edge<N> {
    pub(crate) fn new(settings: Settings, node: N) -> Self {
        let Settings {
            api,
            clients,
            database_id,
            request_timeout,
            digest_key,
            identity,
        } = settings;
        Self {
            api,
            guard: Guard::new(clients, digest_key),
            database_id,
            request_timeout,
            identity,
            node,
        }
    }

    fn route(&self, path: &str) -> Result<Route, Refused> {
        let execute = match path {
            "/health" if self.api.health => return Ok(Route::Health),
            "/presence" if self.api.presence => return Ok(Route::Presence),
            WEBSOCKET_PATH => return Ok(Route::Sync),
            "/execute" | "/api/v4/store/execute" | "/api/v5/store/execute" => true,
            _ => match path
                .strip_prefix('/')
                .and_then(|path| path.strip_suffix("/execute"))
            {
                Some(database) if database == self.database_id => true,
                Some(database) if !database.is_empty() && !database.contains('/') => {
                    return Err(Refused::new(
                        StatusCode::NOT_FOUND,
                        "unknown_database",
                        "this node holds another database; compare the path with database.db_id",
                    ));
                }
                _ => false,
            },
        };
        match self.api.execute_body_bytes_max {
            Some(body_bytes_max) if execute => Ok(Route::Execute { body_bytes_max }),
            _ => Err(Refused::new(
                StatusCode::NOT_FOUND,
                "unknown_path",
                "nothing is served at this path; check it, and whether the configuration turns it on",
            )),
        }
    }

    async fn execute(&self, request: Request, body_bytes_max: usize) -> Result<Response, Refused> {
        let Request { head, body, id, .. } = request;
        let caller = self
            .guard
            .identify(&head.headers)
            .await
            .map_err(refuse_client)?;
        if !question::is_json(&head.headers) {
            let text = "send the body with content-type: application/json";
            return Err(Refused::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "not_json",
                text,
            ));
        }
        let body = body.read(body_bytes_max).await.map_err(refuse_body)?;
        let question = Question::parse(&body).map_err(refuse_question)?;
        // Both lie in the connection's buffer: while they do, it cannot be used again.
        drop((head, body));
        let permit = caller.permit_execute().map_err(refuse_client)?;
        let Question {
            statement,
            arguments,
        } = question;
        let outcome = self
            .node
            .execute(permit, &statement, arguments, self.request_timeout)
            .await;
        match outcome {
            Ok(done) => Ok(reply::executed(&done)),
            Err(failure) => Err(refuse_failed(failure, id)),
        }
    }

    async fn presence(&self, request: Request) -> Result<Response, Refused> {
        let Request { head, id, .. } = request;
        let caller = self
            .guard
            .identify(&head.headers)
            .await
            .map_err(refuse_client)?;
        let permit = caller.permit_presence().map_err(refuse_client)?;
        match self.node.presence(permit) {
            Ok(graph) => Ok(json_response(StatusCode::OK, graph)),
            Err(failure) => Err(refuse_failed(failure, id)),
        }
    }
}

impl<N: Node> Answer for Edge<N> {
    async fn answer(&self, request: Request) -> Response {
        if let Some(service) = &self.identity
            && identity::serves(request.path())
        {
            return service.answer(request).await;
        }
        let route = match self.route(request.path()) {
            Ok(route) => route,
            Err(refused) => return refused.response(),
        };
        match (route, request.method()) {
            (Route::Health, &Method::GET | &Method::HEAD) => {
                json_response(StatusCode::OK, r#"{"status":"ok"}"#)
            }
            (Route::Presence, &Method::GET | &Method::HEAD) => self
                .presence(request)
                .await
                .unwrap_or_else(|refused| refused.response()),
            (Route::Sync, _) => websocket::switch(request, self.node.websocket_door()),
            (Route::Health | Route::Presence, _) => wrong_method("GET, HEAD"),
            (Route::Execute { body_bytes_max }, &Method::POST) => self
                .execute(request, body_bytes_max)
                .await
                .unwrap_or_else(|refused| refused.response()),
            (Route::Execute { .. }, _) => wrong_method("POST"),
        }
    }

    fn refuse(&self, refusal: &Refusal) -> Response {
        let code = match refusal {
            Refusal::HeadTooLarge { .. } => "head_too_large",
            Refusal::TooManyHeaders { .. } => "too_many_headers",
            Refusal::TimedOut { .. } => "timed_out",
            Refusal::TooManyConnections { .. } => "too_many_connections",
            Refusal::Failed => "internal",
        };
        Refused::new(refusal.status(), code, refusal.to_string()).response()
    }
}

fn wrong_method(allowed: &'static str) -> Response {
    let text = format!("this path takes {allowed}");
    let mut response =
        Refused::new(StatusCode::METHOD_NOT_ALLOWED, "wrong_method", text).response();
    response
        .headers_mut()
        .insert(header::ALLOW, HeaderValue::from_static(allowed));
    response
}

fn refuse_client(refusal: AuthRefusal) -> Refused {
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
            "this identity has no permission set that allows it; ask the operator",
        ),
        AuthRefusal::Busy => Refused::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "busy_keys",
            "too many unknown API keys are being checked; try again later",
        ),
    }
}

fn refuse_body(error: BodyError) -> Refused {
    match error {
        BodyError::TooLarge { .. } => Refused::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body_too_large",
            error.to_string(),
        ),
        BodyError::Broken(_) => {
            Refused::new(StatusCode::BAD_REQUEST, "body_broken", error.to_string())
        }
    }
}

fn refuse_question(error: question::QuestionError) -> Refused {
    let mut refused = Refused::new(StatusCode::BAD_REQUEST, "bad_body", error.to_string());
    if let question::QuestionError::NotJson(error) = &error {
        refused.place = Some((error.line, error.column));
    }
    refused
}

fn refuse_failed(failure: Failure, id: tombolo_http::RequestId) -> Refused {
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
