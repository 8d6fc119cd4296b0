//! The HTTP server of a node: bound, given its routes, kept fresh, and ended in good order.

mod audited;
mod certificate;
mod clients;
mod expiry;
mod reload;
mod stamp;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tombolo_http::{Drained, Limits, Listener, Server, TlsIdentity, Transport};

use crate::acme::{AcmeTask, Kept};
use crate::config::{Acme, CertificateSource, Clients, Encryption, Http, LoadedTls};
use crate::edge::{self, Edge, Guard, JoinedDatabase, Origins, SystemClock, Throttle};
use crate::health::Door;
use crate::identity::IdentityService;
use crate::run::{RunError, Signals, say};
use crate::upkeep::Upkeep;
use crate::verbs::now_unix_s;
use audited::AuditParty;
use certificate::CertificateKeeper;
use clients::ClientsKeeper;
use reload::{Party, Reloader};

pub(crate) use expiry::span;
pub(crate) use reload::ConfigSource;

/// What stands behind the HTTP server.
pub(crate) struct Answering {
    pub(crate) database_id: String,
    pub(crate) node: JoinedDatabase,
    pub(crate) identity: Option<Arc<IdentityService>>,
    pub(crate) upkeep: Arc<Upkeep>,
}

/// What the configuration says about the server.
pub(crate) struct Serving {
    pub(crate) http: Http,
    /// `None`: plain HTTP.
    pub(crate) tls: Option<LoadedTls>,
    pub(crate) source: ConfigSource,
    pub(crate) data_directory: PathBuf,
}

/// Answers HTTP until a signal comes and the requests in work are done.
pub(crate) async fn serve(
    serving: Serving,
    answering: Answering,
    mut signals: Signals,
) -> Result<(), RunError> {
    let Serving {
        http,
        tls,
        source,
        data_directory,
    } = serving;
    // What is in it ends with it.
    let mut beside = JoinSet::new();
    if let Some(service) = answering.identity.clone() {
        beside.spawn(service.watch(answering.upkeep.node().audit()));
    }
    let mut parties: Vec<Box<dyn Party>> = Vec::new();
    let Secured {
        transport,
        mut acme,
    } = secured(&http, tls, (&source, data_directory), &mut parties);
    let guard = guard(http.clients.clone())?;
    let keeper = ClientsKeeper::new(Arc::clone(&guard), http.clients.clone());
    parties.push(Box::new(keeper));
    let node = answering.upkeep.node();
    if let Transport::Tls(identity) = &transport {
        node.watch_certificate(identity.clone());
    }
    if let Some(task) = &mut acme {
        task.audit = node.audit();
        node.watch_acme(Arc::clone(&task.standing));
    }
    // Last, so that it tells of what the others did.
    parties.extend(AuditParty::of(node));
    let (node, slow_keys) = (node.clone(), guard.slow_keys());
    let server = server((http, transport), guard, answering).await?;
    node.watch_door(Door {
        connections: server.listener.counts(),
        slow_keys,
    });
    say(&format!("listening on {}", url(&server)));
    // The ACME server asks this port for the proof, so nothing is asked for before it listens.
    if let Some(task) = acme {
        beside.spawn(task.run());
    }
    if let Some(hangup) = signals.hangup() {
        beside.spawn(Reloader::new(source, parties).run(hangup));
    }
    let Drained { cut } = server.run_until(signals.any()).await;
    beside.shutdown().await;
    if cut > 0 {
        say(&format!(
            "{cut} connections had a request in work at the drain limit and were cut"
        ));
    }
    Ok(())
}

/// What clients speak, and who gets the certificate for it.
struct Secured {
    transport: Transport,
    /// `None`: nobody, or whoever writes its files.
    acme: Option<AcmeTask>,
}

/// Plain, or TLS with a certificate that is kept fresh.
fn secured(
    http: &Http,
    tls: Option<LoadedTls>,
    (source, data_directory): (&ConfigSource, PathBuf),
    parties: &mut Vec<Box<dyn Party>>,
) -> Secured {
    let (Encryption::Tls(named), Some(loaded)) = (&http.encryption, tls) else {
        return Secured {
            transport: Transport::Plain,
            acme: None,
        };
    };
    let identity = TlsIdentity::without_certificate();
    loaded.apply(&identity);
    let base = source.base().to_owned();
    let (wanted, acme) = match &named.source {
        CertificateSource::Files { .. } => (None, None),
        CertificateSource::Acme(acme) => {
            use_kept(acme, &data_directory, &identity);
            let (sender, wanted) = watch::channel(acme.clone());
            let task = AcmeTask {
                identity: identity.clone(),
                wanted,
                data_directory,
                base: base.clone(),
                standing: Arc::default(),
                audit: None,
            };
            (Some(sender), Some(task))
        }
    };
    let keeper = CertificateKeeper::new(identity.clone(), named.clone(), base, wanted);
    parties.push(Box::new(keeper));
    Secured {
        transport: Transport::Tls(identity),
        acme,
    }
}

/// So that a restart serves the certificate that was there before from its first connection on.
fn use_kept(acme: &Acme, data_directory: &Path, identity: &TlsIdentity) {
    let kept = Kept::of(data_directory, &acme.directory_url);
    let names = acme.domains.join(", ");
    match kept.certificate(now_unix_s()) {
        Ok(Some(certificate)) => identity.replace(certificate),
        // Of one that cannot be used the task tells why.
        Ok(None) | Err(_) => say(&format!(
            "certificate: none for {names} yet, so HTTPS clients are refused; asking {}",
            acme.directory_url
        )),
    }
}

fn url(server: &Server<Edge<JoinedDatabase>>) -> String {
    let scheme = match server.transport {
        Transport::Plain => "http",
        Transport::Tls(_) => "https",
    };
    format!("{scheme}://{}", server.listener.local_address())
}

fn guard(clients: Clients) -> Result<Arc<Guard>, RunError> {
    let mut digest_key = [0; 32];
    getrandom::fill(&mut digest_key).map_err(RunError::NoRandomness)?;
    Ok(Arc::new(Guard::new(clients, digest_key)))
}

async fn server(
    (http, transport): (Http, Transport),
    guard: Arc<Guard>,
    answering: Answering,
) -> Result<Server<Edge<JoinedDatabase>>, RunError> {
    let mut instance = [0; 4];
    getrandom::fill(&mut instance).map_err(RunError::NoRandomness)?;
    let Http {
        listen_address,
        base_path,
        api,
        clients,
        request_timeout,
        connections_max,
        throttling,
        proxies,
        cors,
        is_local,
        limits,
        ..
    } = http;
    let limits = Limits {
        connections_max,
        request_timeout,
        ..limits
    };
    let listener = Listener::bind_with_backlog(&listen_address, limits.backlog).await?;
    let Answering {
        database_id,
        node,
        identity,
        upkeep,
    } = answering;
    let settings = edge::Settings {
        api,
        origins: Origins::new(cors, is_local && matches!(clients, Clients::Anyone)),
        proxies,
        throttle: Throttle::new(throttling),
        guard,
        database_id,
        base_path,
        request_timeout,
        identity,
        clock: Arc::new(SystemClock::start()),
        recorder: Arc::new(upkeep.recorder()),
        upkeep: Some(upkeep),
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
