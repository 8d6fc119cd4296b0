//! The direction of dependencies: which crate may know which, and what the pure crates may never touch.
//! The table of edges is the law; docs/ARCHITECTURE.md explains it.
//! It reads manifests through `cargo metadata --offline` and sources as text; it never builds anything.

mod edges;
mod purity;

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::{Report, Tree, XtaskError};

pub use edges::{EdgeKind, Package, check_edges};
pub use purity::check_purity;

/// Runs both halves over the workspace at `root`.
pub fn check(root: &Path) -> Result<Report, XtaskError> {
    let packages = read_packages(root)?;
    let tree = Tree::read(root)?;
    let mut findings = check_edges(&packages);
    findings.extend(check_purity(&tree));
    findings.sort();
    Ok(Report {
        findings,
        warnings: Vec::new(),
    })
}

/// Asks cargo for the packages of the workspace and their declared dependencies.
pub fn read_packages(root: &Path) -> Result<Vec<Package>, XtaskError> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args([
            "metadata",
            "--no-deps",
            "--offline",
            "--format-version",
            "1",
        ])
        .current_dir(root)
        .output()
        .map_err(|error| XtaskError::Metadata(error.to_string()))?;
    if !output.status.success() {
        return Err(XtaskError::Metadata(
            String::from_utf8_lossy(&output.stderr).into_owned(),
        ));
    }
    let metadata: Value = serde_json::from_slice(&output.stdout)
        .map_err(|error| XtaskError::Metadata(error.to_string()))?;
    let Some(packages) = metadata["packages"].as_array() else {
        return Err(XtaskError::Metadata(
            "the answer has no packages".to_owned(),
        ));
    };
    Ok(packages
        .iter()
        .map(|package| Package::from_metadata(package, root))
        .collect())
}
