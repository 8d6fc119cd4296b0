//! What the node keeps of one ACME server: its account there, the certificate with its key, and what was tried.
//! Only the node's user can read it, and each file is replaced as a whole. Never reaches the network.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use instant_acme::AccountCredentials;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tombolo_http::{Certificate, TlsError};
use zeroize::Zeroizing;

/// In the data directory of the node.
const DIRECTORY: &str = "acme";
const ACCOUNT: &str = "account.json";
/// The key, and then the chain: in one file, so that a pair is never half old and half new.
const CERTIFICATE: &str = "certificate.pem";
const TRIES: &str = "tries.json";
/// A longer file is not ours.
const FILE_BYTES_MAX: u64 = 256 * 1024;

/// Why something could not be kept or found again. The operator's to mend.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeptError {
    #[error("cannot {act} {}: {source}; make it accessible to the user that runs this node", path.display())]
    Disk {
        act: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("{} cannot be understood ({reason}); restore it, or remove it and the node begins anew", path.display())]
    Damaged { path: PathBuf, reason: String },
}

/// The directory of one ACME server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    directory: PathBuf,
}

/// The account of the node.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeptAccount {
    /// What the ACME server was told.
    pub(super) contact: Vec<String>,
    pub(super) credentials: AccountCredentials,
}

/// What was tried, so that a restart neither forgets the limits of the ACME server nor why there is no certificate.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tries {
    /// When the latest orders were begun, in seconds since 1970.
    pub(super) orders_unix_s: Vec<i64>,
    /// `None`: the last try succeeded, or there was none.
    pub(crate) failure: Option<Failure>,
}

/// A try that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Failure {
    pub(crate) at_unix_s: i64,
    pub(crate) reason: String,
}

impl Kept {
    /// Of the server with this directory, in the data directory of the node. Each server has a directory of its own,
    /// so that a certificate of a staging server is never taken for a real one.
    pub(crate) fn of(data_directory: &Path, directory_url: &str) -> Self {
        let host = directory_url
            .split(['/', '?'])
            .nth(2)
            .unwrap_or(directory_url);
        let is_plain =
            |letter: &char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-');
        let plain: String = host.chars().filter(is_plain).take(64).collect();
        let hash = blake3::hash(directory_url.as_bytes()).to_hex();
        let name = format!("{plain}-{}", &hash[..8]);
        Self {
            directory: data_directory.join(DIRECTORY).join(name),
        }
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// `None`: there is none yet.
    ///
    /// # Errors
    /// [`TlsError`], also of one that has expired.
    pub(crate) fn certificate(&self, now_unix_s: i64) -> Result<Option<Certificate>, TlsError> {
        let path = self.directory.join(CERTIFICATE);
        match Certificate::load(&path, &path, now_unix_s) {
            Ok(certificate) => Ok(Some(certificate)),
            Err(TlsError::Unreadable { source, .. }) if source.kind() == ErrorKind::NotFound => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Keeps a pair if it can be used and `accept` takes it; else what was kept before stays.
    ///
    /// # Errors
    /// Of the disk, or what is wrong with the pair.
    pub(super) fn keep_certificate<E: From<KeptError> + From<TlsError>>(
        &self,
        pem: &str,
        now_unix_s: i64,
        accept: impl FnOnce(&Certificate) -> Result<(), E>,
    ) -> Result<Certificate, E> {
        let draft = self.draft(CERTIFICATE, pem.as_bytes())?;
        let certificate = Certificate::load(&draft, &draft, now_unix_s)?;
        accept(&certificate)?;
        self.install(&draft, CERTIFICATE)?;
        Ok(certificate)
    }

    pub(super) fn account(&self) -> Result<Option<KeptAccount>, KeptError> {
        self.json(ACCOUNT)
    }

    pub(super) fn keep_account(&self, account: &KeptAccount) -> Result<(), KeptError> {
        self.keep_json(ACCOUNT, account)
    }

    pub(crate) fn tries(&self) -> Result<Tries, KeptError> {
        Ok(self.json(TRIES)?.unwrap_or_default())
    }

    pub(super) fn keep_tries(&self, tries: &Tries) -> Result<(), KeptError> {
        self.keep_json(TRIES, tries)
    }

    /// Makes the directories, for the node's user alone.
    pub(super) fn prepare(&self) -> Result<(), KeptError> {
        let parent = self.directory.parent().unwrap_or(&self.directory);
        for directory in [parent, &self.directory] {
            match DirBuilder::new().mode(0o700).create(directory) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                    return Err(failed("make", directory)(error));
                }
                _ => {}
            }
            let own = fs::set_permissions(directory, Permissions::from_mode(0o700));
            own.map_err(failed("close", directory))?;
            if let Some(above) = directory.parent() {
                let synced = File::open(above).and_then(|above| above.sync_all());
                synced.map_err(failed("flush", above))?;
            }
        }
        Ok(())
    }

    fn json<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, KeptError> {
        let path = self.directory.join(name);
        let found = match fs::metadata(&path) {
            Ok(found) => found,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("read", &path)(error)),
        };
        let damaged = |reason: String| KeptError::Damaged {
            path: path.clone(),
            reason,
        };
        if found.len() > FILE_BYTES_MAX {
            return Err(damaged(format!("it has {} bytes", found.len())));
        }
        let text = Zeroizing::new(fs::read(&path).map_err(failed("read", &path))?);
        let parsed = serde_json::from_slice(&text);
        // What serde_json says may repeat the text, which holds a key.
        parsed
            .map(Some)
            .map_err(|error| damaged(format!("line {}, column {}", error.line(), error.column())))
    }

    fn keep_json(&self, name: &str, value: &impl Serialize) -> Result<(), KeptError> {
        let text = serde_json::to_vec_pretty(value).map(Zeroizing::new);
        let text = text.map_err(|error| KeptError::Damaged {
            path: self.directory.join(name),
            reason: error.to_string(),
        })?;
        let draft = self.draft(name, &text)?;
        self.install(&draft, name)
    }

    /// Writes the bytes beside `name`, down to the disk.
    fn draft(&self, name: &str, bytes: &[u8]) -> Result<PathBuf, KeptError> {
        let path = self.directory.join(format!("{name}.new"));
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(failed("remove", &path)(error));
            }
            _ => {}
        }
        let written = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .and_then(|mut file| {
                file.write_all(bytes)?;
                file.sync_all()
            });
        written.map_err(failed("write", &path))?;
        Ok(path)
    }

    fn install(&self, draft: &Path, name: &str) -> Result<(), KeptError> {
        let path = self.directory.join(name);
        let moved = fs::rename(draft, &path).and_then(|()| File::open(&self.directory)?.sync_all());
        moved.map_err(failed("replace", &path))
    }
}

fn failed(act: &'static str, path: &Path) -> impl FnOnce(io::Error) -> KeptError {
    let path = path.to_owned();
    move |source| KeptError::Disk { act, path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tries(reason: &str) -> Tries {
        Tries {
            orders_unix_s: vec![1, 2],
            failure: Some(Failure {
                at_unix_s: 2,
                reason: reason.to_owned(),
            }),
        }
    }

    #[test]
    fn each_server_has_a_directory_of_its_own() {
        let home = Path::new("data");
        let name = |url: &str| {
            let kept = Kept::of(home, url);
            let name = kept.directory().strip_prefix("data/acme").unwrap();
            name.to_str().unwrap().to_owned()
        };
        assert!(name("https://acme.example/directory").starts_with("acme.example-"));
        assert_ne!(
            name("https://acme.example/directory"),
            name("https://acme.example/staging")
        );
        for odd in ["https://[::1]:14000/dir", "https://../../x", "", "https://"] {
            assert!(!name(odd).contains('/'), "{odd}");
        }
    }

    #[test]
    fn what_is_kept_is_for_the_node_alone_and_replaced_as_a_whole() {
        let home = tempfile::tempdir().unwrap();
        let kept = Kept::of(home.path(), "https://acme.example/directory");
        assert_eq!(kept.tries().unwrap(), Tries::default());
        assert!(kept.certificate(0).unwrap().is_none());
        // As after a crash in the middle of writing, and with rights that somebody widened.
        kept.prepare().unwrap();
        fs::write(kept.directory().join("tries.json.new"), "half").unwrap();
        fs::set_permissions(kept.directory(), Permissions::from_mode(0o755)).unwrap();
        kept.prepare().unwrap();
        for reason in ["first", "second"] {
            kept.keep_tries(&tries(reason)).unwrap();
            assert_eq!(kept.tries().unwrap(), tries(reason));
        }
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&kept.directory().join(TRIES)), 0o600);
        assert_eq!(mode(kept.directory()), 0o700);
        assert_eq!(mode(&home.path().join("acme")), 0o700);
        assert_eq!(fs::read_dir(kept.directory()).unwrap().count(), 1);
    }

    #[test]
    fn damage_is_told_by_file_and_place_and_repeats_nothing() {
        let home = tempfile::tempdir().unwrap();
        let kept = Kept::of(home.path(), "https://acme.example/directory");
        kept.prepare().unwrap();
        let path = kept.directory().join(ACCOUNT);
        fs::write(&path, "{ \"contact\": \"hunter2\" }").unwrap();
        let Err(error) = kept.account() else {
            panic!("it was taken");
        };
        assert!(error.to_string().contains("account.json"), "{error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
        fs::write(&path, " ".repeat(FILE_BYTES_MAX as usize + 1)).unwrap();
        assert!(matches!(kept.account(), Err(KeptError::Damaged { .. })));
    }

    #[test]
    fn a_pair_that_cannot_be_used_leaves_the_old_one() {
        let home = tempfile::tempdir().unwrap();
        let kept = Kept::of(home.path(), "https://acme.example/directory");
        kept.prepare().unwrap();
        let pair = || {
            let key = rcgen::KeyPair::generate().unwrap();
            let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
            let certificate = params.self_signed(&key).unwrap();
            (key.serialize_pem(), certificate.pem())
        };
        let (first, second) = (pair(), pair());
        let now_s = 1_750_000_000;
        let keep = |key: &str, chain: &str| {
            let accept = |_: &Certificate| Ok::<(), crate::acme::order_error::OrderError>(());
            kept.keep_certificate(&format!("{key}{chain}"), now_s, accept)
        };
        let held = keep(&first.0, &first.1).unwrap();
        assert!(keep(&first.0, &second.1).is_err(), "of two pairs");
        assert!(keep("", "").is_err());
        let found = kept.certificate(now_s).unwrap().unwrap();
        assert!(found.is_same(&held));
    }
}
