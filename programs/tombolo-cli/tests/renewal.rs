//! The certificate is renewed while clients talk to the real program: none of them notices,
//! and a pair that cannot be used changes nothing but the log.

#![expect(
    clippy::unwrap_used,
    reason = "a test whose world cannot be set up has failed"
)]

mod support;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;

use rcgen::{CertificateParams, DnType, KeyPair, date_time_ymd};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use support::{Node, http_server};

const WITH_CERTIFICATE: &str =
    "  tls_config: { cert: ./cert.pem, key: ./key.pem }\nauth: dev_mode\n";

/// What makes the installed pair a bad one.
type Spoil<'a> = Box<dyn Fn() + 'a>;

/// A pair as a renewal makes it.
struct Pair {
    name: &'static str,
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl Pair {
    fn new(name: &'static str) -> Self {
        Self::with(name, |_| ())
    }

    fn with(name: &'static str, change: fn(&mut CertificateParams)) -> Self {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self {
            name,
            certificate,
            key,
        }
    }

    /// One file after the other, each by renaming: between them the pair does not fit.
    fn install(&self, home: &Path) {
        for (name, text) in [
            ("cert.pem", self.certificate.pem()),
            ("key.pem", self.key.serialize_pem()),
        ] {
            std::fs::write(home.join("new"), text).unwrap();
            std::fs::rename(home.join("new"), home.join(name)).unwrap();
        }
    }

    fn der(&self) -> CertificateDer<'static> {
        self.certificate.der().clone()
    }
}

struct Session {
    stream: BufReader<StreamOwned<ClientConnection, TcpStream>>,
}

impl Session {
    fn open(address: &str, config: &Arc<ClientConfig>) -> Self {
        let name = ServerName::try_from("localhost").unwrap();
        let connection = ClientConnection::new(Arc::clone(config), name).unwrap();
        let stream = TcpStream::connect(address).unwrap();
        Self {
            stream: BufReader::new(StreamOwned::new(connection, stream)),
        }
    }

    /// One request over the open connection; the answer must be whole and good.
    fn ask(&mut self) {
        let request = b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n";
        self.stream.get_mut().write_all(request).unwrap();
        let mut length = 0;
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        assert_eq!(line, "HTTP/1.1 200 OK\r\n");
        while line != "\r\n" {
            line.clear();
            self.stream.read_line(&mut line).unwrap();
            if let Some(count) = line.strip_prefix("content-length: ") {
                length = count.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        std::io::Read::read_exact(&mut self.stream, &mut body).unwrap();
        assert_eq!(body, br#"{"status":"ok"}"#);
    }

    fn certificate(&self) -> CertificateDer<'static> {
        let connection = &self.stream.get_ref().conn;
        connection.peer_certificates().unwrap()[0]
            .clone()
            .into_owned()
    }
}

fn trusting(pairs: &[&Pair]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for pair in pairs {
        roots.add(pair.der()).unwrap();
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

/// Clients that ask without a pause; a request that fails panics its thread.
struct Load {
    is_over: Arc<AtomicBool>,
    requests: Arc<AtomicUsize>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    fn start(address: &str, config: &Arc<ClientConfig>) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let requests = Arc::new(AtomicUsize::new(0));
        let client = |requests_per_connection: usize| {
            let (address, config) = (address.to_owned(), Arc::clone(config));
            let (is_over, requests) = (Arc::clone(&is_over), Arc::clone(&requests));
            std::thread::spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    let mut session = Session::open(&address, &config);
                    for _ in 0..requests_per_connection {
                        session.ask();
                        requests.fetch_add(1, Ordering::Relaxed);
                        if is_over.load(Ordering::Relaxed) {
                            break;
                        }
                    }
                }
            })
        };
        // One opens a connection for each request, one keeps the first it got, one is in between.
        let clients = [1, 10, usize::MAX].map(client).into();
        Self {
            is_over,
            requests,
            clients,
        }
    }

    fn stop(self) -> usize {
        self.is_over.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.join().unwrap();
        }
        self.requests.load(Ordering::Relaxed)
    }
}

fn start(first: &Pair) -> Node {
    let home = tempfile::tempdir().unwrap();
    first.install(home.path());
    Node::start_in(home, &http_server(WITH_CERTIFICATE))
}

#[test]
fn no_request_fails_while_the_certificate_is_renewed() {
    let pairs = [Pair::new("first"), Pair::new("second"), Pair::new("third")];
    let mut node = start(&pairs[0]);
    let config = trusting(&pairs.each_ref());
    let load = Load::start(&node.address, &config);
    // The files alone: the node finds them by itself.
    pairs[1].install(node.directory());
    node.wait_for("certificate: CN=second is in use");
    assert_eq!(Session::open_and_see(&node, &config), pairs[1].der());
    for pair in pairs.iter().cycle().skip(2).take(10) {
        pair.install(node.directory());
        node.signal("-HUP");
        node.wait_for(&format!("certificate: CN={} is in use", pair.name));
        assert_eq!(Session::open_and_see(&node, &config), pair.der());
    }
    assert!(load.stop() > 100);
}

#[test]
fn a_pair_that_cannot_be_used_keeps_the_old_one_and_is_told_by_cause() {
    let first = Pair::new("first");
    let mut node = start(&first);
    let config = trusting(&[&first]);
    let home = node.directory().to_owned();
    let expired = Pair::with("expired", |params| {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
    });
    let spoil: [(&str, Spoil<'_>); 4] = [
        (
            "does not belong to the certificate",
            Box::new(|| std::fs::write(home.join("key.pem"), expired.key.serialize_pem()).unwrap()),
        ),
        ("expired at", Box::new(|| expired.install(&home))),
        (
            "holds no private key in PEM form",
            Box::new(|| {
                first.install(&home);
                std::fs::write(home.join("key.pem"), "").unwrap();
            }),
        ),
        (
            "cannot read",
            Box::new(|| std::fs::remove_file(home.join("cert.pem")).unwrap()),
        ),
    ];
    for (cause, spoil) in spoil {
        spoil();
        node.signal("-HUP");
        let line = node.wait_for_part("the certificate was not taken");
        assert!(line.contains(cause), "{line}");
        assert_eq!(Session::open_and_see(&node, &config), first.der());
    }
    first.install(&home);
    node.signal("-HUP");
    node.wait_for("certificate: CN=first is in use");
}

#[test]
fn a_configuration_that_cannot_be_used_is_told_and_changes_nothing() {
    let first = Pair::new("first");
    let mut node = start(&first);
    let config = trusting(&[&first]);
    let path = node.directory().join("config.yaml");
    std::fs::write(&path, "database: {}\n").unwrap();
    node.signal("-HUP");
    let line = node.wait_for_part("the configuration was not taken");
    assert!(line.contains("db_id is missing"), "{line}");
    // Its files are still those of the old one.
    node.wait_for("certificate: CN=first is in use");
    Session::open(&node.address, &config).ask();
}

#[test]
fn a_stricter_configuration_holds_for_the_next_handshake() {
    let first = Pair::new("first");
    let mut node = start(&first);
    let config = trusting(&[&first]);
    let stricter = WITH_CERTIFICATE.replace("key.pem }", "key.pem, client_ca: ./cert.pem }");
    let path = node.directory().join("config.yaml");
    let mut open = Session::open(&node.address, &config);
    open.ask();
    std::fs::write(&path, http_server(&stricter)).unwrap();
    node.signal("-HUP");
    node.wait_for("certificate: CN=first is in use");
    open.ask();
    let mut refused = Session::open(&node.address, &config);
    let mut line = String::new();
    let request = b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n";
    // The refusal may come while the request is sent, or instead of its answer.
    let _ = refused.stream.get_mut().write_all(request);
    let _ = refused.stream.read_line(&mut line);
    assert_eq!(line, "");
}

impl Session {
    /// The certificate that a new handshake gets.
    fn open_and_see(node: &Node, config: &Arc<ClientConfig>) -> CertificateDer<'static> {
        let mut session = Self::open(&node.address, config);
        session.ask();
        session.certificate()
    }
}
