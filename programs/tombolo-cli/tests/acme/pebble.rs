//! A real ACME server of its own for a test, with names that lead where the test says. Killed when dropped.
//! Each has a loopback address of its own, so that tests need not share ports.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use rcgen::{CertificateParams, KeyPair};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// What the node of the example below is known under to a server that asks for it.
pub(crate) const KEY_ID: &str = "kid-1";
pub(crate) const HMAC_KEY: &str =
    "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";

/// A program that is killed when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What the server of a test is like.
#[derive(Clone, Copy)]
pub(crate) struct Habits {
    /// How long its certificates live.
    pub(crate) validity_s: u64,
    /// Whether it takes nobody it does not know.
    pub(crate) knows_its_clients: bool,
}

/// The place of one server, which may run or not.
pub(crate) struct Pebble {
    home: tempfile::TempDir,
    /// Of this test alone; everything listens here.
    address: String,
    api: CertificateDer<'static>,
    habits: Habits,
    server: Option<Running>,
    names: Option<Running>,
    starts: usize,
}

impl Pebble {
    /// Gets ready; nothing runs yet.
    pub(crate) fn new(habits: Habits) -> Self {
        static COUNT: AtomicU8 = AtomicU8::new(1);
        let [high, low] = u16::try_from(std::process::id() % 65_521)
            .unwrap()
            .to_be_bytes();
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let address = format!("127.{}.{high}.{low}", 100 + count);
        let home = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![address.clone()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        std::fs::write(home.path().join("api.pem"), certificate.pem()).unwrap();
        std::fs::write(home.path().join("api.key"), key.serialize_pem()).unwrap();
        let pebble = Self {
            home,
            address,
            api: certificate.der().clone(),
            habits,
            server: None,
            names: None,
            starts: 0,
        };
        pebble.write_configuration();
        pebble
    }

    fn write_configuration(&self) {
        let Self { address, home, .. } = self;
        let path = |name: &str| home.path().join(name);
        let config = serde_json::json!({ "pebble": {
            "listenAddress": format!("{address}:14000"),
            "managementListenAddress": format!("{address}:15000"),
            "certificate": path("api.pem"),
            "privateKey": path("api.key"),
            "httpPort": 80,
            "tlsPort": 5001,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": self.habits.knows_its_clients,
            "externalAccountMACKeys": { KEY_ID: HMAC_KEY },
            "certificateValidityPeriod": self.habits.validity_s,
        }});
        std::fs::write(path("pebble.json"), config.to_string()).unwrap();
    }

    /// Where a node has to listen, so that the server asks it for its proof.
    pub(crate) fn node_address(&self) -> String {
        format!("{}:5001", self.address)
    }

    /// What the node must be told of the server.
    pub(crate) fn acme(&self, domains: &str) -> String {
        let roots = self.home.path().join("api.pem");
        format!(
            "domains: [{domains}], contact: [\"mailto:ops@example.com\"], terms_of_service_agreed: true, directory_url: \"https://{}:14000/dir\", ca_file: \"{}\"",
            self.address,
            roots.display()
        )
    }

    /// Starts the server. Every name leads to `names_lead_to`, or else to the node.
    pub(crate) fn start(&mut self, names_lead_to: Option<&str>) {
        let (address, home) = (&self.address, self.home.path());
        let dns = format!("{address}:8053");
        let names = Command::new("pebble-challtestsrv")
            .args(["-dns01", &dns, "-management", &format!("{address}:8055")])
            .args(["-http01", "", "-https01", "", "-tlsalpn01", ""])
            .args(["-defaultIPv4", names_lead_to.unwrap_or(address)])
            .args(["-defaultIPv6", ""])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.names = Some(Running(names));
        self.starts += 1;
        let log = File::create(log_file(home, self.starts)).unwrap();
        let server = Command::new("pebble")
            .arg("-config")
            .arg(home.join("pebble.json"))
            .args(["-dnsserver", &dns])
            .env("PEBBLE_VA_NOSLEEP", "1")
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.server = Some(Running(server));
        for port in [8055, 14000, 15000] {
            self.wait_for_port(port);
        }
    }

    pub(crate) fn stop(&mut self) {
        self.server = None;
        self.names = None;
    }

    fn wait_for_port(&mut self, port: u16) {
        let place = format!("{}:{port}", self.address);
        while TcpStream::connect(&place).is_err() {
            for running in [&mut self.server, &mut self.names].into_iter().flatten() {
                let ended = running.0.try_wait().unwrap();
                assert!(ended.is_none(), "nobody listens on {place}: {ended:?}");
            }
            std::thread::yield_now();
        }
    }

    /// What the server has said since its last start.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(log_file(self.home.path(), self.starts)).unwrap()
    }

    /// Orders that were made since the server was started.
    pub(crate) fn orders(&self) -> usize {
        self.log().matches("Added order ").count()
    }

    /// A client that trusts this server alone.
    pub(crate) fn client(&self) -> Arc<ClientConfig> {
        let mut stream = open(
            &format!("{}:15000", self.address),
            &self.address,
            &trusting(self.api.clone()),
        );
        let request = format!("GET /roots/0 HTTP/1.0\r\nhost: {}\r\n\r\n", self.address);
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        // The server closes without a farewell of TLS.
        let _ = stream.read_to_end(&mut answer);
        trusting(CertificateDer::from_pem_slice(&answer).unwrap())
    }
}

fn log_file(home: &Path, start: usize) -> PathBuf {
    home.join(format!("pebble-{start}.log"))
}

pub(crate) fn trusting(root: CertificateDer<'static>) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(root).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

/// A connection to `address` whose other end must be `name`; the handshake is done with the first byte.
pub(crate) fn open(
    address: &str,
    name: &str,
    config: &Arc<ClientConfig>,
) -> StreamOwned<ClientConnection, TcpStream> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let connection = ClientConnection::new(Arc::clone(config), name).unwrap();
    StreamOwned::new(connection, TcpStream::connect(address).unwrap())
}
