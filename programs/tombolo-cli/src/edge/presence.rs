//! `GET /presence`: who is in the mesh, as this node sees it.

use http::StatusCode;
use tombolo_http::{Request, Response, json_response};

use super::Edge;
use super::authorize::Caller;
use super::node::Node;
use super::record::Record;
use super::refuse::{refuse_client, refuse_failed};
use super::reply::Refused;

pub(super) async fn presence<N: Node>(
    edge: &Edge<N>,
    request: Request,
    caller: &Caller,
    _: &mut Record,
) -> Result<Response, Refused> {
    let permit = caller.permit_presence().map_err(refuse_client)?;
    match edge.node.presence(permit) {
        Ok(graph) => Ok(json_response(StatusCode::OK, graph)),
        Err(failure) => Err(refuse_failed(failure, request.id)),
    }
}
