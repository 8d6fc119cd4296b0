//! The key that a device is known by: P-256, made on first start, never sent.
//!
//! The site id that stamps every write is a hash of its public half, so losing
//! the file means being another device from then on.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use aws_lc_rs::pkcs8::Document;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use tombolo_identity::PeerPublicKey;

/// The file in the data directory: PKCS#8 DER, readable by its owner alone.
const FILE: &str = "peer.key";
/// Where the file is written before it takes its name.
const UNFINISHED: &str = "peer.key.new";
/// A P-256 key in PKCS#8 takes fewer bytes; a larger file is something else.
const BYTES_MAX: u64 = 1024;

/// Why the peer key cannot be had. The operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum PeerKeyError {
    /// The file cannot be read or written.
    #[error("cannot {action} {path}: check that the directory is writable and not full")]
    File {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file holds something else.
    #[error(
        "{path} is not a P-256 key in PKCS#8: restore it from a backup of this device, or remove it to become a new device"
    )]
    NotAKey {
        /// The file.
        path: PathBuf,
    },
    /// The cryptographic library refused to make a key.
    #[error("a new peer key could not be made: the operating system has no randomness to give")]
    Generation,
}

/// A device's key pair.
pub(crate) struct PeerKey {
    pair: EcdsaKeyPair,
}

impl PeerKey {
    /// A key that is kept nowhere.
    pub(crate) fn ephemeral() -> Result<Self, PeerKeyError> {
        Ok(Self {
            pair: parse(&generate()?).ok_or(PeerKeyError::Generation)?,
        })
    }

    /// The key of a data directory, made if there is none. The directory is
    /// held by this process.
    pub(crate) fn load_or_create(directory: &Path) -> Result<Self, PeerKeyError> {
        match Self::load(directory)? {
            Some(key) => Ok(key),
            None => Self::create(directory),
        }
    }

    /// The key of a data directory, if it has one.
    pub(crate) fn load(directory: &Path) -> Result<Option<Self>, PeerKeyError> {
        let path = directory.join(FILE);
        let bytes = match read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(failed("read", &path, source)),
        };
        match parse(&bytes) {
            Some(pair) => Ok(Some(Self { pair })),
            None => Err(PeerKeyError::NotAKey { path }),
        }
    }

    /// A new key for a data directory, in the place of one that it may have.
    pub(crate) fn create(directory: &Path) -> Result<Self, PeerKeyError> {
        let bytes = create(directory, &directory.join(FILE))?;
        let pair = parse(&bytes).ok_or(PeerKeyError::Generation)?;
        Ok(Self { pair })
    }

    /// The public half: an uncompressed point.
    pub(crate) fn public(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    /// Who this device is to others.
    pub(crate) fn identity(&self) -> Option<PeerPublicKey> {
        PeerPublicKey::parse(self.public()).ok()
    }

    /// Both halves in PKCS#8 DER, wiped when dropped.
    pub(crate) fn to_pkcs8(&self) -> Option<Document> {
        self.pair.to_pkcs8v1().ok()
    }
}

fn parse(pkcs8: &[u8]) -> Option<EcdsaKeyPair> {
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8).ok()
}

fn generate() -> Result<Vec<u8>, PeerKeyError> {
    let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new());
    Ok(key.map_err(|_| PeerKeyError::Generation)?.as_ref().to_vec())
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Writes a new key whole before it takes its name: a power cut leaves either
/// no key or this one.
fn create(directory: &Path, path: &Path) -> Result<Vec<u8>, PeerKeyError> {
    let bytes = generate()?;
    let unfinished = directory.join(UNFINISHED);
    write_private(&unfinished, &bytes).map_err(|error| failed("write", &unfinished, error))?;
    fs::rename(&unfinished, path).map_err(|error| failed("rename", &unfinished, error))?;
    let synced = File::open(directory).and_then(|directory| directory.sync_all());
    synced.map_err(|error| failed("flush", directory, error))?;
    Ok(bytes)
}

fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> PeerKeyError {
    PeerKeyError::File {
        action,
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_keeps_its_key() {
        let directory = tempfile::tempdir().unwrap();
        let made = PeerKey::load_or_create(directory.path()).unwrap();
        let loaded = PeerKey::load_or_create(directory.path()).unwrap();
        assert_eq!(made.public(), loaded.public());
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_can_read_the_key() {
        use std::os::unix::fs::PermissionsExt;

        let directory = tempfile::tempdir().unwrap();
        PeerKey::load_or_create(directory.path()).unwrap();
        let mode = fs::metadata(directory.path().join(FILE))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_file_that_is_no_key_is_named_and_kept() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(FILE), b"not a key").unwrap();
        let refused = PeerKey::load_or_create(directory.path());
        assert!(matches!(refused, Err(PeerKeyError::NotAKey { .. })));
        assert_eq!(fs::read(directory.path().join(FILE)).unwrap(), b"not a key");
    }

    #[test]
    fn two_keys_differ() {
        let (one, other) = (PeerKey::ephemeral().unwrap(), PeerKey::ephemeral().unwrap());
        assert_ne!(one.public(), other.public());
    }
}
