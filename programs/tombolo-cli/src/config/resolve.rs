//! From what was typed to what is meant. Every refusal is collected, so that one run tells all of them.
//! A feature that is not built yet is refused by name when it is asked for; `false` and `null` always pass.

use std::path::PathBuf;

use serde_saphyr::Location;

use super::meaning::Config;
use super::problem::Problem;
use super::raw::{Anything, Placed, RawConfig, Setting, Spanned, WordOr};
use super::resolve_mesh::{Door, OwnService};
use super::secret::Outside;
use super::{resolve_acme, resolve_database, resolve_http, resolve_identity, resolve_logging};

/// Whether `dev_mode` may listen on an address that other machines reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InsecureListen {
    /// The default.
    Refused,
    /// `--allow-insecure-listen`.
    Allowed,
}

/// Collects what is wrong and what is worth saying.
#[derive(Debug)]
pub(super) struct Findings<'a> {
    /// Where variables and files with secrets are found.
    pub(super) outside: &'a dyn Outside,
    problems: Vec<Problem>,
    notices: Vec<String>,
    /// Keys whose secrets stand in the file itself.
    pub(super) typed_secrets: Vec<String>,
    /// Files with secrets that other users of the machine can read.
    pub(super) open_secret_files: Vec<PathBuf>,
}

impl<'a> Findings<'a> {
    pub(super) fn at(outside: &'a dyn Outside) -> Self {
        Self {
            outside,
            problems: Vec::new(),
            notices: Vec::new(),
            typed_secrets: Vec::new(),
            open_secret_files: Vec::new(),
        }
    }
}

impl Findings<'_> {
    pub(super) fn refuse(
        &mut self,
        path: impl Into<String>,
        place: Location,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.problems.push(Problem::new(path, place, what, remedy));
    }

    pub(super) fn notice(&mut self, text: impl Into<String>) {
        self.notices.push(text.into());
    }

    pub(super) fn not_built(&mut self, path: &str, place: Location) {
        self.refuse(
            path,
            place,
            "is not built yet",
            "remove it or set it to null",
        );
    }

    /// Refuses a feature that is asked for and not built.
    pub(super) fn expect_off(&mut self, path: &str, value: Option<&Spanned<Anything>>) {
        if let Some(value) = value
            && value.value == Anything::Asked
        {
            self.not_built(path, value.referenced);
        }
    }

    /// The same for a switch.
    pub(super) fn expect_false(&mut self, path: &str, value: Option<&Spanned<bool>>) {
        if let Some(value) = value
            && value.value
        {
            self.not_built(path, value.referenced);
        }
    }

    /// A section that may be switched off; `true` says nothing and is refused.
    pub(super) fn section<T>(
        &mut self,
        path: &str,
        value: Placed<Setting<T>>,
    ) -> Option<Spanned<T>> {
        let Spanned { value, referenced } = value?;
        match value {
            Setting::Given(value) => Some(Spanned { value, referenced }),
            Setting::Bool(false) => None,
            Setting::Bool(true) => {
                let remedy = "write the values it should have, or set it to null";
                self.refuse(
                    path,
                    referenced,
                    "is set to true, but it is not a switch",
                    remedy,
                );
                None
            }
        }
    }
}

/// Checks everything and gives each value its meaning.
pub(super) fn resolve(
    raw: RawConfig,
    insecure: InsecureListen,
    outside: &dyn Outside,
) -> Result<Config, Vec<Problem>> {
    let mut findings = Findings::at(outside);
    findings.expect_off("grpc_server", raw.grpc_server.as_ref());
    storage(raw.storage, &mut findings);
    let logging = resolve_logging::logging(raw.logging, &mut findings);
    let own = match &raw.identity_service {
        Some(Spanned {
            value: Setting::Given(_),
            ..
        }) => OwnService::Here,
        _ => OwnService::Elsewhere,
    };
    let door = match &raw.http_server {
        Some(Spanned {
            value: Setting::Given(_),
            ..
        }) => Door::Http,
        _ => Door::None,
    };
    let persistence_dir = raw.database.value.persistence_dir.as_ref();
    let persistence_place = persistence_dir.map(|directory| directory.referenced);
    let database = resolve_database::database(raw.database.value, (own, door), &mut findings);
    let metrics = raw.metrics.map(|raw| raw.value);
    let auth = (raw.auth, metrics);
    let http = resolve_http::http(raw.http_server, auth, insecure, &mut findings);
    if let (Some(database), Some(http), Some(place)) = (&database, &http, persistence_place) {
        resolve_acme::refuse_forgetting(
            &database.directory,
            &http.encryption,
            place,
            &mut findings,
        );
    }
    let identity_service =
        resolve_identity::identity_service(raw.identity_service, http.as_ref(), &mut findings);
    let Findings {
        outside: _,
        problems,
        notices,
        typed_secrets,
        open_secret_files,
    } = findings;
    match database {
        Some(database) if problems.is_empty() => Ok(Config {
            database,
            http,
            identity_service,
            logging,
            notices,
            typed_secrets,
            open_secret_files,
        }),
        _ => Err(problems),
    }
}

fn storage(raw: Placed<Setting<WordOr<Anything>>>, findings: &mut Findings) {
    match findings.section("storage", raw) {
        None => {}
        Some(Spanned {
            value: WordOr::Word(word),
            ..
        }) if word == "embedded" => {}
        Some(Spanned {
            value: WordOr::Word(_),
            referenced,
            ..
        }) => {
            findings.refuse(
                "storage",
                referenced,
                "names no storage that exists",
                "write embedded, or remove it",
            );
        }
        Some(Spanned {
            value: WordOr::Given(_),
            referenced,
            ..
        }) => {
            findings.refuse(
                "storage",
                referenced,
                "any storage but embedded is not built yet",
                "write embedded, or remove it",
            );
        }
    }
}
