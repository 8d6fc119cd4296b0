//! What is known of other peers: who is linked, and how far each session is.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tombolo_document::{Object, Value};
use tombolo_identity::PeerPublicKey;
use tombolo_mesh::presence::{Neighbour, PresenceGraph};
use tombolo_mesh::{MeshStatus, Transport};
use tombolo_query::SystemRows;
use tombolo_store::{Sidecar, Store, engine::KeyRange};
use tombolo_sync::Status;
use tombolo_sync::record::{self, CursorRecord};
use tombolo_sync::wire::Hello;

use super::attachments::AttachmentTraffic;
use super::traffic::{SyncTraffic, TrafficCounts};

/// Peers that are told of; of more, those without a link are left out.
const PEERS_MAX: usize = 4_096;
/// The rows of `system:data_sync_info`.
const DATA_SYNC_INFO: &str = "data_sync_info";

/// How far the exchange with one peer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerProgress {
    /// The peer.
    pub peer_key: PeerPublicKey,
    /// Whether there is a link.
    pub connected: bool,
    /// Whether it is a server.
    pub is_server: bool,
    /// The newest commit here that it has made durable.
    pub acknowledged: u64,
    /// When a change last came from it, in unix milliseconds; zero: never.
    pub received_ms: u64,
}

/// What synchronisation does at one moment.
#[derive(Debug, Clone)]
pub struct SyncStatus {
    /// Links, listeners and dialers; none while sync is stopped.
    pub mesh: Option<MeshStatus>,
    /// Every peer that was ever met, by its key.
    pub peers: Vec<PeerProgress>,
    /// Documents that were written here since the start and will not sync,
    /// because the user that is logged in may not write them; one that was
    /// written twice counts twice.
    pub withheld_documents: u64,
    /// What moved of attachments since the database was opened.
    pub attachments: AttachmentTraffic,
    /// What all links together carried since the start.
    pub traffic: SyncTraffic,
}

/// Shared by all sessions.
pub(crate) struct Board {
    store: Arc<Store>,
    linked: Mutex<BTreeMap<PeerPublicKey, Linked>>,
    traffic: Arc<TrafficCounts>,
}

/// A link that is up.
struct Linked {
    /// Which of several links of one peer.
    link: u64,
    hello: Option<Hello>,
    transport: Transport,
    status: Status,
}

impl Board {
    pub(crate) fn new(store: Arc<Store>) -> Self {
        Self {
            store,
            linked: Mutex::new(BTreeMap::new()),
            traffic: Arc::default(),
        }
    }

    /// What all links carry.
    pub(crate) fn traffic(&self) -> Arc<TrafficCounts> {
        Arc::clone(&self.traffic)
    }

    pub(crate) fn up(&self, peer: PeerPublicKey, link: u64, transport: Transport) {
        let status = Status::default();
        let linked = Linked {
            link,
            hello: None,
            transport,
            status,
        };
        self.lock().insert(peer, linked);
    }

    pub(crate) fn met(&self, peer: &PeerPublicKey, link: u64, hello: Hello) {
        if let Some(linked) = self.lock().get_mut(peer).filter(|held| held.link == link) {
            linked.hello = Some(hello);
        }
    }

    pub(crate) fn progress(&self, peer: &PeerPublicKey, link: u64, status: Status) {
        if let Some(linked) = self.lock().get_mut(peer).filter(|held| held.link == link) {
            linked.status = status;
        }
    }

    pub(crate) fn down(&self, peer: &PeerPublicKey, link: u64) {
        let mut linked = self.lock();
        if linked.get(peer).is_some_and(|held| held.link == link) {
            linked.remove(peer);
        }
    }

    /// Who is linked now, as presence tells it.
    pub(crate) fn graph(&self, local: &Neighbour) -> PresenceGraph {
        let neighbours: Vec<_> = self
            .lock()
            .iter()
            .filter_map(|(key, linked)| {
                let hello = linked.hello.as_ref()?;
                Some((neighbour(key, hello), linked.transport))
            })
            .collect();
        PresenceGraph::of_neighbours(local, &neighbours)
    }

    /// Every peer that was ever met.
    pub(crate) fn peers(&self) -> Vec<PeerProgress> {
        let mut peers = self.remembered();
        for (key, linked) in &*self.lock() {
            peers.insert(
                key.clone(),
                PeerProgress {
                    peer_key: key.clone(),
                    connected: true,
                    is_server: linked.hello.as_ref().is_some_and(|hello| hello.is_server),
                    acknowledged: linked.status.acknowledged,
                    received_ms: linked.status.received_ms,
                },
            );
        }
        peers.into_values().collect()
    }

    /// What the store remembers of peers without a link.
    fn remembered(&self) -> BTreeMap<PeerPublicKey, PeerProgress> {
        let mut peers: BTreeMap<PeerPublicKey, PeerProgress> = BTreeMap::new();
        let snapshot = self.store.snapshot();
        for prefix in [record::CURSOR_PREFIX, record::ACKNOWLEDGED_PREFIX] {
            // What cannot be read is not told; the session that needs it says so.
            let _ = snapshot.scan_sidecar(
                Sidecar::Sessions,
                &KeyRange::prefix(prefix),
                &mut |key, value| {
                    let Ok(peer_key) = PeerPublicKey::parse(&key[prefix.len()..]) else {
                        return ControlFlow::Continue(());
                    };
                    let peer = peers.entry(peer_key.clone()).or_insert(PeerProgress {
                        peer_key,
                        connected: false,
                        is_server: false,
                        acknowledged: 0,
                        received_ms: 0,
                    });
                    if prefix == record::CURSOR_PREFIX {
                        let record = CursorRecord::decode(value);
                        peer.received_ms = record.map_or(0, |record| record.received_ms);
                    } else {
                        peer.acknowledged = record::read_acknowledged(value).unwrap_or(0);
                    }
                    if peers.len() < PEERS_MAX {
                        ControlFlow::Continue(())
                    } else {
                        ControlFlow::Break(())
                    }
                },
            );
        }
        peers
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<PeerPublicKey, Linked>> {
        // Every change is a single insertion or removal.
        self.linked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SystemRows for Board {
    fn rows(&self, name: &str) -> Option<Vec<Object>> {
        (name == DATA_SYNC_INFO).then(|| self.peers().iter().map(row).collect())
    }
}

fn row(peer: &PeerProgress) -> Object {
    let known = |number: u64| match number {
        0 => Value::Null,
        number => Value::from_u64(number),
    };
    let status = if peer.connected {
        "Connected"
    } else {
        "Not Connected"
    };
    let documents = Object::from([
        ("sync_session_status".to_owned(), Value::from(status)),
        (
            "synced_up_to_local_commit_id".to_owned(),
            known(peer.acknowledged),
        ),
        (
            "last_update_received_time".to_owned(),
            known(peer.received_ms),
        ),
    ]);
    Object::from([
        ("_id".to_owned(), Value::from(peer.peer_key.to_string())),
        ("is_ditto_server".to_owned(), Value::from(peer.is_server)),
        ("documents".to_owned(), Value::from(documents)),
    ])
}

fn neighbour(key: &PeerPublicKey, hello: &Hello) -> Neighbour {
    let told = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Neighbour {
        peer_key: key.clone(),
        device_name: hello.device_name.clone(),
        os: told(&hello.os),
        sdk_version: told(&hello.version),
        is_connected_to_server: false,
        metadata: serde_json::from_slice(&hello.metadata).unwrap_or_default(),
        identity_metadata: serde_json::Map::new(),
    }
}
