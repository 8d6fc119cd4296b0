//! A link over TLS, on TCP or inside a WebSocket: frames on two halves of one stream,
//! each with its deadlines. Memory follows bytes that arrived, never a length that was told.

use std::future::Future;
use std::io::{self, IoSlice};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};
use tombolo_identity::VerifiedPeer;

use crate::frame;
use crate::link::{BoxFuture, CloseReason, FrameReceiver, FrameSender, Link, LinkError, Transport};
use crate::wire::{Carrier, PeerStream};

/// A link on which nothing arrives for so long is given up: whoever uses a link
/// lets something be heard at least every third of that.
pub const RECEIVE_IDLE_MAX: Duration = Duration::from_secs(60);
/// A peer that takes none of 64 KiB for so long is given up.
pub const SEND_STALL_MAX: Duration = Duration::from_secs(20);

/// No link lives longer, whatever its certificate says: a year.
const LINK_TIME_MAX: Duration = Duration::from_secs(365 * 24 * 3600);
/// Room that is made for the next frame before its length is known, in bytes, if
/// the last one had fewer.
const READ_BYTES: usize = 16 * 1024;
/// Most room that is made ahead of what arrived.
const READ_AHEAD_BYTES: usize = 128 * 1024;
/// So many bytes are written at once.
const WRITE_BYTES: usize = 64 * 1024;
/// Frames below it are moved together before they are written.
const JOINED_BYTES: usize = 32 * 1024;

/// Tells both halves of a link and its guard that this node ends it.
pub(crate) type CloseSignal = watch::Receiver<Option<CloseReason>>;

/// Resolves when this node ends the link.
pub(crate) async fn closed(signal: &mut CloseSignal) -> CloseReason {
    let reason = signal.wait_for(Option::is_some).await;
    reason
        .ok()
        .and_then(|reason| *reason)
        .unwrap_or(CloseReason::Stopped)
}

/// A link over TLS to a peer that proved its key.
pub struct TcpLink {
    stream: PeerStream,
    peer: VerifiedPeer,
    carrier: Carrier,
    expires: Instant,
    signal: CloseSignal,
}

impl TcpLink {
    /// `remains` is how long the peer's certificate stays valid.
    pub(crate) fn new(
        stream: PeerStream,
        peer: VerifiedPeer,
        carrier: Carrier,
        remains: Duration,
        signal: CloseSignal,
    ) -> Self {
        Self {
            stream,
            peer,
            carrier,
            expires: Instant::now() + remains.min(LINK_TIME_MAX),
            signal,
        }
    }
}

impl Link for TcpLink {
    fn peer(&self) -> &VerifiedPeer {
        &self.peer
    }

    fn transport(&self) -> Transport {
        self.carrier.transport
    }

    fn remote_address(&self) -> &str {
        &self.carrier.address
    }

    fn split(self: Box<Self>) -> (Box<dyn FrameSender>, Box<dyn FrameReceiver>) {
        let (source, sink) = tokio::io::split(self.stream);
        let writer = Writer::new(sink, self.signal.clone());
        let reader = Reader::new(source, self.expires, self.signal);
        (Box::new(writer), Box::new(reader))
    }
}

struct Reader<R> {
    source: R,
    arrived: BytesMut,
    /// Bytes of the last frame, so that one like it arrives in memory of its own
    /// and is never moved.
    last: usize,
    expires: Instant,
    signal: CloseSignal,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    fn new(source: R, expires: Instant, signal: CloseSignal) -> Self {
        Self {
            source,
            arrived: BytesMut::new(),
            last: 0,
            expires,
            signal,
        }
    }

    async fn next(&mut self) -> Result<Option<Bytes>, LinkError> {
        loop {
            if let Some(frame) = frame::take(&mut self.arrived)? {
                self.last = frame.len() + frame::HEADER_BYTES;
                return Ok(Some(frame));
            }
            let idle = Instant::now() + RECEIVE_IDLE_MAX;
            self.make_room();
            let read = self.source.read_buf(&mut self.arrived);
            let read = tokio::select! {
                biased;
                reason = closed(&mut self.signal) => return Err(LinkError::Closed(reason)),
                read = timeout_at(idle.min(self.expires), read) => read,
            };
            match read {
                Ok(Ok(0)) => return self.ended(),
                Ok(Ok(_)) => {}
                // A peer that is killed says no farewell.
                Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return self.ended();
                }
                Ok(Err(error)) => return Err(LinkError::Io(error)),
                Err(_) if self.expires <= idle => {
                    return Err(LinkError::Closed(CloseReason::Expired));
                }
                Err(_) => {
                    let seconds = RECEIVE_IDLE_MAX.as_secs();
                    return Err(LinkError::Idle { seconds });
                }
            }
        }
    }

    /// Room for what lacks of the frame, as far as its length is known.
    fn make_room(&mut self) {
        if self.arrived.len() == self.arrived.capacity() {
            let lacking = frame::lacking(&self.arrived);
            let lacking = lacking.unwrap_or(self.last.max(READ_BYTES));
            self.arrived.reserve(lacking.min(READ_AHEAD_BYTES));
        }
    }

    fn ended(&self) -> Result<Option<Bytes>, LinkError> {
        if self.arrived.is_empty() {
            Ok(None)
        } else {
            Err(LinkError::Cut)
        }
    }
}

impl<R: AsyncRead + Unpin + Send> FrameReceiver for Reader<R> {
    fn receive(&mut self) -> BoxFuture<'_, Result<Option<Bytes>, LinkError>> {
        Box::pin(self.next())
    }
}

struct Writer<W> {
    sink: W,
    joined: BytesMut,
    /// Whether a frame was begun and not finished.
    unfinished: bool,
    signal: CloseSignal,
}

impl<W: AsyncWrite + Unpin> Writer<W> {
    fn new(sink: W, signal: CloseSignal) -> Self {
        Self {
            sink,
            joined: BytesMut::new(),
            unfinished: false,
            signal,
        }
    }

    async fn write(&mut self, frames: &[Bytes]) -> Result<(), LinkError> {
        if self.unfinished {
            return Err(LinkError::Unfinished);
        }
        let headers: Result<Vec<_>, _> = frames.iter().map(frame::header).collect();
        let headers = headers?;
        self.unfinished = true;
        self.joined.clear();
        for (header, frame) in headers.iter().zip(frames) {
            self.joined.put_slice(header);
            // A large frame goes out of its own memory, a small one joins others.
            if frame.len() < JOINED_BYTES {
                self.joined.put_slice(frame);
                if self.joined.len() >= WRITE_BYTES {
                    self.write_joined(&[]).await?;
                }
            } else {
                self.write_joined(frame).await?;
            }
        }
        self.write_joined(&[]).await?;
        within(&mut self.signal, self.sink.flush()).await?;
        self.unfinished = false;
        Ok(())
    }

    /// Writes what was joined, and a frame behind it.
    async fn write_joined(&mut self, frame: &[u8]) -> Result<(), LinkError> {
        let (mut before, mut frame) = (&self.joined[..], frame);
        while !before.is_empty() || !frame.is_empty() {
            let (first, rest) = before.split_at(before.len().min(WRITE_BYTES));
            let (second, left) = frame.split_at(frame.len().min(WRITE_BYTES - first.len()));
            let step = write_both(&mut self.sink, first, second);
            within(&mut self.signal, step).await?;
            (before, frame) = (rest, left);
        }
        self.joined.clear();
        Ok(())
    }
}

impl<W: AsyncWrite + Unpin + Send> FrameSender for Writer<W> {
    fn send<'f>(&'f mut self, frames: &'f [Bytes]) -> BoxFuture<'f, Result<(), LinkError>> {
        Box::pin(self.write(frames))
    }

    fn finish(&mut self) -> BoxFuture<'_, Result<(), LinkError>> {
        self.unfinished = true;
        Box::pin(within(&mut self.signal, self.sink.shutdown()))
    }
}

/// Writes two pieces that follow each other, without moving them together.
async fn write_both(
    sink: &mut (impl AsyncWrite + Unpin),
    mut first: &[u8],
    mut second: &[u8],
) -> io::Result<()> {
    while !first.is_empty() || !second.is_empty() {
        let slices = [IoSlice::new(first), IoSlice::new(second)];
        let written = sink.write_vectored(&slices).await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        let of_first = written.min(first.len());
        (first, second) = (&first[of_first..], &second[written - of_first..]);
    }
    Ok(())
}

/// One step of writing, unless the peer takes nothing or this node ends the link.
async fn within(
    signal: &mut CloseSignal,
    step: impl Future<Output = io::Result<()>>,
) -> Result<(), LinkError> {
    tokio::select! {
        biased;
        reason = closed(signal) => Err(LinkError::Closed(reason)),
        done = timeout(SEND_STALL_MAX, step) => match done {
            Ok(written) => written.map_err(LinkError::Io),
            Err(_) => {
                let seconds = SEND_STALL_MAX.as_secs();
                Err(LinkError::Stalled { seconds })
            }
        },
    }
}

#[cfg(test)]
mod tests;
