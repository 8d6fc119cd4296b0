//! A live query as server-sent events. What it tells is made when the client has room for it,
//! so that a client that does not read costs one event that it has not taken and no more.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, header};
use tokio::time::{Instant, interval_at};
use tombolo_http::{Body, BodySender, Response, Room};

use super::limits::HEARTBEAT;
use super::live::LiveQuery;
use crate::edge::node::Node;

/// A comment, which clients ignore.
const COMMENT: Bytes = Bytes::from_static(b": here\n\n");
/// Events that wait for the client. One: with more it would be told of what is not so any more.
const EVENTS_WAITING_MAX: usize = 1;
/// Asks nginx not to collect events before it passes them on.
const BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Begins to answer; what follows runs beside the request until the client leaves.
pub(super) fn answer<N: Node>(query: LiveQuery<N>, initial: Bytes) -> Response {
    let (sender, body) = Body::channel(EVENTS_WAITING_MAX);
    tokio::spawn(run(query, initial, sender));
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/event-stream"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(BUFFERING, HeaderValue::from_static("no"));
    response
}

async fn run<N: Node>(query: LiveQuery<N>, initial: Bytes, sender: BodySender) {
    let observing = query.observing().clone();
    tokio::select! {
        // A server that stops begins nothing any more.
        biased;
        () = sender.client_gone() => {}
        () = observing.stopped() => {}
        () = tell(query, initial, &sender) => {}
    }
}

/// Tells what changes until the client is gone or the query is over.
async fn tell<N: Node>(mut query: LiveQuery<N>, initial: Bytes, sender: &BodySender) {
    let mut heartbeat = interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
    let mut replaced = query.observing().door.guard.watch();
    let Some(room) = wait_for_room(&mut query, sender).await else {
        return;
    };
    room.send(initial);
    loop {
        let is_touched = tokio::select! {
            () = query.touched() => true,
            _ = heartbeat.tick() => false,
            // The guard lives as long as what is observed, so that it cannot be gone.
            _ = replaced.changed() => false,
        };
        let Some(room) = wait_for_room(&mut query, sender).await else {
            return;
        };
        let told = if is_touched {
            query.again().await
        } else {
            query.permit().map(|_| Some(COMMENT))
        };
        match told {
            Ok(None) => {}
            Ok(Some(event)) => room.send(event),
            Err(refused) => {
                room.send(query.last_words(&refused));
                return;
            }
        }
    }
}

/// Waits until the client has taken what it was sent, and takes note if it had to be waited for.
async fn wait_for_room<'s, N: Node>(
    query: &mut LiveQuery<N>,
    sender: &'s BodySender,
) -> Option<Room<'s>> {
    if let Some(room) = sender.try_room() {
        return Some(room);
    }
    let room = sender.room().await.ok()?;
    query.has_stalled();
    Some(room)
}
