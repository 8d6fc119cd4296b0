//! What all links together carried, and what of it was refused, for whoever watches the node.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bytes::Bytes;
use tombolo_mesh::{BoxFuture, FrameReceiver, FrameSender, LinkError};

/// Written by all links.
#[derive(Debug, Default)]
pub(crate) struct TrafficCounts {
    sent_bytes: AtomicU64,
    received_bytes: AtomicU64,
    refused: AtomicU64,
}

/// Bytes of frames since the start, without what TLS and the transport add.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SyncTraffic {
    /// That links took.
    pub sent_bytes: u64,
    /// That came from peers.
    pub received_bytes: u64,
    /// Frames of verified peers that broke the rules; each ended its link.
    pub refused_frames: u64,
}

impl TrafficCounts {
    /// Counts a frame that was refused.
    pub(crate) fn refuse(&self) {
        self.refused.fetch_add(1, Relaxed);
    }

    pub(crate) fn sums(&self) -> SyncTraffic {
        SyncTraffic {
            sent_bytes: self.sent_bytes.load(Relaxed),
            received_bytes: self.received_bytes.load(Relaxed),
            refused_frames: self.refused.load(Relaxed),
        }
    }

    /// Both directions of a link, counted from now on.
    pub(crate) fn meter(
        self: &Arc<Self>,
        (sender, receiver): (Box<dyn FrameSender>, Box<dyn FrameReceiver>),
    ) -> (Box<dyn FrameSender>, Box<dyn FrameReceiver>) {
        let counts = Arc::clone(self);
        let sender = MeteredSender { counts, sender };
        let counts = Arc::clone(self);
        (
            Box::new(sender),
            Box::new(MeteredReceiver { counts, receiver }),
        )
    }
}

struct MeteredSender {
    counts: Arc<TrafficCounts>,
    sender: Box<dyn FrameSender>,
}

impl FrameSender for MeteredSender {
    fn send<'f>(&'f mut self, frames: &'f [Bytes]) -> BoxFuture<'f, Result<(), LinkError>> {
        Box::pin(async move {
            self.sender.send(frames).await?;
            let bytes: usize = frames.iter().map(Bytes::len).sum();
            self.counts.sent_bytes.fetch_add(bytes as u64, Relaxed);
            Ok(())
        })
    }

    fn finish(&mut self) -> BoxFuture<'_, Result<(), LinkError>> {
        self.sender.finish()
    }
}

struct MeteredReceiver {
    counts: Arc<TrafficCounts>,
    receiver: Box<dyn FrameReceiver>,
}

impl FrameReceiver for MeteredReceiver {
    fn receive(&mut self) -> BoxFuture<'_, Result<Option<Bytes>, LinkError>> {
        Box::pin(async move {
            let received = self.receiver.receive().await;
            match &received {
                Ok(Some(frame)) => {
                    let bytes = frame.len() as u64;
                    self.counts.received_bytes.fetch_add(bytes, Relaxed);
                }
                Err(LinkError::TooLarge { .. } | LinkError::Empty) => self.counts.refuse(),
                Ok(None) | Err(_) => {}
            }
            received
        })
    }
}
