//! `POST /attachments/upload` and `GET /attachments/{id}`: content past the queue of writes.
//! Content moves in pieces; a transfer holds a few of them and a place of its kind, or is answered 503.

mod download;
mod form;
mod range;
#[cfg(test)]
mod tests;
mod upload;

use std::sync::Arc;

use http::StatusCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tombolo::AttachmentError;
use tombolo_http::RequestId;

use super::reply::Refused;

pub(super) use download::download;
pub(super) use upload::upload;

/// What every path of an attachment begins with.
pub(super) const PATH: &str = "/attachments/";
/// Where content is uploaded to.
pub(super) const UPLOAD_PATH: &str = "/attachments/upload";

/// Uploads at once; each holds a thread that writes, and [`upload::PIECES_MAX`] pieces.
const UPLOADS_MAX: usize = 32;
/// Downloads at once; each holds two chunks of 1 MiB at most.
const DOWNLOADS_MAX: usize = 64;

/// The places for transfers.
#[derive(Debug)]
pub(super) struct Transfers {
    uploads: Arc<Semaphore>,
    downloads: Arc<Semaphore>,
}

/// Why content could not be kept or found.
#[derive(Debug)]
pub(crate) enum ContentFailure {
    /// Of the content or its files.
    Content(AttachmentError),
    /// Ours. The text goes to the log.
    Internal { reason: String },
}

impl Transfers {
    pub(super) fn new() -> Self {
        Self {
            uploads: Arc::new(Semaphore::new(UPLOADS_MAX)),
            downloads: Arc::new(Semaphore::new(DOWNLOADS_MAX)),
        }
    }

    fn begin_upload(&self) -> Result<OwnedSemaphorePermit, Refused> {
        take(&self.uploads, "uploads")
    }

    fn begin_download(&self) -> Result<OwnedSemaphorePermit, Refused> {
        take(&self.downloads, "downloads")
    }
}

fn take(places: &Arc<Semaphore>, what: &str) -> Result<OwnedSemaphorePermit, Refused> {
    Arc::clone(places).try_acquire_owned().map_err(|_| {
        let text = format!("too many {what} are under way; try again later");
        Refused::new(StatusCode::SERVICE_UNAVAILABLE, "busy_attachments", text)
    })
}

fn refuse_content(failure: ContentFailure, id: RequestId) -> Refused {
    let error = match failure {
        ContentFailure::Content(AttachmentError::NoRoom) => {
            tracing::error!(request_id = %id, "there is no room for an attachment: free space where persistence_dir is");
            let text = "the node has no room for it; ask the operator to free space";
            return Refused::new(StatusCode::INSUFFICIENT_STORAGE, "no_room", text);
        }
        ContentFailure::Content(error @ AttachmentError::Manifest(_)) => {
            let status = StatusCode::PAYLOAD_TOO_LARGE;
            return Refused::new(status, "body_too_large", error.to_string());
        }
        ContentFailure::Content(error) => super::chain(&error),
        ContentFailure::Internal { reason } => reason,
    };
    tracing::error!(request_id = %id, error, "an attachment could not be kept or read");
    let text = "the node failed; its log names this request by its x-request-id";
    Refused::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", text)
}
