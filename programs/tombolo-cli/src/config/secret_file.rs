//! Finding a secret of the identity service: in the configuration, in a file or in the environment.
//! No error and no notice repeats any part of a secret.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::key_file::is_open_to_others;
use super::meaning_identity::SecretSource;

/// A longer file holds something else.
const SECRET_FILE_BYTES_MAX: u64 = 16 * 1024;

/// Why there is no secret. All are the operator's to mend.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SecretError {
    #[error("cannot read {}: {source}\n  = help: check the path and its permissions", path.display())]
    Unreadable {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error(
        "the environment variable {name} is not set\n  = help: set it, or write the secret elsewhere"
    )]
    NoVariable { name: String },
    #[error("is empty\n  = help: write a secret of your own, as long as a password")]
    Empty,
}

/// Reads a secret, without white space around it. Paths are relative to `base`.
///
/// # Errors
/// [`SecretError`].
pub(super) fn load(
    source: SecretSource,
    base: &Path,
    notices: &mut Vec<String>,
) -> Result<Zeroizing<String>, SecretError> {
    let text = match source {
        SecretSource::Typed(text) => text,
        SecretSource::FromEnvironment(name) => match std::env::var(&name) {
            Ok(text) => Zeroizing::new(text),
            Err(_) => return Err(SecretError::NoVariable { name }),
        },
        SecretSource::File(path) => {
            let path = base.join(path);
            let mut text = Zeroizing::new(String::new());
            let read = File::open(&path)
                .and_then(|file| file.take(SECRET_FILE_BYTES_MAX).read_to_string(&mut text));
            if let Err(source) = read {
                return Err(SecretError::Unreadable { path, source });
            }
            if is_open_to_others(&path) {
                notices.push(format!(
                    "{}: other users of this machine can read this secret; take their permission away with: chmod 600",
                    path.display()
                ));
            }
            text
        }
    };
    match text.trim() {
        "" => Err(SecretError::Empty),
        plain => Ok(Zeroizing::new(plain.to_owned())),
    }
}
