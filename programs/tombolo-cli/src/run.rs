//! The verb `run`: from a checked configuration to a serving node and back to a clean end.
//! The steps stand in order; each one's failure is an error of its own.

use std::io::{Write, stderr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tombolo::{Database, Options};
use tombolo_http::{
    Certificate, Drained, Limits, ListenError, Listener, Server, TlsIdentity, Transport,
};

use crate::config::{Checked, Http};
use crate::edge::{Edge, JoinedDatabase, Settings, chain};
use crate::logs;

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
    #[error("error: the system gave no randomness: {0}")]
    NoRandomness(getrandom::Error),
    #[error("error: cannot open the database in {}: {reason}", directory.display())]
    Open { directory: PathBuf, reason: String },
    #[error("error: {0}")]
    Listen(#[from] ListenError),
}

/// Runs the node until a signal ends it.
///
/// # Errors
/// [`RunError`] if it could not start.
pub(crate) fn run(checked: Checked) -> Result<(), RunError> {
    logs::start(checked.config.logging);
    let runtime = Runtime::new().map_err(RunError::NoRuntime)?;
    let outcome = runtime.block_on(serve(checked));
    runtime.shutdown_timeout(ABANDONED_READS_LIMIT);
    outcome
}

async fn serve(checked: Checked) -> Result<(), RunError> {
    let Checked {
        config,
        data_directory,
        certificate,
    } = checked;
    let mut signals = Signals::watch().map_err(RunError::NoSignals)?;
    let database = open(&config.database.id, &data_directory)?;
    let (name, id) = (&config.database.device_name, &config.database.id);
    say(&format!(
        "node {name} of database {id}, data in {}",
        data_directory.display()
    ));
    for notice in &config.notices {
        say(notice);
    }
    match config.http {
        None => signals.any().await,
        Some(http) => {
            let node = JoinedDatabase::new(Arc::clone(&database));
            let server = server(http, certificate, config.database.id, node).await?;
            say(&format!("listening on {}", url(&server)));
            let Drained { cut } = server.run_until(signals.any()).await;
            if cut > 0 {
                say(&format!(
                    "{cut} connections had a request in work at the drain limit and were cut"
                ));
            }
        }
    }
    // Waits for the writes that were begun, unless a read that was given up still holds it.
    drop(database);
    say("stopped");
    Ok(())
}

fn open(id: &str, directory: &Path) -> Result<Arc<Database>, RunError> {
    let database = Database::open(Options::directory(id, directory));
    Ok(Arc::new(database.map_err(|error| RunError::Open {
        directory: directory.to_owned(),
        reason: chain(&error),
    })?))
}

fn url(server: &Server<Edge<JoinedDatabase>>) -> String {
    let scheme = match server.transport {
        Transport::Plain => "http",
        Transport::Tls(_) => "https",
    };
    format!("{scheme}://{}", server.listener.local_address())
}

async fn server(
    http: Http,
    certificate: Option<Certificate>,
    database_id: String,
    node: JoinedDatabase,
) -> Result<Server<Edge<JoinedDatabase>>, RunError> {
    let mut instance = [0; 4];
    let mut digest_key = [0; 32];
    getrandom::fill(&mut instance).map_err(RunError::NoRandomness)?;
    getrandom::fill(&mut digest_key).map_err(RunError::NoRandomness)?;
    let Http {
        listen_address,
        api,
        clients,
        request_timeout,
        connections_max,
        ..
    } = http;
    let limits = Limits {
        connections_max,
        request_timeout,
        ..Limits::default()
    };
    let transport = match certificate {
        None => Transport::Plain,
        Some(certificate) => Transport::Tls(TlsIdentity::new(certificate)),
    };
    let listener = Listener::bind(&listen_address).await?;
    let settings = Settings {
        api,
        clients,
        database_id,
        request_timeout,
        digest_key,
    };
    let answer = Edge::new(settings, node);
    Ok(Server {
        listener,
        transport,
        limits,
        answer,
        instance: u32::from_le_bytes(instance),
    })
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn watch() -> std::io::Result<Self> {
        let terminate = signal(SignalKind::terminate())?;
        let interrupt = signal(SignalKind::interrupt())?;
        Ok(Self {
            terminate,
            interrupt,
        })
    }

    async fn any(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Start and stop are told whatever the log level, on standard error.
fn say(text: &str) {
    // A closed standard error must not end the node.
    let _ = writeln!(stderr(), "{text}");
}
