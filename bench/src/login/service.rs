//! A node that serves logins with a certificate of its own, as a child process.

use rustls_pki_types::CertificateDer;
use tempfile::TempDir;

use super::wrong;
use crate::error::BenchError;
use crate::node::Node;

pub(super) const NAME: &str = "localhost";
pub(super) const DATABASE: &str = "00000000-0000-4000-0000-000000000000";
pub(super) const TOKEN: &str = "a-token-that-everybody-knows";

const CONFIGURATION: &str = r#"
database:
  db_id: "00000000-0000-4000-0000-000000000000"
  device_name: "bench"
  persistence_dir: { path: "./data" }
http_server:
  listen_addr: "127.0.0.1:0"
  tls_config: { cert: "./cert.pem", key: "./key.pem" }
  http_api: true
auth:
  identities: {}
  permission_sets: {}
identity_service:
  ca: { path: "./ca" }
  providers:
    __playgroundProvider: { playground: { shared_token: "a-token-that-everybody-knows" } }
  limits:
    logins_per_minute_per_address: 1000000
    logins_per_minute_per_user: 1000000
logging:
  edge_server: { level: warning, console_logs: std_err }
"#;

/// The running service.
pub(super) struct Service {
    node: Node,
    pub(super) certificate: CertificateDer<'static>,
    _directory: TempDir,
}

impl Service {
    pub(super) fn start() -> Result<Self, BenchError> {
        let directory = tempfile::tempdir().map_err(|error| wrong(&error))?;
        let issued = rcgen::generate_simple_self_signed([NAME.to_owned()]);
        let issued = issued.map_err(|error| wrong(&error))?;
        let write = |name: &str, text: String| {
            std::fs::write(directory.path().join(name), text).map_err(|error| wrong(&error))
        };
        write("cert.pem", issued.cert.pem())?;
        write("key.pem", issued.signing_key.serialize_pem())?;
        Ok(Self {
            node: Node::start_with(directory.path(), CONFIGURATION)?,
            certificate: issued.cert.der().clone(),
            _directory: directory,
        })
    }

    pub(super) fn address(&self) -> &str {
        &self.node.address
    }

    pub(super) fn process_id(&self) -> u32 {
        self.node.process.0.id()
    }
}
