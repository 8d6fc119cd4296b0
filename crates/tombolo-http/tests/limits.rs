//! Every limit of the server at, below and above its value, over real sockets.
//! The route echoes the size of the body, panics or hangs as the path says.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test whose world cannot be set up has failed; one route panics on purpose"
)]

use std::future::{Future, pending};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tombolo_http::{
    ConnectionCounts, Drained, Limits, ListenError, Listener, Request, Response, Server, Transport,
    json_response,
};

struct Running {
    address: SocketAddr,
    counts: Arc<ConnectionCounts>,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<Drained>,
}

async fn route(request: Request) -> Response {
    match request.path() {
        "/panic" => panic!("a defect"),
        "/hang" => pending().await,
        _ => match request.body.read(usize::MAX).await {
            Ok(body) => json_response(StatusCode::OK, body.len().to_string()),
            Err(error) => json_response(error.status(), "{}"),
        },
    }
}

async fn start(limits: Limits) -> Running {
    start_with(limits, route).await
}

async fn start_with<R>(limits: Limits, route: fn(Request) -> R) -> Running
where
    R: Future<Output = Response> + Send + 'static,
{
    let listener = Listener::bind("127.0.0.1:0").await.unwrap();
    let (address, counts) = (listener.local_address(), listener.counts());
    let server = Server {
        listener,
        transport: Transport::Plain,
        limits,
        answer: route,
        instance: 7,
    };
    let (stop, stopped) = oneshot::channel();
    let ended = tokio::spawn(server.run_until(async {
        let _ = stopped.await;
    }));
    Running {
        address,
        counts,
        stop,
        ended,
    }
}

async fn connect(server: &Running) -> TcpStream {
    TcpStream::connect(server.address).await.unwrap()
}

/// Sends everything and reads until the server closes.
async fn talk(server: &Running, text: &[u8]) -> String {
    let mut stream = connect(server).await;
    stream.write_all(text).await.unwrap();
    read_to_end(&mut stream).await
}

async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

/// Reads until `text` has arrived.
async fn read_until(stream: &mut TcpStream, text: &str) {
    let mut seen = String::new();
    while !seen.contains(text) {
        let mut piece = [0; 1024];
        let count = stream.read(&mut piece).await.unwrap();
        assert!(count > 0, "closed after: {seen}");
        seen.push_str(std::str::from_utf8(&piece[..count]).unwrap());
    }
}

fn assert_status(answer: &str, status: u16) {
    assert!(
        answer.starts_with(&format!("HTTP/1.1 {status} ")),
        "{answer}"
    );
}

#[tokio::test]
async fn a_request_head_is_taken_at_the_limit_and_refused_above() {
    let server = start(Limits {
        header_bytes_max: 300,
        ..Limits::default()
    })
    .await;
    let head_of = |size: usize| {
        let head = "GET / HTTP/1.1\r\nconnection: close\r\nx: \r\n";
        head.replace("x: ", &format!("x: {}", "y".repeat(size - head.len()))) + "\r\n"
    };
    assert_status(&talk(&server, head_of(299).as_bytes()).await, 200);
    assert_status(&talk(&server, head_of(300).as_bytes()).await, 200);
    let refused = talk(&server, head_of(301).as_bytes()).await;
    assert_status(&refused, 431);
    assert!(refused.contains("larger than 300 bytes"), "{refused}");
    // Far beyond the limit the parser itself refuses, without a body.
    assert_status(&talk(&server, head_of(10_000).as_bytes()).await, 431);
}

#[tokio::test]
async fn header_fields_are_counted_at_the_limit_and_refused_above() {
    let server = start(Limits {
        header_count_max: 4,
        ..Limits::default()
    })
    .await;
    let head_of = |fields: usize| {
        let more = "a: b\r\n".repeat(fields - 1);
        format!("GET / HTTP/1.1\r\nconnection: close\r\n{more}\r\n")
    };
    assert_status(&talk(&server, head_of(3).as_bytes()).await, 200);
    assert_status(&talk(&server, head_of(4).as_bytes()).await, 200);
    let refused = talk(&server, head_of(5).as_bytes()).await;
    assert_status(&refused, 431);
    assert!(refused.contains("more than 4 header fields"), "{refused}");
    assert_status(
        &talk(&server, head_of(Limits::HEADER_COUNT_WALL + 1).as_bytes()).await,
        431,
    );
}

#[tokio::test]
async fn an_announced_body_is_taken_at_the_limit_and_refused_above() {
    let server = start(Limits {
        body_bytes_max: 100,
        ..Limits::default()
    })
    .await;
    for (size, status) in [(0, 200), (99, 200), (100, 200), (101, 413), (200_000, 413)] {
        let body = "x".repeat(size);
        let text =
            format!("POST / HTTP/1.1\r\nconnection: close\r\ncontent-length: {size}\r\n\r\n{body}");
        assert_status(&talk(&server, text.as_bytes()).await, status);
    }
}

#[tokio::test]
async fn an_unannounced_body_is_taken_at_the_limit_and_refused_above() {
    let server = start(Limits {
        body_bytes_max: 100,
        ..Limits::default()
    })
    .await;
    for (pieces, status) in [(9, 200), (10, 200), (11, 413), (10_000, 413)] {
        let chunks = "a\r\n0123456789\r\n".repeat(pieces);
        let head = "POST / HTTP/1.1\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n";
        let answer = talk(&server, format!("{head}{chunks}0\r\n\r\n").as_bytes()).await;
        assert_status(&answer, status);
        if status == 200 {
            assert!(answer.ends_with(&(pieces * 10).to_string()), "{answer}");
        }
    }
}

#[tokio::test]
async fn an_announced_length_that_never_comes_allocates_nothing_and_times_out() {
    let limits = Limits {
        request_timeout: Some(Duration::from_millis(5)),
        ..Limits::default()
    };
    let server = start(limits).await;
    let text = "POST / HTTP/1.1\r\ncontent-length: 60000000\r\n\r\nabc";
    let answer = talk(&server, text.as_bytes()).await;
    assert_status(&answer, 408);
    assert!(answer.contains("within 5 ms"), "{answer}");
}

#[tokio::test]
async fn a_broken_body_is_the_clients_fault() {
    let server = start(Limits::default()).await;
    let text = "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nnonsense\r\n";
    assert_status(&talk(&server, text.as_bytes()).await, 400);
}

#[tokio::test]
async fn a_panic_of_the_route_is_a_500_and_the_server_lives_on() {
    let server = start(Limits::default()).await;
    let answer = talk(&server, b"GET /panic HTTP/1.1\r\nconnection: close\r\n\r\n").await;
    assert_status(&answer, 500);
    assert!(!answer.contains("defect"), "{answer}");
    let answer = talk(&server, b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n").await;
    assert_status(&answer, 200);
}

#[tokio::test]
async fn requests_share_a_connection_and_each_has_its_own_id() {
    let server = start(Limits::default()).await;
    let answer = talk(
        &server,
        b"GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\nconnection: close\r\n\r\n",
    )
    .await;
    assert!(
        answer.contains("x-request-id: 00000007-000000000000\r\n"),
        "{answer}"
    );
    assert!(
        answer.contains("x-request-id: 00000007-000000000001\r\n"),
        "{answer}"
    );
}

#[tokio::test]
async fn one_connection_more_than_allowed_is_told_503() {
    let server = start(Limits {
        connections_max: 2,
        ..Limits::default()
    })
    .await;
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut stream = connect(&server).await;
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        read_until(&mut stream, "\r\n\r\n0").await;
        held.push(stream);
    }
    let refused = talk(&server, b"GET / HTTP/1.1\r\n\r\n").await;
    assert_status(&refused, 503);
    assert!(refused.contains("retry-after: 1\r\n"), "{refused}");
    assert!(
        refused.contains("all 2 connections are in use"),
        "{refused}"
    );
    let counts = &server.counts;
    let found = (counts.open(), counts.accepted(), counts.turned_away());
    assert_eq!(found, (2, 2, 1));
}

#[tokio::test]
async fn a_closed_connection_makes_room() {
    let server = start(Limits {
        connections_max: 1,
        ..Limits::default()
    })
    .await;
    for _ in 0..3 {
        let answer = talk(&server, b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n").await;
        assert_status(&answer, 200);
    }
}

#[tokio::test]
async fn quiet_connections_are_closed() {
    let server = start(Limits {
        slow_client_timeout: Duration::from_millis(20),
        keep_alive_timeout: Duration::from_millis(20),
        ..Limits::default()
    })
    .await;
    assert_eq!(talk(&server, b"").await, "", "nothing was sent");
    assert_eq!(
        talk(&server, b"GET / HT").await,
        "",
        "half a request head was sent"
    );
    assert_status(&talk(&server, b"GET / HTTP/1.1\r\n\r\n").await, 200);
}

#[tokio::test]
async fn t52_slow_heads_and_bodies_are_cut_while_honest_clients_are_served() {
    let server = start(Limits {
        slow_client_timeout: Duration::from_millis(40),
        request_timeout: None,
        ..Limits::default()
    })
    .await;
    let starts = [
        "GET / HTTP/1.1\r\nx: y",
        "POST / HTTP/1.1\r\ncontent-length: 9\r\n\r\nabc",
    ];
    let mut slow = Vec::new();
    for start in starts.into_iter().cycle().take(200) {
        let mut stream = connect(&server).await;
        stream.write_all(start.as_bytes()).await.unwrap();
        slow.push(stream);
    }
    for _ in 0..20 {
        let answer = talk(&server, b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n").await;
        assert_status(&answer, 200);
    }
    for mut stream in slow {
        assert_eq!(read_to_end(&mut stream).await, "");
    }
}

#[tokio::test]
async fn t52_a_client_that_does_not_take_its_answer_is_cut_off() {
    const ANSWER_BYTES: usize = 50_000_000;
    let limits = Limits {
        connections_max: 1,
        slow_client_timeout: Duration::from_millis(40),
        keep_alive_timeout: Duration::from_secs(3600),
        ..Limits::default()
    };
    let server = start_with(limits, |request: Request| async move {
        let size = if request.path() == "/big" {
            ANSWER_BYTES
        } else {
            1
        };
        json_response(StatusCode::OK, vec![b'1'; size])
    })
    .await;
    let mut greedy = connect(&server).await;
    greedy
        .write_all(b"GET /big HTTP/1.1\r\n\r\n")
        .await
        .unwrap();
    read_until(&mut greedy, "HTTP/1.1 200 OK").await;
    // Its place is free when it has been cut off.
    let plain = b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n";
    while talk(&server, plain).await.starts_with("HTTP/1.1 503 ") {}
    let mut rest = Vec::new();
    // Whether the end is clean or a reset is the system's choice.
    let _ = greedy.read_to_end(&mut rest).await;
    assert!(rest.len() < ANSWER_BYTES / 2, "{}", rest.len());
}

#[tokio::test]
async fn t50_an_upgrade_with_huge_or_countless_fields_is_refused() {
    let server = start(Limits::default()).await;
    let head = "GET / HTTP/1.1\r\nconnection: upgrade\r\nupgrade: websocket\r\n";
    for more in [
        format!("x: {}\r\n", "y".repeat(10_000_000)),
        "a: b\r\n".repeat(100_000),
    ] {
        let mut stream = connect(&server).await;
        let text = format!("{head}{more}\r\n");
        let (mut reader, mut writer) = stream.split();
        let mut answer = vec![0; 12];
        // The server stops reading long before the end.
        let send = async { drop(writer.write_all(text.as_bytes()).await) };
        let (read, ()) = tokio::join!(reader.read_exact(&mut answer), send);
        if read.is_ok() {
            assert_eq!(answer, b"HTTP/1.1 431");
        }
    }
    let answer = talk(&server, b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n").await;
    assert_status(&answer, 200);
}

#[tokio::test]
async fn a_connection_that_switched_its_protocol_still_counts() {
    let limits = Limits {
        connections_max: 1,
        ..Limits::default()
    };
    let server = start_with(limits, |mut request: Request| async move {
        let Some(upgrade) = request.take_upgrade() else {
            return json_response(StatusCode::OK, "{}");
        };
        // It echoes until the client leaves.
        tokio::spawn(async move {
            let (mut reader, mut writer) = tokio::io::split(upgrade.stream().await.unwrap());
            let _ = tokio::io::copy(&mut reader, &mut writer).await;
        });
        let mut response = json_response(StatusCode::SWITCHING_PROTOCOLS, "");
        let headers = response.headers_mut();
        headers.insert("connection", "upgrade".parse().unwrap());
        headers.insert("upgrade", "echo".parse().unwrap());
        response
    })
    .await;
    let mut switched = connect(&server).await;
    let head = b"GET / HTTP/1.1\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n";
    switched.write_all(head).await.unwrap();
    read_until(&mut switched, "101 Switching").await;
    switched.write_all(b"ping").await.unwrap();
    read_until(&mut switched, "ping").await;
    let plain = b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n";
    assert_status(&talk(&server, plain).await, 503);
    switched.shutdown().await.unwrap();
    assert_eq!(read_to_end(&mut switched).await, "");
    // Its place is free as soon as the server has dropped it, which no client can see but by asking.
    while talk(&server, plain).await.starts_with("HTTP/1.1 503 ") {}
}

#[tokio::test]
async fn half_a_preface_is_closed_at_once() {
    let server = start(Limits::default()).await;
    let mut stream = connect(&server).await;
    stream.write_all(b"PRI * HTTP/2.0").await.unwrap();
    let mut answer = Vec::new();
    // Whether the end is clean or a reset is the system's choice.
    let _ = stream.read_to_end(&mut answer).await;
    assert!(answer.is_empty(), "{answer:?}");
}

#[tokio::test]
async fn a_request_in_work_is_not_quiet() {
    let limits = Limits {
        slow_client_timeout: Duration::from_millis(4),
        request_timeout: Some(Duration::from_millis(100)),
        ..Limits::default()
    };
    let server = start(limits).await;
    assert_status(
        &talk(&server, b"GET /hang HTTP/1.1\r\nconnection: close\r\n\r\n").await,
        408,
    );
}

#[tokio::test]
async fn stopping_closes_idle_connections_at_once_and_cuts_nothing() {
    let server = start(Limits::default()).await;
    let mut idle = connect(&server).await;
    idle.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    read_until(&mut idle, "\r\n\r\n0").await;
    server.stop.send(()).unwrap();
    assert_eq!(read_to_end(&mut idle).await, "");
    assert_eq!(server.ended.await.unwrap(), Drained { cut: 0 });
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn stopping_closes_half_sent_heads_without_waiting_for_them() {
    let server = start(Limits {
        drain_limit: Duration::from_secs(3600),
        ..Limits::default()
    })
    .await;
    let mut half = connect(&server).await;
    half.write_all(b"GET / HTTP/1.1\r\n\r\nGET / HT")
        .await
        .unwrap();
    read_until(&mut half, "\r\n\r\n0").await;
    server.stop.send(()).unwrap();
    assert_eq!(server.ended.await.unwrap(), Drained { cut: 0 });
}

#[tokio::test]
async fn stopping_lets_a_request_in_work_finish() {
    let limits = Limits {
        request_timeout: Some(Duration::from_millis(50)),
        ..Limits::default()
    };
    let server = start(limits).await;
    let mut busy = connect(&server).await;
    busy.write_all(b"POST / HTTP/1.1\r\ncontent-length: 3\r\n\r\nab")
        .await
        .unwrap();
    // The answer to a second client proves that the server has run since the first one's bytes arrived.
    assert_status(
        &talk(&server, b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n").await,
        200,
    );
    server.stop.send(()).unwrap();
    let answer = read_to_end(&mut busy).await;
    assert_status(&answer, 408);
    assert_eq!(server.ended.await.unwrap(), Drained { cut: 0 });
}

#[tokio::test]
async fn stopping_cuts_a_request_that_outlives_the_drain_limit() {
    let limits = Limits {
        request_timeout: None,
        drain_limit: Duration::from_millis(20),
        ..Limits::default()
    };
    let server = start_with(limits, |request| async move {
        if request.path() == "/hang" {
            pending::<()>().await;
        }
        json_response(StatusCode::OK, "{}")
    })
    .await;
    let mut busy = connect(&server).await;
    busy.write_all(b"GET /hang HTTP/1.1\r\n\r\n").await.unwrap();
    assert_status(
        &talk(&server, b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n").await,
        200,
    );
    server.stop.send(()).unwrap();
    assert_eq!(server.ended.await.unwrap(), Drained { cut: 1 });
    assert_eq!(read_to_end(&mut busy).await, "");
}

#[tokio::test]
async fn an_address_in_use_or_without_a_host_names_itself() {
    let server = start(Limits::default()).await;
    let address = server.address.to_string();
    let error = Listener::bind(&address).await.unwrap_err();
    assert!(matches!(error, ListenError::Refused { .. }));
    assert!(error.to_string().contains(&address), "{error}");
    let error = Listener::bind("no port").await.unwrap_err();
    assert!(matches!(error, ListenError::Unresolved { .. }));
}
