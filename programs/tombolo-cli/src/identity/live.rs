//! What the service knows of its authority at this moment: read when it starts, and again when a verb changed it.
//! A directory that became unreadable changes nothing but the log; a list of revocations never goes back.

use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};

use tombolo_identity::{Adoption, Authority, AuthorityKey, Revocations, render_jwks};

use super::ca::{Ca, CaError};
use super::directory::public_pem;

/// The authority and the texts made of it.
#[derive(Debug)]
pub(super) struct Standing {
    ca: Ca,
    pub(super) revocations: Option<Revocations>,
    /// PEM of the public keys, the one that signs first.
    pub(super) pem: String,
    pub(super) jwks: String,
}

impl Standing {
    fn new(ca: Ca, revocations: Option<Revocations>) -> Self {
        let pem = ca
            .keys()
            .iter()
            .map(|key| public_pem(&key.to_spki_der()))
            .collect();
        Self {
            pem,
            jwks: render_jwks(ca.keys()),
            revocations,
            ca,
        }
    }

    pub(super) fn signing(&self) -> &Authority {
        self.ca.signing()
    }

    pub(super) fn keys(&self) -> &[AuthorityKey] {
        self.ca.keys()
    }
}

/// The newest [`Standing`]; whoever asks gets one that does not change under it.
#[derive(Debug)]
pub(super) struct Live {
    path: PathBuf,
    database_id: String,
    newest: RwLock<Arc<Standing>>,
}

impl Live {
    /// Opens the directory, or makes it.
    ///
    /// # Errors
    /// [`CaError`].
    pub(super) fn open(path: &Path, database_id: &str) -> Result<Self, CaError> {
        let ca = Ca::open_or_make(path, database_id)?;
        let revocations = ca.revocations()?;
        Ok(Self {
            path: path.to_owned(),
            database_id: database_id.to_owned(),
            newest: RwLock::new(Arc::new(Standing::new(ca, revocations))),
        })
    }

    pub(super) fn standing(&self) -> Arc<Standing> {
        let newest = self.newest.read();
        Arc::clone(&newest.unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// Whether other users of the machine can look into the directory.
    pub(super) fn is_open_to_others(&self) -> bool {
        self.standing().ca.is_open_to_others()
    }

    /// Reads the directory again if a verb changed it; tells whether it did. Blocks on the disk.
    ///
    /// # Errors
    /// The directory cannot be read; what was known stays.
    pub(super) fn refresh(&self) -> Result<bool, CaError> {
        let standing = self.standing();
        if !standing.ca.is_stale() {
            return Ok(false);
        }
        let ca = Ca::open(&self.path, &self.database_id)?;
        let offered = ca.revocations()?;
        let revocations = newer(standing.revocations.clone(), offered);
        let fresh = Arc::new(Standing::new(ca, revocations));
        let mut newest = self
            .newest
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        *newest = fresh;
        Ok(true)
    }
}

/// The list that counts: what was cut off stays cut off if the file is older now, or gone.
fn newer(held: Option<Revocations>, offered: Option<Revocations>) -> Option<Revocations> {
    let (mut held, offered) = match (held, offered) {
        (Some(held), Some(offered)) => (held, offered),
        (held, offered) => return held.or(offered),
    };
    match held.adopt(offered) {
        Ok(Adoption::Unchanged | Adoption::Newer) => {}
        Ok(Adoption::Conflict) => {
            tracing::error!(
                "two lists of revocations have one version: sign a newer one with tombolo identity revoke"
            );
        }
        Err(error) => tracing::error!(%error, "the list of revocations on the disk is not taken"),
    }
    Some(held)
}

#[cfg(test)]
mod tests {
    use tombolo_identity::{Revocation, Whom};

    use super::*;
    use crate::identity::ca::revoke;

    const NOW_MS: u64 = 1_795_000_000_000;

    fn cut_off(ca: &Ca, name: &str) -> Revocations {
        let entry = Revocation {
            whom: Whom::User(name.to_owned()),
            issued_before_ms: 1,
        };
        ca.change_revocations(|entries| revoke(entries, entry), NOW_MS)
            .unwrap()
    }

    #[test]
    fn a_change_of_the_directory_is_seen_and_an_older_list_is_not_taken() {
        let home = tempfile::tempdir().unwrap();
        let live = Live::open(home.path(), "db").unwrap();
        let held = || {
            live.standing()
                .revocations
                .as_ref()
                .map(Revocations::version)
        };
        assert!(!live.refresh().unwrap());
        assert_eq!(held(), None);
        let ca = Ca::open(home.path(), "db").unwrap();
        let first = cut_off(&ca, "ada");
        assert!(live.refresh().unwrap());
        assert_eq!(held(), Some(first.version()));
        let second = cut_off(&ca, "bob");
        assert!(live.refresh().unwrap());
        assert_eq!(held(), Some(second.version()));
        std::fs::write(home.path().join("new"), first.as_bytes()).unwrap();
        std::fs::rename(home.path().join("new"), home.path().join("revocations")).unwrap();
        assert!(live.refresh().unwrap());
        assert_eq!(held(), Some(second.version()));
        std::fs::remove_file(home.path().join("revocations")).unwrap();
        assert!(live.refresh().unwrap());
        assert_eq!(held(), Some(second.version()));
    }

    #[test]
    fn a_new_key_is_told_and_a_damaged_directory_changes_nothing() {
        let home = tempfile::tempdir().unwrap();
        let live = Live::open(home.path(), "db").unwrap();
        let first = live.standing().keys().to_vec();
        Ca::open(home.path(), "db").unwrap().add(None).unwrap();
        assert!(live.refresh().unwrap());
        assert_eq!(live.standing().keys().len(), 2);
        assert_eq!(live.standing().keys()[0], first[0]);
        assert_eq!(live.standing().pem.matches("BEGIN PUBLIC KEY").count(), 2);
        std::fs::write(home.path().join("authorities"), "").unwrap();
        assert!(live.refresh().is_err());
        assert_eq!(live.standing().keys().len(), 2);
    }
}
