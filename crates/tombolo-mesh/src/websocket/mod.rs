//! A stream of bytes inside the binary messages of a WebSocket. Where messages
//! begin and end means nothing: TLS between the peers runs inside.
//! What is no binary message, and what is too large, ends it.

mod server;
mod upgrade;

#[cfg(test)]
mod tests;

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use futures_util::{Sink, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::error::{Error, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

pub use server::{WEB_SERVER_BYTES_MAX, WebServer, WebServerError};
pub use upgrade::{NoUpgrade, websocket_accept};

/// Path of the WebSocket that peers sync over, where no other is configured.
pub const WEBSOCKET_PATH: &str = "/_ditto/sync";
/// Largest message, in bytes, in both directions: 64 KiB. A larger one ends the link.
pub const WEBSOCKET_MESSAGE_BYTES_MAX: usize = 64 * 1024;
/// Messages in a row that bring no byte, such as pings, before the link is given up.
pub const WEBSOCKET_IDLE_MESSAGES_MAX: u32 = 64;

/// How much is read from the network at once.
const READ_BYTES: usize = 16 * 1024;
/// Bytes that wait to be written when the peer takes none: one message that waits
/// and one that is added, with their headers.
const WRITE_BYTES_MAX: usize = 2 * WEBSOCKET_MESSAGE_BYTES_MAX + 4 * 1024;

/// The stream of bytes.
pub(crate) struct WebSocketBytes<S> {
    messages: WebSocketStream<S>,
    /// What is left of the newest message.
    arrived: Bytes,
    idle_messages: u32,
    ended: bool,
}

pub(crate) fn limits() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BYTES)
        .write_buffer_size(0)
        .max_write_buffer_size(WRITE_BYTES_MAX)
        .max_message_size(Some(WEBSOCKET_MESSAGE_BYTES_MAX))
        .max_frame_size(Some(WEBSOCKET_MESSAGE_BYTES_MAX))
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocketBytes<S> {
    /// On a connection that was switched to WebSocket by whoever accepted it.
    pub(crate) async fn accepted(stream: S) -> Self {
        Self::new(WebSocketStream::from_raw_socket(stream, Role::Server, Some(limits())).await)
    }

    pub(crate) const fn new(messages: WebSocketStream<S>) -> Self {
        Self {
            messages,
            arrived: Bytes::new(),
            idle_messages: 0,
            ended: false,
        }
    }

    /// The next message, if it is one that may come; `None` at the end.
    fn poll_message(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        match ready!(Pin::new(&mut self.messages).poll_next(context)) {
            Some(Ok(Message::Binary(bytes))) => Poll::Ready(Ok(Some(bytes))),
            // The answer to a ping is written by the library.
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {
                Poll::Ready(Ok(Some(Bytes::new())))
            }
            Some(Ok(Message::Text(_))) => Poll::Ready(Err(unfit("a text message"))),
            Some(Ok(Message::Close(_))) | None => Poll::Ready(Ok(None)),
            Some(Err(error)) => Poll::Ready(Err(io_error(error))),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for WebSocketBytes<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.arrived.is_empty() && !self.ended {
            match ready!(self.poll_message(context))? {
                None => self.ended = true,
                Some(bytes) if bytes.is_empty() => {
                    self.idle_messages += 1;
                    if self.idle_messages > WEBSOCKET_IDLE_MESSAGES_MAX {
                        return Poll::Ready(Err(unfit("messages without content")));
                    }
                }
                Some(bytes) => {
                    self.idle_messages = 0;
                    self.arrived = bytes;
                }
            }
        }
        let taken = self.arrived.len().min(buffer.remaining());
        buffer.put_slice(&self.arrived[..taken]);
        self.arrived.advance(taken);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for WebSocketBytes<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let mut messages = Pin::new(&mut self.messages);
        ready!(messages.as_mut().poll_ready(context)).map_err(io_error)?;
        let taken = bytes.len().min(WEBSOCKET_MESSAGE_BYTES_MAX);
        let message = Message::Binary(Bytes::copy_from_slice(&bytes[..taken]));
        messages.start_send(message).map_err(io_error)?;
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.messages)
            .poll_flush(context)
            .map_err(io_error)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match ready!(Pin::new(&mut self.messages).poll_close(context)) {
            // The peer was faster.
            Ok(())
            | Err(Error::AlreadyClosed | Error::Protocol(ProtocolError::SendAfterClosing)) => {
                Poll::Ready(Ok(()))
            }
            Err(error) => Poll::Ready(Err(io_error(error))),
        }
    }
}

fn unfit(what: &str) -> io::Error {
    let text = format!("the peer sent {what} over the WebSocket, which carries bytes of TLS alone");
    io::Error::new(io::ErrorKind::InvalidData, text)
}

fn io_error(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        Error::ConnectionClosed | Error::AlreadyClosed => io::ErrorKind::BrokenPipe.into(),
        // A connection that is cut is cut, whatever it carried.
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
            io::ErrorKind::UnexpectedEof.into()
        }
        other => io::Error::new(io::ErrorKind::InvalidData, other.to_string()),
    }
}
