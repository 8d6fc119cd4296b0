//! A request body on its way in, which may be given up before its end.
//! Over HTTP/2 that resets the stream, and a client that is still sending may then miss the answer;
//! so what is left of a body that nobody reads is taken and thrown away, up to a limit.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Version;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::runtime::Handle;

/// After a refusal, at most this much of the body is still taken and thrown away,
/// so that a client which writes before it reads finds the answer instead of a reset connection.
pub(crate) const DISCARD_BYTES_MAX: usize = 1024 * 1024;

/// A body that nobody has read to its end yet.
#[derive(Debug)]
pub(crate) struct Arriving {
    /// `None` only while it is dropped.
    incoming: Option<Incoming>,
    /// Over HTTP/1 the connection itself sees to what is left.
    is_http2: bool,
    /// A client that was not told to go on sends nothing.
    awaits_continue: bool,
}

impl Arriving {
    pub(crate) fn new(incoming: Incoming, version: Version, awaits_continue: bool) -> Self {
        Self {
            incoming: Some(incoming),
            is_http2: version == Version::HTTP_2,
            awaits_continue,
        }
    }

    pub(crate) fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut self.incoming {
            Some(incoming) => Pin::new(incoming).poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        let incoming = self.incoming.as_ref();
        incoming.map(Incoming::size_hint).unwrap_or_default()
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Incoming::is_end_stream)
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        let is_expected = self.is_http2 && !self.awaits_continue && !self.is_end_stream();
        let Some(incoming) = self.incoming.take().filter(|_| is_expected) else {
            return;
        };
        // It ends with the body, with the limit, or with the connection, whose watchdog sees to quiet clients.
        if let Ok(runtime) = Handle::try_current() {
            drop(runtime.spawn(discard(incoming)));
        }
    }
}

async fn discard(mut incoming: Incoming) {
    let mut discarded = 0;
    while discarded < DISCARD_BYTES_MAX {
        match incoming.frame().await {
            Some(Ok(frame)) => discarded += frame.data_ref().map_or(0, Bytes::len),
            Some(Err(_)) | None => return,
        }
    }
}
