//! Each verb of the command line: what it prints and how it exits.
//! Standard output carries results, standard error everything else.

use std::io::{Write, stderr, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::api_key::{GeneratedKey, HashError, KeyHash};
use crate::audit::{self, AuditVerdict};
use crate::cli::{
    ApiKeyVerb, AuditPlace, AuditVerb, Command, ConfigFile, CredentialVerb, DoctorCall,
    IdentityVerb, SharedKeyVerb, Verb,
};
use crate::config::{self, Checked, FileError, InsecureListen};
use crate::config_verbs;
use crate::doctor::{self, Diagnosis, Verdict};
use crate::identity::{self, IdentityVerbError};
use crate::run::{self, RunError};
use crate::serving::ConfigSource;
use crate::shared_key::{self, GenerateError};

/// Why a verb failed; its text is for the operator.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VerbError {
    #[error(transparent)]
    Config(#[from] FileError),
    #[error(transparent)]
    Run(#[from] RunError),
    #[error(
        "error: the system gave no randomness: {0}\n  = help: try again; on a machine that just started, wait a little"
    )]
    NoRandomness(getrandom::Error),
    #[error("error: cannot make the hash: {0}")]
    NoHash(HashError),
    #[error(
        "error: --hash {0}\n  = help: pass the Secure Public Hash printed by: tombolo api-key generate"
    )]
    BadHash(HashError),
    #[error(transparent)]
    SharedKey(#[from] GenerateError),
    #[error(transparent)]
    Identity(#[from] IdentityVerbError),
    #[error("error: cannot write {}: {source}", path.display())]
    NotWritten {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error(
        "error: the configuration has no audit log\n  = help: add logging.edge_server.audit_logs, or name the directory"
    )]
    NoAudit,
    #[error("error: cannot verify the audit log in {}: {source}", directory.display())]
    Audit {
        directory: PathBuf,
        source: std::io::Error,
    },
    #[error("error: cannot write to standard output: {0}")]
    NoOutput(#[from] std::io::Error),
}

pub(crate) fn perform(command: Command) -> ExitCode {
    let outcome = match command.verb {
        Verb::Run(file) => start(&file),
        Verb::Doctor(DoctorCall { file, production }) => examine(&file, production),
        Verb::Config(verb) => config_verbs::perform(verb),
        Verb::Audit(AuditVerb::Verify(place)) => verify_audit(place),
        Verb::ApiKey(ApiKeyVerb::Generate) | Verb::Credential(CredentialVerb::GenerateApiKey) => {
            generate_key()
        }
        Verb::ApiKey(ApiKeyVerb::Validate { key, hash }) => validate_key(&key, &hash),
        Verb::SharedKey(SharedKeyVerb::Generate { output }) => {
            generate_shared_key(output.as_deref())
        }
        Verb::Identity(verb) => manage_identity(verb),
    };
    outcome.unwrap_or_else(|error| {
        // Nothing is left to tell if standard error is closed too.
        let _ = writeln!(stderr(), "{error}");
        ExitCode::FAILURE
    })
}

fn start(file: &ConfigFile) -> Result<ExitCode, VerbError> {
    let source = ConfigSource {
        path: file.path.clone(),
        insecure_listen: insecure_listen(file),
    };
    run::run(read(file)?, source)?;
    Ok(ExitCode::SUCCESS)
}

/// `counts_missing`: whether lines missing from the production checklist are a failure.
fn examine(file: &ConfigFile, counts_missing: bool) -> Result<ExitCode, VerbError> {
    let checked = read(file)?;
    let now_ms = u64::try_from(now_unix_s())
        .unwrap_or(0)
        .saturating_mul(1000);
    let Diagnosis { way, missing } = doctor::examine(&checked, now_ms, &mut stdout())?;
    Ok(match way {
        Verdict::Sound if missing == 0 || !counts_missing => ExitCode::SUCCESS,
        Verdict::Sound | Verdict::Stopped => ExitCode::FAILURE,
    })
}

fn verify_audit(place: AuditPlace) -> Result<ExitCode, VerbError> {
    let AuditPlace {
        directory,
        path,
        head,
    } = place;
    let directory = match (directory, path) {
        (Some(directory), _) => Some(directory),
        (None, None) => None,
        (None, Some(path)) => {
            let file = ConfigFile {
                path,
                allow_insecure_listen: true,
            };
            read(&file)?.audit_directory
        }
    };
    let directory = directory.ok_or(VerbError::NoAudit)?;
    let verdict = audit::report(&directory, head, &mut stdout());
    match verdict.map_err(|source| VerbError::Audit { directory, source })? {
        AuditVerdict::Whole => Ok(ExitCode::SUCCESS),
        AuditVerdict::Broken => Ok(ExitCode::FAILURE),
    }
}

/// Reads and checks the configuration, its files and its secrets.
pub(crate) fn read(file: &ConfigFile) -> Result<Checked, FileError> {
    let config = config::load(&file.path, insecure_listen(file))?;
    config::check_files(config, &file.path, now_unix_s())
}

pub(crate) fn insecure_listen(file: &ConfigFile) -> InsecureListen {
    if file.allow_insecure_listen {
        InsecureListen::Allowed
    } else {
        InsecureListen::Refused
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the outermost door: a certificate is checked against the machine's clock"
)]
pub(crate) fn now_unix_s() -> i64 {
    let elapsed = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(elapsed.as_secs()).unwrap_or(i64::MAX)
}

fn generate_key() -> Result<ExitCode, VerbError> {
    let (mut key, mut id) = ([0; 32], [0; 12]);
    getrandom::fill(&mut key).map_err(VerbError::NoRandomness)?;
    getrandom::fill(&mut id).map_err(VerbError::NoRandomness)?;
    let made = GeneratedKey::from_randomness(key, id).map_err(VerbError::NoHash)?;
    writeln!(stdout(), "Generated Private Key: {}", made.private_key)?;
    writeln!(stdout(), "Secure Public Hash: {}", made.public_hash)?;
    Ok(ExitCode::SUCCESS)
}

fn validate_key(key: &str, hash: &str) -> Result<ExitCode, VerbError> {
    let hash = KeyHash::parse(hash).map_err(VerbError::BadHash)?;
    if crate::api_key::looks_like_key(key) && hash.matches(key) {
        writeln!(stdout(), "Key is valid")?;
        return Ok(ExitCode::SUCCESS);
    }
    writeln!(stdout(), "Key is not valid")?;
    Ok(ExitCode::FAILURE)
}

fn generate_shared_key(output: Option<&Path>) -> Result<ExitCode, VerbError> {
    match output {
        None => shared_key::generate(&mut stdout())?,
        Some(path) => {
            shared_key::generate_to(path)?;
            writeln!(stderr(), "the shared key is in {}", path.display())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn manage_identity(verb: IdentityVerb) -> Result<ExitCode, VerbError> {
    identity::perform(verb, &mut stdout())?;
    Ok(ExitCode::SUCCESS)
}
