//! Finding the shared key of a mesh: in the configuration, in a file or in the environment.
//! No error and no notice repeats any part of a key.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use tombolo::{SharedKey, SharedKeyError};

use super::meaning::KeySource;

/// A longer file is no shared key, which takes 184 characters.
const KEY_FILE_BYTES_MAX: u64 = 16 * 1024;

/// Why there is no key. All are the operator's to mend.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyError {
    #[error("cannot read {}: {source}\n  = help: make it with: tombolo shared-key generate --output FILE", path.display())]
    Unreadable {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{}: {source}", path.display())]
    File {
        path: PathBuf,
        source: SharedKeyError,
    },
    #[error(
        "the environment variable {name} is not set\n  = help: set it to a key made with: tombolo shared-key generate"
    )]
    NoVariable { name: String },
    #[error("the environment variable {name}: {source}")]
    Variable {
        name: String,
        source: SharedKeyError,
    },
}

/// Reads the key. Paths are relative to `base`, the directory of the configuration.
///
/// # Errors
/// [`KeyError`].
pub(super) fn load(
    source: KeySource,
    base: &Path,
    notices: &mut Vec<String>,
) -> Result<SharedKey, KeyError> {
    match source {
        KeySource::Typed(key) => Ok(*key),
        KeySource::FromEnvironment(name) => {
            let Ok(text) = std::env::var(&name) else {
                return Err(KeyError::NoVariable { name });
            };
            SharedKey::parse(&text).map_err(|source| KeyError::Variable { name, source })
        }
        KeySource::File(path) => {
            let path = base.join(path);
            let text = match read(&path) {
                Ok(text) => text,
                Err(source) => return Err(KeyError::Unreadable { path, source }),
            };
            if is_open_to_others(&path) {
                notices.push(format!(
                    "{}: other users of this machine can read the shared key; take their permission away with: chmod 600",
                    path.display()
                ));
            }
            SharedKey::parse(&text).map_err(|source| KeyError::File { path, source })
        }
    }
}

fn read(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    let file = File::open(path)?;
    file.take(KEY_FILE_BYTES_MAX).read_to_string(&mut text)?;
    Ok(text)
}

pub(super) fn is_open_to_others(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(path).map(|metadata| metadata.permissions().mode());
    mode.is_ok_and(|mode| mode & 0o077 != 0)
}
