//! The verb `identity`: keys and revocations in the directory of the authority, beside a node that runs or not.
//! A running node takes a change within a second or two.

use std::io::Write;
use std::path::{Path, PathBuf};

use tombolo_identity::{IdentityFilter, Revocation, RuleError, Whom, key_id};

use super::ca::{self, Ca, CaError};
use crate::cli::{IdentityConfig, IdentityVerb, Selected};
use crate::clock::unix_ms as now_ms;
use crate::config::{self, FileError, InsecureListen};

/// Why a verb failed; its text is for the operator.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IdentityVerbError {
    #[error(transparent)]
    Config(#[from] FileError),
    #[error("error: {} has no identity_service\n  = help: give the configuration of the node that runs it", path.display())]
    NoService { path: PathBuf },
    #[error("error: {0}")]
    Ca(#[from] CaError),
    #[error(
        "error: --filter: {0}\n  = help: write a condition over userID, peerKey, provider, issuedMs and metadata, for example: metadata.role = 'guest'"
    )]
    Filter(#[from] RuleError),
    #[error(
        "error: nobody was cut off by exactly that\n  = help: tombolo identity revocations lists who is"
    )]
    NotRevoked,
    #[error("error: cannot write to standard output: {0}")]
    NoOutput(#[from] std::io::Error),
}

/// Does what the verb says, and tells it to `output`.
///
/// # Errors
/// [`IdentityVerbError`].
pub(crate) fn perform(verb: IdentityVerb, output: &mut dyn Write) -> Result<(), IdentityVerbError> {
    match verb {
        IdentityVerb::Ca { config, import } => {
            let place = Place::read(&config)?;
            if let Some(file) = import {
                let name = Ca::import(&place.path, &place.database_id, &file)?;
                writeln!(output, "imported {name}")?;
            }
            place.list(output)
        }
        IdentityVerb::Rotate {
            config,
            promote,
            retire,
        } => {
            let place = Place::read(&config)?;
            match (promote, retire) {
                (Some(name), _) => place.open()?.promote(&name, now_ms())?,
                (None, Some(name)) => place.open()?.retire(&name, now_ms())?,
                (None, None) => writeln!(output, "made {}", place.open()?.add(None)?)?,
            }
            place.list(output)
        }
        IdentityVerb::Revoke {
            config,
            selected,
            issued_before,
        } => {
            let whom = whom(selected)?;
            let now_ms = now_ms();
            let entry = Revocation {
                whom,
                issued_before_ms: issued_before.unwrap_or(now_ms),
            };
            let ca = Place::read(&config)?.open()?;
            let list = ca.change_revocations(|entries| ca::revoke(entries, entry), now_ms)?;
            writeln!(output, "revoked in version {}", list.version())?;
            Ok(())
        }
        IdentityVerb::Unrevoke { config, selected } => {
            let whom = whom(selected)?;
            let ca = Place::read(&config)?.open()?;
            let held = ca.revocations()?;
            if !held.is_some_and(|list| list.entries().iter().any(|entry| entry.whom == whom)) {
                return Err(IdentityVerbError::NotRevoked);
            }
            let undo = |entries: &mut Vec<Revocation>| {
                ca::unrevoke(entries, &whom);
            };
            let list = ca.change_revocations(undo, now_ms())?;
            writeln!(output, "no longer revoked since version {}", list.version())?;
            Ok(())
        }
        IdentityVerb::Revocations { config } => revocations(&Place::read(&config)?.open()?, output),
    }
}

/// Where the authority of a node lies.
struct Place {
    path: PathBuf,
    database_id: String,
}

impl Place {
    fn read(config: &IdentityConfig) -> Result<Self, IdentityVerbError> {
        let file = &config.path;
        let read = config::load(file, InsecureListen::Allowed)?;
        let path = file.clone();
        let service = read
            .identity_service
            .ok_or(IdentityVerbError::NoService { path })?;
        let base = file.parent().unwrap_or(Path::new(""));
        Ok(Self {
            path: base.join(service.ca),
            database_id: read.database.id,
        })
    }

    fn open(&self) -> Result<Ca, CaError> {
        Ca::open(&self.path, &self.database_id)
    }

    fn list(&self, output: &mut dyn Write) -> Result<(), IdentityVerbError> {
        let ca = self.open()?;
        writeln!(output, "authority in {}", ca.path().display())?;
        for (at, key) in ca.keys().iter().enumerate() {
            let role = if at == 0 { "signs" } else { "trusted" };
            writeln!(output, "  {}  {role}", key_id(key))?;
        }
        Ok(())
    }
}

fn revocations(ca: &Ca, output: &mut dyn Write) -> Result<(), IdentityVerbError> {
    let Some(list) = ca.revocations()? else {
        writeln!(output, "nobody was cut off yet")?;
        return Ok(());
    };
    writeln!(
        output,
        "version {}, signed at {} ms",
        list.version(),
        list.issued_ms()
    )?;
    for entry in list.entries() {
        let (kind, name) = match &entry.whom {
            Whom::User(user) => ("--user", user.as_str()),
            Whom::PeerKey(key) => ("--peer", key.as_str()),
            Whom::Filter(filter) => ("--filter", filter.text()),
        };
        let before_ms = entry.issued_before_ms;
        // As Rust shows it, so that nothing in a name moves the cursor of a terminal.
        writeln!(output, "  {kind} {name:?}  issued before {before_ms} ms")?;
    }
    Ok(())
}

fn whom(selected: Selected) -> Result<Whom, IdentityVerbError> {
    let Selected { user, peer, filter } = selected;
    Ok(match (user, peer, filter) {
        (Some(user), _, _) => Whom::User(user),
        (None, Some(key), _) => Whom::PeerKey(key),
        (None, None, filter) => Whom::Filter(IdentityFilter::parse(&filter.unwrap_or_default())?),
    })
}
