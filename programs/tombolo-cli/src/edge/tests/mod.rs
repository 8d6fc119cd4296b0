//! Requests over real sockets, with a node that answers what its statement says.

mod bombs;
mod cbor;
mod docs;
mod idempotency;
mod keys;
mod observe;
mod observe_socket;
mod origins;
pub(in crate::edge) mod permissions;
mod records;
mod routes;
mod throttling;
mod transactions;
mod weight;

use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tombolo::{
    AttachmentId, AttachmentReader, AttachmentWriter, Attachments, Once, OutcomeKind, Prepared,
    Ran, Value, WebSocketDoor,
};
use tombolo_http::{Limits, Listener, Server, Transport};

use crate::api_key::{GeneratedKey, KeyHash};
use crate::config::{Api, Clients, ForwardedHeader, Identity, PermissionSet, Proxies};
use crate::edge::attachments::ContentFailure;
use crate::edge::authorize::{DownloadPermit, ExecutePermit, PresencePermit, UploadPermit};
use crate::edge::node::{Failure, Node, PermittedStep, StepFailure};
use crate::edge::{Edge, Guard, Origins, Recorder, Settings, SystemClock, Throttle};
use crate::recorder::NodeRecorder;

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

    fn last_transaction(&self, _: &ExecutePermit) -> u64 {
        7
    }

    async fn execute(
        &self,
        steps: Vec<PermittedStep>,
        _: Option<Duration>,
    ) -> Result<Vec<tombolo::Response>, StepFailure> {
        let mut responses = Vec::new();
        for (at, step) in steps.into_iter().enumerate() {
            let done = self.step(step).await;
            responses.push(done.map_err(|failure| StepFailure { at, failure })?);
        }
        Ok(responses)
    }

    async fn execute_once(
        &self,
        steps: Vec<PermittedStep>,
        once: Once,
        _: Option<Duration>,
    ) -> Result<Ran, StepFailure> {
        let responses = self.execute(steps, None).await?;
        let answer = (once.answer)(&responses);
        Ok(Ran::Now { responses, answer })
    }

    type Watch = ();

    fn watch(
        &self,
        _: &ExecutePermit,
        _: &Prepared,
        _: impl Fn() + Send + Sync + 'static,
    ) -> Result<(), Failure> {
        Ok(())
    }

    fn presence(&self, _: PresencePermit) -> Result<Vec<u8>, Failure> {
        Ok(br#"{"remotePeers":[]}"#.to_vec())
    }

    async fn begin_attachment(&self, _: UploadPermit) -> Result<AttachmentWriter, ContentFailure> {
        let writer = Attachments::in_memory().begin_write();
        writer.map_err(ContentFailure::Content)
    }

    async fn find_attachment(
        &self,
        _: DownloadPermit,
        _: AttachmentId,
    ) -> Result<Option<AttachmentReader>, ContentFailure> {
        Ok(None)
    }

    fn websocket_door(&self) -> Option<WebSocketDoor> {
        None
    }
}

impl Scripted {
    async fn step(&self, step: PermittedStep) -> Result<tombolo::Response, Failure> {
        match step.statement.collections()[0].as_str() {
            "ECHO" => Ok(tombolo::Response {
                kind: OutcomeKind::Select,
                items: vec![Value::Object(step.arguments)],
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
        Arc::new(NodeRecorder::new(None, None)),
    )
    .await
}

async fn start_recorded(
    api: Api,
    clients: Clients,
    limits: Limits,
    recorder: Arc<dyn Recorder>,
) -> Running {
    let guard = Arc::new(Guard::new(clients, [3; 32]));
    serve(api, guard, limits, recorder, Scripted).await
}

async fn serve<N: Node>(
    api: Api,
    guard: Arc<Guard>,
    limits: Limits,
    recorder: Arc<dyn Recorder>,
    node: N,
) -> Running {
    let settings = Settings {
        api,
        guard,
        request_timeout: limits.request_timeout,
        recorder,
        ..settings()
    };
    serve_with(settings, limits, node).await
}

/// Everybody is let in from everywhere.
pub(in crate::edge) fn settings() -> Settings {
    Settings {
        api: ALL,
        origins: Origins::new(None, false),
        proxies: Proxies {
            trusted: Vec::new(),
            header: ForwardedHeader::XForwardedFor,
        },
        throttle: Throttle::new(Vec::new()),
        guard: Arc::new(Guard::new(Clients::Anyone, [3; 32])),
        base_path: None,
        database_id: "db-1".to_owned(),
        request_timeout: None,
        identity: None,
        clock: Arc::new(SystemClock::start()),
        recorder: Arc::new(NodeRecorder::new(None, None)),
        upkeep: None,
    }
}

async fn serve_with<N: Node>(settings: Settings, limits: Limits, node: N) -> Running {
    let listener = Listener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_address();
    let answer = Edge::new(settings, node);
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
    attachments_upload_bytes_max: Some(1000),
    attachments_download: true,
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
