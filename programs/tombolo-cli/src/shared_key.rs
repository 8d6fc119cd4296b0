//! Making the key that the nodes of a mesh share, one line of base64.
//! It is written once, to a place that the operator chose, and nowhere else.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use tombolo::{SharedKey, SharedKeyError};

/// Only the owner reads and writes the file.
const MODE: u32 = 0o600;

/// Why no key was made. All are the operator's to mend.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GenerateError {
    #[error("error: {0}")]
    NoKey(#[from] SharedKeyError),
    #[error(
        "error: {} exists and was not touched\n  = help: a key in use must not be replaced on one node alone; choose another name, or move the file away first", path.display()
    )]
    Exists { path: PathBuf },
    #[error("error: cannot write {}: {source}\n  = help: check the directory and its permissions", path.display())]
    Unwritable {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("error: cannot write the key: {0}")]
    NoOutput(#[from] std::io::Error),
}

/// Writes a new key to `output`.
///
/// # Errors
/// [`GenerateError`].
pub(crate) fn generate(output: &mut dyn Write) -> Result<(), GenerateError> {
    let key = SharedKey::generate()?;
    writeln!(output, "{}", *key.to_base64())?;
    Ok(output.flush()?)
}

/// Writes a new key to a new file. A file that cannot be written whole is removed.
///
/// # Errors
/// [`GenerateError`].
pub(crate) fn generate_to(path: &Path) -> Result<(), GenerateError> {
    let unwritable = |source| GenerateError::Unwritable {
        path: path.to_owned(),
        source,
    };
    let mut options = OpenOptions::new();
    let opened = options.write(true).create_new(true).mode(MODE).open(path);
    let mut file = opened.map_err(|source| match source.kind() {
        ErrorKind::AlreadyExists => GenerateError::Exists {
            path: path.to_owned(),
        },
        _ => unwritable(source),
    })?;
    let written = generate(&mut file).and_then(|()| file.sync_all().map_err(unwritable));
    if written.is_err() {
        // What is left of it is no key, and the error tells the rest.
        let _ = fs::remove_file(path);
    }
    written
}
