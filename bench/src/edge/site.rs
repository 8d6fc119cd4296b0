//! A node with the door that a measurement asks for, as a child process.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use tempfile::TempDir;

use super::wrong;
use crate::error::BenchError;
use crate::machine;
use crate::node::Node;

/// Whom the certificate names.
pub(super) const NAME: &str = "localhost";

/// What stands before the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Door {
    pub(super) tls: bool,
    pub(super) keys: bool,
    pub(super) audit: bool,
    /// Whether one identity has a hash that another program made, of a key that nobody has.
    pub(super) foreign: bool,
    /// Whether one address may ask `/execute` a thousand times a second and no more.
    pub(super) throttle: bool,
}

impl Door {
    pub(super) const OPEN: Self = Self {
        tls: false,
        keys: false,
        audit: false,
        foreign: false,
        throttle: false,
    };
    /// As an operator runs it.
    pub(super) const WHOLE: Self = Self {
        tls: true,
        keys: true,
        audit: true,
        ..Self::OPEN
    };
}

/// A running node.
pub(super) struct Site {
    node: Node,
    certificate: Option<CertificateDer<'static>>,
    directory: TempDir,
}

/// A hash of scrypt in the form that other programs print, with the parameters of ours. No key fits it.
const FOREIGN_HASH: &str =
    "scrypt$ln=16,r=8,p=1$Zm9yZWlnbi1zYWx0LW9mLTE2Yg$bm8ta2V5LWhhcy10aGlzLW91dHB1dC1vZi0zMi1ieXQ";
/// More than the benchmark ever opens at once.
const CONNECTIONS_MAX: usize = 12_000;

impl Site {
    /// Starts a node with this door; `hash` is that of the honest client's key.
    pub(super) fn start(door: Door, hash: &str) -> Result<Self, BenchError> {
        let directory = tempfile::tempdir().map_err(|error| wrong(&error))?;
        let mut certificate = None;
        if door.tls {
            let issued = rcgen::generate_simple_self_signed([NAME.to_owned()]);
            let issued = issued.map_err(|error| wrong(&error))?;
            let write = |name: &str, text: String| {
                std::fs::write(directory.path().join(name), text).map_err(|error| wrong(&error))
            };
            write("cert.pem", issued.cert.pem())?;
            write("key.pem", issued.signing_key.serialize_pem())?;
            certificate = Some(issued.cert.der().clone());
        }
        Ok(Self {
            node: Node::start_with(directory.path(), &configuration(door, hash))?,
            certificate,
            directory,
        })
    }

    pub(super) fn address(&self) -> &str {
        &self.node.address
    }

    /// `None`: it speaks without TLS.
    pub(super) fn tls(&self) -> Result<Option<Arc<ClientConfig>>, BenchError> {
        let Some(certificate) = &self.certificate else {
            return Ok(None);
        };
        let mut roots = RootCertStore::empty();
        let added = roots.add(certificate.clone());
        added.map_err(|error| wrong(&error))?;
        let mut config = ClientConfig::builder_with_protocol_versions(&[&rustls::version::TLS13])
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.resumption = rustls::client::Resumption::disabled();
        Ok(Some(Arc::new(config)))
    }

    /// Processor time of the node so far.
    pub(super) fn cpu_us(&self) -> u64 {
        machine::own_cpu_us(self.process_id())
    }

    pub(super) fn process_id(&self) -> u32 {
        self.node.process.0.id()
    }

    /// Bytes of its audit log so far.
    pub(super) fn audit_bytes(&self) -> u64 {
        let path = self.directory.path().join("audit");
        let files = std::fs::read_dir(path).into_iter().flatten().flatten();
        let bytes = files.map(|file| file.metadata().map_or(0, |found| found.len()));
        bytes.sum()
    }
}

fn configuration(door: Door, hash: &str) -> String {
    let tls = match door.tls {
        true => r#"{ cert: "./cert.pem", key: "./key.pem" }"#,
        false => "dev_mode",
    };
    let throttling = match door.throttle {
        true => {
            "  throttling: { strategies: [{ strategy: route, endpoint: execute, max_requests: 1000, window_secs: 1 }] }\n"
        }
        false => "",
    };
    let auth = match (door.keys, door.foreign) {
        (false, _) => "dev_mode".to_owned(),
        (true, is_foreign) => {
            let foreign = if is_foreign {
                format!(
                    "\n    other: {{ credential: {{ api_key: \"{}\" }}, permissions: [all] }}",
                    base64(FOREIGN_HASH)
                )
            } else {
                String::new()
            };
            format!(
                "\n  identities:\n    till: {{ credential: {{ api_key: \"{hash}\" }}, permissions: [all] }}{foreign}\n  permission_sets:\n    all: {{ permissions: full }}"
            )
        }
    };
    let audit = match door.audit {
        true => ", audit_logs: { path: ./audit }",
        false => "",
    };
    format!(
        r#"
database:
  db_id: "00000000-0000-4000-0000-000000000000"
  device_name: "bench"
  persistence_dir: {{ path: "./data" }}
http_server:
  listen_addr: "127.0.0.1:0"
  tls_config: {tls}
  http_api: true
  max_connections: {CONNECTIONS_MAX}
{throttling}auth: {auth}
logging:
  edge_server: {{ level: error, console_logs: std_err{audit} }}
"#
    )
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}
