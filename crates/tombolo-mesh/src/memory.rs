//! Two ends of a link inside one process, for tests and embedded pairs. The
//! peers are verified as everywhere; only the wire is missing.

use bytes::Bytes;
use tokio::sync::mpsc;
use tombolo_identity::VerifiedPeer;

use crate::frame;
use crate::link::{BoxFuture, FrameReceiver, FrameSender, Link, LinkError, Transport};

/// Frames on their way in one direction; a sender waits when there are more.
const FRAMES_MAX: usize = 64;

/// One end of a link in memory.
pub struct MemoryLink {
    peer: VerifiedPeer,
    sender: mpsc::Sender<Bytes>,
    receiver: mpsc::Receiver<Bytes>,
}

impl MemoryLink {
    /// A link between two peers: the end that `one` holds, and the end that
    /// `other` holds.
    #[must_use]
    pub fn pair(one: VerifiedPeer, other: VerifiedPeer) -> (Self, Self) {
        let (to_other, from_one) = mpsc::channel(FRAMES_MAX);
        let (to_one, from_other) = mpsc::channel(FRAMES_MAX);
        let held_by_one = Self {
            peer: other,
            sender: to_other,
            receiver: from_other,
        };
        let held_by_other = Self {
            peer: one,
            sender: to_one,
            receiver: from_one,
        };
        (held_by_one, held_by_other)
    }
}

impl Link for MemoryLink {
    fn peer(&self) -> &VerifiedPeer {
        &self.peer
    }

    fn transport(&self) -> Transport {
        Transport::Memory
    }

    fn remote_address(&self) -> &str {
        "memory"
    }

    fn split(self: Box<Self>) -> (Box<dyn FrameSender>, Box<dyn FrameReceiver>) {
        let sender = MemorySender(Some(self.sender));
        (Box::new(sender), Box::new(MemoryReceiver(self.receiver)))
    }
}

/// `None` after the end.
struct MemorySender(Option<mpsc::Sender<Bytes>>);

impl FrameSender for MemorySender {
    fn send<'f>(&'f mut self, frames: &'f [Bytes]) -> BoxFuture<'f, Result<(), LinkError>> {
        Box::pin(async move {
            let channel = self.0.as_ref().ok_or(LinkError::Ended)?;
            for frame in frames {
                frame::header(frame)?;
            }
            for frame in frames {
                let sent = channel.send(frame.clone()).await;
                sent.map_err(|_| LinkError::Ended)?;
            }
            Ok(())
        })
    }

    fn finish(&mut self) -> BoxFuture<'_, Result<(), LinkError>> {
        self.0 = None;
        Box::pin(async { Ok(()) })
    }
}

struct MemoryReceiver(mpsc::Receiver<Bytes>);

impl FrameReceiver for MemoryReceiver {
    fn receive(&mut self) -> BoxFuture<'_, Result<Option<Bytes>, LinkError>> {
        Box::pin(async { Ok(self.0.recv().await) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::FRAME_BYTES_MAX;
    use crate::testing::verified;

    #[tokio::test]
    async fn frames_cross_and_each_end_knows_the_other() {
        let (one, other) = (verified(), verified());
        let (here, there) = MemoryLink::pair(one.clone(), other.clone());
        assert_eq!(here.peer().peer_key(), other.peer_key());
        assert_eq!(there.peer().peer_key(), one.peer_key());
        let (mut sender, _) = (Box::new(here) as Box<dyn Link>).split();
        let (_, mut receiver) = (Box::new(there) as Box<dyn Link>).split();
        let frames = [Bytes::from_static(b"a"), Bytes::from_static(b"b")];
        sender.send(&frames).await.unwrap();
        sender.finish().await.unwrap();
        assert!(matches!(sender.send(&frames).await, Err(LinkError::Ended)));
        assert_eq!(receiver.receive().await.unwrap(), Some(frames[0].clone()));
        assert_eq!(receiver.receive().await.unwrap(), Some(frames[1].clone()));
        assert_eq!(receiver.receive().await.unwrap(), None);
    }

    #[tokio::test]
    async fn the_limits_of_a_frame_hold_here_too() {
        let (here, _there) = MemoryLink::pair(verified(), verified());
        let (mut sender, _receiver) = (Box::new(here) as Box<dyn Link>).split();
        let large = [Bytes::from(vec![0; FRAME_BYTES_MAX + 1])];
        assert!(matches!(
            sender.send(&large).await,
            Err(LinkError::TooLarge { .. })
        ));
        assert!(matches!(
            sender.send(&[Bytes::new()]).await,
            Err(LinkError::Empty)
        ));
    }
}
