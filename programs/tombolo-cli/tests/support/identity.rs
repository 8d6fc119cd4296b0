//! An identity service as a real process on loopback, devices that log in, and a webhook that answers as it is told.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use tempfile::TempDir;
use tombolo_identity::{
    Authority, Challenge, LoginRefusal, LoginReply, LoginRequest, PeerKeyPair, SignedChallenge,
    Trust, VerifiedPeer, parse_challenge, verify_leaf,
};
use zeroize::Zeroizing;

use super::peer::until;
use super::talk;

pub const DATABASE: &str = "0f1e2d3c";

/// A running service; killed when dropped.
pub struct Service {
    pub address: String,
    child: Child,
    home: TempDir,
}

/// What came back over HTTP.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The certificate and all that came with it.
    pub fn granted(&self) -> LoginReply {
        assert_eq!(self.status, 200, "{}", self.text());
        LoginReply::parse(&self.body).unwrap()
    }

    pub fn refused(&self) -> LoginRefusal {
        LoginRefusal::parse(&self.body).unwrap()
    }
}

impl Service {
    /// Starts it with these providers, as YAML in braces.
    pub fn start(providers: &str) -> Self {
        Self::start_with(providers, "", "dev_mode", "dev_mode")
    }

    /// The same with limits, a `tls_config` and the section `auth`.
    pub fn start_with(providers: &str, limits: &str, tls: &str, auth: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        Self::start_in(home, providers, limits, (tls, auth))
    }

    pub fn start_in(
        home: TempDir,
        providers: &str,
        limits: &str,
        (tls, auth): (&str, &str),
    ) -> Self {
        let config = home.path().join("config.yaml");
        let limits = match limits {
            "" => "{ logins_per_minute_per_address: 1000000, logins_per_minute_per_user: 1000000 }",
            given => given,
        };
        let yaml = format!(
            "database: {{ db_id: {DATABASE}, device_name: hub, persistence_dir: {{ path: data }} }}\n\
             http_server: {{ listen_addr: \"127.0.0.1:0\", tls_config: {tls}, http_api: true }}\n\
             auth: {auth}\n\
             logging: {{ ditto_sdk: verbose, edge_server: {{ level: verbose, audit_logs: {{ path: audit }}, rotating_logs: {{ directory: {{ path: logs }} }} }} }}\n\
             identity_service:\n  ca: {{ path: ca }}\n  providers: {providers}\n  limits: {limits}\n"
        );
        std::fs::write(&config, yaml).unwrap();
        let log = std::fs::File::create(home.path().join("log")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_tombolo"))
            .args(["run", "-c"])
            .arg(&config)
            .env("NO_COLOR", "1")
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut service = Self {
            address: String::new(),
            child,
            home,
        };
        let log = service.log_path();
        let mut address = None;
        until(
            || {
                let text = std::fs::read_to_string(&log).unwrap();
                let mut lines = text.lines().filter(|_| text.ends_with('\n'));
                let line = lines.find_map(|line| line.strip_prefix("listening on "));
                address =
                    line.and_then(|line| line.split_once("://").map(|(_, rest)| rest.to_owned()));
                address.is_some() || service.child.try_wait().unwrap().is_some()
            },
            || "a listening service".to_owned(),
        );
        service.address = address.unwrap_or_else(|| panic!("it ended:\n{}", service.log()));
        service
    }

    fn log_path(&self) -> PathBuf {
        self.home.path().join("log")
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap()
    }

    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Runs `tombolo identity` with the service's own configuration.
    pub fn verb(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_tombolo"))
            .args(["identity", arguments[0], "-c"])
            .arg(self.home.path().join("config.yaml"))
            .args(&arguments[1..])
            .output()
            .unwrap()
    }

    pub fn ask(&self, request: &[u8]) -> Reply {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.write_all(request).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let end = answer
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .unwrap();
        let head = String::from_utf8(answer[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Reply {
            status,
            head,
            body: answer[end + 4..].to_vec(),
        }
    }

    pub fn get(&self, path: &str) -> Reply {
        self.ask(super::get(path).as_bytes())
    }

    pub fn post(&self, body: &[u8]) -> Reply {
        let length = body.len();
        let head = format!(
            "POST /_ditto/auth/login HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        );
        self.ask(&[head.as_bytes(), body].concat())
    }

    pub fn challenge(&self) -> Challenge {
        let reply = self.get("/_ditto/auth/challenge");
        assert_eq!(reply.status, 200, "{}", reply.text());
        parse_challenge(&reply.body).unwrap()
    }

    /// The whole way of a device.
    pub fn login(&self, device: &PeerKeyPair, provider: &str, token: &str) -> Reply {
        let signed = self.challenge().sign(device).unwrap();
        self.post(&body(signed, provider, token))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A device with a new key.
pub fn device() -> PeerKeyPair {
    PeerKeyPair::from_pkcs8(&Authority::generate().unwrap().to_pkcs8()).unwrap()
}

/// The body of a login.
pub fn body(challenge: SignedChallenge, provider: &str, token: &str) -> Vec<u8> {
    let request = LoginRequest {
        database_id: DATABASE.to_owned(),
        provider: provider.to_owned(),
        token: Zeroizing::new(token.to_owned()),
        challenge,
    };
    request.render().to_vec()
}

/// What a webhook was told.
#[derive(Debug, Clone)]
pub struct Call {
    pub head: String,
    pub body: Vec<u8>,
}

impl Call {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines();
        lines.find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }
}

/// A webhook on loopback that answers whatever it was told last.
pub struct Hook {
    pub url: String,
    answer: Arc<Mutex<Vec<u8>>>,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl Hook {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let hook = Self {
            url: format!("http://{}/hook", listener.local_addr().unwrap()),
            answer: Arc::default(),
            calls: Arc::default(),
        };
        let (answer, calls) = (Arc::clone(&hook.answer), Arc::clone(&hook.calls));
        std::thread::spawn(move || {
            // A caller that left is no reason to stop, and the process ends the thread.
            for stream in listener.incoming().flatten() {
                let _ = serve(stream, &answer, &calls);
            }
        });
        hook
    }

    /// A provider of this webhook, as YAML.
    pub fn provider(&self, more: &str) -> String {
        format!(
            "{{ webhook: {{ url: \"{}\", allow_private_network: true{more} }} }}",
            self.url
        )
    }

    /// Answers with status 200 and this body from now on.
    pub fn answer(&self, body: impl AsRef<[u8]>) {
        self.answer_with("200 OK", "", body);
    }

    pub fn answer_with(&self, status: &str, headers: &str, body: impl AsRef<[u8]>) {
        let body = body.as_ref();
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n{headers}\r\n",
            body.len()
        );
        *self.answer.lock().unwrap() = [head.as_bytes(), body].concat();
    }

    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }
}

fn serve(
    stream: TcpStream,
    answer: &Mutex<Vec<u8>>,
    calls: &Mutex<Vec<Call>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while reader.read_line(&mut head)? > 2 {}
    let mut call = Call {
        head,
        body: Vec::new(),
    };
    let length = call.header("content-length").unwrap_or("0");
    call.body = vec![0; length.parse().unwrap()];
    reader.read_exact(&mut call.body)?;
    calls.lock().unwrap().push(call);
    let answer = answer.lock().unwrap().clone();
    reader.into_inner().write_all(&answer)
}

/// Sends what is no login at all.
pub fn say(service: &Service, request: &str) -> String {
    talk(TcpStream::connect(&service.address).unwrap(), request)
}

/// The playground with its token.
pub const PLAYGROUND: &str =
    "__playgroundProvider: { playground: { shared_token: s3cr3t-shared } }";

/// An answer of a webhook that lets a user in.
pub const GOOD: &str = r#"{
    "authenticated": true, "userID": "ada", "expirationSeconds": 3600, "clientInfo": {"greeting": "hello"},
    "identityServiceMetadata": {"role": "pilot"},
    "permissions": {
        "read": {"everything": true, "queriesByCollection": {}},
        "write": {"everything": false, "queriesByCollection": {"cars": ["_id.owner == 'ada'"]}}
    }
}"#;

/// A service with the playground and a webhook.
pub fn with_hook(hook: &Hook) -> Service {
    Service::start(&format!(
        "{{ {PLAYGROUND}, my-auth: {} }}",
        hook.provider("")
    ))
}

/// What a peer finds out about whoever shows the certificate.
pub fn peer(reply: &Reply) -> VerifiedPeer {
    let granted = reply.granted();
    let trust = Trust::of_authorities(&granted.authorities, DATABASE).unwrap();
    let none: [&[u8]; 0] = [];
    let middle_ms = granted.expires_ms - 1000;
    verify_leaf(&trust, &granted.certificate, &none, middle_ms).unwrap()
}
