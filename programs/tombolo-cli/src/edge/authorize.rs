//! Who a client is and what it may do. A route can only reach the database with a permit made here.
//! Keys never leave this file; logs and answers name identities.

use std::sync::Arc;

use http::{HeaderMap, header};
use tombolo::Prepared;

use super::endpoint::Endpoint;
use crate::api_key::{KeyRing, KeyVerdict};
use crate::config::{Clients, Identity, Permission};

/// The door of the HTTP API.
#[derive(Debug)]
pub(crate) enum Guard {
    /// `auth: dev_mode`.
    Open,
    /// Keys decide.
    Keyed {
        ring: KeyRing,
        identities: Vec<Arc<Identity>>,
    },
}

/// A client that was let in.
#[derive(Debug, Clone)]
pub(crate) enum Caller {
    /// No key was asked for, and none gives a right.
    Nobody,
    /// `auth: dev_mode`.
    Anyone,
    Identity(Arc<Identity>),
}

/// Proof that a client may run statements. Only this file makes one.
#[derive(Debug)]
pub(crate) struct ExecutePermit(());

/// Proof that a client may see who is in the mesh. Only this file makes one.
#[derive(Debug)]
pub(crate) struct PresencePermit(());

/// Why a client was not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AuthRefusal {
    /// 401.
    NoKey,
    /// 401.
    UnknownKey,
    /// 403.
    NotPermitted,
    /// 503.
    Busy,
}

impl Guard {
    /// `digest_key` is drawn at random once per process.
    pub(crate) fn new(clients: Clients, digest_key: [u8; 32]) -> Self {
        match clients {
            Clients::Anyone => Self::Open,
            Clients::Known(identities) => {
                let hashes = identities
                    .iter()
                    .map(|identity| identity.hash.clone())
                    .collect();
                Self::Keyed {
                    ring: KeyRing::new(hashes, digest_key),
                    identities: identities.into_iter().map(Arc::new).collect(),
                }
            }
        }
    }

    /// Finds out who asks.
    pub(crate) async fn identify(&self, headers: &HeaderMap) -> Result<Caller, AuthRefusal> {
        let Self::Keyed { ring, identities } = self else {
            return Ok(Caller::Anyone);
        };
        let key = bearer_key(headers).ok_or(AuthRefusal::NoKey)?;
        match ring.check(key).await {
            KeyVerdict::Identity(index) => Ok(Caller::Identity(Arc::clone(&identities[index]))),
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
            Self::Identity(identity) => Some(&identity.audit_id),
        }
    }

    /// Decides whether an endpoint is for this client at all, before its body is read.
    pub(crate) fn may_use(&self, _: Endpoint) -> Result<(), AuthRefusal> {
        self.require_full()
    }

    /// Decides whether this client may run this statement.
    pub(crate) fn permit_execute(&self, _: &Prepared) -> Result<ExecutePermit, AuthRefusal> {
        self.require_full().map(ExecutePermit)
    }

    /// Decides whether this client may see who is in the mesh.
    pub(crate) fn permit_presence(&self) -> Result<PresencePermit, AuthRefusal> {
        self.require_full().map(PresencePermit)
    }

    fn require_full(&self) -> Result<(), AuthRefusal> {
        let identity = match self {
            Self::Anyone => return Ok(()),
            Self::Nobody => return Err(AuthRefusal::NoKey),
            Self::Identity(identity) => identity,
        };
        match identity.permission {
            Permission::Full => Ok(()),
            Permission::Nothing => {
                let identity = &identity.audit_id;
                tracing::warn!(identity, "has no permission set and was refused");
                Err(AuthRefusal::NotPermitted)
            }
        }
    }
}

fn bearer_key(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, key) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}
