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
        let lock = self.directory.lock()?;
        self.sign_revocations(&lock, change, now_ms)
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
        let lock = self.directory.lock()?;
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
        let lock = self.directory.lock()?;
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
        let lock = self.directory.lock()?;
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
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const NOW_MS: u64 = 1_795_000_000_000;
    const DATABASE: &str = "db";

    fn user(name: &str, issued_before_ms: u64) -> Revocation {
        Revocation {
            whom: Whom::User(name.to_owned()),
            issued_before_ms,
        }
    }

    #[test]
    fn a_first_start_makes_a_key_that_its_owner_alone_can_read() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("deep/ca");
        assert!(matches!(
            Ca::open(&path, DATABASE),
            Err(CaError::Missing { .. })
        ));
        let made = Ca::open_or_make(&path, DATABASE).unwrap();
        let again = Ca::open_or_make(&path, DATABASE).unwrap();
        assert_eq!(made.keys(), again.keys());
        assert_eq!(made.keys(), [made.signing().public().clone()]);
        assert!(!made.is_open_to_others());
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o700);
        let entries = std::fs::read_dir(&path).unwrap();
        let modes: Vec<u32> = entries.map(|entry| mode(&entry.unwrap().path())).collect();
        assert_eq!(modes, [0o600; 3]);
    }

    #[test]
    fn keys_rotate_with_overlap_and_the_list_follows() {
        let home = tempfile::tempdir().unwrap();
        let open = || Ca::open(home.path(), DATABASE).unwrap();
        let first = Ca::open_or_make(home.path(), DATABASE).unwrap();
        let first_name = key_id(first.signing().public());
        let list = first.change_revocations(|entries| revoke(entries, user("ada", 7)), NOW_MS);
        let list = list.unwrap();
        let second_name = open().add(None).unwrap();
        assert_eq!(key_id(open().signing().public()), first_name);
        assert_eq!(open().keys().len(), 2);
        assert!(matches!(
            open().retire(&first_name, NOW_MS),
            Err(CaError::Signing { .. })
        ));
        open().promote(&second_name, NOW_MS).unwrap();
        assert_eq!(key_id(open().signing().public()), second_name);
        open().retire(&first_name, NOW_MS).unwrap();
        let last = open();
        assert_eq!(last.keys().len(), 1);
        let kept = last.revocations().unwrap().unwrap();
        assert_eq!(kept.entries(), list.entries());
        assert!(kept.version() > list.version());
        assert!(matches!(
            last.retire("nobody", NOW_MS),
            Err(CaError::UnknownKey { .. })
        ));
    }

    #[test]
    fn at_most_four_keys_are_kept_and_none_twice() {
        let home = tempfile::tempdir().unwrap();
        Ca::open_or_make(home.path(), DATABASE).unwrap();
        let add = |file: Option<&Path>| Ca::open(home.path(), DATABASE).unwrap().add(file);
        let file = home.path().join("other.der");
        std::fs::write(&file, Authority::generate().unwrap().to_pkcs8().as_slice()).unwrap();
        assert!(add(Some(&file)).is_ok());
        assert!(matches!(add(Some(&file)), Err(CaError::SameKey { .. })));
        assert!(add(None).is_ok());
        assert!(add(None).is_ok());
        assert!(matches!(add(None), Err(CaError::TooManyKeys)));
    }

    #[test]
    fn a_key_is_imported_from_pem_and_from_der_and_nothing_else_is() {
        let home = tempfile::tempdir().unwrap();
        let made = Ca::open_or_make(&home.path().join("a"), DATABASE).unwrap();
        let name = key_id(made.signing().public());
        let pem = home.path().join("a").join(format!("authority-{name}.pem"));
        let imported = Ca::import(&home.path().join("b"), DATABASE, &pem).unwrap();
        assert_eq!(imported, name);
        let wrong = home.path().join("wrong");
        std::fs::write(
            &wrong,
            "-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n",
        )
        .unwrap();
        let refused = Ca::import(&home.path().join("c"), DATABASE, &wrong).unwrap_err();
        assert!(matches!(refused, CaError::Key { .. }), "{refused}");
    }

    #[test]
    fn revocations_grow_newer_and_can_be_undone() {
        let home = tempfile::tempdir().unwrap();
        let ca = Ca::open_or_make(home.path(), DATABASE).unwrap();
        assert!(ca.revocations().unwrap().is_none());
        let change = |entry| {
            ca.change_revocations(|entries| revoke(entries, entry), NOW_MS)
                .unwrap()
        };
        let first = change(user("ada", 5));
        let second = change(user("ada", 9));
        assert_eq!(second.entries(), [user("ada", 9)]);
        assert!(second.version() > first.version());
        assert!(ca.is_stale());
        let undone = ca.change_revocations(
            |entries| {
                assert_eq!(unrevoke(entries, &Whom::User("ada".to_owned())), 1);
            },
            NOW_MS,
        );
        assert!(undone.unwrap().entries().is_empty());
    }

    #[test]
    fn damage_is_told_and_never_mended_by_a_new_key() {
        let home = tempfile::tempdir().unwrap();
        let ca = Ca::open_or_make(home.path(), DATABASE).unwrap();
        let order = home.path().join("authorities");
        for text in ["", "../x\n", "nobody\n"] {
            std::fs::write(&order, text).unwrap();
            let refused = Ca::open_or_make(home.path(), DATABASE).unwrap_err();
            assert!(
                matches!(refused, CaError::Damaged { .. }),
                "{text:?}: {refused}"
            );
        }
        std::fs::remove_file(&order).unwrap();
        assert!(matches!(
            Ca::open_or_make(home.path(), DATABASE),
            Err(CaError::Damaged { .. })
        ));
        let name = key_id(ca.signing().public());
        std::fs::write(&order, &name).unwrap();
        assert_eq!(Ca::open(home.path(), DATABASE).unwrap().keys(), ca.keys());
        std::fs::write(home.path().join("revocations"), "x").unwrap();
        assert!(matches!(ca.revocations(), Err(CaError::Revocations { .. })));
    }
}
