//! The configuration file: what was typed (`raw`), what is meant (`meaning`), and the way between.
//! `parse` never panics and does no I/O but through the door `Outside`; whatever the program cannot do yet is refused by name, never ignored.

mod files;
mod identity_files;
mod import;
mod meaning;
mod meaning_identity;
mod meaning_logging;
mod meaning_tls;
mod network;
mod permission_set;
mod problem;
mod raw;
mod read;
mod resolve;
mod resolve_acme;
mod resolve_auth;
mod resolve_auth_server;
mod resolve_clients;
mod resolve_database;
mod resolve_directory;
mod resolve_http;
mod resolve_identity;
mod resolve_limits;
mod resolve_logging;
mod resolve_mesh;
mod resolve_permissions;
mod resolve_secret;
mod resolve_subscriptions;
mod resolve_tls;
mod resolve_ws;
mod schema;
pub(crate) mod secret;
mod tls_files;
mod url;

pub(crate) use files::{
    Checked, Enrolment, FileError, LoginSettings, check_files, find_data_directory, load, read_text,
};
pub(crate) use import::migrate;
pub(crate) use meaning::{
    Api, Clients, Config, Cors, Database, Encryption, ForwardedHeader, Http, Identity, Proxies,
    Strategy, Subscription, Throttled,
};
pub(crate) use meaning_identity::{
    IdentitySettings, Keys, LoginLimits, ProviderSettings, WebServer,
};
pub(crate) use meaning_logging::{AuditedReads, Console, Frequency, Level, Logging, Rotation};
pub(crate) use meaning_tls::{Acme, CertificateSource, Tls};
pub(crate) use permission_set::PermissionSet;
pub(crate) use problem::ConfigError;
pub(crate) use resolve::InsecureListen;
pub(crate) use schema::schema;
pub(crate) use tls_files::{LoadedTls, named_files};
pub(crate) use url::is_public;

/// What `parse` must know besides the text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context<'a> {
    /// How the operator called the file; only for messages.
    pub(crate) file: &'a str,
    /// Whether development modes may listen beyond this machine.
    pub(crate) insecure_listen: InsecureListen,
    /// Where variables and files with secrets are found.
    pub(crate) outside: &'a dyn secret::Outside,
}

/// From text to meaning, or every problem that was found.
///
/// # Errors
/// [`ConfigError`] with file, line, column, key path and remedy of each problem.
pub(crate) fn parse(text: &str, context: Context<'_>) -> Result<Config, ConfigError> {
    if let Some(migrated) = migrate(context.file, text) {
        return parse_migrated(&migrated?.text, context);
    }
    parse_newest(text, context)
}

/// Its places are those of the newest form, which the operator can look at.
fn parse_migrated(text: &str, context: Context<'_>) -> Result<Config, ConfigError> {
    let file = context.file;
    let printed = format!("what is printed by: tombolo config migrate -c {file}");
    let context = Context {
        file: &printed,
        ..context
    };
    let mut config = parse_newest(text, context)?;
    let notice = format!(
        "{file} is written in the older form, with resources; print the newest with: tombolo config migrate -c {file}"
    );
    config.notices.insert(0, notice);
    Ok(config)
}

fn parse_newest(text: &str, context: Context<'_>) -> Result<Config, ConfigError> {
    let raw =
        read::read(text).map_err(|problem| ConfigError::new(context.file, text, vec![problem]))?;
    resolve::resolve(raw, context.insecure_listen, context.outside)
        .map_err(|problems| ConfigError::new(context.file, text, problems))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Between them they have every section.
    const SOURCES: [&str; 2] = [
        include_str!("../../tests/config/everything_off.yaml"),
        include_str!("../../tests/config/known_clients.yaml"),
    ];

    fn judge(text: &str) {
        let context = Context {
            file: "f",
            insecure_listen: InsecureListen::Refused,
            outside: &secret::ThisMachine {
                base: std::path::Path::new(""),
            },
        };
        if let Err(error) = parse(text, context) {
            assert!(error.to_string().starts_with("error: "), "{error}");
        }
    }

    #[test]
    fn no_damage_to_a_file_makes_reading_panic() {
        for source in SOURCES {
            for (cut, letter) in source.char_indices() {
                let after = &source[cut + letter.len_utf8()..];
                judge(&source[..cut]);
                judge(&format!("{}{after}", &source[..cut]));
                judge(&format!("{}\"{after}", &source[..cut]));
            }
        }
    }
}
