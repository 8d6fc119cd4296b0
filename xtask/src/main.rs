//! The command `cargo xtask RULE`: runs one set of house rules over the working tree.
//! It prints every finding with its file and line, and exits with 1 if there is one.
//! It never changes a file.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use xtask::{Finding, Report, XtaskError, layers, tidy};

const USAGE: &str = "usage: cargo xtask layers | tidy";

fn main() -> ExitCode {
    let rule = std::env::args().nth(1).unwrap_or_default();
    match run(&rule) {
        Ok(report) => print(&rule, &report),
        Err(error) => {
            // The exit code carries the verdict even if the terminal is gone.
            let _ = writeln!(io::stderr(), "xtask: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(rule: &str) -> Result<Report, XtaskError> {
    let root = workspace_root();
    match rule {
        "layers" => layers::check(&root),
        "tidy" => tidy::check(&root),
        _ => Err(XtaskError::Usage(USAGE)),
    }
}

fn print(rule: &str, report: &Report) -> ExitCode {
    let mut out = io::stdout().lock();
    for warning in &report.warnings {
        let _ = writeln!(out, "note: {warning}");
    }
    for finding in &report.findings {
        let _ = writeln!(out, "{finding}");
    }
    let _ = writeln!(out, "xtask {rule}: {}", verdict(&report.findings));
    if report.findings.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn verdict(findings: &[Finding]) -> String {
    match findings.len() {
        0 => "clean".to_owned(),
        1 => "1 finding".to_owned(),
        count => format!("{count} findings"),
    }
}

fn workspace_root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_path_buf()
}
