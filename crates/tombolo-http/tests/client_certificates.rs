//! Whose certificates clients may show, the oldest version that is spoken, and a server that has no certificate yet.

#![expect(
    clippy::unwrap_used,
    reason = "a test whose world cannot be set up has failed"
)]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use http::StatusCode;
use rcgen::{CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio_rustls::TlsConnector;
use tombolo_http::{
    Certificate, ClientAuthority, ClientProof, Limits, Listener, MinVersion, Request, Server,
    TlsError, TlsIdentity, Transport, json_response,
};

const NOW_UNIX_S: i64 = 1_750_000_000;
const BOTH: &[&SupportedProtocolVersion] = &[&rustls::version::TLS12, &rustls::version::TLS13];
const OLD: &[&SupportedProtocolVersion] = &[&rustls::version::TLS12];

struct World {
    directory: TempDir,
    server: CertificateDer<'static>,
    identity: TlsIdentity,
}

struct Client {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl World {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        std::fs::write(path("cert.pem"), certificate.pem()).unwrap();
        std::fs::write(path("key.pem"), key.serialize_pem()).unwrap();
        let loaded = Certificate::load(&path("cert.pem"), &path("key.pem"), NOW_UNIX_S).unwrap();
        Self {
            identity: TlsIdentity::new(loaded),
            server: certificate.der().clone(),
            directory,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes an authority to a file of this name.
    fn authority(&self, name: &str) -> Issuer<'static, KeyPair> {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.self_signed(&key).unwrap();
        std::fs::write(self.path(name), certificate.pem()).unwrap();
        Issuer::new(params, key)
    }

    async fn ask(
        &self,
        address: SocketAddr,
        client: Option<Client>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> std::io::Result<String> {
        let mut roots = RootCertStore::empty();
        roots.add(self.server.clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots);
        let config = match client {
            None => builder.with_no_client_auth(),
            Some(Client { chain, key }) => builder.with_client_auth_cert(chain, key).unwrap(),
        };
        let stream = TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        let mut stream = connector.connect(name, stream).await?;
        stream
            .write_all(b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n")
            .await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    }
}

fn client(issuer: &Issuer<'static, KeyPair>, name: &str) -> Client {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    let certificate = params.signed_by(&key, issuer).unwrap();
    Client {
        chain: vec![certificate.der().clone()],
        key: PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
    }
}

/// Answers with whom the client proved to be.
async fn start(identity: TlsIdentity) -> (SocketAddr, oneshot::Sender<()>) {
    let listener = Listener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_address();
    let answer = async |request: Request| {
        let subject = request.client.as_ref().map(|client| client.subject.clone());
        json_response(StatusCode::OK, subject.unwrap_or("nobody".to_owned()))
    };
    let server = Server {
        listener,
        transport: Transport::Tls(identity),
        limits: Limits::default(),
        answer: move |request| Box::pin(answer(request)),
        instance: 1,
    };
    let (stop, stopped) = oneshot::channel();
    tokio::spawn(server.run_until(async {
        let _ = stopped.await;
    }));
    (address, stop)
}

#[tokio::test]
async fn a_client_certificate_is_demanded_verified_and_named_to_the_route() {
    let world = World::new();
    let (ours, theirs) = (world.authority("ours"), world.authority("theirs"));
    let (address, _stop) = start(world.identity.clone()).await;
    let answer = world.ask(address, None, BOTH).await.unwrap();
    assert!(answer.ends_with("nobody"), "{answer}");
    let load = |proof| ClientAuthority::load(&world.path("ours"), proof).unwrap();
    let required = Some(load(ClientProof::Required));
    world.identity.accept(MinVersion::Tls12, required);
    for versions in [BOTH, OLD] {
        let shown = Some(client(&ours, "sensor-7"));
        let answer = world.ask(address, shown, versions).await.unwrap();
        assert!(answer.ends_with("CN=sensor-7"), "{answer}");
        assert!(world.ask(address, None, versions).await.is_err());
        let stranger = Some(client(&theirs, "sensor-7"));
        assert!(world.ask(address, stranger, versions).await.is_err());
    }
    let optional = Some(load(ClientProof::Optional));
    world.identity.accept(MinVersion::Tls12, optional);
    let answer = world.ask(address, None, BOTH).await.unwrap();
    assert!(answer.ends_with("nobody"), "{answer}");
    let stranger = Some(client(&theirs, "sensor-7"));
    assert!(world.ask(address, stranger, BOTH).await.is_err());
}

#[tokio::test]
async fn the_oldest_version_is_kept_to() {
    let world = World::new();
    let (address, _stop) = start(world.identity.clone()).await;
    assert!(world.ask(address, None, OLD).await.is_ok());
    world.identity.accept(MinVersion::Tls13, None);
    assert!(world.ask(address, None, OLD).await.is_err());
    assert!(world.ask(address, None, BOTH).await.is_ok());
}

#[tokio::test]
async fn without_a_certificate_every_handshake_fails_until_there_is_one() {
    let world = World::new();
    let identity = TlsIdentity::without_certificate();
    let (address, _stop) = start(identity.clone()).await;
    assert_eq!(identity.not_after(), None);
    assert!(world.ask(address, None, BOTH).await.is_err());
    identity.replace(world.identity.certificate().unwrap());
    assert!(world.ask(address, None, BOTH).await.is_ok());
}

#[test]
fn a_file_without_authorities_is_refused_by_name() {
    let world = World::new();
    let load = |name: &str| ClientAuthority::load(&world.path(name), ClientProof::Required);
    assert!(matches!(load("none"), Err(TlsError::Unreadable { .. })));
    for text in [
        "no authority",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        std::fs::write(world.path("ca.pem"), text).unwrap();
        let error = load("ca.pem").unwrap_err();
        assert!(matches!(error, TlsError::ClientAuthority { .. }), "{error}");
        assert!(error.to_string().contains("ca.pem"), "{error}");
    }
}
