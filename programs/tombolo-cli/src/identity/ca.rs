//! The authority of a fleet and what is done with it: made on first start, rotated with overlap, imported,
//! and who is cut off. Each change is whole on the disk before it is told.

use std::path::{Path, PathBuf};

use tombolo_identity::{
    AUTHORITIES_MAX, Authority, AuthorityKey, PrivateKeyError, Revocation, Revocations,
    RevocationsError, RevokeError, Trust, TrustError, Whom, key_id,
};

use super::directory::{Directory, Lock, Version, parse_key};

/// Why the authority cannot be used or changed. All are the operator's to mend but the last.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CaError {
    #[error("cannot use {}: {source}\n  = help: check identity_service.ca.path and the permissions there", path.display())]
    Disk {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{}: {what}", path.display())]
    Damaged { path: PathBuf, what: &'static str },
    #[error("{}: {source}", path.display())]
    Key {
        path: PathBuf,
        source: PrivateKeyError,
    },
    #[error(transparent)]
    NoKey(#[from] PrivateKeyError),
    #[error(transparent)]
    Trust(#[from] TrustError),
    #[error("there is no authority in {}\n  = help: start the node once, or import a key with: tombolo identity ca --import FILE", path.display())]
    Missing { path: PathBuf },
    #[error(
        "{AUTHORITIES_MAX} keys are trusted already\n  = help: retire one whose certificates have run out with: tombolo identity rotate --retire NAME"
    )]
    TooManyKeys,
    #[error("this key is there already, as {name}")]
    SameKey { name: String },
    #[error("there is no key {name}\n  = help: tombolo identity ca lists them")]
    UnknownKey { name: String },
    #[error(
        "{name} signs certificates and cannot be retired\n  = help: first let another one sign with: tombolo identity rotate --promote NAME"
    )]
    Signing { name: String },
    #[error("the list of revocations in {}: {source}\n  = help: restore it from a backup; a fleet that has a newer one takes no older one", path.display())]
    Revocations {
        path: PathBuf,
        source: RevocationsError,
    },
    #[error(transparent)]
    Revoke(#[from] RevokeError),
    #[error(
        "another command changed the keys at the same moment\n  = help: look at them with tombolo identity ca, and try again"
    )]
    Changed,
}

/// The keys of a fleet, the one that signs first. There is at least one.
#[derive(Debug)]
pub(crate) struct Ca {
    directory: Directory,
    authorities: Vec<Authority>,
    trust: Trust,
    version: Version,
}

impl Ca {
    /// Opens the directory; makes it, and a first key, if there is none.
    ///
    /// # Errors
    /// [`CaError`].
    pub(super) fn open_or_make(path: &Path, database_id: &str) -> Result<Self, CaError> {
        let directory = Directory::new(path);
        let lock = directory.lock()?;
        let mut authorities = directory.authorities()?;
        if authorities.is_empty() {
            authorities.push(Authority::generate()?);
            directory.store(&lock, &authorities)?;
        }
        Self::with(directory, authorities, database_id)
    }

    /// Opens a directory that has a key.
    ///
    /// # Errors
    /// [`CaError`].
    pub(super) fn open(path: &Path, database_id: &str) -> Result<Self, CaError> {
        let directory = Directory::new(path);
        // Before the files are read: a change in between is seen as one later.
        let version = directory.version();
        let authorities = directory.authorities()?;
        if authorities.is_empty() {
            let path = path.to_owned();
            return Err(CaError::Missing { path });
        }
        let mut ca = Self::with(directory, authorities, database_id)?;
        ca.version = version;
        Ok(ca)
    }

    fn with(
        directory: Directory,
        authorities: Vec<Authority>,
        database_id: &str,
    ) -> Result<Self, CaError> {
        let keys: Vec<AuthorityKey> = authorities.iter().map(|key| key.public().clone()).collect();
        Ok(Self {
            trust: Trust::of_authorities(&keys, database_id)?,
            version: directory.version(),
            directory,
            authorities,
        })
    }

    /// The key that signs.
    pub(super) fn signing(&self) -> &Authority {
        &self.authorities[0]
    }

    /// The public halves, the one that signs first.
    pub(super) fn keys(&self) -> &[AuthorityKey] {
        self.trust.authorities()
    }

    pub(super) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Whether the files on the disk are others than those that were read.
    pub(super) fn is_stale(&self) -> bool {
        self.directory.version() != self.version
    }

    /// Whether other users of the machine can look into the directory.
    pub(super) fn is_open_to_others(&self) -> bool {
        self.directory.open_to_others()
    }

    /// The list that is on the disk.
    ///
    /// # Errors
    /// It cannot be read, or no key that is trusted signed it.
    pub(super) fn revocations(&self) -> Result<Option<Revocations>, CaError> {
        let Some(bytes) = self.directory.revocations()? else {
            return Ok(None);
        };
        let decoded = Revocations::decode(&bytes, &self.trust);
        decoded.map(Some).map_err(|source| CaError::Revocations {
            path: self.directory.path().to_owned(),
            source,
        })
    }

    /// Signs and stores a list with other entries than the last one.
    ///
    /// # Errors
    /// [`CaError`]; the list on the disk is then as it was.
    pub(super) fn change_revocations(
        &self,
        change: impl FnOnce(&mut Vec<Revocation>),
        now_ms: u64,
    ) -> Result<Revocations, CaError> {
        let lock = self.lock()?;
        self.sign_revocations(&lock, change, now_ms)
    }

    /// The lock, if the keys on the disk are still those that were read before it.
    fn lock(&self) -> Result<Lock, CaError> {
        let lock = self.directory.lock()?;
        let is_same = self.directory.version().has_keys_of(self.version);
        is_same.then_some(lock).ok_or(CaError::Changed)
    }

    fn sign_revocations(
        &self,
        lock: &Lock,
        change: impl FnOnce(&mut Vec<Revocation>),
        now_ms: u64,
    ) -> Result<Revocations, CaError> {
        let previous = self.revocations()?;
        let mut entries = previous
            .as_ref()
            .map_or(Vec::new(), |list| list.entries().to_vec());
        change(&mut entries);
        let database_id = self.trust.database_id();
        let list = self
            .signing()
            .revoke(database_id, previous.as_ref(), entries, now_ms)?;
        self.directory.store_revocations(lock, list.as_bytes())?;
        Ok(list)
    }

    /// Adds a key that is trusted and does not sign yet: a new one, or one from a file.
    ///
    /// # Errors
    /// It is no key, it is there already, or there are too many.
    pub(super) fn add(self, file: Option<&Path>) -> Result<String, CaError> {
        let lock = self.lock()?;
        let authority = match file {
            None => Authority::generate()?,
            Some(path) => read_key(path)?,
        };
        let name = key_id(authority.public());
        if self.keys().contains(authority.public()) {
            return Err(CaError::SameKey { name });
        }
        if self.authorities.len() == AUTHORITIES_MAX {
            return Err(CaError::TooManyKeys);
        }
        let mut authorities = self.authorities;
        authorities.push(authority);
        self.directory.store(&lock, &authorities)?;
        Ok(name)
    }

    /// Makes a directory whose only key is from a file.
    ///
    /// # Errors
    /// There is a key already, or the file holds none.
    pub(super) fn import(path: &Path, database_id: &str, file: &Path) -> Result<String, CaError> {
        let directory = Directory::new(path);
        let lock = directory.lock()?;
        if !directory.authorities()?.is_empty() {
            drop(lock);
            return Self::open(path, database_id)?.add(Some(file));
        }
        let authority = read_key(file)?;
        let name = key_id(authority.public());
        directory.store(&lock, &[authority])?;
        Ok(name)
    }

    /// Lets a key sign from now on; all others stay trusted. The list of revocations is signed anew by it.
    ///
    /// # Errors
    /// There is no such key.
    pub(super) fn promote(mut self, name: &str, now_ms: u64) -> Result<(), CaError> {
        let lock = self.lock()?;
        let at = self.find(name)?;
        let promoted = self.authorities.remove(at);
        self.authorities.insert(0, promoted);
        if self.revocations()?.is_some() {
            self.sign_revocations(&lock, |_| {}, now_ms)?;
        }
        self.directory.store(&lock, &self.authorities)
    }

    /// Trusts a key no longer, and deletes it. Certificates that it signed are refused from then on.
    ///
    /// # Errors
    /// There is no such key, or it signs.
    pub(super) fn retire(mut self, name: &str, now_ms: u64) -> Result<(), CaError> {
        let lock = self.lock()?;
        let at = self.find(name)?;
        if at == 0 {
            let name = name.to_owned();
            return Err(CaError::Signing { name });
        }
        // By a key that stays, before the one that may have signed it goes.
        if self.revocations()?.is_some() {
            self.sign_revocations(&lock, |_| {}, now_ms)?;
        }
        drop(self.authorities.remove(at));
        self.directory.store(&lock, &self.authorities)?;
        self.directory.remove_key(&lock, name)
    }

    fn find(&self, name: &str) -> Result<usize, CaError> {
        let mut keys = self.keys().iter();
        let found = keys.position(|key| key_id(key) == name);
        found.ok_or_else(|| CaError::UnknownKey {
            name: name.to_owned(),
        })
    }
}

/// Cuts off whom an entry names, instead of what was said of the same before.
pub(super) fn revoke(entries: &mut Vec<Revocation>, entry: Revocation) {
    unrevoke(entries, &entry.whom);
    entries.push(entry);
}

/// Undoes it; gives how many entries are gone.
pub(super) fn unrevoke(entries: &mut Vec<Revocation>, whom: &Whom) -> usize {
    let before = entries.len();
    entries.retain(|entry| entry.whom != *whom);
    before - entries.len()
}

fn read_key(path: &Path) -> Result<Authority, CaError> {
    let bytes = std::fs::read(path).map(zeroize::Zeroizing::new);
    let bytes = bytes.map_err(|source| CaError::Disk {
        path: path.to_owned(),
        source,
    })?;
    parse_key(&bytes).map_err(|source| CaError::Key {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests;
