//! What a device proves itself with after a login, and the file that keeps it:
//! readable by its owner alone, written whole or not at all, of one database and
//! one peer key. `docs/formats/credentials.md` has the members.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use tombolo_identity::{
    AuthorityKey, LEAF_BACKDATE_MS, OwnLeaf, PeerPublicKey, Permissions, Trust, VerifyError,
};
use zeroize::Zeroizing;

use super::error::LoginError;

/// The file in the data directory.
const FILE: &str = "login.json";
/// Where it is written before it takes its name.
const UNFINISHED: &str = "login.json.new";
/// Longest file, in bytes: a certificate, four authorities, a token and names.
const FILE_BYTES_MAX: u64 = 128 * 1024;
const VERSION: u32 = 1;

/// Why the credentials that are kept cannot be used. The operator's to mend.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialsError {
    /// The file cannot be read or written.
    #[error("cannot {action} {}: {source}; check that the directory is writable and not full", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is damaged, or a later version wrote it.
    #[error("{} is damaged or of a later version: log in again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// The file is of another device or of another database.
    #[error("{} belongs to another {what}: log in again", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// To what.
        what: &'static str,
    },
}

/// Where credentials came from.
#[derive(Clone)]
pub struct Origin {
    /// The URL of the service.
    pub server: String,
    /// Which provider recognized the user.
    pub provider: String,
    token: Zeroizing<String>,
}

impl Origin {
    /// Of a login that is under way.
    #[must_use]
    pub fn new(server: impl Into<String>, provider: impl Into<String>) -> Self {
        Self {
            server: server.into(),
            provider: provider.into(),
            token: Zeroizing::default(),
        }
    }

    pub(super) fn with_token(mut self, token: String) -> Self {
        self.token = Zeroizing::new(token);
        self
    }
}

/// What a device proves itself with after a login. It was checked in everything
/// but its time, for which there is [`Credentials::is_valid_at`].
pub struct Credentials {
    certificate: Vec<u8>,
    trust: Trust,
    leaf: OwnLeaf,
    user_id: String,
    origin: Origin,
}

impl Credentials {
    /// Checks a certificate as every peer will, but for its time.
    pub(super) fn check(
        certificate: Vec<u8>,
        authorities: &[AuthorityKey],
        database_id: &str,
        origin: Origin,
    ) -> Result<Self, LoginError> {
        let trust = Trust::of_authorities(authorities, database_id)?;
        let leaf = OwnLeaf::read(&trust, &certificate).map_err(LoginError::Certificate)?;
        let user_id = leaf.user_id();
        let user_id = user_id.ok_or(LoginError::Contradiction { what: "issuer" })?;
        Ok(Self {
            user_id: user_id.to_owned(),
            certificate,
            trust,
            leaf,
            origin,
        })
    }

    /// Refuses a certificate that was just made and does not hold here: then a
    /// clock is wrong.
    pub(super) fn check_fresh(&self, now_ms: u64) -> Result<(), LoginError> {
        match self.leaf.at(now_ms) {
            Ok(_) => Ok(()),
            Err(VerifyError::NotYetValid { wait_ms }) => Err(LoginError::ClockBehind {
                behind_ms: wait_ms.saturating_add(LEAF_BACKDATE_MS),
            }),
            Err(VerifyError::Expired { ago_ms }) => {
                Err(LoginError::ClockAhead { ahead_ms: ago_ms })
            }
            Err(other) => Err(LoginError::Certificate(other)),
        }
    }

    /// Whom the provider recognized.
    #[must_use]
    pub fn user_id(&self) -> &str {
        &self.user_id
    }

    /// For which device.
    #[must_use]
    pub fn peer_key(&self) -> &PeerPublicKey {
        self.leaf.peer_key()
    }

    /// What the user may read and write.
    #[must_use]
    pub fn permissions(&self) -> &Permissions {
        self.leaf.permissions()
    }

    /// When they were made, in unix milliseconds by the clock of the service.
    #[must_use]
    pub fn issued_ms(&self) -> u64 {
        self.leaf.issued_ms()
    }

    /// When they end, in unix milliseconds.
    #[must_use]
    pub fn expires_ms(&self) -> u64 {
        self.leaf.expires_ms()
    }

    /// Whether they hold at `now_ms`.
    #[must_use]
    pub fn is_valid_at(&self, now_ms: u64) -> bool {
        self.leaf.at(now_ms).is_ok()
    }

    /// The same, with what is wrong.
    ///
    /// # Errors
    /// They have run out, or do not hold yet.
    pub fn check_at(&self, now_ms: u64) -> Result<(), VerifyError> {
        self.leaf.at(now_ms).map(drop)
    }

    /// Where they came from.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The token that the service issued; a secret.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.origin.token
    }

    pub(crate) fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    pub(crate) fn trust(&self) -> &Trust {
        &self.trust
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("user_id", &self.user_id)
            .field("expires_ms", &self.expires_ms())
            .finish_non_exhaustive()
    }
}

/// The form of the file.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Record {
    version: u32,
    database_id: String,
    peer_key: String,
    server: String,
    provider: String,
    token: Zeroized,
    certificate: String,
    authorities: Vec<String>,
}

/// A text that is wiped when dropped.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Zeroized(String);

impl Drop for Zeroized {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.0);
    }
}

/// The file that keeps credentials; without a directory nothing is kept.
pub(super) struct CredentialsFile(Option<PathBuf>);

impl CredentialsFile {
    pub(super) const fn new(directory: Option<PathBuf>) -> Self {
        Self(directory)
    }

    /// What was kept for this database and this device, if anything was.
    pub(super) fn load(
        &self,
        database_id: &str,
        peer_key: &PeerPublicKey,
    ) -> Result<Option<Credentials>, CredentialsError> {
        let Some(directory) = &self.0 else {
            return Ok(None);
        };
        let path = directory.join(FILE);
        let bytes = match read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(failed("read", &path, source)),
        };
        let record: Option<Record> = serde_json::from_slice(&bytes).ok();
        let record = record.filter(|record| record.version == VERSION);
        let Some(record) = record else {
            return Err(CredentialsError::Damaged { path });
        };
        let of_this = [
            (record.database_id == database_id, "database"),
            (record.peer_key == peer_key.to_string(), "device"),
        ];
        if let Some((_, what)) = of_this.into_iter().find(|(same, _)| !same) {
            return Err(CredentialsError::Foreign { path, what });
        }
        match restore(record).filter(|found| found.peer_key() == peer_key) {
            Some(credentials) => Ok(Some(credentials)),
            None => Err(CredentialsError::Damaged { path }),
        }
    }

    /// Keeps them: the file is whole and on the disk, or the one before is.
    pub(super) fn save(&self, credentials: &Credentials) -> Result<(), CredentialsError> {
        let Some(directory) = &self.0 else {
            return Ok(());
        };
        let (path, unfinished) = (directory.join(FILE), directory.join(UNFINISHED));
        let text = serde_json::to_vec(&record(credentials));
        let text = text.map_err(|error| failed("write", &path, error.into()))?;
        write_private(&unfinished, &Zeroizing::new(text))
            .map_err(|source| failed("write", &unfinished, source))?;
        fs::rename(&unfinished, &path).map_err(|source| failed("rename", &unfinished, source))?;
        sync(directory)
    }

    /// Removes them from the disk.
    pub(super) fn forget(&self) -> Result<(), CredentialsError> {
        let Some(directory) = &self.0 else {
            return Ok(());
        };
        for name in [UNFINISHED, FILE] {
            let path = directory.join(name);
            match fs::remove_file(&path) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(failed("remove", &path, source)),
            }
        }
        sync(directory)
    }
}

fn record(credentials: &Credentials) -> Record {
    let authorities = credentials.trust.authorities().iter();
    Record {
        version: VERSION,
        database_id: credentials.trust.database_id().to_owned(),
        peer_key: credentials.peer_key().to_string(),
        server: credentials.origin.server.clone(),
        provider: credentials.origin.provider.clone(),
        token: Zeroized(credentials.token().to_owned()),
        certificate: BASE64_STANDARD.encode(&credentials.certificate),
        authorities: authorities
            .map(|key| BASE64_STANDARD.encode(key.to_spki_der()))
            .collect(),
    }
}

fn restore(record: Record) -> Option<Credentials> {
    let authority = |text: &String| {
        let der = BASE64_STANDARD.decode(text).ok()?;
        AuthorityKey::parse(&der).ok()
    };
    let authorities: Option<Vec<_>> = record.authorities.iter().map(authority).collect();
    let certificate = BASE64_STANDARD.decode(&record.certificate).ok()?;
    let origin = Origin::new(record.server, record.provider).with_token(record.token.0.clone());
    Credentials::check(certificate, &authorities?, &record.database_id, origin).ok()
}

fn read(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::new());
    let file = File::open(path)?;
    file.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
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

fn sync(directory: &Path) -> Result<(), CredentialsError> {
    let synced = File::open(directory).and_then(|directory| directory.sync_all());
    synced.map_err(|source| failed("flush", directory, source))
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> CredentialsError {
    CredentialsError::File {
        action,
        path: path.to_owned(),
        source,
    }
}
