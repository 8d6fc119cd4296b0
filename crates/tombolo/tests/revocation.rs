//! T36 with whole databases: one learns from the service who is cut off, the
//! others from each other, and a list that nobody signed ends its bringer's link.

#![expect(
    clippy::unwrap_used,
    reason = "a test whose world cannot be set up has failed"
)]

mod identity_service;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use identity_service::{Clock, EVERYTHING, NOW_MS, Service, device, log_in};
use tempfile::TempDir;
use tombolo::{Database, SiteId, SyncOptions, Timekeeper};
use tombolo_identity::{
    Authority, ChallengeKey, PeerKeyPair, ProviderAnswer, Revocation, Revocations, Trust, Whom,
};
use tombolo_mesh::{Credential, EstablishedLink, Mesh, MeshConfig};
use tombolo_sync::view::LogId;
use tombolo_sync::wire::{Assembler, Channel, Framer, Hello, Message, Packed};

use identity_service::DATABASE;

struct World {
    clock: Clock,
    service: Arc<Service>,
}

struct Device {
    database: Database,
    _directory: TempDir,
}

impl World {
    fn new() -> Self {
        let clock = Clock::at(NOW_MS);
        let service = Service::new(&clock);
        for user in ["ann", "bob", "thief"] {
            service.admit(user, 24, (EVERYTHING, EVERYTHING));
        }
        Self { clock, service }
    }

    fn device(&self, user: &str, servers: &[&Device]) -> Device {
        let directory = tempfile::tempdir().unwrap();
        let database = device(&self.clock, directory.path());
        log_in(&database, &self.service, user).unwrap();
        let device = Device {
            database,
            _directory: directory,
        };
        device.join(servers);
        device
    }

    /// The service cuts a user off, after the list before.
    fn revoke(&self, user: &str, before: Option<&Revocations>) -> Revocations {
        let at_ms = self.clock.unix_ms() + 1;
        let entry = Revocation {
            whom: Whom::User(user.to_owned()),
            issued_before_ms: at_ms,
        };
        let authority = &self.service.authority;
        let list = authority.revoke(DATABASE, before, vec![entry], at_ms);
        list.unwrap()
    }
}

impl Device {
    fn join(&self, servers: &[&Self]) {
        let mut options = SyncOptions::logged_in();
        options.listen = vec!["127.0.0.1:0".parse().unwrap()];
        options.retry_interval = Duration::from_millis(10);
        let address = |server: &&Self| server.database.sync_addresses()[0].to_string();
        options.known_tcp_servers = servers.iter().map(address).collect();
        self.database.start_sync(options).unwrap();
    }

    /// How often links failed to come to be, for this reason.
    fn failures(&self, kind: &str) -> u64 {
        let mesh = self.database.sync_status().mesh.unwrap();
        mesh.failures.get(kind).copied().unwrap_or(0)
    }

    /// How many links are up.
    fn links(&self) -> usize {
        self.database.sync_status().mesh.unwrap().links.len()
    }
}

/// Waits for what comes by itself; whoever waits in vain is stopped by the runner.
fn until(is_so: impl Fn() -> bool) {
    while !is_so() {
        std::thread::yield_now();
    }
}

/// The hub knows the service, the neighbour the hub alone, and the thief comes to
/// the neighbour, who puts it out and does not let it in again.
#[tokio::test]
async fn t36_a_neighbour_that_never_meets_the_service_cuts_off_who_is_revoked() {
    let world = World::new();
    let neighbour = world.device("bob", &[]);
    let hub = world.device("ann", &[&neighbour]);
    let thief = world.device("thief", &[&neighbour]);
    until(|| neighbour.links() == 2 && thief.links() == 1);

    let list = world.revoke("thief", None);
    *world.service.revocations.lock().unwrap() = Some(list.as_bytes().to_vec());
    // From here on nobody but the hub gets an answer of the service.
    log_in(&hub.database, &world.service, "ann").unwrap();
    world.service.fail_with(503, "");
    until(|| neighbour.links() == 1 && thief.links() == 0);
    assert_eq!(hub.links(), 1);
    // Its program is an honest one, so it knows of it too, or was told.
    until(|| thief.failures("own_revoked") + thief.failures("refused_by_peer") > 0);

    // It is held by the disk and not by the links: the same after a new start.
    hub.database.stop_sync();
    neighbour.database.stop_sync();
    neighbour.join(&[]);
    let mesh = Stranger::mesh(&world, &neighbour, "thief").await;
    let mut changes = mesh.changes();
    while !mesh.status().failures.contains_key("refused_by_peer") {
        changes.changed().await.unwrap();
    }
    until(|| neighbour.failures("revoked") > 0);
    assert_eq!(neighbour.links(), 0);
}

/// A peer by hand: it is let in by its certificate, and then says what it likes.
struct Stranger {
    _mesh: Mesh,
    link: EstablishedLink,
    hello: Hello,
}

struct Outside(Clock);

impl tombolo_mesh::Surroundings for Outside {
    fn unix_ms(&self) -> u64 {
        self.0.unix_ms()
    }

    fn random(&self) -> u64 {
        0
    }
}

impl Stranger {
    /// Bob, linked.
    async fn new(world: &World, server: &Device) -> Self {
        let mesh = Self::mesh(world, server, "bob").await;
        let link = mesh.next_link().await.unwrap();
        let site = SiteId::derive(DATABASE, mesh.peer_key().as_bytes());
        let hello = Hello {
            versions: (1, 1),
            database_id: DATABASE.to_owned(),
            log: LogId([7; 16]),
            actor: tombolo_document::Actor::new(site, 1),
            now_ms: NOW_MS,
            is_server: false,
            device_name: String::new(),
            os: String::new(),
            version: String::new(),
            metadata: Vec::new(),
        };
        Self {
            _mesh: mesh,
            link,
            hello,
        }
    }

    /// Dials with a certificate of the service, by a program of its own.
    async fn mesh(world: &World, server: &Device, user: &str) -> Mesh {
        let pkcs8 = Authority::generate().unwrap().to_pkcs8();
        let key = PeerKeyPair::from_pkcs8(&pkcs8).unwrap();
        let challenges = ChallengeKey::new(&[1; 32]);
        let challenge = challenges.challenge(DATABASE, [1; 16], NOW_MS).unwrap();
        let signed = challenge.sign(&key).unwrap();
        let proven = challenges.prove(signed, DATABASE, NOW_MS).unwrap();
        let answer = world.service.answers.lock().unwrap()[user].clone();
        let answer = ProviderAnswer::parse(answer.as_bytes(), "my-auth").unwrap();
        let ProviderAnswer::Granted(granted) = answer else {
            unreachable!("the service lets them all in")
        };
        let authority = &world.service.authority;
        let certificate = authority.issue(proven.grant(*granted), NOW_MS).unwrap();
        let trust = Trust::of_authorities(&[authority.public().clone()], DATABASE);
        let der = certificate.der().to_vec();
        let credential = Credential::certified(der, &pkcs8, trust.unwrap()).unwrap();
        let config = MeshConfig {
            known_tcp_servers: vec![server.database.sync_addresses()[0].to_string()],
            ..MeshConfig::default()
        };
        let outside = Arc::new(Outside(world.clock.clone()));
        Mesh::start(config, credential, outside).await.unwrap()
    }

    /// Says Hello and then these lists; gives all that is heard until the end.
    async fn tell(self, lists: &[&[u8]]) -> Vec<Message> {
        let (mut sender, mut receiver) = self.link.link.split();
        let lists = lists.iter().map(|list| Message::Revocations {
            list: Bytes::copy_from_slice(list),
        });
        let messages = [Message::Hello(Box::new(self.hello))];
        let (mut framer, mut frames) = (Framer::default(), Vec::new());
        for message in messages.into_iter().chain(lists) {
            let packed = Packed::plain(message.encode());
            framer.frames(Channel::Control, &packed, |frame| frames.push(frame));
        }
        sender.send(&frames).await.unwrap();
        let (mut assembler, mut heard) = (Assembler::default(), Vec::new());
        // A link that is cut ends with an error.
        while let Ok(Some(frame)) = receiver.receive().await {
            if let Some((_, message)) = assembler.take(&frame).unwrap() {
                heard.push(Message::decode(&message).unwrap());
            }
        }
        heard
    }
}

fn lists(heard: &[Message]) -> Vec<&[u8]> {
    let lists = heard.iter().filter_map(|message| match message {
        Message::Revocations { list } => Some(&list[..]),
        _ => None,
    });
    lists.collect()
}

/// A peer brings a good list and is heard, then an older one, which changes
/// nothing, then one that nobody signed, which ends its link and no other.
#[tokio::test]
async fn t36_a_list_that_does_not_verify_ends_the_link_that_brought_it() {
    let world = World::new();
    let hub = world.device("ann", &[]);
    let neighbour = world.device("bob", &[&hub]);
    let older = world.revoke("mallory", None);
    world.clock.advance(1);
    let newer = world.revoke("thief", Some(&older));
    let mut altered = newer.as_bytes().to_vec();
    *altered.last_mut().unwrap() ^= 1;
    let said = [newer.as_bytes(), older.as_bytes(), &altered];
    let heard = Stranger::new(&world, &hub).await.tell(&said).await;
    let is_told = |message: &Message| matches!(message, Message::Bye { .. });
    assert!(!heard.iter().any(is_told), "{heard:?}");

    // What it brought holds: whoever comes is told of the newer list, by name
    // of nobody, and the next is cut off before any word.
    let heard = Stranger::new(&world, &hub).await.tell(&[&altered]).await;
    assert_eq!(lists(&heard), [newer.as_bytes()]);
    let thief = world.device("thief", &[&hub]);
    until(|| thief.failures("refused_by_peer") > 0);
    until(|| hub.failures("revoked") > 0);
    assert_eq!(thief.links(), 0);
    assert_eq!(neighbour.links(), 1);
}
