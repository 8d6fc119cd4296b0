//! Requests that become WebSockets, and the path where peers sync over one. That asks for no API key: whoever
//! connects proves itself to the mesh, with the same TLS and the same checks as on any other connection.

use http::{HeaderMap, StatusCode};
use tombolo::{WebSocketDoor, websocket_accept};
use tombolo_http::{Body, Request, Response};

use super::reply::Refused;

/// Switches a request to WebSocket and hands its connection to the mesh.
pub(super) fn switch(mut request: Request, door: Option<WebSocketDoor>) -> Response {
    let headers = match accept(&request) {
        Ok(headers) => headers,
        Err(response) => return *response,
    };
    let (Some(door), Some(upgrade)) = (door, request.take_upgrade()) else {
        let text = "this node does not sync at present: its configuration gives it no key, or its login ran out; try again later";
        return Refused::new(StatusCode::SERVICE_UNAVAILABLE, "no_sync", text).response();
    };
    let peer = request.peer;
    // It ends with the connection, or with the handshake of the peers, which has its deadline.
    tokio::spawn(async move {
        match upgrade.stream().await {
            Ok(stream) => door.let_in(stream, peer).await,
            Err(error) => {
                tracing::debug!(%peer, %error, "a peer left before it was switched to WebSocket");
            }
        }
    });
    switched(headers)
}

/// The headers of the answer to a request for a WebSocket, or the answer that refuses it.
pub(super) fn accept(request: &Request) -> Result<HeaderMap, Box<Response>> {
    websocket_accept(&request.head).map_err(|refusal| {
        let refused = Refused::new(refusal.status(), "no_websocket", refusal.to_string());
        let mut response = refused.response();
        response.headers_mut().extend(refusal.headers());
        Box::new(response)
    })
}

/// The answer after which the connection speaks WebSocket.
pub(super) fn switched(headers: HeaderMap) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    *response.headers_mut() = headers;
    response
}
