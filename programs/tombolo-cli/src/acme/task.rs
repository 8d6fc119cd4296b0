//! The task that keeps the certificate good: it sleeps until one is due, asks for it, and tells how that went.
//! It begins when the server listens, because the proof is asked for on its port.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tombolo_http::{Certificate, TlsIdentity};

use super::https::RetryAfter;
use super::is_for;
use super::kept::{Failure, Kept, KeptError, Tries};
use super::order::Applicant;
use super::order_error::OrderError;
use super::schedule::{Pace, next_order_s, pause, renewal_unix_s};
use super::standing::Standing;
use crate::audit::{AdminAct, Audit, Outcome, tell_outcome};
use crate::clock::rfc_3339;
use crate::config::Acme;
use crate::run::say;
use crate::serving::span;
use crate::verbs::now_unix_s;

/// The clock of the machine is looked at this often, because it may be set and the machine may sleep.
const LOOK_EVERY: Duration = Duration::from_secs(10 * 60);
/// For all steps of one try together.
const TRY_LIMIT: Duration = Duration::from_secs(5 * 60);

/// Keeps the certificate of an ACME server good.
pub(crate) struct AcmeTask {
    /// Where the certificate is used, and where domains are proven.
    pub(crate) identity: TlsIdentity,
    /// What is asked for; a new value is taken at once.
    pub(crate) wanted: watch::Receiver<Acme>,
    pub(crate) data_directory: PathBuf,
    /// What relative paths start at.
    pub(crate) base: PathBuf,
    pub(crate) standing: Arc<Standing>,
    /// Where a new certificate is written down.
    pub(crate) audit: Option<Arc<Audit>>,
}

impl AcmeTask {
    /// Runs until it is dropped.
    pub(crate) async fn run(mut self) {
        loop {
            let acme = self.wanted.borrow_and_update().clone();
            let work = Work::begin(&self, acme).await;
            work.run(&mut self.wanted).await;
        }
    }
}

/// The work for one wish.
struct Work {
    applicant: Applicant,
    standing: Arc<Standing>,
    audit: Option<Arc<Audit>>,
    tries: Tries,
    /// What the disk has for this wish.
    certificate: Option<Certificate>,
    /// Failures in a row.
    failures: u32,
    /// No try before this moment.
    not_before_unix_s: i64,
}

impl Work {
    async fn begin(task: &AcmeTask, acme: Acme) -> Self {
        let kept = Kept::of(&task.data_directory, &acme.directory_url);
        let place = kept.clone();
        let read = spawn_blocking(move || (place.certificate(now_unix_s()), place.tries()));
        let (certificate, tries) = match read.await {
            Ok((certificate, tries)) => (certificate, tries),
            Err(_) => (Ok(None), Ok(Tries::default())),
        };
        let certificate = certificate.unwrap_or_else(|error| {
            tracing::warn!("the certificate that was kept cannot be used any more: {error}");
            None
        });
        let tries = tries.unwrap_or_else(|error| {
            tracing::warn!("what was tried before is not known: {error}");
            Tries::default()
        });
        let certificate = certificate.filter(|found| is_for(found.about(), &acme));
        if let Some(certificate) = &certificate {
            use_certificate(&task.identity, certificate, task.audit.as_deref());
        }
        let roots = acme.ca_file.as_ref().map(|file| task.base.join(file));
        Self {
            applicant: Applicant {
                acme,
                roots,
                kept,
                identity: task.identity.clone(),
            },
            standing: Arc::clone(&task.standing),
            audit: task.audit.clone(),
            tries,
            certificate,
            failures: 0,
            not_before_unix_s: i64::MIN,
        }
    }

    /// Returns when something else is asked for.
    async fn run(mut self, wanted: &mut watch::Receiver<Acme>) {
        self.tell_before();
        loop {
            let now_s = now_unix_s();
            let due_s = self.due_unix_s(now_s);
            self.standing
                .tell(|sums| sums.next_try_unix_s = Some(due_s));
            let left = Duration::from_secs(u64::try_from(due_s - now_s).unwrap_or(0));
            if left > Duration::ZERO {
                match timeout(left.min(LOOK_EVERY), change(wanted)).await {
                    Ok(()) => return,
                    Err(_) => continue,
                }
            }
            tokio::select! {
                biased;
                () = change(wanted) => return,
                () = self.attempt() => {}
            }
        }
    }

    /// What is known from before: why the last try failed, and that the next one has to wait.
    fn tell_before(&mut self) {
        let failure = self.tries.failure.as_ref();
        let failure = failure.map(|failure| failure.reason.clone());
        self.standing.tell(|sums| sums.failure = failure);
        let now_s = now_unix_s();
        let next_s = self.due_unix_s(now_s);
        if self.certificate.is_none() && next_s > now_s {
            let next = moment(next_s);
            tracing::warn!(
                "acme: there is no certificate yet, and as many orders as may be were begun within an hour; the next try is at {next}"
            );
        }
    }

    /// When the next try is due, now or later.
    fn due_unix_s(&mut self, now_s: i64) -> i64 {
        let wanted = self.certificate.as_ref();
        let wanted = wanted.map_or(now_s, |held| renewal_unix_s(held.about()));
        let allowed = next_order_s(&mut self.tries.orders_unix_s, now_s);
        wanted.max(self.not_before_unix_s).max(allowed).max(now_s)
    }

    async fn attempt(&mut self) {
        let retry_after = RetryAfter::default();
        let orders = self.tries.orders_unix_s.len();
        let obtained = self.obtain(retry_after.clone()).await;
        match obtained {
            Ok(certificate) => self.succeed(certificate).await,
            Err(error) => {
                // An order counts at the server, whatever came after it.
                let is_counted = self.tries.orders_unix_s.len() > orders;
                let pace = if is_counted {
                    Pace::Refused
                } else {
                    error.pace()
                };
                self.fail(&error, (pace, retry_after.get())).await;
            }
        }
    }

    async fn obtain(&mut self, retry_after: RetryAfter) -> Result<Certificate, OrderError> {
        let Self {
            applicant,
            tries,
            standing,
            ..
        } = self;
        let begin = async {
            tries.orders_unix_s.push(now_unix_s());
            standing.tell(|sums| sums.orders += 1);
            // What is not written down would be forgotten by a restart, and the limits of the server with it.
            keep(&applicant.kept, tries).await
        };
        let obtained = applicant.obtain(retry_after, begin);
        let late = || OrderError::Late {
            limit_s: TRY_LIMIT.as_secs(),
        };
        timeout(TRY_LIMIT, obtained).await.map_err(|_| late())?
    }

    async fn succeed(&mut self, certificate: Certificate) {
        self.failures = 0;
        self.not_before_unix_s = i64::MIN;
        self.tries.failure = None;
        self.standing.tell(|sums| {
            sums.certificates += 1;
            sums.failure = None;
        });
        // Before it is told, so that whoever hears of it finds it on the disk.
        self.write_down().await;
        let audit = self.audit.as_deref();
        use_certificate(&self.applicant.identity, &certificate, audit);
        self.certificate = Some(certificate);
    }

    async fn fail(&mut self, error: &OrderError, (pace, retry_after): (Pace, Option<Duration>)) {
        self.failures = self.failures.saturating_add(1);
        let mut chance = [128];
        // Without randomness the pause is in its middle, which is as good.
        let _ = getrandom::fill(&mut chance);
        let pause = pause(pace, self.failures, retry_after, chance[0]);
        let now_s = now_unix_s();
        let pause_s = i64::try_from(pause.as_secs()).unwrap_or(i64::MAX);
        self.not_before_unix_s = now_s.saturating_add(pause_s.max(1));
        let reason = error.to_string();
        self.tries.failure = Some(Failure {
            at_unix_s: now_s,
            reason: reason.clone(),
        });
        self.standing.tell(|sums| {
            sums.failures += 1;
            sums.failure = Some(reason.clone());
        });
        let next_s = self.due_unix_s(now_s);
        let next = moment(next_s);
        let what = match &self.certificate {
            Some(_) => "the certificate was not renewed",
            None => "there is no certificate yet, so HTTPS clients are refused",
        };
        self.write_down().await;
        tracing::warn!("acme: {what}: {reason}; the next try is at {next}");
    }

    async fn write_down(&self) {
        if let Err(error) = keep(&self.applicant.kept, &self.tries).await {
            tracing::warn!("acme: what was tried is not written down: {error}");
        }
    }
}

fn moment(unix_s: i64) -> String {
    rfc_3339(u64::try_from(unix_s).unwrap_or(0).saturating_mul(1000))
}

/// Waits until something else is asked for; for ever, where nobody is left who could ask.
async fn change(wanted: &mut watch::Receiver<Acme>) {
    if wanted.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

async fn keep(kept: &Kept, tries: &Tries) -> Result<(), KeptError> {
    let (kept, tries) = (kept.clone(), tries.clone());
    let written = spawn_blocking(move || {
        kept.prepare()?;
        kept.keep_tries(&tries)
    });
    // A node that ends does not wait for it.
    written.await.unwrap_or(Ok(()))
}

fn use_certificate(identity: &TlsIdentity, certificate: &Certificate, audit: Option<&Audit>) {
    let held = identity.certificate();
    if held.is_some_and(|held| held.is_same(certificate)) {
        return;
    }
    let about = certificate.about();
    let left = span(about.not_after_unix_s - now_unix_s());
    let names = about.names.join(", ");
    identity.replace(certificate.clone());
    if let Some(audit) = audit {
        let ends = format!("it ends at {} s after 1970", about.not_after_unix_s);
        tell_outcome(audit, (AdminAct::CertificateChange, Outcome::Done), ends);
    }
    say(&format!(
        "certificate: for {names} is in use, it ends in {left}"
    ));
}
