//! Content on its way from the disk to a client, chunk by chunk. Each was checked by its hash: content
//! that is damaged cuts the answer, and no wrong byte is sent.

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header};
use tokio::sync::OwnedSemaphorePermit;
use tombolo::{ATTACHMENT_CHUNK_BYTES, AttachmentError, AttachmentId, AttachmentReader};
use tombolo_http::{Body, BodySender, Request, RequestId, Response};

use super::super::Edge;
use super::super::authorize::Caller;
use super::super::node::Node;
use super::super::record::Record;
use super::super::refuse::refuse_client;
use super::super::reply::Refused;
use super::range::Wanted;
use super::{PATH, refuse_content};

/// Bytes that are handed to the connection at once: parts of one chunk.
const PIECE_BYTES: usize = 64 * 1024;
/// Pieces that wait for the client.
const PIECES_MAX: usize = 4;

const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");

pub(crate) async fn download<N: Node>(
    edge: &Edge<N>,
    request: Request,
    caller: &Caller,
    _: &mut Record,
) -> Result<Response, Refused> {
    let permit = caller.permit_download().map_err(refuse_client)?;
    let name = request.path().strip_prefix(PATH).unwrap_or_default();
    let attachment: AttachmentId = name.parse().map_err(|error| {
        let text = format!("{error}");
        Refused::new(StatusCode::BAD_REQUEST, "bad_attachment_id", text)
    })?;
    let place = edge.transfers.begin_download()?;
    let found = edge.node.find_attachment(permit, attachment).await;
    let found = found.map_err(|failure| refuse_content(failure, request.id))?;
    let content = found.ok_or_else(unknown)?;
    Ok(answer(&request, content, place))
}

fn unknown() -> Refused {
    let text = "this node holds no such attachment, or none that this identity may read";
    Refused::new(StatusCode::NOT_FOUND, "unknown_attachment", text)
}

fn answer(request: &Request, content: AttachmentReader, place: OwnedSemaphorePermit) -> Response {
    let (tag, length) = (format!("\"{}\"", content.id()), content.length());
    let wanted = Wanted::of(request.method(), &request.head.headers, &tag, length);
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::ETAG, value(tag));
    // The name never means other content; whether this client may have it is asked each time.
    let cache = HeaderValue::from_static("private, no-cache");
    headers.insert(header::CACHE_CONTROL, cache);
    let (status, part) = match wanted {
        Wanted::Nothing => (StatusCode::NOT_MODIFIED, None),
        Wanted::Outside => {
            headers.insert(header::CONTENT_RANGE, value(format!("bytes */{length}")));
            (StatusCode::RANGE_NOT_SATISFIABLE, None)
        }
        Wanted::All => (StatusCode::OK, Some(0..length)),
        Wanted::Part { first, last } => {
            let range = value(format!("bytes {first}-{last}/{length}"));
            headers.insert(header::CONTENT_RANGE, range);
            (StatusCode::PARTIAL_CONTENT, Some(first..last + 1))
        }
    };
    if let Some(part) = part {
        // Content is whatever somebody uploaded: no browser may take it for a page of this node.
        headers.insert(header::CONTENT_TYPE, OCTETS);
        let nosniff = HeaderValue::from_static("nosniff");
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
        let attachment = HeaderValue::from_static("attachment");
        headers.insert(header::CONTENT_DISPOSITION, attachment);
        headers.insert(header::CONTENT_LENGTH, (part.end - part.start).into());
        if request.method() != Method::HEAD && !part.is_empty() {
            let (sender, body) = Body::channel(PIECES_MAX);
            *response.body_mut() = body;
            tokio::spawn(send(content, part, sender, (request.id, place)));
        }
    }
    *response.status_mut() = status;
    response
}

fn value(text: String) -> HeaderValue {
    HeaderValue::try_from(text).expect("invariant: base64 and digits are legal in a header")
}

/// Sends a part of the content. `place` is held until the client has taken it or left.
async fn send(
    content: AttachmentReader,
    part: std::ops::Range<u64>,
    sender: BodySender,
    (id, place): (RequestId, OwnedSemaphorePermit),
) {
    let chunk_bytes = ATTACHMENT_CHUNK_BYTES as u64;
    let mut at = part.start;
    while at < part.end {
        let index = at / chunk_bytes;
        let chunk = match read(&content, index).await {
            Ok(chunk) => chunk,
            Err(error) => {
                let error = super::super::chain(&error);
                tracing::error!(request_id = %id, error, "a download was cut");
                return sender.fail();
            }
        };
        let begin = index * chunk_bytes;
        let end = part.end.min(begin + chunk.len() as u64);
        let mut wanted = chunk.slice((at - begin) as usize..(end - begin) as usize);
        at = end;
        while !wanted.is_empty() {
            let piece = wanted.split_to(wanted.len().min(PIECE_BYTES));
            if sender.send(piece).await.is_err() {
                return;
            }
        }
    }
    drop(place);
}

/// Reads a chunk on a thread that may wait for the disk.
async fn read(content: &AttachmentReader, index: u64) -> Result<Bytes, AttachmentError> {
    let content = content.clone();
    let read = tokio::task::spawn_blocking(move || content.chunk(index));
    match read.await {
        Ok(chunk) => chunk.map(Bytes::from),
        // It was given up because the node ends.
        Err(_) => Err(AttachmentError::GivenUp),
    }
}
