//! The edge server's routes: which request means what, and for whom.

use http::{Method, StatusCode};
use tombolo_http::{Answer, Request, Response, json_response};

use crate::config::{Api, Clients};

/// Answers the HTTP API of one node.
#[derive(Debug)]
pub(crate) struct Edge {
    api: Api,
}

impl Edge {
    pub(crate) fn new(
        api: Api,
        _clients: Clients,
        _database_id: &str,
        _digest_key: [u8; 32],
    ) -> Self {
        Self { api }
    }
}

impl Answer for Edge {
    async fn answer(&self, request: Request) -> Response {
        match (request.method(), request.path()) {
            (&Method::GET, "/health") if self.api.health => {
                json_response(StatusCode::OK, "{\"status\":\"ok\"}")
            }
            _ => json_response(StatusCode::NOT_FOUND, "{}"),
        }
    }
}
