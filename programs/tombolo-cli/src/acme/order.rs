//! One order: the account, the proof of each domain, the certificate, and its place on the disk.
//! Every step has a deadline, and what was proven is taken back however it ends.

use std::path::PathBuf;
use std::time::Duration;

use instant_acme::{
    Account, AuthorizationStatus, ChallengeType, Error, Identifier, NewOrder, Order, OrderStatus,
    RetryPolicy,
};
use tokio::task::spawn_blocking;
use tombolo_http::{Certificate, TlsIdentity};
use zeroize::Zeroizing;

use super::https::{Questions, RetryAfter};
use super::kept::{Kept, KeptError};
use super::order_error::{OrderError, words};
use super::proof::Proving;
use super::{account, is_for};
use crate::config::Acme;
use crate::verbs::now_unix_s;

/// How long the server may take to look at the proofs, and the same again to sign.
const POLLING_LIMIT: Duration = Duration::from_secs(90);
const POLLING: RetryPolicy = RetryPolicy::new()
    .initial_delay(Duration::from_millis(500))
    .backoff(1.5)
    .timeout(POLLING_LIMIT);

/// Who asks for what.
pub(super) struct Applicant {
    pub(super) acme: Acme,
    /// The roots of the ACME server, with its whole path; `None`: those of the system.
    pub(super) roots: Option<PathBuf>,
    pub(super) kept: Kept,
    /// Where the domains are proven.
    pub(super) identity: TlsIdentity,
}

impl Applicant {
    /// Asks for a certificate and keeps it. `begin` is done before an order is made, and its failure ends all.
    pub(super) async fn obtain(
        &self,
        retry_after: RetryAfter,
        begin: impl Future<Output = Result<(), KeptError>>,
    ) -> Result<Certificate, OrderError> {
        let kept = self.kept.clone();
        on_disk(move || kept.prepare()).await?;
        let questions = Questions::new(self.read_roots().await?.as_deref(), retry_after)?;
        let account = account::enter(&self.acme, &self.kept, &questions).await?;
        begin.await?;
        let mut order = match self.order(&account).await {
            Err(error) if account::is_unknown(&error) => {
                let account = account::replace(&self.acme, &self.kept, &questions).await?;
                self.order(&account).await?
            }
            ordered => ordered?,
        };
        let proving = self.prove(&mut order).await?;
        let key = Zeroizing::new(order.finalize().await?);
        let chain = order.poll_certificate(&POLLING).await.map_err(late)?;
        drop(proving);
        self.keep(key, &chain).await
    }

    async fn read_roots(&self) -> Result<Option<Vec<u8>>, OrderError> {
        let Some(path) = self.roots.clone() else {
            return Ok(None);
        };
        let read = spawn_blocking(move || std::fs::read(path)).await;
        let read = read.map_err(|_| OrderError::Ending)?;
        read.map(Some).map_err(OrderError::Roots)
    }

    async fn order(&self, account: &Account) -> Result<Order, Error> {
        let names = self.acme.domains.iter();
        let names: Vec<Identifier> = names.cloned().map(Identifier::Dns).collect();
        account.new_order(&NewOrder::new(&names)).await
    }

    /// Proves what the server has not seen proven lately. The proofs stand until the order is done.
    async fn prove(&self, order: &mut Order) -> Result<Proving<'_>, OrderError> {
        let mut proving = Proving::begin(&self.identity);
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization?;
            if authorization.status == AuthorizationStatus::Valid {
                continue;
            }
            let domain = authorization.identifier().to_string();
            let challenge = authorization.challenge(ChallengeType::TlsAlpn01);
            let Some(mut challenge) = challenge else {
                return Err(OrderError::NoChallenge { domain });
            };
            let digest = challenge.key_authorization().digest();
            let digest = digest.as_ref().try_into();
            let digest = digest.map_err(|_| "the digest has another length".to_owned());
            let proven = digest.and_then(|digest| proving.prove(&domain, digest));
            proven.map_err(|reason| OrderError::NoProof { reason })?;
            challenge.set_ready().await?;
        }
        match order.poll_ready(&POLLING).await {
            Ok(OrderStatus::Ready) => Ok(proving),
            Ok(_) => Err(explain(order).await.unwrap_or_else(|| {
                let told = "the order is invalid, and it does not say why".to_owned();
                OrderError::Refused { told }
            })),
            Err(Error::Api(problem)) => Err(explain(order)
                .await
                .unwrap_or_else(|| Error::Api(problem).into())),
            Err(error) => Err(late(error)),
        }
    }

    async fn keep(&self, key: Zeroizing<String>, chain: &str) -> Result<Certificate, OrderError> {
        let mut pem = key;
        pem.push_str(chain);
        let (kept, acme) = (self.kept.clone(), self.acme.clone());
        let kept = spawn_blocking(move || {
            kept.keep_certificate(&pem, now_unix_s(), |certificate| {
                match is_for(certificate.about(), &acme) {
                    true => Ok(()),
                    false => Err(OrderError::OtherNames {
                        names: certificate.about().names.join(", "),
                    }),
                }
            })
        });
        kept.await.map_err(|_| OrderError::Ending)?
    }
}

/// Which domain was not proven, and why, as far as the server tells.
async fn explain(order: &mut Order) -> Option<OrderError> {
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        authorization.refresh().await.ok()?;
        let problems = authorization.challenges.iter();
        let problem = problems
            .filter_map(|challenge| challenge.error.as_ref())
            .next();
        if let Some(problem) = problem {
            return Some(OrderError::NotProven {
                domain: authorization.identifier().to_string(),
                told: words(problem),
            });
        }
    }
    None
}

fn late(error: Error) -> OrderError {
    match error {
        Error::Timeout(_) => OrderError::Late {
            limit_s: POLLING_LIMIT.as_secs(),
        },
        other => other.into(),
    }
}

/// The disk may be slow, so no thread of a connection waits for it.
pub(super) async fn on_disk<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, KeptError> + Send + 'static,
) -> Result<T, OrderError> {
    let done = spawn_blocking(work).await;
    Ok(done.map_err(|_| OrderError::Ending)??)
}
