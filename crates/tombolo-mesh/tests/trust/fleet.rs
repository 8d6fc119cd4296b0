//! Fleets of both kinds, of a shared key and of an identity service, with their
//! devices.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tombolo_identity::{
    Authority, ChallengeKey, PeerKeyPair, ProviderAnswer, Revocation, Revocations, SharedKey,
    Trust, Whom,
};
use tombolo_mesh::{Credential, EstablishedLink, Mesh};

use crate::node::{Clock, DATABASE, NOW_MS, address, clock, config, next, peer_key};

pub(crate) const HOUR_MS: u64 = 3_600_000;
pub(crate) const DAY_MS: u64 = 24 * HOUR_MS;

/// What a provider grants to everybody who is asked about nothing else.
pub(crate) const EVERYTHING: &str = r#""read": {"everything": true, "queriesByCollection": {}},
    "write": {"everything": true, "queriesByCollection": {}}"#;
pub(crate) const CARS: &str = r#""read": {"everything": false, "queriesByCollection": {"cars": ["true"]}},
    "write": {"everything": false, "queriesByCollection": {}}"#;

/// A device with a key of its own.
pub(crate) struct Device {
    pub(crate) pkcs8: Vec<u8>,
    pub(crate) pair: PeerKeyPair,
}

impl Device {
    pub(crate) fn new() -> Self {
        let pkcs8 = peer_key();
        let pair = PeerKeyPair::from_pkcs8(&pkcs8).unwrap();
        Self { pkcs8, pair }
    }

    pub(crate) fn shown(&self) -> String {
        self.pair.public().to_string()
    }
}

/// Who logs in, and what for.
#[derive(Clone, Copy)]
pub(crate) struct Login<'l> {
    pub(crate) user: &'l str,
    pub(crate) permissions: &'l str,
    pub(crate) database: &'l str,
    pub(crate) at_ms: u64,
    pub(crate) valid_s: u64,
}

/// Ann, now, for a day.
pub(crate) const ANN: Login<'_> = Login {
    user: "ann",
    permissions: EVERYTHING,
    database: DATABASE,
    at_ms: NOW_MS,
    valid_s: DAY_MS / 1000,
};
pub(crate) const BOB: Login<'_> = Login { user: "bob", ..ANN };

/// An identity service without a network.
pub(crate) struct Service {
    pub(crate) authority: Authority,
    challenges: ChallengeKey,
}

impl Service {
    pub(crate) fn new() -> Self {
        Self {
            authority: Authority::generate().unwrap(),
            challenges: ChallengeKey::new(&[7; 32]),
        }
    }

    pub(crate) fn trust(&self, database: &str) -> Trust {
        Trust::of_authorities(&[self.authority.public().clone()], database).unwrap()
    }

    pub(crate) fn certificate(&self, device: &Device, login: Login<'_>) -> Vec<u8> {
        let answer = format!(
            r#"{{"authenticated": true, "userID": "{}", "expirationSeconds": {},
            "permissions": {{ {} }}}}"#,
            login.user, login.valid_s, login.permissions
        );
        let ProviderAnswer::Granted(granted) =
            ProviderAnswer::parse(answer.as_bytes(), "p").unwrap()
        else {
            unreachable!("the fixture grants")
        };
        let challenge = self
            .challenges
            .challenge(login.database, [1; 16], login.at_ms)
            .unwrap();
        let signed = challenge.sign(&device.pair).unwrap();
        let proven = self.challenges.prove(signed, login.database, login.at_ms);
        let data = proven.unwrap().grant(*granted);
        let issued = self.authority.issue(data, login.at_ms).unwrap();
        issued.der().to_vec()
    }

    pub(crate) fn credential(&self, device: &Device, login: Login<'_>) -> Credential {
        let der = self.certificate(device, login);
        Credential::certified(der, &device.pkcs8, self.trust(login.database)).unwrap()
    }

    /// The list after `previous` that names these, with a cut at the time of its
    /// making.
    pub(crate) fn revoke(&self, previous: Option<&[u8]>, whom: Vec<Whom>, at_ms: u64) -> Vec<u8> {
        let trust = self.trust(DATABASE);
        let previous = previous.map(|list| Revocations::decode(list, &trust).unwrap());
        let entries = whom.into_iter().map(|whom| Revocation {
            whom,
            issued_before_ms: at_ms,
        });
        let list = self
            .authority
            .revoke(DATABASE, previous.as_ref(), entries.collect(), at_ms);
        list.unwrap().as_bytes().to_vec()
    }
}

/// A fleet of one of the two kinds.
pub(crate) enum Fleet {
    Shared(SharedKey),
    Certified(Box<Service>),
}

impl Fleet {
    /// One of each kind.
    pub(crate) fn both() -> [Self; 2] {
        let shared = SharedKey::generate().unwrap();
        [
            Self::Shared(shared),
            Self::Certified(Box::new(Service::new())),
        ]
    }

    pub(crate) fn credential(&self, device: &Device, login: Login<'_>) -> Credential {
        match self {
            Self::Shared(shared) => crate::node::credential(shared, &device.pkcs8, login.database),
            Self::Certified(service) => service.credential(device, login),
        }
    }

    /// What a device shows that was let into this fleet, for about a month where
    /// the login does not say.
    pub(crate) fn leaf(&self, device: &Device, login: Login<'_>) -> Vec<u8> {
        match self {
            Self::Shared(shared) => {
                let key = device.pair.public();
                shared.issue(key, login.database, login.at_ms).unwrap().der
            }
            Self::Certified(service) => service.certificate(device, login),
        }
    }

    /// A listening node of its own device.
    pub(crate) async fn node(&self) -> Mesh {
        let credential = self.credential(&Device::new(), ANN);
        start(credential, &[], &clock()).await
    }
}

pub(crate) async fn start(
    credential: impl Into<Arc<Credential>>,
    servers: &[SocketAddr],
    clock: &Arc<Clock>,
) -> Mesh {
    let clock = Arc::clone(clock);
    Mesh::start(config(servers), credential, clock)
        .await
        .unwrap()
}

/// One end of a link, with what a test turns on that side.
pub(crate) struct Side {
    pub(crate) mesh: Mesh,
    pub(crate) clock: Arc<Clock>,
    pub(crate) link: EstablishedLink,
}

impl Side {
    pub(crate) fn set_clock(&self, now_ms: u64) {
        self.clock.0.store(now_ms, Ordering::SeqCst);
    }
}

/// A listening node and one that dials it, linked.
pub(crate) async fn linked(server: Credential, client: Credential) -> (Side, Side) {
    let clocks = (clock(), clock());
    let server = start(server, &[], &clocks.0).await;
    let client = start(client, &[address(&server)], &clocks.1).await;
    let (accepted, dialled) = tokio::join!(next(&server), next(&client));
    let side = |mesh, clock, link| Side { mesh, clock, link };
    (
        side(server, clocks.0, accepted),
        side(client, clocks.1, dialled),
    )
}
