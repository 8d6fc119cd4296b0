//! Reading a request body under a limit.
//! The length a client announces is believed only when it is too large; memory follows bytes that arrived.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use http_body::Body;
use http_body_util::BodyExt;
use hyper::body::Incoming;

/// After a refusal, at most this much of the body is still taken and thrown away,
/// so that a client which writes before it reads finds the answer instead of a reset connection.
const DISCARD_BYTES_MAX: usize = 1024 * 1024;
/// First allocation for a body that comes in several pieces.
const FIRST_BYTES_MAX: usize = 64 * 1024;

/// An unread request body.
#[derive(Debug)]
pub struct RequestBody {
    incoming: Incoming,
    bytes_max: usize,
    awaits_continue: bool,
}

/// Why a body could not be read. Both are the client's fault.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// More bytes than the route or the server allows: 413.
    #[error("the request body is larger than {bytes_max} bytes; send less or split the request")]
    TooLarge {
        /// The limit that was passed.
        bytes_max: usize,
    },
    /// The connection broke or the framing is wrong: 400.
    #[error("the request body ended early or its framing is wrong; send it again")]
    Broken(#[source] hyper::Error),
}

impl RequestBody {
    pub(crate) fn new(incoming: Incoming, headers: &HeaderMap, bytes_max: usize) -> Self {
        Self {
            incoming,
            bytes_max,
            awaits_continue: headers.contains_key(header::EXPECT),
        }
    }

    /// Reads the whole body, at most `bytes_max` or the server's own limit, whichever is less.
    ///
    /// # Errors
    /// [`BodyError::TooLarge`] at the first byte above the limit, [`BodyError::Broken`] if the rest never came.
    pub async fn read(mut self, bytes_max: usize) -> Result<Bytes, BodyError> {
        let bytes_max = bytes_max.min(self.bytes_max);
        if self.incoming.size_hint().lower() > bytes_max as u64 {
            return Err(self.refuse(bytes_max).await);
        }
        let Some(first) = self.next().await? else {
            return Ok(Bytes::new());
        };
        if first.len() > bytes_max {
            return Err(self.refuse(bytes_max).await);
        }
        if self.incoming.is_end_stream() {
            return Ok(first);
        }
        self.read_rest(first, bytes_max).await
    }

    async fn read_rest(mut self, first: Bytes, bytes_max: usize) -> Result<Bytes, BodyError> {
        let mut whole = BytesMut::with_capacity(first.len().max(FIRST_BYTES_MAX.min(bytes_max)));
        whole.extend_from_slice(&first);
        while let Some(piece) = self.next().await? {
            if piece.len() > bytes_max - whole.len() {
                return Err(self.refuse(bytes_max).await);
            }
            whole.extend_from_slice(&piece);
        }
        Ok(whole.freeze())
    }

    async fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        while let Some(frame) = self.incoming.frame().await {
            if let Ok(piece) = frame.map_err(BodyError::Broken)?.into_data() {
                return Ok(Some(piece));
            }
        }
        Ok(None)
    }

    async fn refuse(mut self, bytes_max: usize) -> BodyError {
        let mut discarded = 0;
        while !self.awaits_continue && discarded < DISCARD_BYTES_MAX {
            match self.next().await {
                Ok(Some(piece)) => discarded += piece.len(),
                Ok(None) | Err(_) => break,
            }
        }
        BodyError::TooLarge { bytes_max }
    }
}
