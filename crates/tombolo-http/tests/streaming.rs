//! Bodies that stream in both directions, and gzip bodies, over real sockets.
//! The routes count, echo, or send for ever, as the path says.

#![expect(
    clippy::unwrap_used,
    reason = "a test whose world cannot be set up has failed"
)]

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{StatusCode, request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tombolo_http::{
    Answer, Body, BodySender, ClientGone, Limits, Listener, Request, Response, Server, TimeLimit,
    Transport, json_response,
};

const LIMIT: u64 = 100_000;
/// More chunks than sockets can hold.
const TOLD_MAX: usize = 10_000;

/// What a route that sends for ever tells its test.
struct Routes {
    told: mpsc::Sender<Told>,
    /// Answers that the server's stop ends.
    endless: Mutex<Vec<BodySender>>,
}

#[derive(Debug, PartialEq)]
enum Told {
    Sent(usize),
    Gone,
}

impl Answer for Routes {
    async fn answer(&self, request: Request) -> Response {
        match request.path() {
            "/count" => count(request).await,
            "/echo" => echo(request.body),
            "/cut" => cut(),
            "/flood" => self.flood(),
            "/wait" => self.wait(),
            _ => match request.body.read(LIMIT as usize).await {
                Ok(body) => json_response(StatusCode::OK, body.len().to_string()),
                Err(error) => json_response(error.status(), error.to_string()),
            },
        }
    }

    fn time_limit(&self, head: &request::Parts) -> TimeLimit {
        match head.uri.path() {
            "/read" => TimeLimit::OfServer,
            _ => TimeLimit::WhileBytesMove,
        }
    }

    fn stopping(&self) {
        self.endless.lock().unwrap().clear();
    }
}

async fn count(mut request: Request) -> Response {
    let mut count = 0;
    let outcome = async {
        request.body.limit(LIMIT).await?;
        while let Some(chunk) = request.body.chunk().await? {
            count += chunk.len();
        }
        Ok::<_, tombolo_http::BodyError>(())
    };
    match outcome.await {
        Ok(()) => json_response(StatusCode::OK, count.to_string()),
        Err(error) => json_response(error.status(), error.to_string()),
    }
}

/// Each chunk goes back before the next one is there.
fn echo(mut incoming: tombolo_http::RequestBody) -> Response {
    let (sender, body) = Body::channel(1);
    tokio::spawn(async move {
        while let Ok(Some(chunk)) = incoming.chunk().await {
            if sender.send(chunk).await.is_err() {
                return;
            }
        }
    });
    Response::new(body)
}

fn cut() -> Response {
    let (sender, body) = Body::channel(4);
    tokio::spawn(async move {
        let _ = sender.send(Bytes::from_static(b"half")).await;
        sender.fail();
    });
    Response::new(body)
}

impl Routes {
    fn flood(&self) -> Response {
        let (sender, body) = Body::channel(2);
        let told = self.told.clone();
        tokio::spawn(async move {
            let chunk = Bytes::from(vec![b'x'; 64 * 1024]);
            let mut sent = 0;
            while sender.send(chunk.clone()).await == Ok(()) {
                sent += 1;
                let _ = told.try_send(Told::Sent(sent));
            }
            let _ = told.try_send(Told::Gone);
        });
        Response::new(body)
    }

    fn wait(&self) -> Response {
        let (sender, body) = Body::channel(1);
        self.endless.lock().unwrap().push(sender);
        Response::new(body)
    }
}

struct Running {
    address: SocketAddr,
    told: mpsc::Receiver<Told>,
    stop: oneshot::Sender<()>,
    ended: tokio::task::JoinHandle<tombolo_http::Drained>,
}

async fn start(limits: Limits) -> Running {
    let listener = Listener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_address();
    let (sender, told) = mpsc::channel(TOLD_MAX);
    let answer = Routes {
        told: sender,
        endless: Mutex::default(),
    };
    let server = Server {
        listener,
        transport: Transport::Plain,
        limits,
        answer,
        instance: 7,
    };
    let (stop, stopped) = oneshot::channel();
    let ended = tokio::spawn(server.run_until(async {
        let _ = stopped.await;
    }));
    Running {
        address,
        told,
        stop,
        ended,
    }
}

async fn connect(server: &Running) -> TcpStream {
    TcpStream::connect(server.address).await.unwrap()
}

async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

async fn post(server: &Running, path: &str, fields: &str, body: &[u8]) -> String {
    let mut stream = connect(server).await;
    let head = format!(
        "POST {path} HTTP/1.1\r\nconnection: close\r\n{fields}content-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body).await.unwrap();
    read_to_end(&mut stream).await
}

async fn read_until(stream: &mut TcpStream, text: &str) {
    let mut seen = String::new();
    while !seen.contains(text) {
        let mut piece = [0; 1024];
        let count = stream.read(&mut piece).await.unwrap();
        assert!(count > 0, "closed after: {seen}");
        seen.push_str(std::str::from_utf8(&piece[..count]).unwrap());
    }
}

fn assert_answer(answer: &str, status: u16, body: &str) {
    let start = format!("HTTP/1.1 {status} ");
    assert!(
        answer.starts_with(&start) && answer.ends_with(body),
        "{answer}"
    );
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn a_chunk_goes_back_before_the_next_one_is_sent() {
    let server = start(Limits::default()).await;
    let mut stream = connect(&server).await;
    let head = "POST /echo HTTP/1.1\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    for word in ["one", "two", "six"] {
        let chunk = format!("3\r\n{word}\r\n");
        stream.write_all(chunk.as_bytes()).await.unwrap();
        read_until(&mut stream, word).await;
    }
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    assert_eq!(read_to_end(&mut stream).await, "0\r\n\r\n");
}

#[tokio::test]
async fn the_limit_of_a_route_holds_at_below_and_above_with_and_without_a_length() {
    let limits = Limits {
        body_bytes_max: 10,
        ..Limits::default()
    };
    let server = start(limits).await;
    for (size, status) in [(LIMIT - 1, 200), (LIMIT, 200), (LIMIT + 1, 413)] {
        let body = vec![b'x'; size as usize];
        let expected = if status == 200 {
            size.to_string()
        } else {
            "larger than 100000 bytes; send less or split the request".to_owned()
        };
        let answer = post(&server, "/count", "", &body).await;
        assert_answer(&answer, status, &expected);
        let mut stream = connect(&server).await;
        let head =
            "POST /count HTTP/1.1\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        for piece in body.chunks(30_000) {
            let size = format!("{:x}\r\n", piece.len());
            stream.write_all(size.as_bytes()).await.unwrap();
            stream.write_all(piece).await.unwrap();
            stream.write_all(b"\r\n").await.unwrap();
        }
        stream.write_all(b"0\r\n\r\n").await.unwrap();
        assert_answer(&read_to_end(&mut stream).await, status, &expected);
    }
}

#[tokio::test]
async fn a_length_above_the_limit_is_refused_before_any_byte_of_it() {
    let server = start(Limits::default()).await;
    let mut stream = connect(&server).await;
    let head = format!(
        "POST /count HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: {}\r\n\r\n",
        LIMIT + 1
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    read_until(&mut stream, "HTTP/1.1 413 ").await;
}

#[tokio::test]
async fn t53_a_gzip_body_is_counted_as_it_inflates() {
    let server = start(Limits::default()).await;
    for path in ["/count", "/"] {
        for (size, status) in [(LIMIT - 1, 200), (LIMIT, 200), (LIMIT + 1, 413)] {
            let body = gzip(&vec![b'x'; size as usize]);
            let answer = post(&server, path, "content-encoding: gzip\r\n", &body).await;
            let expected = if status == 200 {
                size.to_string()
            } else {
                "larger than 100000 bytes; send less or split the request".to_owned()
            };
            assert_answer(&answer, status, &expected);
        }
    }
}

#[tokio::test]
async fn t53_a_bomb_is_cut_at_the_limit() {
    let server = start(Limits::default()).await;
    // A hundred kilobytes that would be a hundred megabytes.
    let bomb = gzip(&vec![0; 100_000_000]);
    assert!(bomb.len() < LIMIT as usize);
    for path in ["/count", "/"] {
        let answer = post(&server, path, "content-encoding: gzip\r\n", &bomb).await;
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    }
    // Members that inflate to nothing are counted as they arrive.
    let nothing = gzip(b"").repeat(10_000);
    let answer = post(&server, "/count", "content-encoding: gzip\r\n", &nothing).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

#[tokio::test]
async fn an_encoding_is_known_or_refused_by_its_status() {
    let server = start(Limits::default()).await;
    let packed = gzip(b"abc");
    for name in ["gzip", "GZip", "x-gzip"] {
        let field = format!("content-encoding: {name}\r\n");
        assert_answer(&post(&server, "/", &field, &packed).await, 200, "3");
    }
    let identity = "content-encoding: identity\r\n";
    assert_answer(&post(&server, "/", identity, b"abc").await, 200, "3");
    for name in [
        "br",
        "gzip, gzip",
        "deflate",
        "",
        "gzip\r\ncontent-encoding: gzip",
    ] {
        let field = format!("content-encoding: {name}\r\n");
        for path in ["/", "/count"] {
            let answer = post(&server, path, &field, &packed).await;
            assert_answer(&answer, 415, "send gzip, or none");
        }
    }
    let answer = post(&server, "/", "content-encoding: gzip\r\n", b"no gzip").await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    let cut = &packed[..packed.len() - 1];
    let answer = post(&server, "/count", "content-encoding: gzip\r\n", cut).await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
}

#[tokio::test]
async fn an_answer_that_fails_is_seen_as_broken() {
    let server = start(Limits::default()).await;
    let mut stream = connect(&server).await;
    stream
        .write_all(b"GET /cut HTTP/1.1\r\n\r\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer).unwrap();
    assert!(!answer.ends_with("0\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn a_client_that_does_not_read_stops_its_route_and_is_cut_off() {
    let limits = Limits {
        slow_client_timeout: Duration::from_millis(40),
        ..Limits::default()
    };
    let mut server = start(limits).await;
    let mut stream = connect(&server).await;
    stream
        .write_all(b"GET /flood HTTP/1.1\r\n\r\n")
        .await
        .unwrap();
    let mut sent = 0;
    while let Told::Sent(count) = server.told.recv().await.unwrap() {
        sent = count;
    }
    // What the sockets of both sides hold, and not a byte per turn of a loop.
    assert!(sent < 1000, "{sent} chunks");
}

#[tokio::test]
async fn a_route_hears_that_its_client_left() {
    let mut server = start(Limits::default()).await;
    let mut stream = connect(&server).await;
    stream
        .write_all(b"GET /flood HTTP/1.1\r\n\r\n")
        .await
        .unwrap();
    read_until(&mut stream, "xxx").await;
    drop(stream);
    while server.told.recv().await.unwrap() != Told::Gone {}
}

#[tokio::test]
async fn an_upload_without_time_limit_is_still_cut_when_its_client_is_quiet() {
    let limits = Limits {
        slow_client_timeout: Duration::from_millis(40),
        request_timeout: Some(Duration::from_millis(1)),
        ..Limits::default()
    };
    let server = start(limits).await;
    let mut stream = connect(&server).await;
    let head = "POST /count HTTP/1.1\r\ncontent-length: 10\r\n\r\nabc";
    stream.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(read_to_end(&mut stream).await, "");
}

#[tokio::test]
async fn an_answer_that_waits_for_its_route_is_not_quiet_and_ends_when_the_server_stops() {
    let limits = Limits {
        slow_client_timeout: Duration::from_millis(4),
        keep_alive_timeout: Duration::from_millis(4),
        request_timeout: Some(Duration::from_millis(1)),
        drain_limit: Duration::from_secs(3600),
        ..Limits::default()
    };
    let server = start(limits).await;
    let mut waiting = connect(&server).await;
    waiting
        .write_all(b"GET /wait HTTP/1.1\r\n\r\n")
        .await
        .unwrap();
    read_until(&mut waiting, "\r\n\r\n").await;
    // Another connection is cut for being quiet, so this one had the time to be.
    let mut quiet = connect(&server).await;
    assert_eq!(read_to_end(&mut quiet).await, "");
    server.stop.send(()).unwrap();
    assert_eq!(read_to_end(&mut waiting).await, "0\r\n\r\n");
    assert_eq!(server.ended.await.unwrap().cut, 0);
}

#[tokio::test]
async fn a_sender_without_a_body_says_that_the_client_is_gone() {
    let (sender, body) = Body::channel(0);
    assert_eq!(sender.send(Bytes::from_static(b"a")).await, Ok(()));
    drop(body);
    sender.client_gone().await;
    assert_eq!(sender.send(Bytes::from_static(b"b")).await, Err(ClientGone));
}
