//! Reading a request body under a limit, whole or chunk by chunk, inflated if it is gzip.
//! The length a client announces is believed only when it is too large; memory follows bytes that arrived.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode, Version, header};
use hyper::body::Incoming;

use crate::activity::{Activity, AwaitsClient};
use crate::arriving::{Arriving, DISCARD_BYTES_MAX};
use crate::inflate::{Inflater, Step};

/// First allocation for a body that comes in several pieces.
const FIRST_BYTES_MAX: usize = 64 * 1024;

/// An unread request body.
#[derive(Debug)]
pub struct RequestBody {
    incoming: Arriving,
    coding: Coding,
    bytes_max: u64,
    /// Both are held against the limit: a stream of empty gzip members inflates to nothing for ever.
    bytes_arrived: u64,
    bytes_given: u64,
    awaits_continue: bool,
    activity: Arc<Activity>,
}

/// How the body is packed.
#[derive(Debug)]
enum Coding {
    Plain,
    Gzip(Box<Inflater>),
    Unknown,
}

/// Why a body could not be read. All are the client's fault.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// More bytes than the route or the server allows: 413.
    #[error("the request body is larger than {bytes_max} bytes; send less or split the request")]
    TooLarge {
        /// The limit that was passed.
        bytes_max: u64,
    },
    /// The connection broke or the framing is wrong: 400.
    #[error("the request body ended early or its framing is wrong; send it again")]
    Broken(#[source] hyper::Error),
    /// Named gzip, but it is not, or it is damaged: 400.
    #[error(
        "the request body is named gzip and cannot be inflated; send it again, or without content-encoding"
    )]
    NotGzip(#[source] io::Error),
    /// Packed in a way this server does not know: 415.
    #[error("the content-encoding of the request body is not known here; send gzip, or none")]
    UnknownEncoding,
}

impl BodyError {
    /// The status that tells this error.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Broken(_) | Self::NotGzip(_) => StatusCode::BAD_REQUEST,
            Self::UnknownEncoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        }
    }
}

impl RequestBody {
    pub(crate) fn new(
        incoming: Incoming,
        (version, headers): (Version, &HeaderMap),
        bytes_max: usize,
        activity: Arc<Activity>,
    ) -> Self {
        let awaits_continue = headers.contains_key(header::EXPECT);
        Self {
            incoming: Arriving::new(incoming, version, awaits_continue),
            coding: Coding::of(headers),
            bytes_max: bytes_max as u64,
            bytes_arrived: 0,
            bytes_given: 0,
            awaits_continue,
            activity,
        }
    }

    /// Sets the limit of the route, in place of the server's own, for [`RequestBody::chunk`].
    /// It counts the bytes that arrive, and those that they inflate to.
    ///
    /// # Errors
    /// [`BodyError::TooLarge`] at once if the announced length is larger, [`BodyError::UnknownEncoding`].
    pub async fn limit(&mut self, bytes_max: u64) -> Result<(), BodyError> {
        self.bytes_max = bytes_max;
        if matches!(self.coding, Coding::Unknown) {
            return Err(self.refuse(BodyError::UnknownEncoding).await);
        }
        if self.incoming.size_hint().lower() > bytes_max.saturating_sub(self.bytes_arrived) {
            return Err(self.refuse(BodyError::TooLarge { bytes_max }).await);
        }
        Ok(())
    }

    /// The next bytes of the body, inflated, or `None` at its end. A dropped call loses nothing.
    /// After an error the rest of the body is not to be had.
    ///
    /// # Errors
    /// [`BodyError`]; [`BodyError::TooLarge`] at the first byte above the limit.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, BodyError> {
        let outcome = self.next_chunk().await;
        match outcome {
            Err(BodyError::Broken(_)) | Ok(_) => outcome,
            Err(error) => Err(self.refuse(error).await),
        }
    }

    /// Reads the whole body, at most `bytes_max` or the server's own limit, whichever is less.
    ///
    /// # Errors
    /// [`BodyError`]; [`BodyError::TooLarge`] at the first byte above the limit.
    pub async fn read(mut self, bytes_max: usize) -> Result<Bytes, BodyError> {
        self.limit(self.bytes_max.min(bytes_max as u64)).await?;
        let Some(first) = self.chunk().await? else {
            return Ok(Bytes::new());
        };
        if self.is_all_given() {
            return Ok(first);
        }
        let first_max = usize::try_from(self.bytes_max).unwrap_or(usize::MAX);
        let first_max = first_max.min(FIRST_BYTES_MAX);
        let mut whole = BytesMut::with_capacity(first.len().max(first_max));
        whole.extend_from_slice(&first);
        while let Some(chunk) = self.chunk().await? {
            whole.extend_from_slice(&chunk);
        }
        Ok(whole.freeze())
    }

    fn is_all_given(&self) -> bool {
        matches!(self.coding, Coding::Plain) && self.incoming.is_end_stream()
    }

    async fn next_chunk(&mut self) -> Result<Option<Bytes>, BodyError> {
        loop {
            let chunk = match &mut self.coding {
                Coding::Unknown => return Err(BodyError::UnknownEncoding),
                Coding::Plain => return self.next_piece().await,
                Coding::Gzip(inflater) => match inflater.step().map_err(BodyError::NotGzip)? {
                    Step::Chunk(chunk) => chunk,
                    Step::End => return Ok(None),
                    Step::Hungry => {
                        let piece = self.next_piece().await?;
                        if let Coding::Gzip(inflater) = &mut self.coding {
                            inflater.feed(piece);
                        }
                        continue;
                    }
                },
            };
            self.bytes_given = self.bytes_given.saturating_add(chunk.len() as u64);
            if self.bytes_given > self.bytes_max {
                let bytes_max = self.bytes_max;
                return Err(BodyError::TooLarge { bytes_max });
            }
            return Ok(Some(chunk));
        }
    }

    /// The next bytes as they arrive.
    async fn next_piece(&mut self) -> Result<Option<Bytes>, BodyError> {
        let Some(piece) = self.arrive().await? else {
            return Ok(None);
        };
        self.bytes_arrived = self.bytes_arrived.saturating_add(piece.len() as u64);
        if self.bytes_arrived > self.bytes_max {
            let bytes_max = self.bytes_max;
            return Err(BodyError::TooLarge { bytes_max });
        }
        Ok(Some(piece))
    }

    /// While it waits, the watchdog holds the client responsible for the silence.
    async fn arrive(&mut self) -> Result<Option<Bytes>, BodyError> {
        let (incoming, activity) = (&mut self.incoming, &self.activity);
        let mut waiting: Option<AwaitsClient> = None;
        loop {
            let frame = poll_fn(|context| {
                let polled = incoming.poll_frame(context);
                if polled.is_pending() && waiting.is_none() {
                    waiting = Some(activity.awaits_client());
                }
                polled
            });
            match frame.await {
                None => return Ok(None),
                Some(frame) => {
                    if let Ok(piece) = frame.map_err(BodyError::Broken)?.into_data() {
                        activity.advance(piece.len() as u64);
                        return Ok(Some(piece));
                    }
                }
            }
        }
    }

    async fn refuse(&mut self, error: BodyError) -> BodyError {
        let mut discarded = 0;
        while !self.awaits_continue && discarded < DISCARD_BYTES_MAX {
            match self.arrive().await {
                Ok(Some(piece)) => discarded += piece.len(),
                Ok(None) | Err(_) => break,
            }
        }
        // What was thrown away must not look like the end of a good body.
        self.bytes_max = 0;
        self.coding = Coding::Unknown;
        error
    }
}

impl Coding {
    fn of(headers: &HeaderMap) -> Self {
        let mut named = headers.get_all(header::CONTENT_ENCODING).iter();
        let (first, second) = (named.next(), named.next());
        let Some(name) = first.filter(|_| second.is_none()) else {
            return if first.is_none() {
                Self::Plain
            } else {
                Self::Unknown
            };
        };
        match name.as_bytes().trim_ascii() {
            name if name.eq_ignore_ascii_case(b"identity") => Self::Plain,
            name if name.eq_ignore_ascii_case(b"gzip") || name.eq_ignore_ascii_case(b"x-gzip") => {
                Self::Gzip(Box::new(Inflater::new()))
            }
            _ => Self::Unknown,
        }
    }
}
