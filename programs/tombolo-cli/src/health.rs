//! Whether the node can do its work: the store, the disk, the certificate, the audit log. A line for each, and no secret.
//! The same looks feed the metrics.

use std::fmt::Write;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock, Weak};

use tombolo::Database;
use tombolo_http::{ConnectionCounts, TlsIdentity};

use crate::acme::{Standing, Sums};
use crate::api_key::SlowDoor;
use crate::audit::{Audit, AuditSums};
use crate::clock::unix_ms;

/// A certificate that ends sooner than this is warned of.
const CERTIFICATE_ALARM_S: i64 = 14 * 24 * 60 * 60;
/// With less free than this a node takes no more load.
const DISK_FREE_BYTES_MIN: u64 = 64 * 1024 * 1024;

/// What is looked at.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    database: Weak<Database>,
    directory: PathBuf,
    audit: Option<Arc<Audit>>,
    /// Empty: plain HTTP, or no HTTP.
    certificate: Arc<OnceLock<TlsIdentity>>,
    /// Empty: no ACME server is asked for it.
    acme: Arc<OnceLock<Arc<Standing>>>,
    /// Empty: no HTTP.
    door: Arc<OnceLock<Door>>,
}

/// What clients of the HTTP server pass, for its numbers.
#[derive(Debug)]
pub(crate) struct Door {
    pub(crate) connections: Arc<ConnectionCounts>,
    pub(crate) slow_keys: SlowDoor,
}

/// One thing that was looked at.
#[derive(Debug, PartialEq, Eq)]
struct Check {
    name: &'static str,
    state: State,
    text: String,
}

/// How it was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Good,
    /// The node works, and will not for ever.
    Warning,
    /// The node cannot do its work.
    Bad,
}

/// The answer of `GET /health/ready`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Readiness {
    pub(crate) is_ready: bool,
    /// A line for each check.
    pub(crate) text: String,
}

impl Node {
    pub(crate) fn new(
        database: &Arc<Database>,
        directory: PathBuf,
        audit: Option<Arc<Audit>>,
    ) -> Self {
        Self {
            database: Arc::downgrade(database),
            directory,
            audit,
            certificate: Arc::default(),
            acme: Arc::default(),
            door: Arc::default(),
        }
    }

    pub(crate) fn database(&self) -> Option<Arc<Database>> {
        self.database.upgrade()
    }

    pub(crate) fn audit(&self) -> Option<Arc<Audit>> {
        self.audit.clone()
    }

    /// Told once of the certificate that the HTTP server uses, whatever it will be.
    pub(crate) fn watch_certificate(&self, identity: TlsIdentity) {
        // A second one is not there.
        let _ = self.certificate.set(identity);
    }

    /// Told once that an ACME server is asked for the certificate.
    pub(crate) fn watch_acme(&self, standing: Arc<Standing>) {
        let _ = self.acme.set(standing);
    }

    /// `None`: no ACME server is asked for a certificate.
    pub(crate) fn acme(&self) -> Option<Sums> {
        self.acme.get().map(|standing| standing.sums())
    }

    /// Told once of the door of the HTTP server.
    pub(crate) fn watch_door(&self, door: Door) {
        // A second one is not there.
        let _ = self.door.set(door);
    }

    /// `None`: there is no HTTP server.
    pub(crate) fn door(&self) -> Option<&Door> {
        self.door.get()
    }

    pub(crate) fn audit_sums(&self) -> Option<AuditSums> {
        self.audit.as_ref().map(|audit| audit.sums())
    }

    pub(crate) fn certificate_expires_s(&self) -> Option<i64> {
        let certificate = self.certificate.get()?.certificate()?;
        Some(certificate.about().not_after_unix_s)
    }

    /// `None`: the system does not say.
    pub(crate) fn disk_free_bytes(&self) -> Option<u64> {
        let found = rustix::fs::statvfs(&self.directory).ok()?;
        found.f_bavail.checked_mul(found.f_frsize)
    }

    /// Looks at everything.
    pub(crate) fn readiness(&self) -> Readiness {
        let checks = [
            self.store(),
            disk(self.disk_free_bytes()),
            certificate(self.certificate_expires_s(), self.acme(), unix_ms()),
            self.audit_log(),
        ];
        let mut text = String::new();
        for Check {
            name,
            state,
            text: what,
        } in &checks
        {
            let state = match state {
                State::Good => "ok",
                State::Warning => "warning",
                State::Bad => "failed",
            };
            // A string takes everything.
            let _ = writeln!(text, "{name}: {state}: {what}");
        }
        Readiness {
            is_ready: checks.iter().all(|check| check.state != State::Bad),
            text,
        }
    }

    fn store(&self) -> Check {
        let (state, text) = match self.database() {
            None => (State::Bad, "closed"),
            Some(database) if database.store_status().has_stopped => (
                State::Bad,
                "a write failed and nothing is written until the node is started anew",
            ),
            Some(_) => (State::Good, "open"),
        };
        Check {
            name: "store",
            state,
            text: text.to_owned(),
        }
    }

    fn audit_log(&self) -> Check {
        let (state, text) = match self.audit_sums() {
            None => (State::Good, "off"),
            Some(sums) if sums.is_failing => (State::Bad, "cannot be written"),
            Some(_) => (State::Good, "written"),
        };
        Check {
            name: "audit",
            state,
            text: text.to_owned(),
        }
    }
}

fn disk(free_bytes: Option<u64>) -> Check {
    let (state, text) = match free_bytes {
        None => (
            State::Warning,
            "the system does not say how much is free".to_owned(),
        ),
        Some(bytes) => {
            let state = if bytes < DISK_FREE_BYTES_MIN {
                State::Bad
            } else {
                State::Good
            };
            (state, format!("{} MiB free", bytes / (1024 * 1024)))
        }
    };
    Check {
        name: "disk",
        state,
        text,
    }
}

fn certificate(expires_s: Option<i64>, acme: Option<Sums>, now_ms: u64) -> Check {
    let now_s = i64::try_from(now_ms / 1000).unwrap_or(i64::MAX);
    let left = expires_s.map(|at| at.saturating_sub(now_s));
    let ends = |left: i64| {
        format!(
            "ends in {} days and {} hours",
            left / 86_400,
            left % 86_400 / 3_600
        )
    };
    let (state, text) = match (left, acme) {
        (None, None) => (State::Good, "none".to_owned()),
        (Some(left), None) if left <= 0 => (State::Bad, "has expired: renew it".to_owned()),
        (Some(left), None) if left < CERTIFICATE_ALARM_S => (State::Warning, ends(left)),
        (Some(left), None) => (State::Good, ends(left)),
        (None, Some(sums)) => (State::Bad, format!("none yet{}", trouble(&sums, now_s))),
        (Some(left), Some(sums)) if left <= 0 => {
            (State::Bad, format!("has expired{}", trouble(&sums, now_s)))
        }
        // The node renews it by itself, so a short life alone is no reason to worry.
        (Some(left), Some(sums)) => {
            let state = match sums.failure {
                Some(_) => State::Warning,
                None => State::Good,
            };
            (state, format!("{}{}", ends(left), trouble(&sums, now_s)))
        }
    };
    Check {
        name: "certificate",
        state,
        text,
    }
}

/// Why the last try to get a certificate failed, if it did, and when the next one is due.
fn trouble(sums: &Sums, now_s: i64) -> String {
    let Some(failure) = &sums.failure else {
        return String::new();
    };
    let next_s = sums.next_try_unix_s.unwrap_or(now_s);
    format!(
        "; not renewed: {failure}; the next try is in {} s",
        next_s.saturating_sub(now_s).max(0)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_that_is_asked_for_is_judged_by_how_that_goes() {
        let failing = Sums {
            failure: Some("no such name".to_owned()),
            next_try_unix_s: Some(1060),
            ..Sums::default()
        };
        let judged = |expires_s, sums: &Sums| {
            let Check { state, text, .. } = certificate(expires_s, Some(sums.clone()), 1_000_000);
            (state, text)
        };
        let fine = Sums::default();
        assert_eq!(judged(Some(4600), &fine).0, State::Good, "it lives an hour");
        assert_eq!(judged(None, &fine), (State::Bad, "none yet".to_owned()));
        let why = "; not renewed: no such name; the next try is in 60 s";
        for (expires_s, state, begin) in [
            (None, State::Bad, "none yet"),
            (Some(1000), State::Bad, "has expired"),
            (Some(4600), State::Warning, "ends in 0 days and 1 hours"),
        ] {
            assert_eq!(
                judged(expires_s, &failing),
                (state, format!("{begin}{why}"))
            );
        }
    }

    #[test]
    fn a_certificate_is_told_of_before_it_ends() {
        let state = |expires_s| certificate(expires_s, None, 1_000_000).state;
        assert_eq!(state(None), State::Good);
        assert_eq!(state(Some(1000 + CERTIFICATE_ALARM_S)), State::Good);
        assert_eq!(state(Some(1000 + CERTIFICATE_ALARM_S - 1)), State::Warning);
        assert_eq!(state(Some(1001)), State::Warning);
        assert_eq!(state(Some(1000)), State::Bad);
    }

    #[test]
    fn a_disk_is_full_below_the_limit_and_not_at_it() {
        assert_eq!(disk(Some(DISK_FREE_BYTES_MIN)).state, State::Good);
        assert_eq!(disk(Some(DISK_FREE_BYTES_MIN - 1)).state, State::Bad);
        assert_eq!(disk(None).state, State::Warning);
    }

    #[test]
    fn a_node_is_ready_until_its_store_is_gone() {
        let database = Arc::new(Database::open(tombolo::Options::memory("db-1")).unwrap());
        let directory = std::env::temp_dir();
        let node = Node::new(&database, directory, None);
        let found = node.readiness();
        assert!(found.is_ready, "{}", found.text);
        assert_eq!(found.text.lines().count(), 4);
        assert!(found.text.starts_with("store: ok: open\ndisk: ok: "));
        drop(database);
        assert!(!node.readiness().is_ready);
    }
}
