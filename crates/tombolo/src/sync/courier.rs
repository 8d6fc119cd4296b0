//! Carries a session's frames to its link: steering frames before documents, and
//! attachments when nothing else waits.

use std::collections::VecDeque;

use bytes::Bytes;
use tokio::sync::{mpsc, watch};
use tombolo_mesh::{FrameSender, LinkError};
use tombolo_sync::limits::ATTACHMENT_FRAGMENT_BYTES;
use tombolo_sync::wire::Channel;

/// Frames that may wait for a link. A session's window lets far fewer wait; a
/// peer that makes more is ended.
pub(crate) const OUTBOX_FRAMES_MAX: usize = 8_192;
/// Bytes that are given to the link at once, so that a steering frame never
/// waits for more.
const PORTION_BYTES: usize = 512 << 10;
/// The same of attachments: one frame, or a few small ones.
const ATTACHMENT_PORTION_BYTES: usize = ATTACHMENT_FRAGMENT_BYTES;

/// Sends until the outbox is closed and empty, or the link fails. `carried` counts
/// the frames of attachments that the link took.
pub(crate) async fn carry(
    mut outbox: mpsc::Receiver<(Channel, Bytes)>,
    mut link: Box<dyn FrameSender>,
    carried: watch::Sender<usize>,
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
        let [steering, documents, attachments] = &mut lanes;
        let mut portion = take(&mut [steering, documents], PORTION_BYTES);
        let is_of_attachments = portion.is_empty();
        if is_of_attachments {
            portion = take(&mut [attachments], ATTACHMENT_PORTION_BYTES);
        }
        link.send(&portion).await?;
        if is_of_attachments {
            carried.send_modify(|frames| *frames += portion.len());
        }
    }
}

/// The first frames of lanes, until they are so many bytes.
fn take(lanes: &mut [&mut VecDeque<Bytes>], bytes_max: usize) -> Vec<Bytes> {
    let (mut portion, mut bytes) = (Vec::new(), 0);
    for lane in lanes {
        while bytes < bytes_max
            && let Some(frame) = lane.pop_front()
        {
            bytes += frame.len();
            portion.push(frame);
        }
    }
    portion
}
