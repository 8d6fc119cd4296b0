//! The body of an answer: whole in memory, or chunks that its route sends while the client takes them.
//! A route never gets further ahead of its client than the chunks its channel holds.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use http_body_util::Full;
use tokio::sync::mpsc;

use crate::activity::{Activity, Sending};

/// The body of an answer.
#[derive(Debug)]
pub struct Body(Kind);

#[derive(Debug)]
enum Kind {
    Whole(Full<Bytes>),
    Streaming(Stream),
}

#[derive(Debug)]
struct Stream {
    chunks: mpsc::Receiver<Bytes>,
    is_broken: Arc<AtomicBool>,
    /// Set once a connection carries it.
    sending: Option<Sending>,
}

/// What a route sends its answer through. Dropped, it ends the answer well; dropped by a panic, it cuts it.
#[derive(Debug)]
pub struct BodySender {
    chunks: mpsc::Sender<Bytes>,
    is_broken: Arc<AtomicBool>,
}

/// Room for one chunk, kept until it is used or dropped.
#[derive(Debug)]
pub struct Room<'s>(mpsc::Permit<'s, Bytes>);

/// The client left, or was cut off because it took nothing for too long. There is nothing to mend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the client has left, or took nothing for too long")]
pub struct ClientGone;

/// The route gave the answer up after it had begun; the client sees a connection that broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the route could not finish its answer")]
pub struct AnswerCut;

impl Body {
    /// A body that is in memory.
    pub fn full(bytes: impl Into<Bytes>) -> Self {
        Self(Kind::Whole(Full::new(bytes.into())))
    }

    /// No body.
    pub fn empty() -> Self {
        Self::full(Bytes::new())
    }

    /// A body that is sent while it is made. At most `chunks_max` (at least 1) chunks wait for the client.
    /// The size of a chunk is the route's to bound; tens of KiB are good.
    pub fn channel(chunks_max: usize) -> (BodySender, Self) {
        let (sender, chunks) = mpsc::channel(chunks_max.max(1));
        let is_broken = Arc::new(AtomicBool::new(false));
        let stream = Stream {
            chunks,
            is_broken: Arc::clone(&is_broken),
            sending: None,
        };
        let sender = BodySender {
            chunks: sender,
            is_broken,
        };
        (sender, Self(Kind::Streaming(stream)))
    }

    /// Lets the watchdog of a connection see how far a streaming body is.
    pub(crate) fn watch(&mut self, activity: &Arc<Activity>) {
        if let Kind::Streaming(stream) = &mut self.0 {
            stream.sending = Some(activity.sending());
        }
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Self::full(text)
    }
}

impl BodySender {
    /// Hands over the next chunk; waits while `chunks_max` of them wait for the client.
    ///
    /// # Errors
    /// [`ClientGone`]: nobody will take more.
    pub async fn send(&self, chunk: Bytes) -> Result<(), ClientGone> {
        self.chunks.send(chunk).await.map_err(|_| ClientGone)
    }

    /// Waits until a chunk can be handed over at once, so that it can be made as late as possible.
    ///
    /// # Errors
    /// [`ClientGone`]: nobody will take more.
    pub async fn room(&self) -> Result<Room<'_>, ClientGone> {
        self.chunks
            .reserve()
            .await
            .map(Room)
            .map_err(|_| ClientGone)
    }

    /// As [`BodySender::room`], without waiting; `None` if there is none, or the client has gone.
    pub fn try_room(&self) -> Option<Room<'_>> {
        self.chunks.try_reserve().ok().map(Room)
    }

    /// Completes when the client has gone, so that a route that has nothing to send hears of it.
    pub async fn client_gone(&self) {
        self.chunks.closed().await;
    }

    /// Cuts the answer after what was sent, so that the client does not take it for a whole one.
    pub fn fail(self) {
        self.is_broken.store(true, Ordering::Release);
    }
}

impl Room<'_> {
    /// Hands over a chunk.
    pub fn send(self, chunk: Bytes) {
        self.0.send(chunk);
    }
}

impl Drop for BodySender {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.is_broken.store(true, Ordering::Release);
        }
    }
}

impl Stream {
    fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, AnswerCut>>> {
        let polled = self.chunks.poll_recv(context);
        if let Some(sending) = &mut self.sending {
            sending.waits_for_route(polled.is_pending());
        }
        polled.map(|chunk| match chunk {
            Some(chunk) => Some(Ok(chunk)),
            None if self.is_broken.load(Ordering::Acquire) => Some(Err(AnswerCut)),
            None => None,
        })
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = AnswerCut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, AnswerCut>>> {
        match &mut self.0 {
            Kind::Whole(whole) => Pin::new(whole)
                .poll_frame(context)
                .map_err(|never| match never {}),
            Kind::Streaming(stream) => stream
                .poll_chunk(context)
                .map(|chunk| chunk.map(|chunk| chunk.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Whole(whole) => whole.is_end_stream(),
            Kind::Streaming(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Whole(whole) => whole.size_hint(),
            Kind::Streaming(_) => SizeHint::default(),
        }
    }
}
