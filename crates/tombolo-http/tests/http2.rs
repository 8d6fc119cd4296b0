//! The same limits over HTTP/2, which shares the port with HTTP/1.

#![expect(
    clippy::unwrap_used,
    reason = "a test whose world cannot be set up has failed"
)]

use std::future::pending;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tombolo_http::{
    Drained, Limits, Listener, Request, Response, Server, Transport, json_response,
};

struct Running {
    client: SendRequest<Full<Bytes>>,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<Drained>,
}

async fn route(request: Request) -> Response {
    if request.path() == "/hang" {
        return pending().await;
    }
    match request.body.read(usize::MAX).await {
        Ok(body) => json_response(StatusCode::OK, body.len().to_string()),
        Err(_) => json_response(StatusCode::PAYLOAD_TOO_LARGE, "{}"),
    }
}

async fn start(limits: Limits) -> Running {
    let listener = Listener::bind("127.0.0.1:0").await.unwrap();
    let stream = TcpStream::connect(listener.local_address()).await.unwrap();
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
    let (client, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    Running {
        client,
        stop,
        ended,
    }
}

fn request(path: &str, field_bytes: usize, body: &str) -> http::Request<Full<Bytes>> {
    http::Request::post(format!("http://localhost{path}"))
        .header("x", "y".repeat(field_bytes))
        .body(Full::from(body.to_owned()))
        .unwrap()
}

async fn send(server: &mut Running, request: http::Request<Full<Bytes>>) -> (StatusCode, String) {
    let response = server.client.send_request(request).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn bodies_and_heads_have_the_limits_of_http1() {
    let limits = Limits {
        body_bytes_max: 100,
        header_bytes_max: 500,
        ..Limits::default()
    };
    let mut server = start(limits).await;
    for (size, status) in [(99, 200), (100, 200), (101, 413)] {
        let answer = send(&mut server, request("/", 1, &"x".repeat(size))).await;
        assert_eq!(answer.0, status, "{size}");
    }
    assert_eq!(send(&mut server, request("/", 400, "")).await.0, 200);
    let (status, body) = send(&mut server, request("/", 500, "")).await;
    assert_eq!(status, 431);
    assert!(body.contains("larger than 500 bytes"), "{body}");
}

#[tokio::test]
async fn streams_of_one_connection_do_not_wait_for_each_other() {
    let limits = Limits {
        request_timeout: Some(Duration::from_millis(50)),
        ..Limits::default()
    };
    let mut server = start(limits).await;
    let hanging = server.client.send_request(request("/hang", 1, ""));
    assert_eq!(
        send(&mut server, request("/", 1, "abc")).await,
        (StatusCode::OK, "3".to_owned())
    );
    assert_eq!(hanging.await.unwrap().status(), StatusCode::REQUEST_TIMEOUT);
}

#[tokio::test]
async fn stopping_ends_an_idle_connection() {
    let mut server = start(Limits::default()).await;
    assert_eq!(send(&mut server, request("/", 1, "")).await.0, 200);
    server.stop.send(()).unwrap();
    assert_eq!(server.ended.await.unwrap(), Drained { cut: 0 });
}
