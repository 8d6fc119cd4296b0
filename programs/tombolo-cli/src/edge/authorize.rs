//! Who a client is and what it may do. A route can only reach the database with a permit made here.
//! Keys never leave this file; logs and answers name identities.

use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use http::{HeaderMap, header};
use tokio::sync::watch;
use tombolo::{Access, Prepared, StatementKind};

use super::endpoint::Endpoint;
use super::openapi::Keys;
use super::throttle::{Origin, Throttle, TooMany};
use crate::api_key::{KeyRing, KeyVerdict, Looked, SlowDoor};
use crate::config::{Clients, Identity, PermissionSet, Strategy, Throttled};

/// Keys of other programs that one address may have hashed slowly. A key that was checked once needs none of it.
const SLOW_CHECKS: Strategy = Strategy {
    by: Throttled::Address,
    requests_max: 10,
    window: Duration::from_secs(60),
};

/// The door of the HTTP API. Shared with whoever reloads the configuration.
#[derive(Debug)]
pub(crate) struct Guard {
    door: RwLock<Arc<Door>>,
    digest_key: [u8; 32],
    slow_checks: Throttle,
    slow_keys: SlowDoor,
    /// Tells those who stay for long that the clients are others now.
    replaced: watch::Sender<()>,
}

#[derive(Debug)]
enum Door {
    /// `auth: dev_mode`.
    Open,
    /// Keys decide.
    Keyed {
        ring: KeyRing,
        identities: Vec<Arc<Identity>>,
    },
}

/// From where and when a key comes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asking {
    pub(crate) address: IpAddr,
    /// By the monotonic clock.
    pub(crate) now: Duration,
    /// Unix milliseconds.
    pub(crate) now_ms: u64,
}

/// A client that was let in.
#[derive(Debug, Clone)]
pub(crate) enum Caller {
    /// No key was asked for, and none gives a right.
    Nobody,
    /// `auth: dev_mode`.
    Anyone,
    Identity {
        identity: Arc<Identity>,
        /// Unix milliseconds at which it was let in.
        now_ms: u64,
    },
}

/// Proof that a client may run one statement. Only this file makes one.
#[derive(Debug)]
pub(crate) struct ExecutePermit {
    /// On which documents.
    access: Access,
}

impl ExecutePermit {
    pub(crate) fn into_access(self) -> Access {
        self.access
    }
}

/// Proof that a client may see who is in the mesh. Only this file makes one.
#[derive(Debug)]
pub(crate) struct PresencePermit(());

/// Proof that a client may upload attachments. Only this file makes one.
#[derive(Debug)]
pub(crate) struct UploadPermit(());

/// Proof that a client may download attachments. Only this file makes one.
#[derive(Debug)]
pub(crate) struct DownloadPermit {
    /// Which documents it may read: what they refer to is for it.
    access: Access,
}

impl DownloadPermit {
    pub(crate) fn into_access(self) -> Access {
        self.access
    }
}

/// Why a client was not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AuthRefusal {
    /// 401.
    NoKey,
    /// 401.
    UnknownKey,
    /// 403: no permission set, or none that is still valid.
    NotPermitted,
    /// 403.
    Endpoint(Endpoint),
    /// 403.
    Statement(StatementKind),
    /// 429: this address had too many keys checked.
    TooManyKeys(TooMany),
    /// 503.
    Busy,
}

impl Guard {
    /// `digest_key` is drawn at random once per process.
    pub(crate) fn new(clients: Clients, digest_key: [u8; 32]) -> Self {
        let slow_keys = SlowDoor::new();
        let door = Door::new(clients, digest_key, &slow_keys);
        Self {
            door: RwLock::new(Arc::new(door)),
            digest_key,
            slow_checks: Throttle::new(vec![SLOW_CHECKS]),
            slow_keys,
            replaced: watch::Sender::new(()),
        }
    }

    /// Takes other clients from now on. What was learned about keys is forgotten with
    /// the clients before: a key that was revoked is unknown to the next request, and to
    /// one whose key is being checked.
    pub(crate) fn replace(&self, clients: Clients) {
        let door = Arc::new(Door::new(clients, self.digest_key, &self.slow_keys));
        *self.door.write().unwrap_or_else(PoisonError::into_inner) = door;
        self.replaced.send_replace(());
    }

    /// Hears of each [`Guard::replace`] from now on.
    pub(crate) fn watch(&self) -> watch::Receiver<()> {
        self.replaced.subscribe()
    }

    /// Who a client is by now that was let in earlier and is still here: with the rights
    /// that its key gives at this moment, if it still gives any.
    pub(crate) fn again(&self, caller: &Caller, now_ms: u64) -> Result<Caller, AuthRefusal> {
        match (&*self.door(), caller) {
            (Door::Open, _) => Ok(Caller::Anyone),
            (Door::Keyed { .. }, Caller::Nobody | Caller::Anyone) => Err(AuthRefusal::NoKey),
            (Door::Keyed { identities, .. }, Caller::Identity { identity, .. }) => {
                let mut all = identities.iter();
                let same = all.find(|other| other.hash == identity.hash);
                let identity = Arc::clone(same.ok_or(AuthRefusal::UnknownKey)?);
                Ok(Caller::Identity { identity, now_ms })
            }
        }
    }

    /// Finds out who asks.
    pub(crate) async fn identify(
        &self,
        headers: &HeaderMap,
        asking: Asking,
    ) -> Result<Caller, AuthRefusal> {
        let door = self.door();
        let identified = door.identify(headers, (asking, &self.slow_checks)).await;
        if Arc::ptr_eq(&door, &self.door()) {
            identified
        } else {
            // The clients were replaced meanwhile; whoever is still one may ask again.
            Err(AuthRefusal::Busy)
        }
    }

    /// Where keys wait to be hashed slowly.
    pub(crate) fn slow_keys(&self) -> SlowDoor {
        self.slow_keys.clone()
    }

    /// Whether clients need keys, for the description of the API.
    pub(crate) fn keys(&self) -> Keys {
        match *self.door() {
            Door::Open => Keys::NotNeeded,
            Door::Keyed { .. } => Keys::Needed,
        }
    }

    fn door(&self) -> Arc<Door> {
        Arc::clone(&self.door.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Door {
    fn new(clients: Clients, digest_key: [u8; 32], slow_keys: &SlowDoor) -> Self {
        match clients {
            Clients::Anyone => Self::Open,
            Clients::Known(identities) => {
                let hashes = identities.iter().map(|identity| identity.hash.clone());
                Self::Keyed {
                    ring: KeyRing::new(hashes.collect(), digest_key, slow_keys.clone()),
                    identities: identities.into_iter().map(Arc::new).collect(),
                }
            }
        }
    }

    async fn identify(
        &self,
        headers: &HeaderMap,
        (asking, slow_checks): (Asking, &Throttle),
    ) -> Result<Caller, AuthRefusal> {
        let Self::Keyed { ring, identities } = self else {
            return Ok(Caller::Anyone);
        };
        let key = bearer_key(headers).ok_or(AuthRefusal::NoKey)?;
        let verdict = match ring.look(key) {
            Looked::Known(verdict) => verdict,
            Looked::Slow(slow) => {
                let origin = Origin {
                    address: asking.address,
                    endpoint: None,
                };
                if slow.is_foreign {
                    let admitted = slow_checks.admit(origin, asking.now);
                    admitted.map_err(AuthRefusal::TooManyKeys)?;
                }
                ring.search(key, slow).await
            }
        };
        match verdict {
            KeyVerdict::Identity(index) => Ok(Caller::Identity {
                identity: Arc::clone(&identities[index]),
                now_ms: asking.now_ms,
            }),
            KeyVerdict::Unknown => Err(AuthRefusal::UnknownKey),
            KeyVerdict::Busy => Err(AuthRefusal::Busy),
        }
    }
}

impl Caller {
    /// The name of the identity in records.
    pub(crate) fn audit_id(&self) -> Option<&str> {
        match self {
            Self::Nobody | Self::Anyone => None,
            Self::Identity { identity, .. } => Some(&identity.audit_id),
        }
    }

    /// Whose the answers are that are kept for it: no two keys have the same, whatever their identities are called.
    pub(crate) fn answer_owner(&self) -> &[u8] {
        match self {
            Self::Nobody | Self::Anyone => &[],
            Self::Identity { identity, .. } => identity.hash.output(),
        }
    }

    /// Decides whether an endpoint is for this client at all, before its body is read.
    pub(crate) fn may_use(&self, endpoint: Endpoint) -> Result<(), AuthRefusal> {
        let Some(mut sets) = self.sets()? else {
            return Ok(());
        };
        if sets.any(|set| set.endpoints.contains(&endpoint)) {
            return Ok(());
        }
        let is_bare = self.sets()?.is_some_and(|mut sets| sets.next().is_none());
        Err(if is_bare {
            AuthRefusal::NotPermitted
        } else {
            AuthRefusal::Endpoint(endpoint)
        })
    }

    /// Decides whether this client may run this statement, and on which documents: those
    /// that one of its sets for this kind of statement lets it write, and those that one
    /// of them, or one of its sets for SELECT, lets it read.
    pub(crate) fn permit_execute(
        &self,
        statement: &Prepared,
    ) -> Result<ExecutePermit, AuthRefusal> {
        self.permit_statement(Endpoint::Execute, statement)
    }

    /// Decides whether this client may observe this statement, and which documents.
    pub(crate) fn permit_observe(
        &self,
        statement: &Prepared,
    ) -> Result<ExecutePermit, AuthRefusal> {
        self.permit_statement(Endpoint::Observe, statement)
    }

    fn permit_statement(
        &self,
        endpoint: Endpoint,
        statement: &Prepared,
    ) -> Result<ExecutePermit, AuthRefusal> {
        self.may_use(endpoint)?;
        let kind = statement.kind();
        let Some(sets) = self.sets()? else {
            let access = Access::everything();
            return Ok(ExecutePermit { access });
        };
        let (mut read, mut write, mut is_granted) = (Vec::new(), Vec::new(), false);
        for set in sets {
            let grants = set.allows(endpoint, kind);
            is_granted |= grants;
            if grants || set.allows(endpoint, StatementKind::Select) {
                read.push(Arc::clone(&set.read));
            }
            if grants {
                write.push(Arc::clone(&set.write));
            }
        }
        if is_granted {
            let access = Access::within(read, write);
            Ok(ExecutePermit { access })
        } else {
            Err(AuthRefusal::Statement(kind))
        }
    }

    /// Decides whether this client may see who is in the mesh.
    pub(crate) fn permit_presence(&self) -> Result<PresencePermit, AuthRefusal> {
        self.may_use(Endpoint::Presence).map(PresencePermit)
    }

    /// Decides whether this client may upload attachments.
    pub(crate) fn permit_upload(&self) -> Result<UploadPermit, AuthRefusal> {
        self.may_use(Endpoint::AttachmentsUpload).map(UploadPermit)
    }

    /// Decides whether this client may download attachments: those that a document refers to
    /// which one of its sets for downloads lets it read.
    pub(crate) fn permit_download(&self) -> Result<DownloadPermit, AuthRefusal> {
        let endpoint = Endpoint::AttachmentsDownload;
        self.may_use(endpoint)?;
        let Some(sets) = self.sets()? else {
            let access = Access::everything();
            return Ok(DownloadPermit { access });
        };
        let sets = sets.filter(|set| set.endpoints.contains(&endpoint));
        let read = sets.map(|set| Arc::clone(&set.read)).collect();
        let access = Access::within(read, Vec::new());
        Ok(DownloadPermit { access })
    }

    /// The sets that are valid; `None`: everything is allowed.
    fn sets(&self) -> Result<Option<impl Iterator<Item = &PermissionSet>>, AuthRefusal> {
        match self {
            Self::Anyone => Ok(None),
            Self::Nobody => Err(AuthRefusal::NoKey),
            Self::Identity { identity, now_ms } => {
                let sets = identity.permissions.iter().map(|set| &**set);
                Ok(Some(sets.filter(|set| set.is_valid(*now_ms))))
            }
        }
    }
}

fn bearer_key(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, key) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}
