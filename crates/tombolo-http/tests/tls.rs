//! The server's certificate: every mistake an operator can make, both protocol versions, and the swap.

#![expect(
    clippy::unwrap_used,
    reason = "a test whose world cannot be set up has failed"
)]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use http::StatusCode;
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ProtocolVersion, RootCertStore, SupportedProtocolVersion};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tombolo_http::{
    Certificate, Limits, Listener, Request, Server, TlsError, TlsIdentity, Transport, json_response,
};

/// Within the validity of rcgen's default certificates.
const NOW_UNIX_S: i64 = 1_750_000_000;

struct Files {
    directory: TempDir,
    der: CertificateDer<'static>,
}

impl Files {
    fn new() -> Self {
        Self::with(|_| ())
    }

    fn with(change: fn(&mut CertificateParams)) -> Self {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("cert.pem"), certificate.pem()).unwrap();
        std::fs::write(directory.path().join("key.pem"), key.serialize_pem()).unwrap();
        Self {
            directory,
            der: certificate.der().clone(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn load(&self) -> Result<Certificate, TlsError> {
        Certificate::load(&self.path("cert.pem"), &self.path("key.pem"), NOW_UNIX_S)
    }
}

fn assert_names(error: &TlsError, path: &Path, remedy: &str) {
    let text = error.to_string();
    assert!(text.contains(&path.display().to_string()), "{text}");
    assert!(text.contains(remedy), "{text}");
}

#[test]
fn a_missing_file_is_named() {
    let files = Files::new();
    std::fs::remove_file(files.path("key.pem")).unwrap();
    let error = files.load().unwrap_err();
    assert!(matches!(error, TlsError::Unreadable { .. }));
    assert_names(&error, &files.path("key.pem"), "check the path");
}

#[test]
fn an_oversized_file_is_refused_unread() {
    let files = Files::new();
    std::fs::write(files.path("cert.pem"), vec![b'x'; 1024 * 1024 + 1]).unwrap();
    assert_names(
        &files.load().unwrap_err(),
        &files.path("cert.pem"),
        "at most 1048576 are read",
    );
}

#[test]
fn files_that_are_not_pem_are_named() {
    let files = Files::new();
    std::fs::write(files.path("cert.pem"), files.der.as_ref()).unwrap();
    let error = files.load().unwrap_err();
    assert!(matches!(error, TlsError::CertificateNotPem { .. }));
    assert_names(
        &error,
        &files.path("cert.pem"),
        "-----BEGIN CERTIFICATE-----",
    );
    let files = Files::new();
    std::fs::write(files.path("key.pem"), "not a key").unwrap();
    let error = files.load().unwrap_err();
    assert!(matches!(error, TlsError::KeyNotPem { .. }));
    assert_names(
        &error,
        &files.path("key.pem"),
        "-----BEGIN PRIVATE KEY-----",
    );
}

#[test]
fn pem_with_garbage_inside_is_named() {
    let files = Files::new();
    let text = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    std::fs::write(files.path("cert.pem"), text).unwrap();
    assert!(matches!(
        files.load(),
        Err(TlsError::CertificateMalformed { .. })
    ));
    let files = Files::new();
    let text = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    std::fs::write(files.path("key.pem"), text).unwrap();
    assert!(matches!(files.load(), Err(TlsError::KeyUnusable { .. })));
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    let files = Files::new();
    let other = Files::new();
    std::fs::copy(other.path("key.pem"), files.path("key.pem")).unwrap();
    let error = files.load().unwrap_err();
    assert!(matches!(error, TlsError::KeyMismatch { .. }));
    assert_names(
        &error,
        &files.path("key.pem"),
        "does not belong to the certificate",
    );
}

#[test]
fn a_certificate_is_valid_from_its_first_to_its_last_second() {
    let files = Files::with(|params| {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
    });
    let load =
        |now_unix_s| Certificate::load(&files.path("cert.pem"), &files.path("key.pem"), now_unix_s);
    let (first, last) = (1_577_836_800, 1_609_459_200);
    assert!(matches!(load(first - 1), Err(TlsError::NotYetValid { .. })));
    assert!(load(first).is_ok());
    assert_eq!(load(last).unwrap().expires_unix_s(), last);
    let error = load(last + 1).unwrap_err();
    assert!(matches!(error, TlsError::Expired { .. }));
    assert_names(&error, &files.path("cert.pem"), "renew it");
}

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name)
}

#[test]
fn keys_that_clients_do_not_accept_are_refused_by_name() {
    let load = |name: &str| {
        let (certificate, key) = (format!("{name}_cert.pem"), format!("{name}_key.pem"));
        Certificate::load(&data(&certificate), &data(&key), 1_800_000_000)
    };
    assert_eq!(load("rsa2048").unwrap().about().key_kind, "RSA, 2048 bits");
    for (name, said) in [("rsa1024", "RSA, 1024 bits"), ("p521", "1.3.132.0.35")] {
        let error = load(name).unwrap_err();
        assert!(matches!(error, TlsError::KeyTooWeak { .. }));
        assert_names(&error, &data(&format!("{name}_cert.pem")), said);
    }
}

#[test]
fn every_kind_of_key_that_clients_accept_is_served() {
    let kinds = [
        (&rcgen::PKCS_ECDSA_P256_SHA256, "ECDSA P-256"),
        (&rcgen::PKCS_ECDSA_P384_SHA384, "ECDSA P-384"),
        (&rcgen::PKCS_ED25519, "Ed25519"),
    ];
    for (kind, said) in kinds {
        let files = Files::new();
        let key = KeyPair::generate_for(kind).unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        std::fs::write(files.path("cert.pem"), certificate.pem()).unwrap();
        std::fs::write(files.path("key.pem"), key.serialize_pem()).unwrap();
        assert_eq!(files.load().unwrap().about().key_kind, said);
    }
}

#[test]
fn a_certificate_says_whom_it_covers_and_who_stands_behind_it() {
    let files = Files::with(|params| {
        let names = ["localhost", "*.example.org"].map(|name| name.try_into().unwrap());
        params.subject_alt_names = names.map(rcgen::SanType::DnsName).to_vec();
        let address = std::net::IpAddr::from([127, 0, 0, 1]);
        params
            .subject_alt_names
            .push(rcgen::SanType::IpAddress(address));
    });
    let certificate = files.load().unwrap();
    let about = certificate.about();
    assert_eq!(about.names, ["localhost", "*.example.org", "127.0.0.1"]);
    assert!(about.is_self_signed && about.chain_length == 1 && about.chain_break.is_none());
    for name in ["localhost", "a.example.org", "127.0.0.1"] {
        assert!(certificate.covers(name), "{name}");
    }
    for name in ["example.org", "a.b.example.org", "127.0.0.2", "", "a b"] {
        assert!(!certificate.covers(name), "{name}");
    }
}

#[test]
fn a_chain_is_followed_and_its_break_is_told() {
    let issuer_key = KeyPair::generate().unwrap();
    let mut issuer = CertificateParams::new(Vec::new()).unwrap();
    issuer.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    issuer
        .distinguished_name
        .push(rcgen::DnType::CommonName, "an authority");
    let issuer_pem = issuer.self_signed(&issuer_key).unwrap().pem();
    let issuer = rcgen::Issuer::new(issuer, issuer_key);
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &issuer).unwrap().pem();
    let files = Files::new();
    std::fs::write(files.path("key.pem"), key.serialize_pem()).unwrap();
    let stranger = std::fs::read_to_string(files.path("cert.pem")).unwrap();
    for (rest, chain_break) in [(issuer_pem, None), (stranger, Some(1))] {
        std::fs::write(files.path("cert.pem"), format!("{leaf}{rest}")).unwrap();
        let certificate = files.load().unwrap();
        assert_eq!(certificate.about().chain_length, 2);
        assert_eq!(certificate.about().chain_break, chain_break);
        assert!(!certificate.about().is_self_signed);
    }
}

async fn start(identity: TlsIdentity) -> (SocketAddr, oneshot::Sender<()>) {
    let listener = Listener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_address();
    let answer = async |_: Request| json_response(StatusCode::OK, "{}");
    let answer = move |request| Box::pin(answer(request));
    let transport = Transport::Tls(identity);
    let server = Server {
        listener,
        transport,
        limits: Limits::default(),
        answer,
        instance: 1,
    };
    let (stop, stopped) = oneshot::channel();
    tokio::spawn(server.run_until(async {
        let _ = stopped.await;
    }));
    (address, stop)
}

async fn connect(
    address: SocketAddr,
    trusted: &CertificateDer<'static>,
    version: &'static SupportedProtocolVersion,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
}

#[tokio::test]
async fn both_protocol_versions_are_served() {
    let files = Files::new();
    let (address, _stop) = start(TlsIdentity::new(files.load().unwrap())).await;
    let versions = [
        (&rustls::version::TLS12, ProtocolVersion::TLSv1_2),
        (&rustls::version::TLS13, ProtocolVersion::TLSv1_3),
    ];
    for (offered, expected) in versions {
        let mut stream = connect(address, &files.der, offered).await.unwrap();
        assert_eq!(stream.get_ref().1.protocol_version(), Some(expected));
        stream
            .write_all(b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n")
            .await
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
}

#[tokio::test]
async fn a_client_without_tls_gets_no_answer() {
    let files = Files::new();
    let (address, _stop) = start(TlsIdentity::new(files.load().unwrap())).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    // Whether the end is clean or a reset is the system's choice.
    let _ = stream.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
}

#[tokio::test]
async fn a_replaced_certificate_is_used_by_the_next_handshake_and_spares_open_connections() {
    let (before, after) = (Files::new(), Files::new());
    let identity = TlsIdentity::new(before.load().unwrap());
    let (address, _stop) = start(identity.clone()).await;
    let mut open = connect(address, &before.der, &rustls::version::TLS13)
        .await
        .unwrap();
    identity.replace(after.load().unwrap());
    let not_after = after.load().unwrap().expires_unix_s();
    assert_eq!(identity.not_after(), Some(not_after));
    assert!(
        connect(address, &after.der, &rustls::version::TLS13)
            .await
            .is_ok()
    );
    assert!(
        connect(address, &before.der, &rustls::version::TLS13)
            .await
            .is_err()
    );
    open.write_all(b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    open.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[tokio::test]
async fn t52_half_open_handshakes_are_dropped_and_do_not_stop_others() {
    let files = Files::new();
    let listener = Listener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_address();
    let server = Server {
        listener,
        transport: Transport::Tls(TlsIdentity::new(files.load().unwrap())),
        limits: Limits {
            handshake_timeout: std::time::Duration::from_millis(100),
            ..Limits::default()
        },
        answer: |_: Request| std::future::ready(json_response(StatusCode::OK, "{}")),
        instance: 1,
    };
    tokio::spawn(server.run_until(std::future::pending()));
    let mut half_open = Vec::new();
    for count in 0..100 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // Nothing, or the begin of a record that never ends.
        let begin: &[u8] = if count % 2 == 0 { b"" } else { &[22, 3, 1, 1] };
        stream.write_all(begin).await.unwrap();
        half_open.push(stream);
    }
    assert!(
        connect(address, &files.der, &rustls::version::TLS13)
            .await
            .is_ok()
    );
    for mut stream in half_open {
        let mut answer = Vec::new();
        // Whether the end is clean or a reset is the system's choice.
        let _ = stream.read_to_end(&mut answer).await;
        assert!(answer.is_empty(), "{answer:?}");
    }
}
