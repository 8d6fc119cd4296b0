//! The door through which a configuration reaches what it only names: variables, and files with secrets.
//! A secret is kept in memory that is wiped, and no output of `Debug` shows it.

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// A longer file holds something else.
const SECRET_FILE_BYTES_MAX: u64 = 16 * 1024;

/// The text of a secret, which `Debug` does not show.
pub(crate) struct SecretText(Zeroizing<String>);

impl SecretText {
    pub(super) fn new(text: Zeroizing<String>) -> Self {
        Self(text)
    }

    pub(super) fn into_text(self) -> Zeroizing<String> {
        self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SecretText(redacted)")
    }
}

/// What is asked of the machine while a configuration is read.
pub(crate) trait Outside: fmt::Debug {
    /// The value of an environment variable; `None` if it is not set.
    fn variable(&self, name: &str) -> Option<OsString>;

    /// The file at `path`, which is absolute or relative to the configuration.
    ///
    /// # Errors
    /// Of the disk, or because the file is too long or no text.
    fn secret_file(&self, path: &Path) -> Result<SecretFile, UnreadableFile>;
}

/// A file that holds a secret.
pub(crate) struct SecretFile {
    /// Where it was found.
    pub(crate) path: PathBuf,
    pub(crate) text: Zeroizing<String>,
    /// Other users of the machine can read it.
    pub(crate) is_open_to_others: bool,
}

/// A file that could not be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {}: {source}", path.display())]
pub(crate) struct UnreadableFile {
    path: PathBuf,
    source: io::Error,
}

impl UnreadableFile {
    pub(crate) fn new(path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self {
            path: path.into(),
            source,
        }
    }
}

/// The machine that this process runs on.
#[derive(Debug)]
pub(super) struct ThisMachine<'a> {
    /// The directory of the configuration.
    pub(super) base: &'a Path,
}

impl Outside for ThisMachine<'_> {
    fn variable(&self, name: &str) -> Option<OsString> {
        // The system has no variable of such a name, and asking for it would panic.
        if name.is_empty() || name.contains(['=', '\0']) {
            return None;
        }
        std::env::var_os(name)
    }

    fn secret_file(&self, path: &Path) -> Result<SecretFile, UnreadableFile> {
        let path = self.base.join(path);
        match read(&path) {
            Ok((text, is_open_to_others)) => Ok(SecretFile {
                path,
                text,
                is_open_to_others,
            }),
            Err(source) => Err(UnreadableFile::new(path, source)),
        }
    }
}

fn read(path: &Path) -> io::Result<(Zeroizing<String>, bool)> {
    use std::os::unix::fs::PermissionsExt;
    let file = File::open(path)?;
    let mode = file.metadata()?.permissions().mode();
    let mut text = Zeroizing::new(String::new());
    let count = file
        .take(SECRET_FILE_BYTES_MAX + 1)
        .read_to_string(&mut text)?;
    if count as u64 > SECRET_FILE_BYTES_MAX {
        let what = format!("it has more than {SECRET_FILE_BYTES_MAX} bytes");
        return Err(io::Error::other(what));
    }
    Ok((text, mode & 0o077 != 0))
}
