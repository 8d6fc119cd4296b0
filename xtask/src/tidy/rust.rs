//! Rules for Rust files and manifests: the header, the wall, module names that say nothing, lints switched on.
//! The limits are those of CONTRIBUTING.md; a generated file would be excepted here by name.

use crate::{Finding, SourceFile, Tree};

const HEADER_LINES_MAX: usize = 10;
const FILE_LINES_MAX: usize = 800;
const FILE_LINES_LONG: usize = 400;

/// Names under which anything could be filed, so that everything is.
const EMPTY_NAMES: &[&str] = &[
    "common", "core", "helper", "helpers", "manager", "misc", "shared", "types", "util", "utils",
];

/// Checks every Rust file and every manifest.
pub fn check_rust(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in &tree.files {
        if file.has_extension("rs") {
            findings.extend(check_header(file));
            findings.extend(check_wall(file));
            findings.extend(check_module_name(file));
        }
        if file.path.ends_with("Cargo.toml") {
            findings.extend(check_lints(file));
        }
    }
    findings
}

/// Files that are long but below the wall; they are printed and do not fail.
pub fn long_files(tree: &Tree) -> Vec<String> {
    let rust = tree.files.iter().filter(|file| file.has_extension("rs"));
    let long = rust.filter(|file| file.text.lines().count() > FILE_LINES_LONG);
    long.map(|file| {
        format!(
            "{} has {} lines, more than {FILE_LINES_LONG}",
            file.path,
            file.text.lines().count()
        )
    })
    .collect()
}

/// The example of a library's front page stands below its header and does not count.
fn check_header(file: &SourceFile) -> Option<Finding> {
    let header = file.text.lines().take_while(|line| line.starts_with("//!"));
    let count = header
        .take_while(|line| !line.starts_with("//! ```"))
        .count();
    let message = match count {
        0 => "open the file with a `//!` header: what it is for, what it never does".to_owned(),
        _ if count > HEADER_LINES_MAX => {
            format!("the header has {count} lines, at most {HEADER_LINES_MAX} are read")
        }
        _ => return None,
    };
    Some(Finding::new(&file.path, 1, "header", message))
}

fn check_wall(file: &SourceFile) -> Option<Finding> {
    let count = file.text.lines().count();
    let message = format!("{count} lines; split it by state or phase before line {FILE_LINES_MAX}");
    (count > FILE_LINES_MAX).then(|| Finding::new(&file.path, FILE_LINES_MAX + 1, "wall", message))
}

fn check_module_name(file: &SourceFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    let steps = file.path.trim_end_matches(".rs").split('/');
    for name in steps.filter(|step| EMPTY_NAMES.contains(step)) {
        findings.push(Finding::new(
            &file.path,
            1,
            "name",
            format!("`{name}` says nothing: name the subject"),
        ));
    }
    for (index, line) in file.text.lines().enumerate() {
        let inline = line
            .trim()
            .strip_suffix('{')
            .and_then(|head| head.trim_end().rsplit_once("mod "));
        if let Some((_, name)) = inline.filter(|(_, name)| EMPTY_NAMES.contains(name)) {
            findings.push(Finding::new(
                &file.path,
                index + 1,
                "name",
                format!("`{name}` says nothing: name the subject"),
            ));
        }
    }
    findings
}

/// The fuzz crate is a workspace of its own, so it cannot inherit the lints.
fn check_lints(file: &SourceFile) -> Option<Finding> {
    let package = file.text.contains("[package]") && !file.text.contains("[workspace]");
    let missing = !file.text.contains("[lints]\nworkspace = true");
    let message = "add `[lints] workspace = true`: a crate without it escapes every lint";
    (package && missing).then(|| Finding::new(&file.path, 1, "lints", message))
}
