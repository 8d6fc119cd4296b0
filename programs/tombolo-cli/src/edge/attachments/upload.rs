//! Content on its way from a client to the disk. A thread writes while the next pieces arrive;
//! a client that leaves ends the thread, and with it everything that it had written.

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use tokio::sync::{mpsc, oneshot};
use tombolo::{AttachmentError, AttachmentId, AttachmentWriter};
use tombolo_http::{Request, RequestBody, Response, json_response};

use super::super::Edge;
use super::super::authorize::Caller;
use super::super::node::Node;
use super::super::record::Record;
use super::super::refuse::{refuse_body, refuse_client, refuse_unrecorded};
use super::super::reply::Refused;
use super::form::Form;
use super::{ContentFailure, refuse_content};

/// Pieces as they arrived that wait for the disk.
pub(super) const PIECES_MAX: usize = 8;

enum Step {
    Bytes(Bytes),
    /// All of it arrived. Without this word the content is dropped.
    End,
}

pub(crate) async fn upload<N: Node>(
    edge: &Edge<N>,
    request: Request,
    caller: &Caller,
    record: &mut Record,
) -> Result<Response, Refused> {
    let Request {
        head, mut body, id, ..
    } = request;
    let permit = caller.permit_upload().map_err(refuse_client)?;
    record.require_place().map_err(refuse_unrecorded)?;
    let bytes_max = edge.routes.api().attachments_upload_bytes_max;
    let limited = body.limit(bytes_max.unwrap_or_default()).await;
    limited.map_err(refuse_body)?;
    let place = edge.transfers.begin_upload()?;
    let boundary = boundary(&head.headers)?;
    let writer = edge.node.begin_attachment(permit).await;
    let writer = writer.map_err(|failure| refuse_content(failure, id))?;
    let (sink, kept) = Sink::begin(writer, place);
    let taken = match boundary {
        None => take_plain(body, &sink).await?,
        Some(boundary) => Form::new(body, boundary).take_file(&sink).await?,
    };
    if taken == Taken::All {
        sink.end().await;
    }
    drop(sink);
    let ended = kept.await.unwrap_or_else(|_| {
        let reason = "the thread that kept an attachment ended".to_owned();
        Err(ContentFailure::Internal { reason })
    });
    let (content, length) = ended.map_err(|failure| refuse_content(failure, id))?;
    let answer = format!(r#"{{"id":"{content}","len":{length}}}"#);
    Ok(json_response(StatusCode::OK, answer))
}

/// How much of the content the disk took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    All,
    /// It failed before the end, and says why when it is asked.
    NotAll,
}

/// The boundary of a form; `None` if the body itself is the content.
fn boundary(headers: &HeaderMap) -> Result<Option<String>, Refused> {
    let named = headers.get(header::CONTENT_TYPE);
    let Some(text) = named.and_then(|value| value.to_str().ok()) else {
        return Ok(None);
    };
    let kind = text.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("multipart/form-data") {
        return Ok(None);
    }
    multer::parse_boundary(text).map(Some).map_err(|_| {
        let text = "multipart/form-data needs a boundary in content-type";
        Refused::new(StatusCode::BAD_REQUEST, "bad_form", text)
    })
}

async fn take_plain(mut body: RequestBody, sink: &Sink) -> Result<Taken, Refused> {
    while let Some(piece) = body.chunk().await.map_err(refuse_body)? {
        if sink.take(piece).await == Taken::NotAll {
            return Ok(Taken::NotAll);
        }
    }
    Ok(Taken::All)
}

/// The way to the thread that writes.
pub(super) struct Sink(mpsc::Sender<Step>);

type Kept = oneshot::Receiver<Result<(AttachmentId, u64), ContentFailure>>;

impl Sink {
    /// `held` is given back when the thread ends, not when the client leaves.
    fn begin<H: Send + 'static>(writer: AttachmentWriter, held: H) -> (Self, Kept) {
        let (sender, steps) = mpsc::channel(PIECES_MAX);
        let (answer, kept) = oneshot::channel();
        tokio::task::spawn_blocking(move || {
            let ended = write(writer, steps).map_err(ContentFailure::Content);
            drop(held);
            // The client may have left.
            let _ = answer.send(ended);
        });
        (Self(sender), kept)
    }

    /// Hands a piece over; waits while the disk is behind.
    pub(super) async fn take(&self, piece: Bytes) -> Taken {
        self.step(Step::Bytes(piece)).await
    }

    async fn end(&self) {
        // If it is gone, its answer says why.
        self.step(Step::End).await;
    }

    async fn step(&self, step: Step) -> Taken {
        match self.0.send(step).await {
            Ok(()) => Taken::All,
            Err(_) => Taken::NotAll,
        }
    }
}

/// Writes until the end. A writer that is dropped before removes what it wrote.
fn write(
    mut writer: AttachmentWriter,
    mut steps: mpsc::Receiver<Step>,
) -> Result<(AttachmentId, u64), AttachmentError> {
    while let Some(step) = steps.blocking_recv() {
        match step {
            Step::Bytes(piece) => writer.write(&piece)?,
            Step::End => return writer.finish(),
        }
    }
    Err(AttachmentError::GivenUp)
}
