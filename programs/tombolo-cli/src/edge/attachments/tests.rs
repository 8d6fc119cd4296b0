//! Uploads and downloads over real sockets, with a real database behind them.

mod rights;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use http::StatusCode;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tombolo::{AttachmentId, Database, Object, Options, Value};
use tombolo_http::{Limits, Listener, Server, Transport};

use crate::config::{Api, Clients};
use crate::edge::tests::settings;
use crate::edge::{Edge, Guard, JoinedDatabase, Settings};

const UPLOAD_BYTES_MAX: u64 = 5_000_000;

struct Running {
    address: SocketAddr,
    database: Arc<Database>,
    directory: TempDir,
    _stop: oneshot::Sender<()>,
}

/// An answer taken apart.
struct Told {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Told {
    fn header(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.lines().filter_map(|line| line.split_once(": "));
        fields
            .find(|(held, _)| *held == name)
            .map(|(_, value)| value)
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

async fn start() -> Running {
    start_for(Clients::Anyone).await
}

async fn start_for(clients: Clients) -> Running {
    let directory = TempDir::new().unwrap();
    let options = Options::directory("db-1", directory.path());
    let database = Arc::new(Database::open(options).unwrap());
    let settings = Settings {
        api: Api {
            attachments_upload_bytes_max: Some(UPLOAD_BYTES_MAX),
            ..Api::EVERYTHING
        },
        guard: Arc::new(Guard::new(clients, [3; 32])),
        ..settings()
    };
    let listener = Listener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_address();
    let answer = Edge::new(settings, JoinedDatabase::new(Arc::clone(&database)));
    let server = Server {
        listener,
        transport: Transport::Plain,
        limits: Limits::default(),
        answer,
        instance: 1,
    };
    let (_stop, stopped) = oneshot::channel();
    tokio::spawn(server.run_until(async {
        let _ = stopped.await;
    }));
    Running {
        address,
        database,
        directory,
        _stop,
    }
}

impl Running {
    async fn send(&self, head: &str, body: &[u8]) -> Told {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let head = format!("{head}\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        // The server may answer and close before it has taken everything.
        let _ = stream.write_all(body).await;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let end = answer
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .unwrap();
        let head = String::from_utf8(answer[..end].to_vec()).unwrap();
        Told {
            status: head[9..12].parse().unwrap(),
            head,
            body: answer[end + 4..].to_vec(),
        }
    }

    async fn upload(&self, head: &str, body: &[u8]) -> Told {
        let head = format!(
            "POST /attachments/upload HTTP/1.1\r\ncontent-length: {}\r\n{head}",
            body.len()
        );
        self.send(head.trim_end(), body).await
    }

    async fn get(&self, id: &str, head: &str) -> Told {
        let head = format!("GET /attachments/{id} HTTP/1.1\r\n{head}");
        self.send(head.trim_end(), b"").await
    }

    /// Files of uploads that have not ended.
    fn uploads(&self) -> Vec<PathBuf> {
        let uploads = self.directory.path().join("attachments/uploads");
        let entries = uploads.read_dir().unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    fn held(&self) -> usize {
        let mut held = 0;
        self.database
            .attachments()
            .list(&mut |_, _| held += 1)
            .unwrap();
        held
    }
}

fn content(length: usize) -> Vec<u8> {
    (0..length as u32)
        .flat_map(|word| (word / 4).wrapping_mul(2_654_435_761).to_le_bytes()[..1].to_vec())
        .collect()
}

fn form(parts: &[(&str, &[u8])]) -> (String, Vec<u8>) {
    let mut body = b"before the first part\r\n".to_vec();
    for (name, content) in parts {
        let head = format!(
            "--XX\r\ncontent-disposition: form-data; name=\"{name}\"; filename=\"../../x\"\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--XX--\r\n");
    (
        "content-type: multipart/form-data; boundary=XX".to_owned(),
        body,
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_uploaded_is_downloaded_and_can_be_put_into_a_document() {
    let node = start().await;
    let content = content(3_000_000);
    let id = AttachmentId::of(&content);
    let (head, body) = form(&[("note", b"\r\n--X not the boundary"), ("file", &content)]);
    for (head, body) in [
        (head.as_str(), body.as_slice()),
        ("content-type: image/png", content.as_slice()),
        ("", content.as_slice()),
    ] {
        let told = node.upload(head, body).await;
        assert_eq!(told.text(), format!(r#"{{"id":"{id}","len":3000000}}"#));
        assert_eq!(told.status, 200);
    }
    assert_eq!((node.held(), node.uploads().len()), (1, 0));
    let token = Value::Object(Object::from([
        ("id".to_owned(), Value::from(id.to_string())),
        ("len".to_owned(), Value::Int(3_000_000)),
    ]));
    let arguments = Object::from([("img".to_owned(), token)]);
    let statement =
        "INSERT INTO COLLECTION pics (img ATTACHMENT) DOCUMENTS ({'_id': '1', 'img': :img})";
    node.database.execute(statement, arguments).unwrap();
    assert!(node.database.snapshot().is_mentioned(id).unwrap());

    let told = node.get(&id.to_string(), "").await;
    assert_eq!((told.status, told.body == content), (200, true));
    assert_eq!(told.header("content-length"), Some("3000000"));
    assert_eq!(
        told.header("content-type"),
        Some("application/octet-stream")
    );
    assert_eq!(told.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(told.header("content-disposition"), Some("attachment"));
    assert_eq!(told.header("accept-ranges"), Some("bytes"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_a_part_and_what_the_client_has() {
    let node = start().await;
    let content = content(2_100_000);
    let id = AttachmentId::of(&content).to_string();
    assert_eq!(node.upload("", &content).await.status, 200);
    let head = node
        .send(&format!("HEAD /attachments/{id} HTTP/1.1"), b"")
        .await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("content-length"), Some("2100000"));
    let tag = head.header("etag").unwrap().to_owned();
    assert_eq!(tag, format!("\"{id}\""));

    let part = node.get(&id, "range: bytes=1048570-1048580").await;
    assert_eq!(
        (part.status, part.body.as_slice()),
        (206, &content[1_048_570..=1_048_580])
    );
    assert_eq!(
        part.header("content-range"),
        Some("bytes 1048570-1048580/2100000")
    );
    assert_eq!(part.header("content-length"), Some("11"));
    let end = node.get(&id, "range: bytes=-5").await;
    assert_eq!(
        (end.status, end.body.as_slice()),
        (206, &content[2_099_995..])
    );
    let other = node
        .get(&id, "range: bytes=0-1\r\nif-range: \"other\"")
        .await;
    assert_eq!((other.status, other.body == content), (200, true));
    let outside = node.get(&id, "range: bytes=2100000-").await;
    assert_eq!(
        (outside.status, outside.header("content-range")),
        (416, Some("bytes */2100000"))
    );
    let same = node.get(&id, &format!("if-none-match: {tag}")).await;
    assert_eq!((same.status, same.body.len()), (304, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_above_the_limit_is_refused_with_and_without_its_length() {
    let node = start().await;
    let at = content(UPLOAD_BYTES_MAX as usize);
    assert_eq!(node.upload("", &at).await.status, 200);
    let above = content(UPLOAD_BYTES_MAX as usize + 1);
    assert_eq!(node.upload("", &above).await.status, 413);
    let mut chunked = Vec::new();
    for piece in above.chunks(100_000) {
        chunked.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        chunked.extend_from_slice(piece);
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    let head = "POST /attachments/upload HTTP/1.1\r\ntransfer-encoding: chunked";
    let told = node.send(head, &chunked).await;
    assert_eq!(told.status, 413);
    assert!(told.text().contains("body_too_large"), "{}", told.text());
    gone(&node).await;
    assert_eq!(node.held(), 1);
}

/// Waits until the threads of refused uploads have removed their files.
async fn gone(node: &Running) {
    while !node.uploads().is_empty() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_half_way_leaves_nothing() {
    let node = start().await;
    let mut stream = TcpStream::connect(node.address).await.unwrap();
    let head = "POST /attachments/upload HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&content(400_000)).await.unwrap();
    while node.uploads().is_empty() {
        tokio::task::yield_now().await;
    }
    drop(stream);
    gone(&node).await;
    assert_eq!(node.held(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn t45_forms_that_are_none_are_refused_and_nothing_is_kept() {
    let node = start().await;
    let (head, twice) = form(&[("file", b"a"), ("file", b"b")]);
    let (_, without) = form(&[("other", b"a")]);
    let (_, whole) = form(&[("file", &content(200_000))]);
    let crowd: Vec<(&str, &[u8])> = (0..17).map(|_| ("x", &b"y"[..])).collect();
    let (_, crowded) = form(&crowd);
    let long_head = [b"--XX\r\nx: ".to_vec(), vec![b'a'; 600_000]].concat();
    for body in [
        twice.as_slice(),
        &without,
        &whole[..whole.len() - 8],
        &whole[..100_000],
        &crowded,
        &long_head,
        b"",
        b"--XX",
        b"no form at all",
    ] {
        let told = node.upload(&head, body).await;
        assert_eq!(told.status, 400, "{}", told.text());
        assert!(told.text().contains("bad_form"), "{}", told.text());
    }
    let told = node.upload("content-type: multipart/form-data", b"x").await;
    assert_eq!(told.status, 400);
    gone(&node).await;
    assert_eq!(node.held(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn t44_a_path_is_an_id_or_nothing() {
    let node = start().await;
    let secret = node.directory.path().join("peer.key");
    assert!(secret.exists() || node.directory.path().join("LOCK").exists());
    for id in [
        "../LOCK",
        "..%2fLOCK",
        "%2e%2e/LOCK",
        "%2e%2e%2fLOCK",
        "..%5cLOCK",
        "a%00b",
        "%00",
        "",
        ".",
        "..",
        "uploads/1",
        "partial/0",
        "%c0%ae%c0%ae",
        &"A".repeat(44),
        &"é".repeat(2),
        &"00".repeat(32),
    ] {
        let told = node.get(id, "").await;
        assert!(matches!(told.status, 400 | 404), "{id}: {}", told.head);
        assert!(!told.head.contains("octet-stream"), "{id}");
    }
    let unknown = node
        .get(&AttachmentId::of(b"unknown").to_string(), "")
        .await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND.as_u16());
    assert!(unknown.text().contains("unknown_attachment"));
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_content_is_cut_and_never_sent() {
    let node = start().await;
    let content = content(2_500_000);
    let id = AttachmentId::of(&content);
    assert_eq!(node.upload("", &content).await.status, 200);
    let hex: String = id
        .as_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let file = node
        .directory
        .path()
        .join("attachments")
        .join(&hex[..2])
        .join(&hex);
    let mut damaged = content.clone();
    damaged[1_500_000] ^= 1;
    std::fs::write(file, damaged).unwrap();
    let mut stream = TcpStream::connect(node.address).await.unwrap();
    let head = format!("GET /attachments/{id} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let body = answer
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap()
        + 4;
    assert!(
        answer.len() - body <= 1_048_576,
        "nothing of the second chunk"
    );
    assert!(content.starts_with(&answer[body..]));
}
