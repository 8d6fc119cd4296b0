//! Devices that log in: each time a new connection, a challenge, a signature and the login.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use rustls_pki_types::ServerName;
use tombolo_identity::{
    CHALLENGE_PATH, LOGIN_PATH, LoginReply, LoginRequest, PLAYGROUND_PROVIDER, PeerKeyPair,
    SignedChallenge, parse_challenge,
};

use super::service::{DATABASE, NAME, Service, TOKEN};
use super::wrong;
use crate::error::BenchError;

const DEVICES: usize = 64;
const BODY_BYTES_MAX: usize = 1 << 20;

type Connection = BufReader<StreamOwned<ClientConnection, TcpStream>>;

/// Devices with keys of their own.
pub(super) struct Devices {
    keys: Vec<PeerKeyPair>,
    pub(super) config: Arc<ClientConfig>,
    address: String,
}

impl Devices {
    pub(super) fn new(service: &Service) -> Result<Self, BenchError> {
        let keys = (0..DEVICES).map(|_| key()).collect::<Result<_, _>>()?;
        let mut roots = RootCertStore::empty();
        let added = roots.add(service.certificate.clone());
        added.map_err(|error| wrong(&error))?;
        let mut config = ClientConfig::builder_with_protocol_versions(&[&rustls::version::TLS13])
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.resumption = rustls::client::Resumption::disabled();
        Ok(Self {
            keys,
            config: Arc::new(config),
            address: service.address().to_owned(),
        })
    }

    pub(super) fn key(&self, number: usize) -> &PeerKeyPair {
        &self.keys[number % self.keys.len()]
    }

    pub(super) fn log_in(&self, number: usize) -> Result<(), BenchError> {
        let mut connection = self.connect()?;
        let body = exchange(&mut connection, "GET", CHALLENGE_PATH, b"")?;
        let challenge = parse_challenge(&body).map_err(|error| wrong(&error))?;
        let signed = challenge.sign(self.key(number));
        let request = request(signed.map_err(|error| wrong(&error))?);
        let body = exchange(&mut connection, "POST", LOGIN_PATH, &request.render())?;
        let reply = LoginReply::parse(&body).map_err(|error| wrong(&error))?;
        match reply.certificate.is_empty() {
            false => Ok(()),
            true => Err(wrong(&"a login without a certificate")),
        }
    }

    /// Logins that go no further than their challenge.
    pub(super) fn ask_for_challenges(&self, count: usize) -> Result<(), BenchError> {
        let mut connection = self.connect()?;
        for _ in 0..count {
            exchange(&mut connection, "GET", CHALLENGE_PATH, b"")?;
        }
        Ok(())
    }

    fn connect(&self) -> Result<Connection, BenchError> {
        let socket = TcpStream::connect(&self.address).map_err(|error| wrong(&error))?;
        socket.set_nodelay(true).map_err(|error| wrong(&error))?;
        let name = ServerName::try_from(NAME).map_err(|error| wrong(&error))?;
        let connection = ClientConnection::new(Arc::clone(&self.config), name);
        let connection = connection.map_err(|error| wrong(&error))?;
        Ok(BufReader::new(StreamOwned::new(connection, socket)))
    }
}

/// What a device with this signature asks for.
pub(super) fn request(challenge: SignedChallenge) -> LoginRequest {
    LoginRequest {
        database_id: DATABASE.to_owned(),
        provider: PLAYGROUND_PROVIDER.to_owned(),
        token: TOKEN.to_owned().into(),
        challenge,
    }
}

fn key() -> Result<PeerKeyPair, BenchError> {
    let key = rcgen::KeyPair::generate().map_err(|error| wrong(&error))?;
    PeerKeyPair::from_pkcs8(&key.serialize_der()).map_err(|error| wrong(&error))
}

/// One request and the body of its answer, which must be a success.
fn exchange(
    connection: &mut Connection,
    method: &str,
    path: &str,
    body: &[u8],
) -> Result<Vec<u8>, BenchError> {
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {NAME}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    );
    let stream = connection.get_mut();
    let sent = stream.write_all(&[head.as_bytes(), body].concat());
    sent.and_then(|()| stream.flush())
        .map_err(|error| wrong(&error))?;
    let (mut status, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        connection
            .read_line(&mut line)
            .map_err(|error| wrong(&error))?;
        if status.is_empty() {
            status.clone_from(&line);
        }
        let line = line.trim_end().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().map_err(|error| wrong(&error))?;
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length.min(BODY_BYTES_MAX)];
    connection
        .read_exact(&mut body)
        .map_err(|error| wrong(&error))?;
    match status.starts_with("HTTP/1.1 200") {
        true => Ok(body),
        false => Err(wrong(&format!(
            "{status}{}",
            String::from_utf8_lossy(&body)
        ))),
    }
}
