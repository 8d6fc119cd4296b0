//! The verbs under `tombolo config`: what each prints and how it exits.

use std::io::{Write, stderr, stdout};
use std::process::ExitCode;

use crate::cli::{ConfigFile, ConfigVerb, SchemaForm};
use crate::config;
use crate::verbs::{self, VerbError};

pub(crate) fn perform(verb: ConfigVerb) -> Result<ExitCode, VerbError> {
    match verb {
        ConfigVerb::Validate(file) => validate(&file),
        ConfigVerb::Schema { form } => print_schema(form),
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

fn print_schema(form: SchemaForm) -> Result<ExitCode, VerbError> {
    let schema = config::schema();
    let text = match form {
        SchemaForm::Json => format!("{schema:#}\n"),
        SchemaForm::Yaml => serde_saphyr::to_string(&schema).map_err(std::io::Error::other)?,
    };
    stdout().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
