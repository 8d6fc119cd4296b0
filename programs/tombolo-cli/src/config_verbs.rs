//! The verbs under `tombolo config`: what each prints and how it exits.

use std::fs::{File, OpenOptions};
use std::io::{Write, stderr, stdout};
use std::path::Path;
use std::process::ExitCode;

use crate::check_tls::{self, Places, TlsVerdict};
use crate::cli::{ConfigFile, ConfigVerb, SchemaForm};
use crate::config::{self, FileError, InsecureListen};
use crate::edge;
use crate::verbs::{self, VerbError};

pub(crate) fn perform(verb: ConfigVerb) -> Result<ExitCode, VerbError> {
    match verb {
        ConfigVerb::Validate(file) => validate(&file),
        ConfigVerb::CheckTls { file, name } => check_tls(&file, name.as_deref()),
        ConfigVerb::Schema { form } => print_schema(form),
        ConfigVerb::Migrate { path, output } => migrate(&path, output.as_deref()),
        ConfigVerb::OpenApi { config, output } => describe(config.as_deref(), output.as_deref()),
    }
}

fn validate(file: &ConfigFile) -> Result<ExitCode, VerbError> {
    let checked = verbs::read(file)?;
    for notice in &checked.config.notices {
        writeln!(stderr(), "note: {notice}")?;
    }
    writeln!(stdout(), "{} is valid", file.path.display())?;
    Ok(ExitCode::SUCCESS)
}

fn check_tls(file: &ConfigFile, name: Option<&str>) -> Result<ExitCode, VerbError> {
    let config = config::load(&file.path, verbs::insecure_listen(file))?;
    let base = file.path.parent().unwrap_or(Path::new(""));
    let data = config::find_data_directory(&config, &file.path)?;
    let now_unix_s = verbs::now_unix_s();
    let places = Places { base, data: &data };
    let verdict = check_tls::check(&config, places, name, now_unix_s, &mut stdout())?;
    Ok(match verdict {
        TlsVerdict::Sound => ExitCode::SUCCESS,
        TlsVerdict::Faulty => ExitCode::FAILURE,
    })
}

fn migrate(path: &Path, output: Option<&Path>) -> Result<ExitCode, VerbError> {
    let file = path.display().to_string();
    let text = config::read_text(path)?;
    let Some(migrated) = config::migrate(&file, &text) else {
        // What is wrong with it, if anything is, is for config validate to tell.
        writeln!(
            stderr(),
            "{file} has no resources: it is not of an older form"
        )?;
        return Ok(ExitCode::FAILURE);
    };
    let migrated = migrated.map_err(FileError::from)?;
    let Some(output) = output else {
        return put(&migrated.text, None);
    };
    let written = new_private_file(output).and_then(|mut file| {
        file.write_all(migrated.text.as_bytes())?;
        file.sync_all()
    });
    written.map_err(|source| VerbError::NotWritten {
        path: output.to_owned(),
        source,
    })?;
    Ok(ExitCode::SUCCESS)
}

/// It may hold secrets.
fn new_private_file(path: &Path) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600).open(path)
}

fn describe(config: Option<&Path>, output: Option<&Path>) -> Result<ExitCode, VerbError> {
    // It opens no port, so an address that others reach is none of its business.
    let load = |path: &Path| config::load(path, InsecureListen::Allowed);
    let config = config.map(load).transpose()?;
    let text = format!("{:#}\n", edge::describe(config.as_ref()));
    put(&text, output)
}

/// Writes a result to a file, or to standard output.
fn put(text: &str, output: Option<&Path>) -> Result<ExitCode, VerbError> {
    match output {
        None => stdout().write_all(text.as_bytes())?,
        Some(path) => std::fs::write(path, text).map_err(|source| VerbError::NotWritten {
            path: path.to_owned(),
            source,
        })?,
    }
    Ok(ExitCode::SUCCESS)
}

fn print_schema(form: SchemaForm) -> Result<ExitCode, VerbError> {
    let schema = config::schema();
    let text = match form {
        SchemaForm::Json => format!("{schema:#}\n"),
        SchemaForm::Yaml => serde_saphyr::to_string(&schema).map_err(std::io::Error::other)?,
    };
    put(&text, None)
}
