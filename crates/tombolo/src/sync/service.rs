//! The service that keeps links and gives each a session. It has a thread and a
//! runtime of its own, so that the database can be used without either.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tombolo_identity::{PeerPublicKey, Permissions, Quoted};
use tombolo_mesh::presence::{Neighbour, PresenceGraph};
use tombolo_mesh::{ByteStream, Credential, Mesh, MeshConfig, MeshError, MeshStatus, WebServer};
use tombolo_store::Store;
use tombolo_sync::Local;

use super::attachments::fetch_by_itself;
use super::board::SyncStatus;
use super::driver::{Common, drive};
use super::options::{Meeting, Membership, SyncError, SyncOptions, WebSocketServer};
use super::spreading;
use crate::commit_feed::CommitListener;
use crate::database::{Database, Executor};
use crate::login::web_tls;
use crate::replication::Host;

/// Threads that carry frames and read for sessions.
const WORKERS: usize = 2;

/// The service of a database, if it runs.
#[derive(Default)]
pub(crate) struct SyncShell(Mutex<Activity>);

#[derive(Default)]
enum Activity {
    #[default]
    Off,
    Running(Running),
    /// The login ran out; the next one goes on from here.
    Suspended(Meeting),
}

struct Running {
    mesh: Arc<Mesh>,
    /// Where it goes on after the next login; `None` under a shared key.
    resumption: Option<Meeting>,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
    _commits: CommitListener,
}

/// What a mesh needs from outside, from the database's own surroundings.
struct Outside(Arc<Executor>);

impl tombolo_mesh::Surroundings for Outside {
    fn unix_ms(&self) -> u64 {
        self.0.time().unix_ms()
    }

    fn random(&self) -> u64 {
        let drawn = self.0.random_16();
        drawn[..8]
            .iter()
            .fold(0, |number, byte| number << 8 | u64::from(*byte))
    }
}

impl SyncShell {
    /// Ends it, and waits for that.
    pub(crate) fn stop(&self) {
        *self.lock() = Activity::Off;
    }

    /// Ends it until the next login, if it runs by one.
    pub(crate) fn suspend(&self) {
        let mut activity = self.lock();
        if let Activity::Running(Running {
            resumption: Some(meeting),
            ..
        }) = &*activity
        {
            let meeting = meeting.clone();
            *activity = Activity::Suspended(meeting);
        }
    }

    /// Ends it for good, if it runs or waits by a login.
    pub(crate) fn leave(&self) {
        let mut activity = self.lock();
        if !activity.is_by_shared_key() {
            *activity = Activity::Off;
        }
    }

    pub(crate) fn runs_with_shared_key(&self) -> bool {
        self.lock().is_by_shared_key()
    }

    fn lock(&self) -> MutexGuard<'_, Activity> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn mesh(&self) -> Option<Arc<Mesh>> {
        match &*self.lock() {
            Activity::Running(running) => Some(Arc::clone(&running.mesh)),
            _ => None,
        }
    }
}

impl Activity {
    const fn is_by_shared_key(&self) -> bool {
        matches!(
            self,
            Self::Running(Running {
                resumption: None,
                ..
            })
        )
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take() {
            // A panic of a session was logged by the runtime; sync is over anyway.
            let _ = thread.join();
        }
    }
}

impl Database {
    /// Takes part in the mesh: listens, dials, and exchanges what is subscribed
    /// to, until [`Database::stop_sync`] or the end of the database.
    ///
    /// # Errors
    /// [`SyncError`]; nothing runs then.
    pub fn start_sync(&self, options: SyncOptions) -> Result<(), SyncError> {
        let mut activity = self.sync.lock();
        if let Activity::Running(_) = *activity {
            return Err(SyncError::AlreadyRunning);
        }
        let (membership, meeting) = options.into_parts();
        let credential = self.credential(membership)?;
        *activity = Activity::Running(self.run(credential, meeting)?);
        Ok(())
    }

    /// What this device proves itself with to peers.
    fn credential(&self, membership: Membership) -> Result<Credential, SyncError> {
        let peer_key = self.peer_key.as_ref().and_then(|key| key.to_pkcs8());
        let peer_key = peer_key.ok_or(SyncError::NoPeerKey)?;
        let login = self.credentials();
        match (membership, login) {
            (Membership::SharedKey(shared_key), None) => {
                let database_id = &self.options.database_id;
                let credential = Credential::new(shared_key, peer_key.as_ref(), database_id);
                Ok(credential?)
            }
            (Membership::SharedKey(_), Some(login)) => Err(SyncError::LoggedIn {
                user_id: Quoted::new(login.user_id()),
            }),
            (Membership::LoggedIn, None) => Err(SyncError::NotLoggedIn),
            (Membership::LoggedIn, Some(login)) => {
                let now_ms = self.time().unix_ms();
                login.check_at(now_ms).map_err(SyncError::Login)?;
                let certificate = login.certificate().to_vec();
                let trust = login.trust().clone();
                let credential = Credential::certified(certificate, peer_key.as_ref(), trust);
                Ok(credential?)
            }
        }
    }

    fn run(&self, credential: Credential, meeting: Meeting) -> Result<Running, SyncError> {
        let (committed, commits) = watch::channel(0);
        let listener = self.on_commit(move |range| {
            committed.send_replace(*range.end());
        })?;
        let host = Host::new(self);
        let credential = Arc::new(credential);
        spreading::load(&self.store, &credential)?;
        let common = Common {
            local: Arc::new(self.local(&host)?),
            host,
            fetches: Arc::clone(&self.fetches),
            board: Arc::clone(&self.board),
            interests: self.subscriptions.watch(),
            parameters: self.engine.watch_parameters(),
            commits,
            revocations: credential.revocation_changes(),
            credential: Arc::clone(&credential),
        };
        let is_by_login = credential.expires_ms().is_some();
        let resumption = is_by_login.then(|| meeting.clone());
        let known_ws_servers = meeting.known_ws_servers.iter().map(web_server);
        let config = MeshConfig {
            listen: meeting.listen,
            known_tcp_servers: meeting.known_tcp_servers,
            known_ws_servers: known_ws_servers.collect::<Result<_, _>>()?,
            retry_interval: meeting.retry_interval,
            max_links: meeting.max_links,
            ..MeshConfig::default()
        };
        let outside = Arc::new(Outside(Arc::clone(&self.engine)));
        let (stop, stopping) = watch::channel(false);
        let start = Mesh::start(config, credential, outside);
        let automatic = self.options.auto_fetch_attachments;
        let automatic = automatic.then(|| Arc::clone(&self.store));
        let (mesh, thread) = begin(start, (common, automatic), stopping)?;
        Ok(Running {
            mesh,
            resumption,
            stop,
            thread: Some(thread),
            _commits: listener,
        })
    }

    /// Brings what a login gave to sync: to the one that runs, or to the one that
    /// the end of the last login stopped.
    pub(crate) fn renew_sync(&self) {
        let mut activity = self.sync.lock();
        let renewed = match &*activity {
            Activity::Off => Ok(()),
            Activity::Running(running) => self.renew(&running.mesh),
            Activity::Suspended(meeting) => self.resume(meeting.clone()).map(|running| {
                *activity = Activity::Running(running);
            }),
        };
        if let Err(error) = renewed {
            tracing::error!(target: "tombolo::sync", %error, "sync could not go on after a login: start it again");
        }
    }

    fn renew(&self, mesh: &Mesh) -> Result<(), SyncError> {
        let login = self.credentials().ok_or(SyncError::NotLoggedIn)?;
        let (certificate, trust) = (login.certificate().to_vec(), login.trust().clone());
        mesh.credential().renew(certificate, trust)?;
        // One that came with the login was kept before.
        Ok(spreading::load(&self.store, mesh.credential())?)
    }

    /// Gives sync that runs the list of revocations that is kept.
    pub(crate) fn recall_revocations(&self) {
        let Some(mesh) = self.sync.mesh() else { return };
        if let Err(error) = spreading::load(&self.store, mesh.credential()) {
            tracing::error!(target: "tombolo::sync", %error, "the list of revocations cannot be read");
        }
    }

    fn resume(&self, meeting: Meeting) -> Result<Running, SyncError> {
        self.run(self.credential(Membership::LoggedIn)?, meeting)
    }

    /// Ends all links, and waits for it. What was acknowledged stays so.
    pub fn stop_sync(&self) {
        self.sync.stop();
    }

    /// Whether the database takes part in a mesh.
    #[must_use]
    pub fn is_sync_active(&self) -> bool {
        matches!(*self.sync.lock(), Activity::Running(_))
    }

    /// Where peers can reach this one, with the ports that were taken.
    #[must_use]
    pub fn sync_addresses(&self) -> Vec<SocketAddr> {
        let mesh = self.sync.mesh();
        mesh.map_or_else(Vec::new, |mesh| mesh.local_addresses().to_vec())
    }

    /// Where peers are let in over WebSocket; `None` while sync does not run.
    #[must_use]
    pub fn websocket_door(&self) -> Option<WebSocketDoor> {
        self.sync.mesh().map(WebSocketDoor)
    }

    /// Links, dialers and how far each peer is.
    #[must_use]
    pub fn sync_status(&self) -> SyncStatus {
        let mesh: Option<MeshStatus> = self.sync.mesh().map(|mesh| mesh.status());
        SyncStatus {
            mesh,
            peers: self.board.peers(),
            withheld_documents: self.engine.rights().withheld(),
            attachments: self.fetches.traffic(),
            traffic: self.board.traffic().sums(),
        }
    }

    /// This peer and those that it is linked with.
    #[must_use]
    pub fn presence(&self) -> Option<PresenceGraph> {
        let peer_key = self.peer_key.as_ref()?.identity()?;
        Some(self.board.graph(&self.neighbour(peer_key)))
    }

    fn neighbour(&self, peer_key: PeerPublicKey) -> Neighbour {
        Neighbour {
            peer_key,
            device_name: self.options.device_name.clone(),
            os: Some(os_name().to_owned()),
            sdk_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            is_connected_to_server: false,
            metadata: serde_json::from_slice(&self.metadata()).unwrap_or_default(),
            identity_metadata: serde_json::Map::new(),
        }
    }

    fn metadata(&self) -> Vec<u8> {
        if self.options.peer_metadata.is_empty() {
            return Vec::new();
        }
        let metadata = tombolo_document::Value::Object(self.options.peer_metadata.clone());
        tombolo_document::json::print(&metadata).into_bytes()
    }

    fn local(&self, host: &Host) -> Result<Local, SyncError> {
        let skew = self.options.skew_limit.as_millis();
        Ok(Local {
            database_id: self.options.database_id.clone(),
            // Each session has its own: those of its link.
            permissions: Permissions::nothing(),
            device_name: self.options.device_name.clone(),
            os: os_name().to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            metadata: self.metadata(),
            is_server: false,
            secret: host.secret()?,
            skew_limit_ms: u64::try_from(skew).unwrap_or(u64::MAX),
        })
    }
}

/// Lets peers in whose connections a server switched to WebSocket.
pub struct WebSocketDoor(Arc<Mesh>);

impl WebSocketDoor {
    /// Lets in whoever is at the other end of the stream, if it proves itself like
    /// every peer. Resolves when that is decided, or sync stops; the stream must
    /// be polled by a runtime that lives as long as the link.
    pub async fn let_in(self, stream: impl ByteStream + 'static, from: SocketAddr) {
        self.0.accept_websocket(stream, from).await;
    }
}

fn web_server(server: &WebSocketServer) -> Result<WebServer, SyncError> {
    let refused = |reason: String| SyncError::WebServer {
        url: server.url.clone(),
        reason,
    };
    let tls = web_tls(server.ca_file.as_deref()).map_err(|error| refused(error.to_string()))?;
    WebServer::new(&server.url, Arc::new(tls)).map_err(|error| refused(error.to_string()))
}

/// Starts the thread of the service; gives the mesh once it listens.
fn begin(
    start: impl Future<Output = Result<Mesh, MeshError>> + Send + 'static,
    (common, automatic): (Common, Option<Arc<Store>>),
    stopping: watch::Receiver<bool>,
) -> Result<(Arc<Mesh>, JoinHandle<()>), SyncError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .thread_name("tombolo-sync")
        .enable_all()
        .build()?;
    let (started, has_started) = mpsc::sync_channel(1);
    let serve_links = async move {
        match start.await {
            Ok(mesh) => {
                let mesh = Arc::new(mesh);
                // Whoever asked waits for this answer.
                let _ = started.try_send(Ok(Arc::clone(&mesh)));
                let mut fetching = fetch(&common, automatic);
                serve(&mesh, common, stopping).await;
                fetching.abort_all();
            }
            Err(error) => drop(started.try_send(Err(error))),
        }
    };
    let thread = std::thread::Builder::new()
        .name("tombolo-sync".to_owned())
        .spawn(move || runtime.block_on(serve_links))?;
    let answer = has_started.recv();
    let mesh = answer.map_err(|_| std::io::Error::other("the sync thread ended"))??;
    Ok((mesh, thread))
}

/// Begins what keeps fetches of attachments going beside the sessions.
fn fetch(common: &Common, automatic: Option<Arc<Store>>) -> JoinSet<()> {
    let mut fetching = JoinSet::new();
    let fetches = Arc::clone(&common.fetches);
    if let Some(store) = automatic {
        let commits = common.commits.clone();
        fetching.spawn(fetch_by_itself(Arc::clone(&fetches), store, commits));
    }
    fetching.spawn(async move { fetches.keep().await });
    fetching
}

/// Gives each link a session until sync is stopped.
async fn serve(mesh: &Mesh, common: Common, mut stopping: watch::Receiver<bool>) {
    let mut sessions = JoinSet::new();
    let mut number = 0;
    let mut revocations = common.credential.revocation_changes();
    loop {
        tokio::select! {
            // An error says that the owner is gone, which is a stop too.
            _ = stopping.wait_for(|stop| *stop) => break,
            Some(_) = sessions.join_next() => {}
            Ok(()) = revocations.changed() => spreading::keep(&common.host, &common.credential),
            link = mesh.next_link() => match link {
                Some(link) => {
                    number += 1;
                    sessions.spawn(drive(link, number, common.clone()));
                }
                None => break,
            },
        }
    }
    tokio::join!(mesh.stop(), async {
        while sessions.join_next().await.is_some() {}
    });
    // What a session heard last is kept as well.
    if revocations.has_changed().unwrap_or(false) {
        spreading::keep(&common.host, &common.credential);
    }
}

/// The operating system under the name that presence has for it.
const fn os_name() -> &'static str {
    if cfg!(target_os = "linux") {
        "Linux"
    } else if cfg!(target_os = "macos") {
        "macOS"
    } else if cfg!(target_os = "windows") {
        "Windows"
    } else if cfg!(target_os = "android") {
        "Android"
    } else if cfg!(target_os = "ios") {
        "iOS"
    } else {
        "Generic"
    }
}
