//! Bytes and messages that a peer must not send, written by hand frame by frame.

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::*;

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
/// The last frame of a message.
const LAST: u8 = 0x80;
const MASKED: u8 = 0x80;

/// The beginning of a frame of a client, with a mask that changes nothing.
fn head(first: u8, length: usize) -> Vec<u8> {
    let mut frame = vec![first];
    match u16::try_from(length) {
        Ok(short) if short < 126 => frame.push(MASKED | u8::try_from(short).unwrap()),
        Ok(middle) => {
            frame.push(MASKED | 126);
            frame.extend(middle.to_be_bytes());
        }
        Err(_) => {
            frame.push(MASKED | 127);
            frame.extend(u64::try_from(length).unwrap().to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame
}

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    [head(first, payload.len()), payload.to_vec()].concat()
}

/// A server and the bytes that its client sends.
async fn server() -> (WebSocketBytes<DuplexStream>, DuplexStream) {
    let (here, there) = duplex(1 << 20);
    (WebSocketBytes::accepted(here).await, there)
}

/// What a server reads when these bytes arrive and then nothing.
async fn read(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let (mut server, mut client) = server().await;
    client.write_all(bytes).await.unwrap();
    client.shutdown().await.unwrap();
    let mut found = Vec::new();
    server.read_to_end(&mut found).await.map(|_| found)
}

async fn refused(bytes: &[u8]) -> (io::ErrorKind, String) {
    let error = read(bytes).await.unwrap_err();
    (error.kind(), error.to_string())
}

#[tokio::test]
async fn the_content_of_messages_is_one_stream_however_it_is_cut() {
    let bytes = [
        frame(LAST | BINARY, b"one "),
        frame(LAST | PING, b"are you there?"),
        frame(BINARY, b"tw"),
        frame(CONTINUATION, b""),
        frame(LAST | CONTINUATION, b"o"),
        frame(LAST | BINARY, b""),
        frame(LAST | BINARY, b" three"),
        frame(LAST | CLOSE, b""),
    ];
    assert_eq!(read(&bytes.concat()).await.unwrap(), b"one two three");
}

#[tokio::test]
async fn t50_frames_against_the_rules_end_the_stream() {
    let unmasked = [&[LAST | BINARY, 3][..], b"abc"].concat();
    let reserved_bits = frame(LAST | BINARY | 0x40, b"abc");
    let unknown = frame(LAST | 3, b"abc");
    let long_ping = frame(LAST | PING, &[0; 126]);
    let stray = frame(LAST | CONTINUATION, b"abc");
    let two_starts = [frame(BINARY, b"a"), frame(BINARY, b"b")].concat();
    for bytes in [
        unmasked,
        reserved_bits,
        unknown,
        long_ping,
        stray,
        two_starts,
    ] {
        let (kind, reason) = refused(&bytes).await;
        assert_eq!(kind, io::ErrorKind::InvalidData, "{reason}");
    }
}

#[tokio::test]
async fn t50_a_text_message_ends_the_stream() {
    let (kind, reason) = refused(&frame(LAST | TEXT, b"{}")).await;
    assert_eq!(kind, io::ErrorKind::InvalidData);
    assert!(reason.contains("a text message"), "{reason}");
}

#[tokio::test]
async fn t50_a_message_above_the_limit_is_refused_by_its_length() {
    let most = vec![7; WEBSOCKET_MESSAGE_BYTES_MAX];
    assert_eq!(
        read(&[frame(LAST | BINARY, &most), frame(LAST | CLOSE, b"")].concat())
            .await
            .unwrap(),
        most
    );
    let (mut server, mut client) = server().await;
    let announced = head(LAST | BINARY, WEBSOCKET_MESSAGE_BYTES_MAX + 1);
    client.write_all(&announced).await.unwrap();
    // Its content never comes, and is not waited for.
    let refused = server.read_u8().await.unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::InvalidData);
    let pieces = [frame(BINARY, &most), frame(LAST | CONTINUATION, b"x")].concat();
    assert_eq!(self::refused(&pieces).await.0, io::ErrorKind::InvalidData);
}

#[tokio::test]
async fn t50_a_flood_of_pings_ends_the_stream() {
    let ping = frame(LAST | PING, b"");
    let most = ping.repeat(WEBSOCKET_IDLE_MESSAGES_MAX as usize);
    let content = frame(LAST | BINARY, b"x");
    let twice = [
        &most[..],
        &content,
        &most,
        &content,
        &frame(LAST | CLOSE, b""),
    ]
    .concat();
    assert_eq!(read(&twice).await.unwrap(), b"xx");
    let (kind, reason) = refused(&[&most[..], &ping].concat()).await;
    assert_eq!(kind, io::ErrorKind::InvalidData);
    assert!(reason.contains("messages without content"), "{reason}");
}

#[tokio::test]
async fn a_connection_that_is_cut_is_no_regular_end() {
    for bytes in [
        &frame(LAST | BINARY, b"abc")[..5],
        &[],
        &frame(BINARY, b"abc"),
    ] {
        let (kind, _) = refused(bytes).await;
        assert_eq!(kind, io::ErrorKind::UnexpectedEof, "{bytes:?}");
    }
}

#[tokio::test]
async fn a_ping_is_answered() {
    let (mut server, mut client) = server().await;
    let bytes = [frame(LAST | PING, b"hm"), frame(LAST | BINARY, b"x")].concat();
    client.write_all(&bytes).await.unwrap();
    assert_eq!(server.read_u8().await.unwrap(), b'x');
    server.flush().await.unwrap();
    let mut answer = [0; 4];
    client.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, [LAST | 10, 2, b'h', b'm']);
}

#[tokio::test]
async fn what_is_written_leaves_in_messages_that_the_other_side_takes() {
    let (here, there) = duplex(1000);
    let mut server = WebSocketBytes::accepted(here).await;
    let client = WebSocketStream::from_raw_socket(there, Role::Client, Some(limits())).await;
    let mut client = WebSocketBytes::new(client);
    let sent: Vec<u8> = (0..=250)
        .cycle()
        .take(5 * WEBSOCKET_MESSAGE_BYTES_MAX + 1)
        .collect();
    let writing = async {
        server.write_all(&sent).await.unwrap();
        server.shutdown().await.unwrap();
    };
    let mut found = Vec::new();
    let (_, read) = tokio::join!(writing, client.read_to_end(&mut found));
    read.unwrap();
    assert!(found == sent);
}

#[tokio::test]
async fn a_peer_that_takes_nothing_is_not_written_to_without_end() {
    let (here, _there) = duplex(1000);
    let mut server = WebSocketBytes::accepted(here).await;
    let piece = vec![0; WEBSOCKET_MESSAGE_BYTES_MAX];
    let mut context = Context::from_waker(std::task::Waker::noop());
    let mut taken = 0;
    while let Poll::Ready(written) = Pin::new(&mut server).poll_write(&mut context, &piece) {
        taken += written.unwrap();
        assert!(taken <= WRITE_BYTES_MAX);
    }
    assert!(taken > 0);
}
