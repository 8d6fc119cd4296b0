//! The verb `run`: from a checked configuration to a serving node and back to a clean end.
//! The steps stand in order; each one's failure is an error of its own.

use std::io::{Write, stderr};

use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tombolo_http::{
    Certificate, Drained, Limits, ListenError, Listener, Server, TlsIdentity, Transport,
};

use crate::config::{Checked, Http};
use crate::edge::Edge;
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
        certificate,
        ..
    } = checked;
    let mut signals = Signals::watch().map_err(RunError::NoSignals)?;
    for notice in &config.notices {
        say(notice);
    }
    match config.http {
        None => signals.any().await,
        Some(http) => {
            let server = server(http, certificate, &config.database.id).await?;
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
    database_id: &str,
) -> Result<Server<Edge>, RunError> {
    let mut instance = [0; 4];
    let mut digest_key = [0; 32];
    getrandom::fill(&mut instance).map_err(RunError::NoRandomness)?;
    getrandom::fill(&mut digest_key).map_err(RunError::NoRandomness)?;
    let limits = Limits {
        connections_max: http.connections_max,
        request_timeout: http.request_timeout,
        ..Limits::default()
    };
    let transport = match certificate {
        None => Transport::Plain,
        Some(certificate) => Transport::Tls(TlsIdentity::new(certificate)),
    };
    let listener = Listener::bind(&http.listen_address).await?;
    let answer = Edge::new(http.api, http.clients, database_id, digest_key);
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
    let _ = writeln!(stderr(), "tombolo: {text}");
}
