//! The verb `run`: from a checked configuration to a serving node and back to a clean end.
//! The steps stand in order; each one's failure is an error of its own.

use std::io::{Write, stderr};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tombolo_document::Object;
use tombolo_http::{
    Certificate, Drained, Limits, ListenError, Listener, Server, TlsIdentity, Transport,
};

use crate::config::{Checked, Http};
use crate::edge::{Edge, ExecutePermit, Executed, Failure, Node, Settings};
use crate::logs;

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
    runtime.block_on(serve(checked))
}

async fn serve(checked: Checked) -> Result<(), RunError> {
    let Checked {
        config,
        data_directory,
        certificate,
    } = checked;
    let mut signals = Signals::watch().map_err(RunError::NoSignals)?;
    say(&format!(
        "node {} of database {}",
        config.database.device_name, config.database.id
    ));
    say(&format!(
        "the database is not joined to this program yet: {} is left alone and /execute is not served",
        data_directory.display()
    ));
    for notice in &config.notices {
        say(notice);
    }
    match config.http {
        None => signals.any().await,
        Some(http) => {
            let server = server(http, certificate, config.database.id).await?;
            let scheme = if matches!(server.transport, Transport::Plain) {
                "http"
            } else {
                "https"
            };
            say(&format!(
                "listening on {scheme}://{}",
                server.listener.local_address()
            ));
            let Drained { cut } = server.run_until(signals.any()).await;
            if cut > 0 {
                say(&format!(
                    "{cut} connections had a request in work at the drain limit and were cut"
                ));
            }
        }
    }
    say("stopped");
    Ok(())
}

async fn server(
    http: Http,
    certificate: Option<Certificate>,
    database_id: String,
) -> Result<Server<Edge<NoDatabase>>, RunError> {
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
    let answer = Edge::new(settings, None);
    Ok(Server {
        listener,
        transport,
        limits,
        answer,
        instance: u32::from_le_bytes(instance),
    })
}

/// No value of this type exists: the database is not joined to the program yet, and no route reaches one.
enum NoDatabase {}

impl Node for NoDatabase {
    async fn execute(
        &self,
        _: ExecutePermit,
        _: String,
        _: Object,
        _: Option<Duration>,
    ) -> Result<Executed, Failure> {
        match *self {}
    }
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
