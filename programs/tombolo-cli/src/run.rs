//! The verb `run`: from a checked configuration to a serving node and back to a clean end.
//! The steps stand in order; each one's failure is an error of its own.

use std::io::{Write, stderr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;
use tombolo::{Database, LoginError, Options, Subscription, SyncError, SyncOptions};
use tombolo_http::ListenError;

use crate::audit::{self, AdminAct, AuditError};
use crate::config::{self, Checked, Config, Database as Settings, Enrolment, IdentitySettings};
use crate::edge::{JoinedDatabase, chain};
use crate::enrolment::Member;
use crate::identity::{self, IdentityService};
use crate::logs::archive::Sources;
use crate::serving::{self, Answering, ConfigSource, Serving};
use crate::upkeep::Upkeep;
use crate::{health, logs, sync_report};

/// At the end, reads whose clients have left may run this much longer.
const ABANDONED_READS_LIMIT: Duration = Duration::from_secs(1);

/// Why the node did not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    #[error(
        "error: cannot start the runtime: {0}\n  = help: check the limits of threads and open files of this process"
    )]
    NoRuntime(std::io::Error),
    #[error("error: cannot watch for signals: {0}")]
    NoSignals(std::io::Error),
    #[error(
        "error: logging.edge_server.rotating_logs: cannot write its files: {0}\n  = help: make its directory writable for the user that runs this node"
    )]
    Logs(std::io::Error),
    #[error("error: {0}")]
    Audit(#[from] AuditError),
    #[error("error: the system gave no randomness: {0}")]
    NoRandomness(getrandom::Error),
    #[error("error: cannot open the database in {}: {reason}", directory.display())]
    Open { directory: PathBuf, reason: String },
    #[error(
        "error: database.subscriptions[{index}]: {reason}\n  = help: check it with: tombolo config validate"
    )]
    Subscription { index: usize, reason: String },
    #[error("error: cannot join the mesh: {reason}")]
    Sync { reason: String },
    #[error("error: this node cannot log in to its own identity service: {0}")]
    Login(LoginError),
    #[error("error: {0}")]
    Listen(#[from] ListenError),
    #[error(transparent)]
    Identity(#[from] identity::ServiceError),
}

/// Runs the node until a signal ends it.
///
/// # Errors
/// [`RunError`] if it could not start.
pub(crate) fn run(checked: Checked, source: ConfigSource) -> Result<(), RunError> {
    let _logs = logs::start(&checked.config.logging, checked.log_directory.as_deref())
        .map_err(RunError::Logs)?;
    let runtime = Runtime::new().map_err(RunError::NoRuntime)?;
    let signals = {
        let _context = runtime.enter();
        Signals::watch().map_err(RunError::NoSignals)?
    };
    let outcome = start((checked, source), &runtime, signals);
    runtime.shutdown_timeout(ABANDONED_READS_LIMIT);
    outcome
}

fn start(
    (checked, source): (Checked, ConfigSource),
    runtime: &Runtime,
    signals: Signals,
) -> Result<(), RunError> {
    let Checked {
        config,
        data_directory,
        tls,
        sync,
        enrolment,
        identity,
        log_directory,
        audit_directory,
    } = checked;
    let Config {
        database: settings,
        http,
        notices,
        logging,
        ..
    } = config;
    let audit = audit::of_node(audit_directory.as_deref(), &logging, &settings)?;
    let database = open(&settings, &data_directory)?;
    introduce(&settings, &data_directory, &notices);
    let identity = match identity {
        None => None,
        Some(identity) => Some(open_identity(identity, &settings.id)?),
    };
    let subscriptions = subscribe(&database, settings.subscriptions)?;
    let member = match sync {
        None => None,
        Some(options) => {
            tell_subscriptions(subscriptions.len());
            join(&database, options, (enrolment, identity.as_ref()))?
        }
    };
    let node = health::Node::new(&database, data_directory.clone(), audit.clone());
    let sources = Sources::of(&logging, (log_directory, audit_directory));
    let upkeep = Arc::new(Upkeep::new(node, sources));
    let answering = Answering {
        database_id: settings.id,
        node: JoinedDatabase::new(Arc::clone(&database)),
        identity,
        upkeep,
    };
    audit::tell(audit.as_deref(), AdminAct::Start, "");
    runtime.block_on(async {
        let watchers = Watchers::start(&database, member);
        let serving = http.map(|http| Serving {
            http,
            tls,
            source,
            data_directory,
        });
        let outcome = attend(serving, answering, signals).await;
        watchers.stop().await;
        outcome
    })?;
    end(database, subscriptions);
    audit::tell(audit.as_deref(), AdminAct::Stop, "");
    drop(audit);
    say("stopped");
    Ok(())
}

/// Serves, or waits where there is nothing to serve, until a signal comes.
async fn attend(
    serving: Option<Serving>,
    answering: Answering,
    mut signals: Signals,
) -> Result<(), RunError> {
    if let Some(serving) = serving {
        return serving::serve(serving, answering, signals).await;
    }
    drop(answering);
    signals.any().await;
    Ok(())
}

fn introduce(settings: &Settings, directory: &Path, notices: &[String]) {
    let (name, id) = (&settings.device_name, &settings.id);
    let directory = directory.display();
    say(&format!(
        "node {name} of database {id}, data in {directory}"
    ));
    for notice in notices {
        say(notice);
    }
}

/// Takes back what was begun, in the opposite order.
fn end(database: Arc<Database>, subscriptions: Vec<Subscription>) {
    database.clear_expiration_handler();
    sync_report::conclude(&database);
    // Links end before the store does, so that no session meets a closed one.
    database.stop_sync();
    drop(subscriptions);
    // Waits for the writes that were begun, unless a read that was given up still holds it.
    drop(database);
}

/// What looks after the node while it runs.
struct Watchers(Vec<JoinHandle<()>>);

impl Watchers {
    fn start(database: &Arc<Database>, member: Option<Arc<Member>>) -> Self {
        let report = tokio::spawn(sync_report::run(Arc::downgrade(database)));
        let follow = member.map(|member| tokio::spawn(member.follow()));
        Self([report].into_iter().chain(follow).collect())
    }

    /// So that nothing but reads that were given up still holds the database.
    async fn stop(self) {
        for watcher in self.0 {
            watcher.abort();
            let _ = watcher.await;
        }
    }
}

/// Opens the authority and tells the operator what of it matters.
fn open_identity(
    settings: IdentitySettings,
    database_id: &str,
) -> Result<Arc<IdentityService>, RunError> {
    let mut notices = Vec::new();
    let service = IdentityService::open(settings, database_id, &mut notices)?;
    for notice in &notices {
        say(notice);
    }
    Ok(Arc::new(service))
}

fn open(settings: &Settings, directory: &Path) -> Result<Arc<Database>, RunError> {
    let mut options = Options::directory(&settings.id, directory);
    options.device_name.clone_from(&settings.device_name);
    options.on_lost_access = settings.on_lost_access;
    options.auto_fetch_attachments = settings.auto_fetch_attachments;
    let database = Database::open(options).map_err(|error| RunError::Open {
        directory: directory.to_owned(),
        reason: chain(&error),
    })?;
    Ok(Arc::new(database))
}

/// Registers what the node wants from its peers, for as long as the answer is kept.
fn subscribe(
    database: &Database,
    wanted: Vec<config::Subscription>,
) -> Result<Vec<Subscription>, RunError> {
    let register = |(index, wanted): (usize, config::Subscription)| {
        let config::Subscription {
            statement,
            arguments,
        } = wanted;
        let registered = database.register_subscription(&statement, arguments);
        registered.map_err(|error| RunError::Subscription {
            index,
            reason: chain(&error),
        })
    };
    wanted.into_iter().enumerate().map(register).collect()
}

/// Joins the mesh by a shared key, or begins to log in, which joins it as soon as it can.
fn join(
    database: &Arc<Database>,
    options: SyncOptions,
    (enrolment, identity): (Option<Enrolment>, Option<&Arc<IdentityService>>),
) -> Result<Option<Arc<Member>>, RunError> {
    if let Some(enrolment) = enrolment {
        return Member::begin(database, (enrolment, identity), options);
    }
    let joined = join_mesh(database, options);
    joined.map(|()| None).map_err(|error| RunError::Sync {
        reason: chain(&error),
    })
}

/// Joins the mesh now, and tells the operator where it is met.
pub(crate) fn join_mesh(database: &Database, options: SyncOptions) -> Result<(), SyncError> {
    let web = options.known_ws_servers.iter().map(|server| &server.url);
    let servers = options.known_tcp_servers.iter().chain(web);
    let servers = servers.map(String::as_str).collect::<Vec<_>>().join(", ");
    database.start_sync(options)?;
    for address in database.sync_addresses() {
        say(&format!("mesh: listening for peers on {address}"));
    }
    if !servers.is_empty() {
        say(&format!("mesh: dialling {servers}"));
    }
    Ok(())
}

fn tell_subscriptions(subscriptions: usize) {
    match subscriptions {
        0 => say(
            "mesh: no subscriptions, so this node sends what peers ask for and takes nothing from them",
        ),
        count => say(&format!("mesh: {count} subscriptions")),
    }
}

/// The signals that the node answers to.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Option<Signal>,
}

impl Signals {
    fn watch() -> std::io::Result<Self> {
        let terminate = signal(SignalKind::terminate())?;
        let interrupt = signal(SignalKind::interrupt())?;
        let hangup = Some(signal(SignalKind::hangup())?);
        Ok(Self {
            terminate,
            interrupt,
            hangup,
        })
    }

    /// The signal that asks to reload, for whoever asks first.
    pub(crate) fn hangup(&mut self) -> Option<Signal> {
        self.hangup.take()
    }

    /// Waits for one that ends the node.
    pub(crate) async fn any(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Start and stop are told whatever the log level, on standard error.
pub(crate) fn say(text: &str) {
    // A closed standard error must not end the node.
    let _ = writeln!(stderr(), "{}", logs::plain(text));
}
