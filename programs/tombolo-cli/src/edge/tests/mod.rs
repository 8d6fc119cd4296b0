//! Requests over real sockets, with a node that answers what its statement says.

mod docs;
mod keys;
mod records;
mod routes;

use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tombolo::{Object, OutcomeKind, Prepared, Value, WebSocketDoor};
use tombolo_http::{Limits, Listener, Server, Transport};

use crate::api_key::{GeneratedKey, KeyHash};
use crate::config::{Api, Clients, Identity, Permission};
use crate::edge::authorize::{ExecutePermit, PresencePermit};
use crate::edge::node::{Failure, Node};
use crate::edge::{Edge, Recorder, Settings, SystemClock};

/// The statement names what happens.
struct Scripted;

impl Node for Scripted {
    fn prepare(&self, statement: &str) -> Result<Prepared, Failure> {
        if statement.starts_with("SELEKT") {
            let place = Some((1, 4));
            return Err(Failure::Statement {
                code: "syntax",
                message: "no such statement".to_owned(),
                place,
            });
        }
        if statement == "WRITE" {
            return Ok(Prepared::parse("DELETE FROM c").unwrap());
        }
        Ok(Prepared::parse(&format!("SELECT * FROM {statement}")).unwrap())
    }

    async fn execute(
        &self,
        _: ExecutePermit,
        statement: &Prepared,
        arguments: Object,
        _: Option<Duration>,
    ) -> Result<tombolo::Response, Failure> {
        match statement.collections()[0].as_str() {
            "ECHO" => Ok(tombolo::Response {
                kind: OutcomeKind::Select,
                items: vec![Value::Object(arguments)],
                ..tombolo::Response::default()
            }),
            "BUSY" => Err(Failure::Busy),
            "LATE" => Err(Failure::TimedOut),
            "BREAK" => Err(Failure::Internal {
                reason: "the disk says secret things".to_owned(),
            }),
            "PANIC" => panic!("a defect"),
            "HANG" => pending().await,
            other => panic!("{other}"),
        }
    }

    fn presence(&self, _: PresencePermit) -> Result<Vec<u8>, Failure> {
        Ok(br#"{"remotePeers":[]}"#.to_vec())
    }

    fn websocket_door(&self) -> Option<WebSocketDoor> {
        None
    }
}

struct Running {
    address: SocketAddr,
    _stop: oneshot::Sender<()>,
}

async fn start(api: Api, clients: Clients, limits: Limits) -> Running {
    start_recorded(
        api,
        clients,
        limits,
        Arc::new(crate::recorder::NodeRecorder::new(None)),
    )
    .await
}

async fn start_recorded(
    api: Api,
    clients: Clients,
    limits: Limits,
    recorder: Arc<dyn Recorder>,
) -> Running {
    let settings = Settings {
        api,
        clients,
        base_path: None,
        database_id: "db-1".to_owned(),
        request_timeout: limits.request_timeout,
        digest_key: [3; 32],
        identity: None,
        clock: Arc::new(SystemClock::start()),
        recorder,
    };
    let listener = Listener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_address();
    let answer = Edge::new(settings, Scripted);
    let server = Server {
        listener,
        transport: Transport::Plain,
        limits,
        answer,
        instance: 1,
    };
    let (_stop, stopped) = oneshot::channel();
    tokio::spawn(server.run_until(async {
        let _ = stopped.await;
    }));
    Running { address, _stop }
}

const ALL: Api = Api {
    execute_body_bytes_max: Some(1000),
    ..Api::EVERYTHING
};

async fn open() -> Running {
    start(ALL, Clients::Anyone, Limits::default()).await
}

impl Running {
    async fn send(&self, head: &str, body: &str) -> String {
        let length = body.len();
        let text = format!(
            "{head}\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    async fn post(&self, path: &str, body: &str) -> String {
        self.send(
            &format!("POST {path} HTTP/1.1\r\ncontent-type: application/json"),
            body,
        )
        .await
    }
}

fn assert_answer(answer: &str, status: u16, text: &str) {
    assert!(
        answer.starts_with(&format!("HTTP/1.1 {status} ")),
        "{answer}"
    );
    assert!(answer.contains(text), "{answer}");
    assert!(answer.contains("x-request-id: 00000001-"), "{answer}");
}
