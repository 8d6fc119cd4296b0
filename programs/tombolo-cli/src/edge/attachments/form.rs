//! The part `file` of a form. The parser takes whatever is ready of its stream into memory, so the
//! stream is never ready twice in a row, and counts what the parser holds without giving anything.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::stream::{Stream, unfold};
use http::StatusCode;
use multer::{Field, Multipart};
use tombolo_http::{BodyError, RequestBody};

use super::super::refuse::refuse_body;
use super::super::reply::Refused;
use super::upload::{Sink, Taken};

/// The name of the part that is the content.
const FILE: &str = "file";
/// Bytes that the parser may hold before it gives some: the heads of parts, and what comes before the
/// first one. A piece more may have arrived with them.
const HELD_BYTES_MAX: usize = 64 * 1024;
/// Parts of a form, the file among them.
const PARTS_MAX: usize = 16;

pub(super) struct Form {
    parts: Multipart<'static>,
    held: Arc<AtomicUsize>,
}

/// Why the stream of a form ended early.
#[derive(Debug, thiserror::Error)]
enum FormError {
    #[error(transparent)]
    Body(#[from] BodyError),
    #[error("the head of a part is longer than {HELD_BYTES_MAX} bytes")]
    HeadTooLarge,
}

impl Form {
    pub(super) fn new(body: RequestBody, boundary: String) -> Self {
        let held = Arc::new(AtomicUsize::new(0));
        let pieces = pieces(body, Arc::clone(&held));
        let parts = Multipart::new(pieces, boundary);
        Self { parts, held }
    }

    /// Hands the content of the file over, and passes over every other part.
    pub(super) async fn take_file(mut self, sink: &Sink) -> Result<Taken, Refused> {
        let mut found = false;
        for _ in 0..PARTS_MAX {
            let Some(mut part) = self.parts.next_field().await.map_err(refuse_form)? else {
                return if found {
                    Ok(Taken::All)
                } else {
                    Err(no_file())
                };
            };
            let is_file = part.name() == Some(FILE);
            if is_file && found {
                return Err(bad_form("the form has two parts named file; send one"));
            }
            found |= is_file;
            while let Some(piece) = self.next_piece(&mut part).await? {
                if is_file && sink.take(piece).await == Taken::NotAll {
                    return Ok(Taken::NotAll);
                }
            }
        }
        Err(bad_form(format!(
            "the form has more than {PARTS_MAX} parts"
        )))
    }

    async fn next_piece(&self, part: &mut Field<'static>) -> Result<Option<Bytes>, Refused> {
        let piece = part.chunk().await.map_err(refuse_form)?;
        self.held.store(0, Ordering::Relaxed);
        Ok(piece)
    }
}

/// The pieces of a body, one at a time.
fn pieces(
    body: RequestBody,
    held: Arc<AtomicUsize>,
) -> impl Stream<Item = Result<Bytes, FormError>> + Send + 'static {
    unfold(Some((body, held)), |state| async move {
        let (mut body, held) = state?;
        // Not ready once between two pieces: the parser then gives what it has.
        tokio::task::yield_now().await;
        match body.chunk().await {
            Ok(None) => None,
            Err(error) => Some((Err(error.into()), None)),
            Ok(Some(piece)) => {
                let before = held.fetch_add(piece.len(), Ordering::Relaxed);
                if before > HELD_BYTES_MAX {
                    return Some((Err(FormError::HeadTooLarge), None));
                }
                Some((Ok(piece), Some((body, held))))
            }
        }
    })
}

fn refuse_form(error: multer::Error) -> Refused {
    if let multer::Error::StreamReadFailed(inner) = error {
        return match inner.downcast::<FormError>().map(|inner| *inner) {
            Ok(FormError::Body(error)) => refuse_body(error),
            Ok(error) => bad_form(error.to_string()),
            Err(_) => bad_form("the form could not be read; send it again"),
        };
    }
    bad_form(format!(
        "the body is not a form as its content-type says: {error}"
    ))
}

fn no_file() -> Refused {
    bad_form("the form has no part named file; send the content as that part")
}

fn bad_form(text: impl Into<String>) -> Refused {
    Refused::new(StatusCode::BAD_REQUEST, "bad_form", text)
}
