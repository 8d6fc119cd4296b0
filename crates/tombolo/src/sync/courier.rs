//! Carries a session's frames to its link, steering frames before documents.

use std::collections::VecDeque;

use bytes::Bytes;
use tokio::sync::mpsc;
use tombolo_mesh::{FrameSender, LinkError};
use tombolo_sync::wire::Channel;

/// Frames that may wait for a link. A session's window lets far fewer wait; a
/// peer that makes more is ended.
pub(crate) const OUTBOX_FRAMES_MAX: usize = 8_192;
/// Bytes that are given to the link at once, so that a steering frame never
/// waits for more.
const PORTION_BYTES: usize = 512 << 10;

/// Sends until the outbox is closed and empty, or the link fails.
pub(crate) async fn carry(
    mut outbox: mpsc::Receiver<(Channel, Bytes)>,
    mut link: Box<dyn FrameSender>,
) -> Result<(), LinkError> {
    let mut lanes: [VecDeque<Bytes>; 3] = Default::default();
    loop {
        if lanes.iter().all(VecDeque::is_empty) {
            match outbox.recv().await {
                Some((channel, frame)) => lanes[channel as usize].push_back(frame),
                None => return link.finish().await,
            }
        }
        while let Ok((channel, frame)) = outbox.try_recv() {
            lanes[channel as usize].push_back(frame);
        }
        let (mut portion, mut bytes) = (Vec::new(), 0);
        for lane in &mut lanes {
            while bytes < PORTION_BYTES
                && let Some(frame) = lane.pop_front()
            {
                bytes += frame.len();
                portion.push(frame);
            }
        }
        link.send(&portion).await?;
    }
}
