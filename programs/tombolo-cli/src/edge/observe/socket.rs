//! Several live queries over one WebSocket. One task owns all of a connection: it reads a message,
//! runs what was touched, or pings, one after another, and waits while the client does not read.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::StatusCode;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::Notify;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Utf8Bytes};

use super::Observing;
use super::events::{Framing, Writer};
use super::limits::{
    EVENT_BYTES_MAX, FAREWELL_LIMIT, HEARTBEAT, OBSERVED_SOCKET_MAX, QUESTION_BYTES_MAX,
    QUIET_HEARTBEATS_MAX, SEND_LIMIT,
};
use super::live::LiveQuery;
use super::message::{Message, MessageError};
use crate::edge::authorize::Caller;
use crate::edge::node::Node;
use crate::edge::question::Question;
use crate::edge::record::Record;
use crate::edge::reply::Refused;

/// Why a connection is over: what its client is told, if it is there to hear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The connection broke, or the client does not take what it is sent.
    Gone,
    /// The client said that it leaves.
    Left,
    Told(CloseCode, &'static str),
}

const STOPPING: End = End::Told(CloseCode::Away, "stopping");
const ANOTHER_KEY: End = End::Told(CloseCode::Policy, "authenticated_already");
const NOT_TEXT: End = End::Told(CloseCode::Unsupported, "not_text");

/// What arrives on a connection.
pub(super) type Arrived = Option<Result<tungstenite::Message, tungstenite::Error>>;

/// One connection.
pub(super) struct Socket<N: Node, S> {
    pub(super) messages: WebSocketStream<S>,
    pub(super) observing: Arc<Observing<N>>,
    /// Nobody until it has sent its key.
    pub(super) caller: Caller,
    queries: BTreeMap<String, LiveQuery<N>>,
    /// Notified when one of `queries` was touched.
    wake: Arc<Notify>,
    heartbeat: Interval,
    quiet_heartbeats: u32,
    /// Of the request that became this connection.
    pub(super) record: Record,
}

enum Next {
    Arrived(Arrived),
    Touched,
    Heartbeat,
    Replaced,
}

impl<N: Node, S: AsyncRead + AsyncWrite + Unpin> Socket<N, S> {
    pub(super) async fn accepted(
        stream: S,
        observing: Arc<Observing<N>>,
        caller: Caller,
        record: Record,
    ) -> Self {
        let limits = WebSocketConfig::default()
            .write_buffer_size(0)
            .max_write_buffer_size(2 * EVENT_BYTES_MAX)
            .max_message_size(Some(QUESTION_BYTES_MAX))
            .max_frame_size(Some(QUESTION_BYTES_MAX));
        let mut heartbeat = interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            messages: WebSocketStream::from_raw_socket(stream, Role::Server, Some(limits)).await,
            observing,
            caller,
            queries: BTreeMap::new(),
            wake: Arc::default(),
            heartbeat,
            quiet_heartbeats: 0,
            record,
        }
    }

    /// Serves until the client leaves or is sent away. `unproven` is held until it has proved who it is.
    pub(super) async fn run(mut self, unproven: impl Send) {
        let observing = Arc::clone(&self.observing);
        let end = tokio::select! {
            // A server that stops begins nothing any more.
            biased;
            () = observing.stopped() => STOPPING,
            end = self.serve(unproven) => end,
        };
        // What is observed is over, however long the farewell takes.
        drop((self.queries, self.caller));
        let frame = match end {
            End::Gone => return,
            End::Left => None,
            End::Told(code, reason) => Some(CloseFrame {
                code,
                reason: Utf8Bytes::from_static(reason),
            }),
        };
        // A client that does not take it is cut.
        let _ = timeout(FAREWELL_LIMIT, part(self.messages, frame)).await;
    }

    async fn serve(&mut self, unproven: impl Send) -> End {
        let mut replaced = self.observing.door.guard.watch();
        if matches!(self.caller, Caller::Nobody)
            && let Err(end) = self.authenticate().await
        {
            return end;
        }
        drop(unproven);
        loop {
            let next = tokio::select! {
                arrived = self.messages.next() => Next::Arrived(arrived),
                () = self.wake.notified() => Next::Touched,
                _ = self.heartbeat.tick() => Next::Heartbeat,
                // The guard lives as long as what is observed, so that it cannot be gone.
                _ = replaced.changed() => Next::Replaced,
            };
            let done = match next {
                Next::Arrived(arrived) => self.hear(arrived).await,
                Next::Touched => self.tell_changes().await,
                Next::Heartbeat => self.beat().await,
                Next::Replaced => self.look_again().await,
            };
            if let Err(end) = done {
                return end;
            }
        }
    }

    async fn hear(&mut self, arrived: Arrived) -> Result<(), End> {
        self.quiet_heartbeats = 0;
        let Some(text) = text_of(arrived)? else {
            return Ok(());
        };
        match Message::parse(&text) {
            Ok(Message::Observe { name, question }) => self.observe(name, question).await,
            Ok(Message::Cancel { name }) => self.cancel(&name).await,
            // Where no key is needed, any is as good.
            Ok(Message::Authenticate { .. }) if matches!(self.caller, Caller::Anyone) => {
                self.welcome().await
            }
            Ok(Message::Authenticate { .. }) => Err(ANOTHER_KEY),
            Err(error) => {
                let counted = self.observing.admit(&self.record, &self.caller);
                let refused = counted.err().unwrap_or_else(|| refuse_message(&error));
                self.refuse("", &refused).await
            }
        }
    }

    async fn observe(&mut self, name: String, question: Question) -> Result<(), End> {
        let observing = Arc::clone(&self.observing);
        let mut recording = observing.recording(&self.record);
        let record = &mut recording.record;
        let begun = self.begin(&name, question, record).await;
        record.status = Some(match &begun {
            Ok(_) => StatusCode::OK,
            Err(refused) => refused.status,
        });
        record.error = begun.as_ref().err().map(|refused| refused.code);
        recording.conclude().await;
        match begun {
            Ok((query, initial)) => {
                self.queries.insert(name, query);
                self.send(initial).await
            }
            Err(refused) => self.refuse(&name, &refused).await,
        }
    }

    async fn begin(
        &mut self,
        name: &str,
        question: Question,
        record: &mut Record,
    ) -> Result<(LiveQuery<N>, Bytes), Refused> {
        self.observing.admit(record, &self.caller)?;
        self.observing.require_place(record)?;
        if self.queries.contains_key(name) {
            let text = "this id names a live query of this connection already; cancel it, or choose another";
            return Err(Refused::new(StatusCode::CONFLICT, "id_in_use", text));
        }
        if self.queries.len() >= OBSERVED_SOCKET_MAX {
            let text = format!(
                "this connection observes {OBSERVED_SOCKET_MAX} statements already; cancel one of them"
            );
            let status = StatusCode::TOO_MANY_REQUESTS;
            return Err(Refused::new(status, "too_many_observed", text));
        }
        let whose = (
            Arc::clone(&self.observing),
            self.caller.clone(),
            record.request_id,
        );
        let told = (Framing::message(name), Arc::clone(&self.wake));
        LiveQuery::begin(whose, question, told, record).await
    }

    async fn cancel(&mut self, name: &str) -> Result<(), End> {
        if self.queries.remove(name).is_none() {
            let text = "this id names no live query of this connection";
            let refused = Refused::new(StatusCode::NOT_FOUND, "unknown_id", text);
            return self.refuse(name, &refused).await;
        }
        let framing = Framing::message(name);
        let mut writer = Writer::new(&framing);
        writer.cancelled();
        self.send(writer.finish().into()).await
    }

    /// Runs what was touched, one after another.
    async fn tell_changes(&mut self) -> Result<(), End> {
        let names = self.queries.iter().filter(|(_, query)| query.is_touched());
        let names: Vec<String> = names.map(|(name, _)| name.clone()).collect();
        for name in names {
            let Some(query) = self.queries.get_mut(&name) else {
                continue;
            };
            match query.again().await {
                Ok(None) => {}
                Ok(Some(change)) => self.send(change).await?,
                Err(refused) => self.end(&name, &refused).await?,
            }
        }
        Ok(())
    }

    /// Whether the client may still be here, and each of its live queries.
    async fn look_again(&mut self) -> Result<(), End> {
        self.observing.may_stay(&self.caller)?;
        let looked = self.queries.iter();
        let looked = looked.filter_map(|(name, query)| Some((name.clone(), query.permit().err()?)));
        for (name, refused) in looked.collect::<Vec<_>>() {
            self.end(&name, &refused).await?;
        }
        Ok(())
    }

    async fn beat(&mut self) -> Result<(), End> {
        self.quiet_heartbeats += 1;
        if self.quiet_heartbeats > QUIET_HEARTBEATS_MAX {
            return Err(End::Gone);
        }
        self.look_again().await?;
        self.put(tungstenite::Message::Ping(Bytes::new())).await
    }

    /// Ends one live query, and tells why.
    async fn end(&mut self, name: &str, refused: &Refused) -> Result<(), End> {
        match self.queries.remove(name) {
            Some(mut query) => self.send(query.last_words(refused)).await,
            None => Ok(()),
        }
    }

    /// Tells that a message was not followed.
    pub(super) async fn refuse(&mut self, name: &str, refused: &Refused) -> Result<(), End> {
        let framing = Framing::message(name);
        let mut writer = Writer::new(&framing);
        writer.refused(refused);
        self.send(writer.finish().into()).await
    }

    /// Sends events, each on a line of its own, as one message each.
    pub(super) async fn send(&mut self, events: Bytes) -> Result<(), End> {
        for event in events.split(|byte| *byte == b'\n') {
            if event.is_empty() {
                continue;
            }
            let event = Utf8Bytes::try_from(events.slice_ref(event)).map_err(|_| End::Gone)?;
            self.put(tungstenite::Message::Text(event)).await?;
        }
        Ok(())
    }

    async fn put(&mut self, message: tungstenite::Message) -> Result<(), End> {
        let mut sending = pin!(self.messages.send(message));
        let first = poll_fn(|context| Poll::Ready(sending.as_mut().poll(context))).await;
        let sent = match first {
            Poll::Ready(sent) => sent,
            Poll::Pending => {
                let sent = timeout(SEND_LIMIT, sending).await;
                self.queries.values_mut().for_each(LiveQuery::has_stalled);
                sent.map_err(|_| End::Gone)?
            }
        };
        sent.map_err(|_| End::Gone)
    }
}

/// The text that arrived, if it was one.
pub(super) fn text_of(arrived: Arrived) -> Result<Option<Utf8Bytes>, End> {
    use tungstenite::{Error, Message};
    match arrived {
        Some(Ok(Message::Text(text))) => Ok(Some(text)),
        // The library writes the answer to a ping.
        Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(None),
        Some(Ok(Message::Binary(_))) => Err(NOT_TEXT),
        Some(Err(Error::Capacity(_))) => Err(End::Told(CloseCode::Size, "message_too_large")),
        Some(Err(Error::Utf8(_))) => Err(End::Told(CloseCode::Invalid, "not_utf8")),
        Some(Err(Error::Protocol(_))) => Err(End::Told(CloseCode::Protocol, "bad_frame")),
        Some(Ok(Message::Close(_))) => Err(End::Left),
        Some(Ok(Message::Frame(_)) | Err(_)) | None => Err(End::Gone),
    }
}

/// Says farewell, and takes what the client had on its way: a connection that is closed over unread bytes is reset,
/// and the farewell lost with it.
async fn part<S: AsyncRead + AsyncWrite + Unpin>(
    mut messages: WebSocketStream<S>,
    frame: Option<CloseFrame>,
) -> Result<(), tungstenite::Error> {
    match frame {
        Some(frame) => messages.close(Some(frame)).await?,
        // The library has the answer to the client's farewell ready.
        None => messages.flush().await?,
    }
    let mut stream = messages.into_inner();
    stream.shutdown().await?;
    let mut unread = [0; 4096];
    while stream.read(&mut unread).await? > 0 {}
    Ok(())
}

fn refuse_message(error: &MessageError) -> Refused {
    Refused::new(StatusCode::BAD_REQUEST, "bad_message", error.to_string())
}
