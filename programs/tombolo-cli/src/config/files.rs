//! The second step of reading a configuration: everything in it that depends on this machine.
//! Reads the file itself, finds its directories, and loads the certificate.

use std::path::{Path, PathBuf};

use tombolo::{AuthServer, SyncOptions};
use tombolo_http::TlsError;
use zeroize::Zeroizing;

use super::identity_files::{self, IdentityFileError};
use super::meaning::{Config, Directory, Encryption, Login, Mesh, Proof, Transports};
use super::meaning_identity::IdentitySettings;
use super::read::CONFIG_BYTES_MAX;
use super::secret::ThisMachine;
use super::tls_files::LoadedTls;
use super::{ConfigError, Context, InsecureListen, parse};

/// A configuration whose files exist and fit.
pub(crate) struct Checked {
    pub(crate) config: Config,
    pub(crate) data_directory: PathBuf,
    /// Where the messages of the program are kept; `None`: in no file.
    pub(crate) log_directory: Option<PathBuf>,
    /// `None`: there is no audit log.
    pub(crate) audit_directory: Option<PathBuf>,
    /// `None`: plain HTTP, or no HTTP.
    pub(crate) tls: Option<LoadedTls>,
    /// `None`: the node joins no mesh.
    pub(crate) sync: Option<SyncOptions>,
    /// `None`: the node joins by a shared key, or not at all.
    pub(crate) enrolment: Option<Enrolment>,
    /// `None`: nobody logs in here.
    pub(crate) identity: Option<IdentitySettings>,
}

/// How the node gets the certificate that it joins the mesh with.
pub(crate) enum Enrolment {
    /// It logs in.
    Login(LoginSettings),
    /// Its own identity service gives it one.
    OwnService,
}

/// Where the node logs in, and as whom.
pub(crate) struct LoginSettings {
    pub(crate) server: AuthServer,
    pub(crate) token: Zeroizing<String>,
    pub(crate) provider: String,
}

/// Why a configuration cannot be used. All are the operator's to mend.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    #[error("error: cannot read the configuration {}: {source}\n  = help: check the path given with -c and its permissions", path.display())]
    Unreadable {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("error: the configuration {} is not UTF-8 text\n  = help: save it as UTF-8", path.display())]
    NotText { path: PathBuf },
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("error: {file}: http_server.tls_config: {source}")]
    Tls { file: String, source: TlsError },
    #[error("error: {file}: {source}")]
    Identity {
        file: String,
        source: IdentityFileError,
    },
    #[error(
        "error: {file}: {key}: cannot tell where this executable is: {source}\n  = help: write {{{{ path: ... }}}}"
    )]
    NoExecutable {
        file: String,
        key: &'static str,
        source: std::io::Error,
    },
}

/// Reads and parses the file at `path`, and finds the secrets that it names.
///
/// # Errors
/// [`FileError`].
pub(crate) fn load(path: &Path, insecure_listen: InsecureListen) -> Result<Config, FileError> {
    let text = read_text(path)?;
    let file = path.display().to_string();
    let base = path.parent().unwrap_or(Path::new(""));
    let context = Context {
        file: &file,
        insecure_listen,
        outside: &ThisMachine { base },
    };
    Ok(parse(&text, context)?)
}

/// The text of the file at `path`, of whatever form.
///
/// # Errors
/// [`FileError::Unreadable`] and [`FileError::NotText`].
pub(crate) fn read_text(path: &Path) -> Result<String, FileError> {
    let unreadable = |source| FileError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let size = std::fs::metadata(path).map_err(unreadable)?.len();
    if size > CONFIG_BYTES_MAX as u64 {
        let text = format!("it has {size} bytes, at most {CONFIG_BYTES_MAX} are read");
        return Err(unreadable(std::io::Error::other(text)));
    }
    let bytes = std::fs::read(path).map_err(unreadable)?;
    String::from_utf8(bytes).map_err(|_| FileError::NotText {
        path: path.to_owned(),
    })
}

/// Finds the data directory, and checks the certificate.
/// `now_unix_s` is the time in seconds since 1970.
///
/// # Errors
/// [`FileError`].
pub(crate) fn check_files(
    mut config: Config,
    path: &Path,
    now_unix_s: i64,
) -> Result<Checked, FileError> {
    let file = path.display().to_string();
    let base = path.parent().unwrap_or(Path::new(""));
    let data_directory = data_directory(&config, base, &file)?;
    let (log_directory, audit_directory) = log_directories(&config, base, &file)?;
    let tls = match config.http.as_ref().map(|http| &http.encryption) {
        Some(Encryption::Tls(tls)) => {
            let loaded = LoadedTls::load(tls, base, now_unix_s);
            let failed = |source| FileError::Tls {
                file: file.clone(),
                source,
            };
            Some(loaded.map_err(failed)?)
        }
        _ => None,
    };
    let (sync, enrolment) = match config.database.mesh.take() {
        None => (None, None),
        Some(mesh) => {
            let (options, enrolment) = joining(mesh, base);
            (Some(options), enrolment)
        }
    };
    let identity = match config.identity_service.take() {
        None => None,
        Some(service) => {
            let loaded = identity_files::load(service, base);
            Some(loaded.map_err(|source| FileError::Identity { file, source })?)
        }
    };
    Ok(Checked {
        config,
        data_directory,
        log_directory,
        audit_directory,
        tls,
        sync,
        enrolment,
        identity,
    })
}

/// How to join the mesh, and how to get what that takes.
fn joining(mesh: Mesh, base: &Path) -> (SyncOptions, Option<Enrolment>) {
    let Mesh { proof, transports } = mesh;
    let (mut options, enrolment) = match proof {
        Proof::SharedKey(key) => (SyncOptions::new(*key), None),
        Proof::Login(login) => {
            let login = login_settings(*login, base);
            (SyncOptions::logged_in(), Some(Enrolment::Login(login)))
        }
        Proof::OwnService => (SyncOptions::logged_in(), Some(Enrolment::OwnService)),
    };
    let Transports {
        listen,
        servers,
        ws_servers,
        retry_interval,
    } = transports;
    options.listen.extend(listen);
    options.known_tcp_servers = servers;
    options.known_ws_servers = ws_servers;
    for server in &mut options.known_ws_servers {
        server.ca_file = server.ca_file.take().map(|file| base.join(file));
    }
    options.retry_interval = retry_interval.unwrap_or(options.retry_interval);
    (options, enrolment)
}

fn login_settings(login: Login, base: &Path) -> LoginSettings {
    let Login {
        mut server,
        token,
        provider,
        is_synced: _,
    } = login;
    server.ca_file = server.ca_file.map(|file| base.join(file));
    LoginSettings {
        server,
        token: token.into_text(),
        provider,
    }
}

/// Where the data of the node lie whose configuration is the file at `path`.
///
/// # Errors
/// [`FileError::NoExecutable`].
pub(crate) fn find_data_directory(config: &Config, path: &Path) -> Result<PathBuf, FileError> {
    let base = path.parent().unwrap_or(Path::new(""));
    data_directory(config, base, &path.display().to_string())
}

fn data_directory(config: &Config, base: &Path, file: &str) -> Result<PathBuf, FileError> {
    let name = format!("tombolo_{}", config.database.id);
    locate(
        &config.database.directory,
        ("database.persistence_dir", &name),
        (base, file),
    )
}

/// Where the messages of the program and the audit log are kept.
fn log_directories(
    config: &Config,
    base: &Path,
    file: &str,
) -> Result<(Option<PathBuf>, Option<PathBuf>), FileError> {
    let (rotating, audit) = (&config.logging.rotating, &config.logging.audit);
    let named = |what| format!("tombolo_{}_{what}", config.database.id);
    let rotating = rotating.as_ref().map(|logs| {
        let key = "logging.edge_server.rotating_logs.directory";
        locate(&logs.directory, (key, &named("logs")), (base, file))
    });
    let audit = audit.as_ref().map(|logs| {
        let key = "logging.edge_server.audit_logs";
        locate(&logs.directory, (key, &named("audit")), (base, file))
    });
    Ok((rotating.transpose()?, audit.transpose()?))
}

/// Where `directory` is. `name` is what it is called where the configuration gives no name of its own.
fn locate(
    directory: &Directory,
    (key, name): (&'static str, &str),
    (base, file): (&Path, &str),
) -> Result<PathBuf, FileError> {
    match directory {
        Directory::Path(path) => Ok(base.join(path)),
        Directory::Temporary => {
            Ok(std::env::temp_dir().join(format!("{name}_{}", std::process::id())))
        }
        Directory::NextToExecutable => {
            let executable = std::env::current_exe().map_err(|source| FileError::NoExecutable {
                file: file.to_owned(),
                key,
                source,
            })?;
            Ok(executable.parent().unwrap_or(Path::new("")).join(name))
        }
    }
}
