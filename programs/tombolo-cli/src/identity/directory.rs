//! The directory of the authority on the disk: keys, their order, and the signed list of revocations.
//! Every file belongs to its owner alone, and each is replaced whole or not at all.
//!
//! `authorities` names the keys, the one that signs first; `authority-<name>.pem` holds one as PKCS#8;
//! `revocations` is the list; `lock` is held by whoever changes any of them.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject;
use tombolo_identity::{AUTHORITIES_MAX, Authority, REVOCATIONS_BYTES_MAX, key_id};
use zeroize::Zeroizing;

use super::ca::CaError;

const AUTHORITIES: &str = "authorities";
const REVOCATIONS: &str = "revocations";
const LOCK: &str = "lock";
/// Only the owner reads and writes.
const FILE_MODE: u32 = 0o600;
const DIRECTORY_MODE: u32 = 0o700;
/// A key takes 250 bytes as PEM; longer files hold something else.
const KEY_FILE_BYTES_MAX: usize = 16 * 1024;
const AUTHORITIES_BYTES_MAX: usize = 1024;

/// A directory that may not exist yet.
#[derive(Debug, Clone)]
pub(super) struct Directory {
    path: PathBuf,
}

/// Held while files change; given up when dropped.
#[derive(Debug)]
pub(super) struct Lock(#[expect(dead_code, reason = "the open file is the lock")] File);

/// By what a change is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Version([Option<(SystemTime, u64)>; 2]);

impl Version {
    /// Whether the order of the keys is the same file.
    pub(super) fn has_keys_of(self, other: Self) -> bool {
        self.0[0] == other.0[0]
    }
}

impl Directory {
    pub(super) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the directory if it is missing, and takes the lock. Waits for another program that has it.
    pub(super) fn lock(&self) -> Result<Lock, CaError> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(DIRECTORY_MODE);
        builder
            .create(&self.path)
            .map_err(|error| self.failed(&self.path, error))?;
        let path = self.path.join(LOCK);
        let mut options = OpenOptions::new();
        options
            .write(true)
            .create(true)
            .truncate(false)
            .mode(FILE_MODE);
        let file = options
            .open(&path)
            .map_err(|error| self.failed(&path, error))?;
        file.lock().map_err(|error| self.failed(&path, error))?;
        Ok(Lock(file))
    }

    /// What tells whether `authorities` or `revocations` is another one now.
    pub(super) fn version(&self) -> Version {
        Version([AUTHORITIES, REVOCATIONS].map(|name| {
            let metadata = fs::metadata(self.path.join(name)).ok()?;
            Some((metadata.modified().ok()?, metadata.ino()))
        }))
    }

    /// The keys in their order; none if there is no such directory yet.
    pub(super) fn authorities(&self) -> Result<Vec<Authority>, CaError> {
        let Some(text) = self.read(AUTHORITIES, AUTHORITIES_BYTES_MAX)? else {
            return self.has_keys().map(|()| Vec::new());
        };
        let text = String::from_utf8(text.to_vec()).unwrap_or_default();
        let names: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
        if !(1..=AUTHORITIES_MAX).contains(&names.len()) {
            return Err(self.damaged(AUTHORITIES, "it must name one to four keys"));
        }
        names.into_iter().map(|name| self.authority(name)).collect()
    }

    fn authority(&self, name: &str) -> Result<Authority, CaError> {
        let file = key_file(name);
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if !name.bytes().all(is_name) {
            return Err(self.damaged(AUTHORITIES, "it names a key that is none"));
        }
        let Some(bytes) = self.read(&file, KEY_FILE_BYTES_MAX)? else {
            return Err(self.damaged(AUTHORITIES, "it names a key that has no file"));
        };
        let authority = parse_key(&bytes).map_err(|source| CaError::Key {
            path: self.path.join(&file),
            source,
        })?;
        if key_id(authority.public()) != name {
            return Err(self.damaged(&file, "it holds another key than its name says"));
        }
        Ok(authority)
    }

    /// Keys without their order are a directory that lost a file, not a new one.
    fn has_keys(&self) -> Result<(), CaError> {
        let entries = match fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(self.failed(&self.path, error)),
        };
        for entry in entries {
            let name = entry
                .map_err(|error| self.failed(&self.path, error))?
                .file_name();
            if name.to_string_lossy().starts_with("authority-") {
                let what = "it is missing beside keys: restore it, one name of a key in each line";
                return Err(self.damaged(AUTHORITIES, what));
            }
        }
        Ok(())
    }

    /// Writes keys that are new, and the order of all.
    pub(super) fn store(&self, _: &Lock, authorities: &[Authority]) -> Result<(), CaError> {
        let mut order = String::new();
        for authority in authorities {
            let name = key_id(authority.public());
            let file = key_file(&name);
            if !self.path.join(&file).exists() {
                self.replace(&file, pem(authority).as_bytes())?;
            }
            order.push_str(&name);
            order.push('\n');
        }
        self.replace(AUTHORITIES, order.as_bytes())
    }

    /// Deletes the file of a key that [`Self::store`] has left out.
    pub(super) fn remove_key(&self, _: &Lock, name: &str) -> Result<(), CaError> {
        let path = self.path.join(key_file(name));
        fs::remove_file(&path).map_err(|error| self.failed(&path, error))
    }

    pub(super) fn revocations(&self) -> Result<Option<Vec<u8>>, CaError> {
        let bytes = self.read(REVOCATIONS, REVOCATIONS_BYTES_MAX)?;
        Ok(bytes.map(|bytes| bytes.to_vec()))
    }

    pub(super) fn store_revocations(&self, _: &Lock, bytes: &[u8]) -> Result<(), CaError> {
        self.replace(REVOCATIONS, bytes)
    }

    /// What other users of the machine could read, for the operator.
    pub(super) fn open_to_others(&self) -> bool {
        let mode = fs::metadata(&self.path).map(|metadata| metadata.permissions().mode());
        mode.is_ok_and(|mode| mode & 0o077 != 0)
    }

    fn read(&self, name: &str, bytes_max: usize) -> Result<Option<Zeroizing<Vec<u8>>>, CaError> {
        let path = self.path.join(name);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.failed(&path, error)),
        };
        let mut bytes = Zeroizing::new(Vec::new());
        let read = file.take(bytes_max as u64 + 1).read_to_end(&mut bytes);
        read.map_err(|error| self.failed(&path, error))?;
        if bytes.len() > bytes_max {
            return Err(self.damaged(name, "it is too long"));
        }
        Ok(Some(bytes))
    }

    /// The new file is on the disk before it takes the name, and the name before this returns.
    fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), CaError> {
        let (path, draft) = (self.path.join(name), self.path.join(format!("{name}.new")));
        let write = || {
            let mut options = OpenOptions::new();
            options
                .write(true)
                .create(true)
                .truncate(true)
                .mode(FILE_MODE);
            let mut file = options.open(&draft)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&draft, &path)?;
            File::open(&self.path)?.sync_all()
        };
        write().map_err(|error| self.failed(&path, error))
    }

    fn failed(&self, path: &Path, source: std::io::Error) -> CaError {
        CaError::Disk {
            path: path.to_owned(),
            source,
        }
    }

    fn damaged(&self, name: &str, what: &'static str) -> CaError {
        CaError::Damaged {
            path: self.path.join(name),
            what,
        }
    }
}

fn key_file(name: &str) -> String {
    format!("authority-{name}.pem")
}

/// PKCS#8 as PEM or as it is.
pub(super) fn parse_key(bytes: &[u8]) -> Result<Authority, tombolo_identity::PrivateKeyError> {
    match PrivatePkcs8KeyDer::from_pem_slice(bytes) {
        Ok(key) => Authority::from_pkcs8(key.secret_pkcs8_der()),
        Err(_) => Authority::from_pkcs8(bytes),
    }
}

fn pem(authority: &Authority) -> Zeroizing<String> {
    let encoded = Zeroizing::new(BASE64_STANDARD.encode(authority.to_pkcs8().as_slice()));
    lines("PRIVATE KEY", &encoded)
}

/// PEM of a public key.
pub(super) fn public_pem(spki_der: &[u8]) -> String {
    lines("PUBLIC KEY", &BASE64_STANDARD.encode(spki_der)).to_string()
}

fn lines(label: &str, encoded: &str) -> Zeroizing<String> {
    let mut text = Zeroizing::new(format!("-----BEGIN {label}-----\n"));
    for line in encoded.as_bytes().chunks(64) {
        text.push_str(std::str::from_utf8(line).unwrap_or_default());
        text.push('\n');
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}
