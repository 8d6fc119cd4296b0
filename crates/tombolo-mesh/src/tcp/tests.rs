//! Frames over a stream in memory, in a time that a test moves: deadlines,
//! limits, ends, and futures that are dropped half way.

use tokio::io::{DuplexStream, duplex};

use super::*;
use crate::frame::FRAME_BYTES_MAX;

const FAR: Duration = Duration::from_secs(86_400);

struct Ends {
    writer: Writer<DuplexStream>,
    reader: Reader<DuplexStream>,
    close: watch::Sender<Option<CloseReason>>,
}

/// A writer and the reader of what it writes, with so much room between them.
fn ends(room_bytes: usize, remains: Duration) -> Ends {
    let (sink, source) = duplex(room_bytes);
    let (close, signal) = watch::channel(None);
    Ends {
        writer: Writer::new(sink, signal.clone()),
        reader: Reader::new(source, Instant::now() + remains, signal),
        close,
    }
}

/// A reader, and the raw end that it reads from.
fn raw(
    remains: Duration,
) -> (
    DuplexStream,
    Reader<DuplexStream>,
    watch::Sender<Option<CloseReason>>,
) {
    let (raw, source) = duplex(1 << 16);
    let (close, signal) = watch::channel(None);
    (
        raw,
        Reader::new(source, Instant::now() + remains, signal),
        close,
    )
}

fn frame(length: usize) -> Bytes {
    Bytes::from(
        (0..length)
            .map(|position| position as u8)
            .collect::<Vec<_>>(),
    )
}

#[tokio::test]
async fn frames_of_all_sizes_arrive_in_order() {
    let mut ends = ends(1000, FAR);
    let sizes = [
        1,
        2,
        WRITE_BYTES - 1,
        WRITE_BYTES,
        WRITE_BYTES + 1,
        3,
        FRAME_BYTES_MAX,
        4,
    ];
    let frames: Vec<Bytes> = sizes.into_iter().map(frame).collect();
    let sending = async {
        ends.writer.send(&frames).await.unwrap();
        ends.writer.finish().await.unwrap();
    };
    let receiving = async {
        let mut received = Vec::new();
        while let Some(frame) = ends.reader.receive().await.unwrap() {
            received.push(frame);
        }
        received
    };
    let ((), received) = tokio::join!(sending, receiving);
    assert!(received == frames);
}

#[tokio::test]
async fn a_frame_that_others_refuse_is_not_sent() {
    let mut ends = ends(1 << 16, FAR);
    let sent = ends
        .writer
        .send(&[frame(5), frame(FRAME_BYTES_MAX + 1)])
        .await;
    assert!(matches!(sent, Err(LinkError::TooLarge { .. })));
    let sent = ends.writer.send(&[Bytes::new()]).await;
    assert!(matches!(sent, Err(LinkError::Empty)));
    // Nothing was written, so the link is still good.
    ends.writer.send(&[frame(7)]).await.unwrap();
    assert_eq!(ends.reader.receive().await.unwrap(), Some(frame(7)));
}

#[tokio::test]
async fn a_length_above_the_limit_sets_nothing_aside() {
    let (mut peer, mut reader, _close) = raw(FAR);
    peer.write_all(&u32::MAX.to_be_bytes()).await.unwrap();
    let refused = reader.receive().await;
    assert!(matches!(refused, Err(LinkError::TooLarge { .. })));
    assert!(reader.arrived.capacity() <= 2 * READ_BYTES);
}

#[tokio::test]
async fn memory_follows_bytes_that_arrived() {
    let (mut peer, mut reader, close) = raw(FAR);
    let length = u32::try_from(FRAME_BYTES_MAX).unwrap();
    peer.write_all(&length.to_be_bytes()).await.unwrap();
    peer.write_all(&[0; 100]).await.unwrap();
    let waiting = timeout(Duration::from_millis(1), reader.receive());
    tokio::time::pause();
    assert!(waiting.await.is_err());
    assert!(reader.arrived.capacity() <= 2 * READ_BYTES);
    drop(close);
}

#[tokio::test]
async fn an_end_inside_a_frame_is_told_from_one_between_frames() {
    let (mut peer, mut reader, _close) = raw(FAR);
    peer.write_all(&[0, 0, 0, 1, 7, 0, 0]).await.unwrap();
    drop(peer);
    assert_eq!(
        reader.receive().await.unwrap(),
        Some(Bytes::from_static(&[7]))
    );
    assert!(matches!(reader.receive().await, Err(LinkError::Cut)));
    let (peer, mut reader, _close) = raw(FAR);
    drop(peer);
    assert!(matches!(reader.receive().await, Ok(None)));
}

#[tokio::test]
async fn a_dropped_receive_loses_nothing() {
    let (mut peer, mut reader, _close) = raw(FAR);
    peer.write_all(&[0, 0, 0, 3, 1, 2]).await.unwrap();
    tokio::time::pause();
    let short = Duration::from_millis(1);
    assert!(timeout(short, reader.receive()).await.is_err());
    peer.write_all(&[3]).await.unwrap();
    assert_eq!(
        reader.receive().await.unwrap(),
        Some(Bytes::from_static(&[1, 2, 3]))
    );
}

#[tokio::test]
async fn a_dropped_send_ends_the_link() {
    let mut ends = ends(10, FAR);
    tokio::time::pause();
    let short = Duration::from_millis(1);
    assert!(
        timeout(short, ends.writer.send(&[frame(100)]))
            .await
            .is_err()
    );
    let sent = ends.writer.send(&[frame(1)]).await;
    assert!(matches!(sent, Err(LinkError::Unfinished)));
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_is_given_up() {
    let (_peer, mut reader, _close) = raw(FAR);
    let begin = Instant::now();
    assert!(matches!(
        reader.receive().await,
        Err(LinkError::Idle { seconds: 60 })
    ));
    assert_eq!(begin.elapsed(), RECEIVE_IDLE_MAX);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_is_given_up() {
    let mut ends = ends(10, FAR);
    let begin = Instant::now();
    let sent = ends.writer.send(&[frame(100)]).await;
    assert!(matches!(sent, Err(LinkError::Stalled { seconds: 20 })));
    assert_eq!(begin.elapsed(), SEND_STALL_MAX);
}

#[tokio::test(start_paused = true)]
async fn a_link_ends_with_the_certificate_of_its_peer() {
    let remains = Duration::from_secs(30);
    let (_peer, mut reader, _close) = raw(remains);
    let begin = Instant::now();
    let ended = reader.receive().await;
    assert!(matches!(
        ended,
        Err(LinkError::Closed(CloseReason::Expired))
    ));
    assert_eq!(begin.elapsed(), remains);
}

#[tokio::test]
async fn both_halves_fail_when_the_node_ends_the_link() {
    let mut ends = ends(10, FAR);
    let close = async {
        tokio::task::yield_now().await;
        ends.close.send_replace(Some(CloseReason::Replaced));
    };
    let frames = [frame(100)];
    let halves = async { tokio::join!(ends.writer.send(&frames), ends.reader.receive()) };
    // The reader takes what the writer could write before; neither hangs.
    let ((sent, received), ()) = tokio::join!(halves, close);
    let ended = matches!(sent, Err(LinkError::Closed(CloseReason::Replaced)));
    assert!(ended || received.is_ok_and(|frame| frame.is_some()));
    let received = ends.reader.receive().await;
    assert!(matches!(
        received,
        Err(LinkError::Closed(CloseReason::Replaced))
    ));
}
