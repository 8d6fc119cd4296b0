//! The steps of the doctor, in the order in which a node takes them. Each says what it found, or stops the walk.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::path::Path;
use std::time::Duration;

use tombolo::login::{
    Applicant, Credentials, Granted, HttpsService, Origin, check_reply, fetch_challenge,
    kept_credentials, read_device_key, send_login,
};
use tombolo::{AuthServer, LoginError};
use tombolo_identity::{Authority, PeerKeyPair};

use super::Halt;
use super::report::Report;
use crate::config::{Checked, LoginSettings};

/// How long a server may take to answer a connection.
const CONNECT_TIME: Duration = Duration::from_secs(5);
/// Addresses of one name that are tried.
const ADDRESSES_MAX: usize = 8;
/// No clock that is right shows less: the first day of the year in which this was written.
const CLOCK_MS_MIN: u64 = 1_767_225_600_000;

const NO_KEY: &str = "none yet: the first start makes it, and this walk uses one of its own";

/// What the data directory says of the device.
pub(super) struct Device {
    pub(super) key: PeerKeyPair,
    /// The last login.
    pub(super) kept: Option<Credentials>,
}

pub(super) fn data_directory(checked: &Checked, report: &mut Report<'_>) -> Result<Device, Halt> {
    const STEP: &str = "data directory";
    let directory = &checked.data_directory;
    match std::fs::metadata(directory) {
        Ok(found) if found.is_dir() => {}
        Ok(_) => {
            let why = format!("{} is no directory", directory.display());
            return Err(report.stop(STEP, &why, "write another path at database.persistence_dir"));
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let told = format!("{} will be made by the first start", directory.display());
            report.fine(STEP, &told)?;
            report.fine("peer key", NO_KEY)?;
            return fresh_device(report);
        }
        Err(error) => {
            let why = format!("{}: {error}", directory.display());
            let remedy = "give the user that runs this node access to it";
            return Err(report.stop(STEP, &why, remedy));
        }
    }
    report.fine(STEP, &directory.display().to_string())?;
    let key = match read_device_key(directory) {
        Ok(Some(key)) => key,
        Ok(None) => {
            report.fine("peer key", NO_KEY)?;
            return fresh_device(report);
        }
        Err(error) => {
            let remedy = "run the doctor as the user that runs this node, or restore the file";
            return Err(report.stop("peer key", &error.to_string(), remedy));
        }
    };
    report.fine("peer key", &key.public().to_string())?;
    let kept = last_login((directory, &checked.config.database.id), &key, report)?;
    Ok(Device { key, kept })
}

/// A device for this walk alone.
fn fresh_device(report: &mut Report<'_>) -> Result<Device, Halt> {
    let made = Authority::generate().and_then(|made| PeerKeyPair::from_pkcs8(&made.to_pkcs8()));
    match made {
        Ok(key) => Ok(Device { key, kept: None }),
        Err(error) => Err(report.stop("peer key", &error.to_string(), "try again")),
    }
}

fn last_login(
    (directory, database_id): (&Path, &str),
    key: &PeerKeyPair,
    report: &mut Report<'_>,
) -> std::io::Result<Option<Credentials>> {
    match kept_credentials(directory, database_id, key.public()) {
        Ok(Some(kept)) => {
            let Origin {
                server, provider, ..
            } = kept.origin();
            let told = format!("{} at {server} by {provider}", kept.user_id());
            report.fine("last login", &told)?;
            Ok(Some(kept))
        }
        Ok(None) => Ok(None),
        // The node starts without it, and so does this walk.
        Err(error) => {
            report.note(&format!("last login: {error}"))?;
            Ok(None)
        }
    }
}

pub(super) fn clock(now_ms: u64, report: &mut Report<'_>) -> Result<(), Halt> {
    if now_ms < CLOCK_MS_MIN {
        let why = format!(
            "the clock of this machine shows {} s after 1970",
            now_ms / 1000
        );
        let remedy = "set the clock: every certificate is from the future for this machine";
        return Err(report.stop("clock", &why, remedy));
    }
    let told = format!("{} s after 1970", now_ms / 1000);
    report.fine("clock", &told)?;
    Ok(())
}

/// Resolves the name of the identity service and connects to it.
pub(super) fn reach(server: &AuthServer, report: &mut Report<'_>) -> Result<(), Halt> {
    let (host, port) = match server.host_and_port() {
        Ok(found) => found,
        Err(error) => {
            let remedy = "correct database.auth.server.auth_url";
            return Err(report.stop("identity service", &error.to_string(), remedy));
        }
    };
    let addresses = resolve("identity service", (&host, port), report)?;
    let reached = connect(&addresses);
    match reached {
        Ok(address) => {
            report.fine("connection", &format!("{server} answers at {address}"))?;
            Ok(())
        }
        Err(why) => {
            let why = format!("{server}: {why}");
            let remedy = "check that the identity service runs, the port, and firewalls between here and there";
            Err(report.stop("connection", &why, remedy))
        }
    }
}

fn resolve(
    step: &str,
    (host, port): (&str, u16),
    report: &mut Report<'_>,
) -> Result<Vec<SocketAddr>, Halt> {
    let found = (host, port).to_socket_addrs();
    let found = found.map(|found| found.take(ADDRESSES_MAX).collect::<Vec<_>>());
    let remedy = "check the name, and the DNS of this machine";
    match found {
        Ok(addresses) if !addresses.is_empty() => Ok(addresses),
        Ok(_) => Err(report.stop(step, &format!("{host} has no address"), remedy)),
        Err(error) => Err(report.stop(step, &format!("{host}: {error}"), remedy)),
    }
}

fn connect(addresses: &[SocketAddr]) -> Result<SocketAddr, String> {
    let mut refused = Vec::new();
    for address in addresses {
        match TcpStream::connect_timeout(address, CONNECT_TIME) {
            Ok(_) => return Ok(*address),
            Err(error) => refused.push(format!("{error} at {address}")),
        }
    }
    Err(refused.join("; "))
}

/// Walks a login to its end; nothing of it is kept.
pub(super) fn log_in(
    settings: &LoginSettings,
    (database_id, key): (&str, PeerKeyPair),
    (bound, now_ms): (Option<String>, u64),
    report: &mut Report<'_>,
) -> Result<(), Halt> {
    let LoginSettings {
        server,
        token,
        provider,
    } = settings;
    let applicant = Applicant {
        database_id: database_id.to_owned(),
        key,
        provider: provider.clone(),
        token: token.clone(),
    };
    let service = HttpsService::new(server);
    let mut service = service.map_err(|error| stop_login("TLS", &error, report))?;
    let challenge = fetch_challenge(&mut service);
    let challenge = challenge.map_err(|error| stop_login("challenge", &error, report))?;
    report.fine("challenge", "given, so TLS and the URL are right too")?;
    let reply = send_login(&mut service, challenge, &applicant);
    let reply = reply.map_err(|error| stop_login("login", &error, report))?;
    report.fine("login", &format!("{provider} lets {} in", reply.user_id))?;
    let origin = Origin::new(server.to_string(), provider.clone());
    let granted = check_reply(reply, &applicant, origin, now_ms);
    let granted = granted.map_err(|error| stop_login("certificate", &error, report))?;
    let Granted { credentials, .. } = granted;
    if let Some(bound) = bound.filter(|bound| bound != credentials.user_id()) {
        let why = format!(
            "the last login was of {bound} and this is of {}",
            credentials.user_id()
        );
        let remedy = "the documents here belong to one user: use the token of that user, or another data directory";
        return Err(report.stop("user", &why, remedy));
    }
    report.fine("certificate", &terms(&credentials, now_ms))?;
    Ok(())
}

/// What a certificate lets its holder do, and for how long.
fn terms(credentials: &Credentials, now_ms: u64) -> String {
    let permissions = credentials.permissions();
    let extent = |is_everything| match is_everything {
        true => "everything",
        false => "what its rules say",
    };
    let minutes = credentials.expires_ms().saturating_sub(now_ms) / 60_000;
    format!(
        "for {minutes} minutes; reads {}, writes {}",
        extent(permissions.read.is_everything()),
        extent(permissions.write.is_everything())
    )
}

fn stop_login(step: &str, error: &LoginError, report: &mut Report<'_>) -> Halt {
    let remedy = match error {
        LoginError::Refused { .. } => {
            "compare access_token and provider with what the identity service has; its log names the reason"
        }
        LoginError::NotUnderstood { .. } => {
            "compare database.db_id here with that of the identity service, and the two versions"
        }
        LoginError::ClockBehind { .. } | LoginError::ClockAhead { .. } => {
            "set the clock of this machine, for example by NTP"
        }
        LoginError::TooMany { .. } | LoginError::Failed { .. } => {
            "wait and run the doctor again; the log of the identity service says more"
        }
        LoginError::Service(_) | LoginError::Url(_) | LoginError::NotAService { .. } => {
            "check auth_url and ca_file of database.auth.server"
        }
        _ => "look at the log of the identity service, and compare the two versions",
    };
    report.stop(step, &error.to_string(), remedy)
}

/// Connects to each server of the configuration; one that answers is no promise that it lets this node in.
pub(super) fn servers(checked: &Checked, report: &mut Report<'_>) -> Result<(), Halt> {
    let servers = checked.sync.as_ref();
    let servers = servers.map_or(&[][..], |options| &options.known_tcp_servers);
    let over_web = checked
        .sync
        .iter()
        .flat_map(|options| &options.known_ws_servers);
    if servers.is_empty() && over_web.count() == 0 {
        report.note("transport_config names no server: this node waits for others to dial it")?;
    }
    for server in servers {
        let (host, port) = server.rsplit_once(':').unwrap_or((server, "0"));
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let addresses = resolve("server", (host, port.parse().unwrap_or(0)), report)?;
        match connect(&addresses) {
            Ok(address) => report.fine("server", &format!("{server} answers at {address}"))?,
            Err(why) => {
                let why = format!("{server}: {why}");
                let remedy =
                    "check that this server runs and listens for peers, the port, and firewalls";
                return Err(report.stop("server", &why, remedy));
            }
        }
    }
    Ok(())
}
