//! What a login cannot do without, and nothing else: no socket, no HTTP, no JSON, no tables.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustls::{ClientConnection, ServerConfig, ServerConnection};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use tombolo_identity::{Authority, ChallengeKey, Granted};

use super::device::Devices;
use super::service::{DATABASE, NAME};
use super::wrong;
use crate::error::BenchError;
use crate::machine;

/// Both sides of a login in one place.
pub(super) struct Bare<'d> {
    devices: &'d Devices,
    client: Arc<rustls::ClientConfig>,
    server: Arc<ServerConfig>,
    challenges: ChallengeKey,
    authority: Authority,
    nonces: AtomicU64,
}

impl<'d> Bare<'d> {
    pub(super) fn new(devices: &'d Devices) -> Result<Self, BenchError> {
        let issued = rcgen::generate_simple_self_signed([NAME.to_owned()]);
        let issued = issued.map_err(|error| wrong(&error))?;
        let certificate = issued.cert.der().clone();
        let mut roots = rustls::RootCertStore::empty();
        roots
            .add(certificate.clone())
            .map_err(|error| wrong(&error))?;
        let mut client =
            rustls::ClientConfig::builder_with_protocol_versions(&[&rustls::version::TLS13])
                .with_root_certificates(roots)
                .with_no_client_auth();
        client.resumption = rustls::client::Resumption::disabled();
        let key = PrivatePkcs8KeyDer::from(issued.signing_key.serialize_der());
        let server = ServerConfig::builder_with_protocol_versions(&[&rustls::version::TLS13])
            .with_no_client_auth()
            .with_single_cert(vec![certificate], PrivateKeyDer::from(key));
        Ok(Self {
            devices,
            client: Arc::new(client),
            server: Arc::new(server.map_err(|error| wrong(&error))?),
            challenges: ChallengeKey::new(&[7; 32]),
            authority: Authority::generate().map_err(|error| wrong(&error))?,
            nonces: AtomicU64::new(0),
        })
    }

    /// One handshake and the signatures of one login.
    pub(super) fn login(&self, number: usize) -> Result<(), BenchError> {
        self.shake_hands()?;
        let now_ms = machine::wall_us() / 1_000;
        let nonce = u128::from(self.nonces.fetch_add(1, Ordering::Relaxed)).to_be_bytes();
        let challenge = self.challenges.challenge(DATABASE, nonce, now_ms);
        let challenge = challenge.map_err(|error| wrong(&error))?;
        let signed = challenge.sign(self.devices.key(number));
        let signed = signed.map_err(|error| wrong(&error))?;
        let proven = self.challenges.prove(signed, DATABASE, now_ms);
        let proven = proven.map_err(|error| wrong(&error))?;
        let granted = Granted::playground(proven.peer_key());
        let certificate = self.authority.issue(proven.grant(granted), now_ms);
        let certificate = certificate.map_err(|error| wrong(&error))?;
        let token = self.authority.issue_token(&certificate);
        token.map(|_| ()).map_err(|error| wrong(&error))
    }

    fn shake_hands(&self) -> Result<(), BenchError> {
        let name = ServerName::try_from(NAME).map_err(|error| wrong(&error))?;
        let client = ClientConnection::new(Arc::clone(&self.client), name);
        let mut client = client.map_err(|error| wrong(&error))?;
        let server = ServerConnection::new(Arc::clone(&self.server));
        let mut server = server.map_err(|error| wrong(&error))?;
        let mut wire = Vec::new();
        while client.is_handshaking() || server.is_handshaking() {
            wire.clear();
            client.write_tls(&mut wire).map_err(|error| wrong(&error))?;
            server
                .read_tls(&mut wire.as_slice())
                .map_err(|error| wrong(&error))?;
            server
                .process_new_packets()
                .map_err(|error| wrong(&error))?;
            wire.clear();
            while server.wants_write() {
                server.write_tls(&mut wire).map_err(|error| wrong(&error))?;
            }
            let mut rest = wire.as_slice();
            while !rest.is_empty() {
                client.read_tls(&mut rest).map_err(|error| wrong(&error))?;
                client
                    .process_new_packets()
                    .map_err(|error| wrong(&error))?;
            }
        }
        Ok(())
    }
}
